package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/yamanote-go/yamanote/net"
)

// server gives every connection a session.
type server struct {
	store *store
	log   io.Writer

	wg       sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	accepted int
}

// run serves until ctx ends. What has come by then is answered.
func (s *server) run(ctx context.Context, l net.Listener) {
	s.conns = make(map[net.Conn]struct{})
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for pause := time.Duration(0); ; {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.add(c)
			continue
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			s.end()
			return
		}
		// Most likely there is no descriptor left; connections that end bring some.
		pause = min(2*pause+5*time.Millisecond, time.Second)
		fmt.Fprintf(s.log, "kv: %v; trying again in %v\n", err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (s *server) add(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted++
	s.conns[c] = struct{}{}
	s.wg.Go(func() {
		_ = newSession(s.store, c).serve() // which has told the client
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	})
}

// end lets every session answer what it has, and takes nothing more.
func (s *server) end() {
	s.mu.Lock()
	for c := range s.conns {
		_ = c.SetReadDeadline(time.Unix(1, 0))
		_ = c.SetWriteDeadline(time.Now().Add(5 * time.Second))
	}
	s.mu.Unlock()
	s.wg.Wait()
}
