// Command netpoll is the bench's echo server on github.com/cloudwego/netpoll.
// It is a program of its own because the package starts pollers when it is
// imported.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/cloudwego/netpoll"

	"github.com/yamanote-go/yamanote/bench/internal/control"
)

func echo(_ context.Context, c netpoll.Connection) error {
	n := c.Reader().Len()
	if n == 0 {
		return nil
	}
	buf, err := c.Reader().Next(n)
	if err != nil {
		return err
	}
	if _, err := c.Writer().WriteBinary(buf); err != nil {
		return err
	}
	if err := c.Writer().Flush(); err != nil {
		return err
	}
	return c.Reader().Release()
}

func main() {
	if len(os.Args) < 2 || os.Args[1] != control.Echo {
		control.Fatal(fmt.Errorf("only echo is built"))
	}
	l, err := netpoll.CreateListener("tcp", "127.0.0.1:0")
	if err != nil {
		control.Fatal(err)
	}
	loop, err := netpoll.NewEventLoop(echo)
	if err != nil {
		control.Fatal(err)
	}
	go control.Serve(control.Hello{Addr: l.Addr().String(), Backend: "netpoll"},
		func() control.Stats { return control.Stats{SystemCalls: -1} })
	control.Fatal(loop.Serve(l))
}
