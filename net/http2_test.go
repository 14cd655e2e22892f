package net_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// connections counts the states that a server's connections go through.
type connections struct{ opened, closed, hijacked atomic.Int64 }

func (c *connections) watch(_ stdnet.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.opened.Inc()
	case http.StateClosed:
		c.closed.Inc()
	case http.StateHijacked:
		c.hijacked.Inc()
	}
}

// settled waits until every connection that the server has had is over.
func (c *connections) settled(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, func() bool { return c.opened.Load() == c.closed.Load()+c.hijacked.Load() },
		"%d opened, %d closed, %d hijacked", c.opened.Load(), c.closed.Load(), c.hijacked.Load())
}

// forEachHTTP2 runs a test over TLS, where HTTP/2 is negotiated, and in plain
// text, where the client knows of it before.
func forEachHTTP2(t *testing.T, h http.Handler, f func(t *testing.T, s *site, conns *connections)) {
	t.Helper()
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, secure := range []bool{true, false} {
			t.Run(fmt.Sprintf("TLS %t", secure), func(t *testing.T) {
				conns := new(connections)
				server := &http.Server{Handler: h, ConnState: conns.watch}
				if !secure {
					server.Protocols = new(http.Protocols)
					server.Protocols.SetUnencryptedHTTP2(true)
				}
				s := newSite(t, rt, "tcp4", secure, server)
				if !secure {
					s.client.Transport.(*http.Transport).Protocols = server.Protocols
				}
				f(t, s, conns)
				s.client.CloseIdleConnections()
				conns.settled(t)
			})
		}
	})
}

// duplex is a handler that sends back every piece as soon as it has it, as a
// stream of messages in both directions is served.
func duplex(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	w.Header().Set("Trailer", "Count")
	if err := c.Flush(); err != nil {
		return
	}
	buf, count := make([]byte, 3000), 0
	for {
		n, err := r.Body.Read(buf)
		count += n
		if _, err := w.Write(buf[:n]); err != nil {
			return
		}
		if err := c.Flush(); err != nil {
			return
		}
		switch {
		case err == io.EOF:
			w.Header().Set("Count", fmt.Sprint(count))
			return
		case err != nil:
			return
		case r.URL.Path == "/abort" && count >= 10_000:
			panic(http.ErrAbortHandler)
		}
	}
}

// talk has a stream of messages in both directions: each is sent after the one
// before has come back. It ends early when stop says so, after bytes.
func talk(s *site, path string, seed uint64, size int, stop func(got int) bool) (got int, resp *http.Response, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, w := io.Pipe()
	defer w.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, r)
	if err != nil {
		return 0, nil, err
	}
	if resp, err = s.client.Do(req); err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		return 0, resp, fmt.Errorf("the answer came by %s", resp.Proto)
	}
	out, in, buf := newPattern(seed), newPattern(seed), make([]byte, 5000)
	for i := 1; got < size; i++ {
		message := buf[:min(size-got, 1+i*i*37%len(buf))]
		_, _ = out.Read(message)
		if _, err := w.Write(message); err != nil {
			return got, resp, err
		}
		n, err := io.ReadFull(resp.Body, message)
		if in.check(message[:n]) >= 0 {
			return got, resp, errWrong
		}
		if got += n; err != nil {
			return got, resp, err
		}
		if stop != nil && stop(got) {
			cancel()
			_ = w.CloseWithError(ctx.Err()) // the client looks at the context only when the body gives it something
			_, err := io.Copy(io.Discard, resp.Body)
			return got, resp, err
		}
	}
	if err := w.Close(); err != nil {
		return got, resp, err
	}
	n, err := io.Copy(io.Discard, resp.Body)
	return got + int(n), resp, err
}

