package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// loads is the helper "load": clients of the standard library, whoever they
// talk to. Its requests are "open" a set of connections, "run" it for a time,
// and "close" it.
type loads struct{ sets map[string]*set }

// set is a number of connections to one server. Each sends, waits for the
// answer, and sends again: a closed loop.
type set struct{ clients []*client }

// client is one connection.
type client struct {
	conn    net.Conn
	send    []byte
	receive []byte
	web     bool
	count   uint64
	hist    histogram
}

const (
	messageSize = 64
	webRequest  = "GET / HTTP/1.1\r\nHost: tour\r\n\r\n"

	// patience is how long an answer may take before it counts as lost.
	patience = 10 * time.Second
)

func newLoads() *loads { return &loads{make(map[string]*set)} }

func (l *loads) do(q request) (reply, error) {
	switch s := l.sets[q.Name]; {
	case q.Do == "open":
		s, err := open(q)
		if err != nil {
			return reply{}, err
		}
		l.sets[q.Name] = s
		return reply{}, nil
	case s == nil:
		return reply{}, fmt.Errorf("load: no connections %q", q.Name)
	case q.Do == "run":
		r, err := s.run(q.For)
		return reply{Result: r}, err
	case q.Do == "close":
		delete(l.sets, q.Name)
		s.close()
		return reply{}, nil
	}
	return reply{}, fmt.Errorf("load: no request %q", q.Do)
}

func (l *loads) close() {
	for _, s := range l.sets {
		s.close()
	}
}

// open connects and tries every connection once.
func open(q request) (*set, error) {
	s := new(set)
	for range q.Conns {
		conn, err := net.DialTimeout("tcp", q.Addr, patience)
		if err != nil {
			s.close()
			return nil, err
		}
		c := &client{conn: conn, send: make([]byte, messageSize), receive: make([]byte, messageSize)}
		s.clients = append(s.clients, c)
		if q.Kind == "http" {
			err = c.learn()
		} else {
			err = c.exchange()
		}
		if err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *set) close() {
	for _, c := range s.clients {
		_ = c.conn.Close()
	}
}

// learn makes one web request and parses the answer properly. All others will
// be as long, so that counting bytes is enough for them and the load stays
// light.
func (c *client) learn() error {
	c.web, c.send = true, []byte(webRequest)
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.send); err != nil {
		return err
	}
	var raw bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c.conn, &raw)), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the web server answers %s", resp.Status)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	c.receive = make([]byte, raw.Len())
	return nil
}

// exchange sends and checks the answer.
func (c *client) exchange() error {
	if !c.web {
		c.count++
		binary.LittleEndian.PutUint64(c.send, c.count)
	}
	if _, err := c.conn.Write(c.send); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.conn, c.receive); err != nil {
		return err
	}
	switch {
	case c.web && !bytes.HasPrefix(c.receive, []byte("HTTP/1.1 200 ")):
		return fmt.Errorf("the web server answers %.40q", c.receive)
	case !c.web && !bytes.Equal(c.receive, c.send):
		return errors.New("the echo is not what was sent")
	}
	return nil
}

// run keeps all connections busy for a time.
func (s *set) run(d time.Duration) (result, error) {
	start := time.Now()
	for _, c := range s.clients {
		c.hist = histogram{}
		if err := c.conn.SetDeadline(start.Add(d + patience)); err != nil {
			return result{}, err
		}
	}
	errs := make([]error, len(s.clients))
	var wg sync.WaitGroup
	for i, c := range s.clients {
		wg.Go(func() {
			for now := time.Now(); now.Sub(start) < d; {
				if errs[i] = c.exchange(); errs[i] != nil {
					return
				}
				then := now
				now = time.Now()
				c.hist.add(now.Sub(then))
			}
		})
	}
	wg.Wait()
	var all histogram
	for _, c := range s.clients {
		all.merge(&c.hist)
	}
	return all.result(time.Since(start)), errors.Join(errs...)
}
