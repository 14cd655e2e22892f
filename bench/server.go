package main

import (
	"context"
	"fmt"
	"io"
	stdnet "net"
	"strconv"
	"strings"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// runtimeFor returns the runtime of one of our subjects: "yamanote",
// "yamanote:behind" for one that writes behind, or "yamanote:N" for N shards.
func runtimeFor(subject string) (*proactor.Runtime, error) {
	cfg := proactor.Config{Mode: proactor.ModeRing}
	if _, shards, ok := strings.Cut(subject, ":"); shards == "behind" {
		cfg.WriteBehind = true
	} else if ok {
		var err error
		if cfg.Shards, err = strconv.Atoi(shards); err != nil {
			return nil, fmt.Errorf("subject %s: %w", subject, err)
		}
	}
	return proactor.New(cfg)
}

// runServer is the server process of the subjects written in Go.
func runServer(o order) error {
	switch name, _, _ := strings.Cut(o.Subject, ":"); name {
	case "gnet":
		return serveGnet(o)
	case "netpoll":
		return serveNetpoll(o)
	case "std":
		l, err := stdnet.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		go serve(l, o.Mode)
		if err := say(ready{Addr: l.Addr().String(), Backend: "net"}); err != nil {
			return err
		}
		untilEnd(func() int64 { return -1 })
		return nil
	}
	rt, err := runtimeFor(o.Subject)
	if err != nil {
		return err
	}
	lc := net.ListenConfig{Runtime: rt}
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go serve(l, o.Mode)
	if err := say(ready{Addr: l.Addr().String(), Backend: rt.Backend().String()}); err != nil {
		return err
	}
	untilEnd(func() int64 { return int64(rt.Stats().SystemCalls()) })
	return nil
}

// serve is the program that is measured: the same for the standard library's
// listener and ours.
func serve(l stdnet.Listener, mode kind) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			switch mode {
			case source:
				buf := make([]byte, 64<<10)
				for {
					if _, err := c.Write(buf); err != nil {
						return
					}
				}
			case sink:
				buf := make([]byte, 64<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
				}
			default:
				echoBack(c)
			}
		}()
	}
}

func echoBack(c io.ReadWriter) {
	buf := make([]byte, 16<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}
