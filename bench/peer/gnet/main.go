// Command gnet is the bench's echo server on github.com/panjf2000/gnet. It is
// a program of its own because the package starts goroutines when it is
// imported.
package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/panjf2000/gnet/v2"

	"github.com/yamanote-go/yamanote/bench/internal/control"
)

type server struct {
	gnet.BuiltinEventEngine
	addr    string
	backend string
}

func (s *server) OnBoot(gnet.Engine) gnet.Action {
	go control.Serve(control.Hello{Addr: s.addr, Backend: s.backend},
		func() control.Stats { return control.Stats{SystemCalls: -1} })
	return gnet.None
}

func (s *server) OnTraffic(c gnet.Conn) gnet.Action {
	buf, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	if _, err := c.Write(buf); err != nil {
		return gnet.Close
	}
	return gnet.None
}

// silent is a logger that says nothing: standard output is for the bench.
type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	control.Fatal(fmt.Errorf(format, args...))
}

func main() {
	if len(os.Args) < 2 || os.Args[1] != control.Echo {
		control.Fatal(fmt.Errorf("only echo is built"))
	}
	addr, err := control.FreeAddr()
	if err != nil {
		control.Fatal(err)
	}
	loops := runtime.GOMAXPROCS(0)
	s := &server{addr: addr, backend: fmt.Sprintf("gnet, %d event loop(s)", loops)}
	err = gnet.Run(s, "tcp://"+addr, gnet.WithNumEventLoop(loops), gnet.WithTCPNoDelay(gnet.TCPNoDelay),
		gnet.WithLogger(silent{}))
	control.Fatal(err)
}
