// Command echo is a TCP server that sends back what it receives. It is plain
// net code, with one goroutine and one buffer for each connection; the only
// sign of the ring is where the listener comes from.
//
//	go run ./examples/echo
//	go run ./examples/echo -addr 127.0.0.1:7007 -backend ring -shards 2
//	go run ./examples/echo -backend std
//	nc 127.0.0.1 7007
//
// SIGINT or SIGTERM ends it: no new connections, some seconds for those there
// are, then statistics.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/net"
)

const usage = `
Usage: echo [flags]

A TCP server that sends back what it receives, on io_uring where there is a
ring. End it with SIGINT or SIGTERM: it stops accepting, waits for its
connections to end, closes the rest and prints statistics.
`

func main() { kit.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("echo", flag.ContinueOnError)
	var backend kit.Backend
	backend.Flags(fs, true)
	addr := fs.String("addr", "127.0.0.1:7007", "`address` to listen on; port 0 takes a free one")
	most := fs.Int("max", 65536, "most connections at a time; others wait to be accepted")
	grace := fs.Duration("grace", 5*time.Second, "how long connections may go on after the signal to end")
	if code, done := kit.Parse(fs, args, usage, stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 || *most < 1 {
		return kit.Usage(fs, stderr, errors.New("it takes flags only, and -max is at least 1"))
	}
	rt, err := backend.Open()
	if err != nil {
		fmt.Fprintf(stderr, "echo: %v\n", err)
		return kit.ExitFailed
	}
	defer kit.Shutdown(rt)
	lc := net.ListenConfig{Runtime: rt}
	l, err := lc.Listen(ctx, "tcp", *addr)
	if err != nil {
		fmt.Fprintf(stderr, "echo: %v (-addr chooses another address, 127.0.0.1:0 a free port)\n", err)
		return kit.ExitFailed
	}
	fmt.Fprintf(stdout, "listening on %v\n", l.Addr())
	fmt.Fprintf(stdout, "backend: %v\n", rt.Backend())

	s := &server{log: stderr, places: make(chan struct{}, *most), conns: make(map[net.Conn]struct{})}
	s.run(ctx, l, *grace)

	code := kit.ExitOK
	if err := kit.Shutdown(rt); err != nil {
		fmt.Fprintf(stderr, "echo: %v\n", err)
		code = kit.ExitFailed
	}
	fmt.Fprintf(stdout, "connections:    %d, of which %d were cut off at the end\n", s.accepted, s.cut)
	fmt.Fprintf(stdout, "echoed:         %d bytes in %d pieces\n", s.bytes, s.pieces)
	kit.Report(stdout, rt)
	return code
}

// server is the accepting side and what it knows of its connections.
type server struct {
	log    io.Writer
	places chan struct{} // one for each connection that there may be
	wg     sync.WaitGroup

	mu            sync.Mutex
	conns         map[net.Conn]struct{}
	accepted, cut int
	pieces, bytes int64
}

// run serves until ctx ends and all connections have.
func (s *server) run(ctx context.Context, l net.Listener, grace time.Duration) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	s.accept(ctx, l)
	if stop() {
		_ = l.Close()
	}
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.closeAll()
		<-done
	}
}

// accept gives each connection a goroutine until ctx ends.
func (s *server) accept(ctx context.Context, l net.Listener) {
	const longest = time.Second
	pause := 5 * time.Millisecond
	for {
		select {
		case s.places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c, err := l.Accept()
		if err == nil {
			pause = 5 * time.Millisecond
			s.add(c)
			continue
		}
		<-s.places
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		// Most likely there is no descriptor left; connections that end bring some.
		fmt.Fprintf(s.log, "echo: %v; trying again in %v\n", err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, longest)
	}
}

func (s *server) add(c net.Conn) {
	s.mu.Lock()
	s.accepted++
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	s.wg.Go(func() {
		pieces, bytes := echo(c)
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.pieces += pieces
		s.bytes += bytes
		s.mu.Unlock()
		<-s.places
	})
}

// closeAll cuts off the connections that are left.
func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		s.cut++
		_ = c.Close()
	}
}

const bufferSize = 16 << 10

// echo serves one connection until its peer is done or it fails.
func echo(c net.Conn) (pieces, bytes int64) {
	buf := make([]byte, bufferSize)
	for {
		n, err := c.Read(buf)
		if n > 0 {
			if _, err := c.Write(buf[:n]); err != nil {
				return pieces, bytes
			}
			pieces++
			bytes += int64(n)
		}
		if err != nil {
			return pieces, bytes
		}
	}
}
