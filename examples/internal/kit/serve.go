package kit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/yamanote-go/yamanote/net"
)

// Server gives each connection of a listener a goroutine.
type Server struct {
	Name   string         // of the program, for the log
	Log    io.Writer      // what goes wrong while accepting
	Max    int            // most connections at a time; others wait to be accepted
	Grace  time.Duration  // how long connections may go on after the end of the context
	Handle func(net.Conn) // serves one connection; Server closes it afterwards

	wg sync.WaitGroup

	mu            sync.Mutex
	conns         map[net.Conn]struct{}
	accepted, cut int
}

// Run serves until ctx ends and all connections have. It closes the listener.
func (s *Server) Run(ctx context.Context, l net.Listener) {
	s.conns = make(map[net.Conn]struct{})
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
	timer := time.NewTimer(s.Grace)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.closeAll()
		<-done
	}
}

// Accepted returns how many connections there have been, and Cut how many of
// them were closed because their time was up.
func (s *Server) Accepted() int { return s.number(&s.accepted) }

// Cut is described at Accepted.
func (s *Server) Cut() int { return s.number(&s.cut) }

// Active returns how many connections there are.
func (s *Server) Active() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *Server) number(n *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *n
}

func (s *Server) accept(ctx context.Context, l net.Listener) {
	const shortest, longest = 5 * time.Millisecond, time.Second
	places := make(chan struct{}, s.Max)
	for pause := shortest; ; {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		c, err := l.Accept()
		if err == nil {
			pause = shortest
			s.serve(c, places)
			continue
		}
		<-places
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			return
		}
		// Most likely there is no descriptor left; connections that end bring some.
		fmt.Fprintf(s.Log, "%s: %v; trying again in %v\n", s.Name, err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = min(2*pause, longest)
	}
}

func (s *Server) serve(c net.Conn, places chan struct{}) {
	s.mu.Lock()
	s.accepted++
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	s.wg.Go(func() {
		s.Handle(c)
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		<-places
	})
}

// closeAll cuts off the connections that are left.
func (s *Server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		s.cut++
		_ = c.Close()
	}
}
