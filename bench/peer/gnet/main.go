// Command gnet is the bench's echo server on github.com/panjf2000/gnet. It is
// a program of its own because the package starts goroutines when it is
// imported.
package main

import (
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"

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

func main() {
	if len(os.Args) < 2 || os.Args[1] != control.Echo {
		control.Fatal(fmt.Errorf("only echo is built"))
	}
	addr, err := freeAddr()
	if err != nil {
		control.Fatal(err)
	}
	loops := runtime.GOMAXPROCS(0)
	s := &server{addr: addr, backend: fmt.Sprintf("gnet, %d event loop(s)", loops)}
	err = gnet.Run(s, "tcp://"+addr, gnet.WithNumEventLoop(loops), gnet.WithTCPNoDelay(gnet.TCPNoDelay),
		gnet.WithLogLevel(logging.FatalLevel))
	control.Fatal(err)
}

// freeAddr returns an address that was free a moment ago: gnet does not say
// which port the kernel has chosen.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
