//go:build linux && gain

// Command gain is the bench's echo server on github.com/pawelgaczynski/gain,
// whose callbacks run in the threads that drive its rings. It needs the linker
// flag -checklinkname=0, so that it is left out without the build tag gain.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/pawelgaczynski/gain"
	"github.com/rs/zerolog"

	"github.com/yamanote-go/yamanote/bench/internal/control"
)

type handler struct {
	addr    string
	backend string
}

func (h *handler) OnStart(gain.Server) {
	go control.Serve(control.Hello{Addr: h.addr, Backend: h.backend},
		func() control.Stats { return control.Stats{SystemCalls: -1} })
}

func (h *handler) OnAccept(gain.Conn) {}

func (h *handler) OnRead(c gain.Conn, n int) {
	buf, err := c.Next(n)
	if err == nil {
		_, err = c.Write(buf)
	}
	if err != nil {
		_ = c.Close()
	}
}

func (h *handler) OnWrite(gain.Conn, int) {}

func (h *handler) OnClose(gain.Conn, error) {}

func main() {
	if len(os.Args) < 2 || os.Args[1] != control.Echo {
		control.Fatal(errors.New("only echo is built"))
	}
	addr, err := control.FreeAddr()
	if err != nil {
		control.Fatal(err)
	}
	workers := runtime.GOMAXPROCS(0)
	h := &handler{addr: addr, backend: fmt.Sprintf("gain, %d worker(s)", workers)}
	control.Fatal(gain.ListenAndServe("tcp://"+addr, h, gain.WithWorkers(workers), gain.WithLoggerLevel(zerolog.Disabled)))
}
