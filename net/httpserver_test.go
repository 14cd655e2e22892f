package net_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// A client that asks first sends its body only if the server wants it.
func TestHTTPContinue(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		s := newSite(t, rt, network, false, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/no" {
				http.Error(w, "too much", http.StatusRequestEntityTooLarge)
				return
			}
			handler.ServeHTTP(w, r)
		})})
		s.client.Transport.(*http.Transport).ExpectContinueTimeout = time.Minute
		body := bytesOf(50, 300_000)
		for path, want := range map[string]int{"/echo": http.StatusOK, "/no": http.StatusRequestEntityTooLarge} {
			asked, read := false, atomic.NewInt64(0)
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { asked = true }})
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path,
				io.TeeReader(bytes.NewReader(body), countTo{read}))
			require.NoError(t, err)
			req.Header.Set("Expect", "100-continue")
			resp, err := s.client.Do(req)
			require.NoError(t, err)
			got, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, want, resp.StatusCode)
			require.Equal(t, want == http.StatusOK, asked)
			if want == http.StatusOK {
				require.True(t, bytes.Equal(body, got))
			} else {
				require.Zero(t, read.Load(), "bytes of a body that nobody wants")
			}
		}
	})
}

type countTo struct{ n *atomic.Int64 }

func (c countTo) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

// Many requests in one Write are answered one after the other.
func TestHTTPPipelined(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		s := newSite(t, rt, network, false, &http.Server{Handler: handler})
		c, err := s.dial()
		require.NoError(t, err)
		defer c.Close()
		const n = 100
		sent := start(func() (int, error) {
			var all strings.Builder
			for i := range n {
				body := strings.Repeat("x", i*7)
				fmt.Fprintf(&all, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			}
			return io.WriteString(c, all.String())
		})
		r := bufio.NewReader(c)
		for i := range n {
			resp, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Len(t, body, i*7)
		}
		require.NoError(t, (<-sent).err)
	})
}

// A proxy takes the connection over by CONNECT and passes TLS on.
func TestHTTPConnect(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		target := newSite(t, rt, "tcp4", true, &http.Server{Handler: handler})
		tunnels := atomic.NewInt64(0)
		proxy := newSite(t, rt, "tcp4", false, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodConnect {
				http.Error(w, "CONNECT only", http.StatusMethodNotAllowed)
				return
			}
			back, err := target.dial()
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			defer back.Close()
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = rw.WriteString("HTTP/1.1 200 OK\r\n\r\n")
			early, _ := rw.Peek(rw.Reader.Buffered())
			if _, err := back.Write(early); err != nil || rw.Flush() != nil {
				return
			}
			tunnels.Inc()
			both(c.(stream), back.(stream))
		})})
		transport := target.client.Transport.(*http.Transport)
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.invalid:1"})
		transport.DialContext = func(context.Context, string, string) (stdnet.Conn, error) { return proxy.dial() }
		for i := range 5 {
			require.NoError(t, target.ask(200_000+i))
		}
		require.EqualValues(t, 1, tunnels.Load())
		transport.CloseIdleConnections()
	})
}

// What a handler sees of a client that is too slow in sending its body or in
// taking the answer: an error that is a timeout.
func TestHTTPSlowBodies(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		saw := make(chan error, 1)
		conns := new(connections)
		s := newSite(t, rt, network, false, &http.Server{
			ReadTimeout: 20 * time.Millisecond, WriteTimeout: 20 * time.Millisecond, ConnState: conns.watch,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					_, err := io.Copy(io.Discard, r.Body)
					saw <- err
					return
				}
				_, err := w.Write(huge)
				saw <- err
			})})
		for _, request := range []string{
			"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nslow",
			"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		} {
			// The time of the server runs from when it has accepted.
			testkit.Eventually(t, func() bool {
				c, err := s.dial()
				require.NoError(t, err)
				defer c.Close()
				if _, err = io.WriteString(c, request); err != nil {
					return false
				}
				select {
				case err := <-saw:
					require.ErrorIs(t, err, os.ErrDeadlineExceeded)
					return true
				case <-time.After(time.Second):
					return false // it was over before the handler could begin
				}
			}, "no timeout for %q", request[:4])
		}
		conns.settled(t)
	})
}

// Clients that send a byte now and then, and never a whole request, are sent
// away, and the others do not notice.
func TestHTTPSlowloris(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		conns := new(connections)
		s := newSite(t, rt, "tcp4", false, &http.Server{Handler: handler, ConnState: conns.watch, ReadHeaderTimeout: 50 * time.Millisecond})
		n := pick(100, 40)
		var slow sync.WaitGroup
		for range n {
			c, err := s.dial()
			require.NoError(t, err)
			slow.Go(func() {
				defer c.Close()
				for _, b := range []byte("GET / HTTP/1.1\r\nHost: localhost\r\nX-Padding: " + strings.Repeat("x", 10_000)) {
					if _, err := c.Write([]byte{b}); err != nil {
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			})
		}
		for range 20 {
			_, got, err := s.get(t.Context(), "/echo", strings.NewReader("quick"))
			require.NoError(t, err)
			require.Equal(t, "quick", got)
		}
		slow.Wait()
		s.client.CloseIdleConnections()
		conns.settled(t)
		require.GreaterOrEqual(t, conns.closed.Load(), int64(n))
	})
}

// A server that shuts down or closes under load: an answer is whole and right,
// or there is none. Every connection is over afterwards.
func TestHTTPEndsUnderLoad(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		for name, end := range map[string]func(*http.Server) error{
			"Shutdown": func(s *http.Server) error { return s.Shutdown(context.Background()) },
			"Close":    (*http.Server).Close,
		} {
			t.Run(name, func(t *testing.T) {
				conns := new(connections)
				s := newSite(t, rt, network, false, &http.Server{Handler: handler, ConnState: conns.watch})
				var answers atomic.Int64
				var clients []<-chan result
				for i := range 10 {
					clients = append(clients, start(func() (int, error) {
						for j := 0; ; j++ {
							want := strings.Repeat("y", (i*1000+j*37)%20_000)
							_, got, err := s.get(context.Background(), "/echo", strings.NewReader(want))
							if err != nil {
								return 0, nil // there is none
							}
							if got != want {
								return 0, errWrong
							}
							answers.Inc()
						}
					}))
				}
				testkit.Eventually(t, func() bool { return answers.Load() > 50 }, "no answers")
				require.NoError(t, end(s.Server))
				for _, c := range clients {
					require.NoError(t, (<-c).err)
				}
				s.client.CloseIdleConnections()
				conns.settled(t)
			})
		}
	})
}

// A handler can give itself more time, or less.
func TestHTTPDeadlinesOfTheHandler(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		s := newSite(t, rt, network, false, &http.Server{
			ReadTimeout: 30 * time.Second,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c := http.NewResponseController(w)
				if err := c.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
					fmt.Fprint(w, err)
					return
				}
				_, err := io.ReadAll(r.Body)
				fmt.Fprint(w, errors.Is(err, os.ErrDeadlineExceeded))
			})})
		r, w := io.Pipe()
		defer w.Close()
		_, got, err := s.get(t.Context(), "/", r) // a body that does not come
		require.NoError(t, err)
		require.Equal(t, "true", got)
	})
}