// Many streams share one connection: messages in both directions at once,
// streams that the client gives up, that the server aborts, and one whose
// client does not read, which stalls none of the others.
func TestHTTP2Streams(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/duplex", duplex)
	mux.HandleFunc("/abort", duplex)
	mux.Handle("/", handler)
	forEachHTTP2(t, mux, func(t *testing.T, s *site, conns *connections) {
		_, got, err := s.get(t.Context(), "/echo", nil) // there is a connection to share
		require.NoError(t, err)
		require.Empty(t, got)

		const stalledSize = 6 << 20 // more than the 4 MiB that the client takes for a stream
		stalled, err := s.client.Get(s.url + fmt.Sprintf("/stream?n=%d", stalledSize))
		require.NoError(t, err)
		defer stalled.Body.Close()

		size := 20_000
		if plain(t) {
			size = pick(200_000, 40_000)
		}
		var wg sync.WaitGroup
		errs := make(chan error, 100)
		for i := range 24 {
			wg.Go(func() {
				switch i % 4 {
				case 0:
					got, _, err := talk(s, "/duplex", uint64(i), size, func(got int) bool { return got > size/3 })
					if !errors.Is(err, context.Canceled) {
						errs <- fmt.Errorf("a stream that was given up after %d bytes: %w", got, errOr(err))
					}
				case 1:
					if got, _, err := talk(s, "/abort", uint64(i), size, nil); err == nil || errors.Is(err, errWrong) {
						errs <- fmt.Errorf("a stream that was aborted after %d bytes: %w", got, errOr(err))
					}
				default:
					got, resp, err := talk(s, "/duplex", uint64(i), size, nil)
					if err != nil || got != size || resp.Trailer.Get("Count") != fmt.Sprint(size) {
						errs <- fmt.Errorf("%d of %d bytes, trailer %v: %w", got, size, resp, errOr(err))
					}
				}
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			require.NoError(t, err)
		}
		newPattern(40).readAll(t, stalled.Body, stalledSize, 70_000)
		require.EqualValues(t, 1, conns.opened.Load(), "connections")
	})
}

// errOr returns an error also if there is none, for messages.
func errOr(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// Shutdown lets the streams end that have begun, and takes no new ones.
func TestHTTP2Shutdown(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/duplex", duplex)
	forEachHTTP2(t, mux, func(t *testing.T, s *site, _ *connections) {
		// One connection for all: of one that is still being set up at the moment
		// of Shutdown, net/http forgets to take leave.
		_, _, err := talk(s, "/duplex", 8, 1, nil)
		require.NoError(t, err)
		size := 60_000
		var begun sync.WaitGroup
		goOn := make(chan struct{})
		var streams []<-chan result
		for i := range 5 {
			begun.Add(1)
			streams = append(streams, start(func() (int, error) {
				first := true
				got, _, err := talk(s, "/duplex", uint64(i), size, func(int) bool {
					if first {
						first = false
						begun.Done()
						<-goOn
					}
					return false
				})
				return got, err
			}))
		}
		begun.Wait()
		shut := start(func() (int, error) { return 0, s.Shutdown(context.Background()) })
		served := <-s.served
		require.ErrorIs(t, served.err, http.ErrServerClosed)
		again := make(chan result, 1)
		again <- served
		s.served = again
		testkit.Eventually(t, func() bool {
			_, _, err := talk(s, "/duplex", 9, 1, nil)
			return err != nil
		}, "the server takes new streams")
		select {
		case r := <-shut:
			t.Fatalf("Shutdown did not wait for streams: %v", r.err)
		default:
		}
		close(goOn)
		for _, stream := range streams {
			r := <-stream
			require.NoError(t, r.err)
			require.Equal(t, size, r.n)
		}
		require.NoError(t, (<-shut).err)
	})
}

// The frames of HTTP/2 that the test below reads by itself.
const (
	frameSettings = 0x4
	framePing     = 0x6
	frameGoAway   = 0x7
	flagAck       = 0x1
)

func frame(kind, flags byte, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))[1:]
	b = append(b, kind, flags, 0, 0, 0, 0) // of the connection, not of a stream
	return append(b, payload...)
}

func readFrame(r io.Reader) (kind, flags byte, payload []byte, err error) {
	head := make([]byte, 9)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, 0, nil, err
	}
	payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(r, payload)
	return head[3], head[4], payload, err
}

// A server that shuts down says so to an idle client, and then closes the
// connection.
func TestHTTP2GoAway(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		server := &http.Server{Handler: handler, Protocols: new(http.Protocols)}
		server.Protocols.SetUnencryptedHTTP2(true)
		s := newSite(t, rt, network, false, server)
		c, err := s.dial()
		require.NoError(t, err)
		defer c.Close()
		hello := append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(frameSettings, 0, nil)...)
		for _, b := range hello { // a byte at a time, because that must work, too
			_, err = c.Write([]byte{b})
			require.NoError(t, err)
		}
		ping := []byte("12345678")
		_, err = c.Write(frame(framePing, 0, ping))
		require.NoError(t, err)
		for answered := false; !answered; {
			kind, flags, payload, err := readFrame(c)
			require.NoError(t, err)
			if kind == framePing {
				require.EqualValues(t, flagAck, flags)
				require.Equal(t, ping, payload)
				answered = true
			}
		}
		shut := start(func() (int, error) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			return 0, s.Shutdown(ctx)
		})
		var last []byte
		for {
			kind, _, payload, err := readFrame(c)
			if err != nil {
				require.ErrorIs(t, err, io.EOF)
				break
			}
			if kind == frameGoAway {
				last = payload
			}
		}
		require.Len(t, last, 8, "GOAWAY: last stream and error code, each four bytes")
		require.Zero(t, binary.BigEndian.Uint32(last[4:]), "no error")
		require.NoError(t, (<-shut).err)
		_, err = c.Read(make([]byte, 1))
		require.Error(t, err)
		require.NotErrorIs(t, err, net.ErrClosed)
	})
}
