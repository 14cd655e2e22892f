//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// loadSpec tells a load generator what to do. Its command line is made of
// name=value, which C reads as easily as Go does.
type loadSpec struct {
	Kind    kind
	Port    int
	Conns   int
	Size    int // of a message
	Threads int
	Warm    time.Duration
	Measure time.Duration
	Rate    float64 // messages a second of an open loop
	Spin    bool    // open loop: the load has a processor to itself
	Bytes   int64   // of a stream
	GiveUp  time.Duration
}

// args is the command line of a load generator.
func (s loadSpec) args() []string {
	spin := 0
	if s.Spin {
		spin = 1
	}
	rate := s.Rate
	if s.Kind != kindOpen {
		rate = 0
	}
	return []string{
		"kind=" + string(s.Kind), fmt.Sprintf("port=%d", s.Port), fmt.Sprintf("conns=%d", s.Conns),
		fmt.Sprintf("size=%d", max(stampSize, s.Size)), fmt.Sprintf("threads=%d", max(1, s.Threads)),
		fmt.Sprintf("warm=%d", s.Warm), fmt.Sprintf("measure=%d", s.Measure), fmt.Sprintf("rate=%f", rate),
		fmt.Sprintf("spin=%d", spin), fmt.Sprintf("bytes=%d", s.Bytes), fmt.Sprintf("giveup=%d", s.GiveUp),
	}
}

// parseLoadArgs is the reverse of args.
func parseLoadArgs(args []string) (loadSpec, error) {
	var s loadSpec
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return s, fmt.Errorf("%q is no name=value", arg)
		}
		if name == "kind" {
			s.Kind = kind(value)
			continue
		}
		if name == "rate" {
			rate, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return s, err
			}
			s.Rate = rate
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return s, err
		}
		switch name {
		case "port":
			s.Port = int(n)
		case "conns":
			s.Conns = int(n)
		case "size":
			s.Size = int(n)
		case "threads":
			s.Threads = int(n)
		case "warm":
			s.Warm = time.Duration(n)
		case "measure":
			s.Measure = time.Duration(n)
		case "spin":
			s.Spin = n != 0
		case "bytes":
			s.Bytes = n
		case "giveup":
			s.GiveUp = time.Duration(n)
		default:
			return s, fmt.Errorf("no parameter %q", name)
		}
	}
	return s, nil
}

// loadEvent is a line that a load generator prints: "begin" and "end" around
// what it measures, each of which it waits to be answered, then "result".
type loadEvent struct {
	Event string `json:"event"`
	Error string `json:"error,omitempty"`
	Wrong bool   `json:"wrong,omitempty"` // the error is wrong data
	loadResult
}

// loadResult is what one run of a load has measured.
type loadResult struct {
	Ops     int64      `json:"ops"`    // answered in the measured time
	Work    int64      `json:"work"`   // and those that were then still under way
	Lost    int64      `json:"lost"`   // datagrams that were given up
	Late    int64      `json:"late"`   // of which so many were answered all the same
	Unsent  int64      `json:"unsent"` // open loop: due, but the connection was still busy at the end
	Seconds float64    `json:"seconds"`
	CPU     float64    `json:"cpu"` // seconds of the load's own
	Max     int64      `json:"max"` // nanoseconds
	Buckets [][2]int64 `json:"buckets,omitempty"`
}

// errWrong says that a server has sent other bytes than it should.
var errWrong = errors.New("wrong data")

// stampSize is what a message begins with: 8 bytes that no other message has.
const stampSize = 8

// loadCommand returns the command of the load generator: the one in C if it
// could be built and there is one, the one in Go if not.
func (l *lab) loadCommand(k kind) []string {
	if l.cLoad != "" && k != kindHTTPS {
		return []string{l.cLoad}
	}
	return []string{l.self, "load"}
}

// prepareLoad builds the load generator. which is c, go, or auto for C where
// there is a compiler. It returns what is used.
func (l *lab) prepareLoad(ctx context.Context, which string) (string, error) {
	const inGo = "Go on epoll"
	switch which {
	case "go":
		return inGo, nil
	case "c", "auto":
	default:
		return "", fmt.Errorf("-load: want auto, c or go, not %q", which)
	}
	err := l.compile(ctx, "load", "load.c", "load_tcp.c", "load_udp.c", "load_churn.c", "load_http.c", "-pthread")
	switch {
	case err == nil:
		l.cLoad = l.path("load")
		return "C on epoll", nil
	case which == "c":
		return "", err
	}
	return fmt.Sprintf("%s, which may hide differences (%v)", inGo, err), nil
}
