//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"go.uber.org/atomic"
)

// httpLoad is the load of requests over connections that stay, in Go: over TLS,
// and without it where there is no C compiler. It has a goroutine for each
// connection and counts what httpLoad in C counts.
type httpLoad struct {
	spec    loadSpec
	clients []httpClient
	hist    []atomic.Int64 // shared: the load has one processor
	ops     atomic.Int64
	work    atomic.Int64
	longest atomic.Int64
}

type httpClient struct {
	conn net.Conn
	in   *bufio.Reader
}

// httpRequest is the same as in load_http.c.
const httpRequest = "GET /hello HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\n\r\n"

// http runs that load.
func (l *load) http(secure bool) error {
	h := &httpLoad{spec: l.spec, hist: make([]atomic.Int64, allBuckets)}
	defer h.close()
	if err := h.connect(secure); err != nil {
		return err
	}
	if err := h.phase(l.spec.Warm, false); err != nil {
		return err
	}
	l.started()
	if err := h.phase(l.spec.Measure, true); err != nil {
		return err
	}
	l.ended(l.spec.Measure)
	l.result.Ops, l.result.Work, l.result.Max = h.ops.Load(), h.work.Load(), h.longest.Load()
	for i := range h.hist {
		l.hist[i] = h.hist[i].Load()
	}
	return nil
}

func (h *httpLoad) connect(secure bool) error {
	for i := range h.spec.Conns {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", h.spec.Port))
		if err != nil {
			return err
		}
		deadline := time.Now().Add(h.spec.Warm + h.spec.Measure + h.spec.GiveUp)
		if err := errors.Join(c.(*net.TCPConn).SetLinger(0), c.SetDeadline(deadline)); err != nil {
			return errors.Join(err, c.Close())
		}
		var conn net.Conn = c
		if secure {
			// The server's certificate is its own, made for this run.
			t := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
			if err := t.HandshakeContext(context.Background()); err != nil {
				return errors.Join(fmt.Errorf("connection %d: %w", i, err), c.Close())
			}
			conn = t
		}
		h.clients = append(h.clients, httpClient{conn, bufio.NewReaderSize(conn, 1024)})
	}
	return nil
}

func (h *httpLoad) close() {
	for _, c := range h.clients {
		_ = c.conn.Close()
	}
}

// phase keeps all connections busy for a time, and returns when all answers are
// there.
func (h *httpLoad) phase(d time.Duration, counting bool) error {
	var (
		wg   sync.WaitGroup
		once sync.Once
		fail error
	)
	end := time.Now().Add(d)
	for i := range h.clients {
		wg.Go(func() {
			if err := h.drive(&h.clients[i], end, counting); err != nil {
				once.Do(func() { fail = fmt.Errorf("connection %d: %w", i, err) })
			}
		})
	}
	wg.Wait()
	return fail
}

func (h *httpLoad) drive(c *httpClient, end time.Time, counting bool) error {
	for now := time.Now(); now.Before(end); {
		start := now
		if _, err := io.WriteString(c.conn, httpRequest); err != nil {
			return err
		}
		if err := readAnswer(c.in); err != nil {
			return err
		}
		now = time.Now()
		if !counting {
			continue
		}
		took := int64(now.Sub(start))
		h.hist[bucketOf(took)].Inc()
		h.work.Inc()
		if now.Before(end) {
			h.ops.Inc()
		}
		for old := h.longest.Load(); took > old && !h.longest.CompareAndSwap(old, took); old = h.longest.Load() {
		}
	}
	return nil
}

// readAnswer reads an answer and checks its status, its length and its body. It
// allocates nothing, so that the load costs little.
func readAnswer(in *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if string(line) != "HTTP/1.1 200 OK\r\n" {
		return fmt.Errorf("%w: %q is not HTTP/1.1 200 OK", errWrong, line)
	}
	length := -1
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return err
		}
		if string(line) == "\r\n" {
			break
		}
		if n, ok := contentLength(line); ok {
			length = n
		}
	}
	if length != len(greeting) {
		return fmt.Errorf("%w: Content-Length is %d", errWrong, length)
	}
	body, err := in.Peek(length)
	if err != nil {
		return err
	}
	if string(body) != greeting {
		return fmt.Errorf("%w: the body of an answer is %q", errWrong, body)
	}
	if in.Buffered() > length {
		return fmt.Errorf("%w: more than the answer", errWrong)
	}
	_, err = in.Discard(length)
	return err
}

// contentLength reads the value of that header, if the line is it.
func contentLength(line []byte) (int, bool) {
	const name = "Content-Length: "
	if len(line) < len(name)+3 || string(line[:len(name)]) != name {
		return 0, false
	}
	n := 0
	for _, d := range line[len(name) : len(line)-2] {
		if d < '0' || d > '9' || n > 1<<20 {
			return -1, true
		}
		n = 10*n + int(d-'0')
	}
	return n, true
}
