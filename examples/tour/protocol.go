package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/proactor"
)

// A helper process answers requests, JSON on its standard input, one at a
// time, until that ends. It ends with the process that has started it,
// whatever becomes of that one.

// request is what a helper is asked for.
type request struct {
	Do     string        // see the helpers
	Name   string        // which set of connections
	Kind   string        // "echo" or "http"
	Addr   string        // of the server
	Conns  int           // connections, or readers of a file
	Path   string        // of the file
	Direct bool          // read past the page cache
	For    time.Duration // how long to run
	Mark   int           // leaves a trace for strace if not 0
}

// reply is what it answers.
type reply struct {
	Err    string
	Addrs  map[string]string // of the servers, by kind
	Usage  used              // so far
	Result result
}

// used is what a process has used up to a moment.
type used struct {
	CPU         time.Duration
	Threads     int
	SystemCalls uint64 // by the ring's counters
	Counted     bool   // there are such counters
}

// result is what a round of load has done.
type result struct {
	Operations int64
	Elapsed    time.Duration
	P50, P99   time.Duration
}

// roleEnv makes a process a helper: "serve", "load" or "files", and the
// backend.
const roleEnv = "YAMANOTE_TOUR_ROLE"

// helper is what a helper does.
type helper interface {
	do(request) (reply, error)
	close()
}

// child answers requests if this process is a helper.
func child() (code int, ok bool) {
	role := strings.Fields(os.Getenv(roleEnv))
	if len(role) != 2 {
		return 0, false
	}
	// Ctrl-C goes to all of us; the process that has started this one will
	// say when to end.
	signal.Ignore(os.Interrupt)
	if err := help(role[0], role[1]); err != nil {
		fmt.Fprintf(os.Stderr, "tour %s: %v\n", strings.Join(role, " "), err)
		return kit.ExitFailed, true
	}
	return kit.ExitOK, true
}

func help(role, backend string) error {
	var rt *proactor.Runtime // none: the standard library itself, not our packages on it
	if backend == "ring" {
		var err error
		if rt, err = proactor.New(proactor.Config{Mode: proactor.ModeRing}); err != nil {
			return err
		}
		defer kit.Shutdown(rt)
	}
	var h helper
	var err error
	switch role {
	case "serve":
		h, err = newServers(rt)
	case "load":
		h = newLoads()
	case "files":
		h = &reader{rt: rt}
	default:
		err = errors.New("no such helper")
	}
	if err != nil {
		return err
	}
	defer h.close()
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var q request
		switch err := in.Decode(&q); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		r, err := h.do(q)
		if err != nil {
			r.Err = err.Error()
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// usedBy returns what this process has used. With a mark it first makes a
// system call that can be found in a trace.
func usedBy(rt *proactor.Runtime, mark int) used {
	if mark != 0 {
		_, _ = os.Stat(fmt.Sprintf("%s%d", markName, mark))
	}
	u := used{Threads: kit.Threads()}
	u.CPU, _ = kit.ProcessorTime()
	if rt != nil {
		u.SystemCalls, u.Counted = rt.Stats().SystemCalls(), true
	}
	return u
}
