package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	ynet "github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// servers is the helper "serve": an echo server and a web server. Its only
// request is "mark", for what it has used so far.
type servers struct {
	rt        *proactor.Runtime
	listeners map[string]net.Listener
	web       *http.Server
	wg        sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// listen is the whole difference between the two backends.
func listen(rt *proactor.Runtime) (net.Listener, error) {
	const anywhere = "127.0.0.1:0"
	if rt == nil {
		return net.Listen("tcp", anywhere)
	}
	lc := ynet.ListenConfig{Runtime: rt}
	return lc.Listen(context.Background(), "tcp", anywhere)
}

func newServers(rt *proactor.Runtime) (*servers, error) {
	s := &servers{rt: rt, listeners: make(map[string]net.Listener), conns: make(map[net.Conn]struct{})}
	for _, kind := range []string{"echo", "http"} {
		l, err := listen(rt)
		if err != nil {
			s.close()
			return nil, err
		}
		s.listeners[kind] = l
	}
	s.web = &http.Server{Handler: http.HandlerFunc(hello), ReadHeaderTimeout: 10 * time.Second}
	s.wg.Go(func() { _ = s.web.Serve(s.listeners["http"]) })
	s.wg.Go(func() { s.acceptEcho(s.listeners["echo"]) })
	return s, nil
}

func (s *servers) do(q request) (reply, error) {
	if q.Do != "mark" {
		return reply{}, fmt.Errorf("serve: no request %q", q.Do)
	}
	addrs := make(map[string]string)
	for kind, l := range s.listeners {
		addrs[kind] = l.Addr().String()
	}
	return reply{Addrs: addrs, Usage: usedBy(s.rt, q.Mark)}, nil
}

// hello answers a request.
func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "Hello, traveller!\n") }

// acceptEcho gives every connection a goroutine.
func (s *servers) acceptEcho(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			_ = c.Close()
		} else {
			s.conns[c] = struct{}{}
			s.wg.Go(func() { s.echo(c) })
		}
		s.mu.Unlock()
	}
}

// echo sends back what it receives.
func (s *servers) echo(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	buf := make([]byte, 4096)
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

func (s *servers) close() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
	if s.web != nil {
		_ = s.web.Close()
	}
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}
