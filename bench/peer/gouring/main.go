//go:build linux

// Command gouring is the bench's echo server on github.com/godzie44/go-uring,
// whose package net offers connections on io_uring.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	uringnet "github.com/godzie44/go-uring/net"
	"github.com/godzie44/go-uring/reactor"
	"github.com/godzie44/go-uring/uring"

	"github.com/yamanote-go/yamanote/bench/internal/control"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != control.Echo {
		control.Fatal(errors.New("only echo is built"))
	}
	control.Fatal(run())
}

func run() error {
	rings := make([]*uring.Ring, max(1, runtime.GOMAXPROCS(0)/2))
	for i := range rings {
		ring, err := uring.New(uring.MaxEntries >> 3)
		if err != nil {
			return err
		}
		rings[i] = ring
	}
	loop, err := reactor.NewNet(rings)
	if err != nil {
		return err
	}
	addr, err := control.FreeAddr()
	if err != nil {
		return err
	}
	l, err := uringnet.NewListener(net.ListenConfig{}, addr, loop)
	if err != nil {
		return err
	}
	go control.Serve(control.Hello{Addr: addr, Backend: fmt.Sprintf("go-uring, %d ring(s)", len(rings))},
		func() control.Stats { return control.Stats{SystemCalls: -1} })
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go echo(c)
	}
}

// echo echoes. The library's Write may write less than it is given without an
// error.
func echo(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		for rest := buf[:n]; len(rest) > 0; {
			n, err := c.Write(rest)
			if err != nil {
				return
			}
			rest = rest[n:]
		}
	}
}
