package net_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	stdnet "net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// site is an unmodified server of net/http on our listener, and a client on
// our dialer.
type site struct {
	*http.Server
	l      stdnet.Listener
	url    string
	client *http.Client
	served <-chan result
	dial   func() (stdnet.Conn, error)
}

// newSite serves until the test ends.
func newSite(t *testing.T, rt *proactor.Runtime, network string, secure bool, server *http.Server) *site {
	t.Helper()
	s := &site{Server: server, l: listen(t, rt, network)}
	server.ErrorLog = log.New(io.Discard, "", 0)
	d := net.Dialer{Runtime: rt}
	s.dial = func() (stdnet.Conn, error) { return d.Dial(s.l.Addr().Network(), s.l.Addr().String()) }
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (stdnet.Conn, error) {
			return d.DialContext(ctx, s.l.Addr().Network(), s.l.Addr().String())
		},
		ForceAttemptHTTP2:   secure,
		MaxIdleConnsPerHost: 1000,
	}
	s.client = &http.Client{Transport: transport}
	if secure {
		server.TLSConfig, transport.TLSClientConfig = certificate()
		server.TLSConfig = server.TLSConfig.Clone()
		transport.TLSClientConfig = transport.TLSClientConfig.Clone()
		s.url = "https://localhost"
		s.served = start(func() (int, error) { return 0, server.ServeTLS(s.l, "", "") })
	} else {
		s.url = "http://localhost"
		s.served = start(func() (int, error) { return 0, server.Serve(s.l) })
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		r := <-s.served
		require.ErrorIs(t, r.err, http.ErrServerClosed)
	})
	return s
}

// get makes a request and returns the whole answer.
func (s *site) get(ctx context.Context, path string, body io.Reader) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, body)
	if err != nil {
		return nil, "", err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), errors.Join(err, resp.Body.Close())
}

// handler answers with what it is sent, the hash of it, or a stream.
var handler = func() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body) // all of it, since HTTP/1.1 is not duplex
		if err == nil {
			_, _ = w.Write(b)
		}
	})
	mux.HandleFunc("/hash", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.ParseInt(r.FormValue("n"), 10, 64)
		_, _ = io.CopyN(w, newPattern(40), n)
	})
	return mux
}()

// Requests one after the other use one connection; large bodies arrive whole,
// in both directions, with and without TLS, by HTTP/1.1 and HTTP/2.
func TestHTTP(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, tt := range []struct {
			network string
			secure  bool
		}{{"tcp4", false}, {"tcp6", true}, {"unix", false}, {"unix", true}} {
			t.Run(fmt.Sprintf("%s TLS %t", tt.network, tt.secure), func(t *testing.T) {
				s := newSite(t, rt, tt.network, tt.secure, &http.Server{Handler: handler})
				connections := 0
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					GotConn: func(c httptrace.GotConnInfo) {
						if !c.Reused {
							connections++
						}
					},
				})
				for i := range 50 {
					want := strings.Repeat("x", i*i*10)
					resp, got, err := s.get(ctx, "/echo", strings.NewReader(want))
					require.NoError(t, err)
					require.Equal(t, want, got)
					if tt.secure {
						require.Equal(t, 2, resp.ProtoMajor)
					} else {
						require.Equal(t, "HTTP/1.1", resp.Proto)
					}
				}
				require.Equal(t, 1, connections, "keep-alive")

				size := int64(1 << 20)
				if plain(t) && tt.network != "unix" {
					size = pick[int64](32<<20, 8<<20)
				}
				h := sha256.New()
				_, err := io.CopyN(h, newPattern(40), size)
				require.NoError(t, err)
				want := hex.EncodeToString(h.Sum(nil))
				_, got, err := s.get(ctx, "/hash", io.LimitReader(newPattern(40), size))
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("%d %s <nil>", size, want), got)
				_, got, err = s.get(ctx, fmt.Sprintf("/stream?n=%d", size), nil)
				require.NoError(t, err)
				require.Equal(t, want, fmt.Sprintf("%x", sha256.Sum256([]byte(got))))
			})
		}
	})
}

// Many clients at once, each with a connection of its own.
func TestHTTPManyClients(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		clients := 40
		if plain(t) {
			clients = pick(200, 100)
		}
		s := newSite(t, rt, "tcp4", false, &http.Server{Handler: handler})
		// All are under way before the first is answered.
		var ready sync.WaitGroup
		ready.Add(clients)
		var running []<-chan result
		for i := range clients {
			running = append(running, start(func() (int, error) {
				for j := range 4 {
					want := strings.Repeat(strconv.Itoa(i), 1+j*1000)
					r, w := io.Pipe()
					go func() {
						if j == 0 {
							ready.Done()
							ready.Wait()
						}
						_, err := io.WriteString(w, want)
						_ = w.CloseWithError(err)
					}()
					_, got, err := s.get(context.Background(), "/echo", r)
					if err != nil {
						return 0, err
					}
					if got != want {
						return 0, errors.New("not what was sent")
					}
				}
				return 0, nil
			}))
		}
		for _, r := range running {
			require.NoError(t, (<-r).err)
		}
	})
}

// A handler takes its connection over. The server is reading from it at that
// time, to notice when the client goes away: that Read is ended by a deadline,
// and neither it nor what follows loses a byte.
func TestHTTPHijack(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("wait") != "" {
				time.Sleep(time.Duration(rand.Int64N(int64(200 * time.Microsecond))))
			}
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			defer c.Close()
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
			_ = rw.Flush()
			_, _ = io.Copy(c, rw)
		})}
		s := newSite(t, rt, network, false, server)
		for i := range pick(40, 15) {
			c, err := s.dial()
			require.NoError(t, err)
			data := bytesOf(uint64(i), 2000)
			head := "GET /?wait=" + strings.Repeat("x", i%2) + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
			early := rand.IntN(50) * (i % 3)
			_, err = c.Write(append([]byte(head), data[:early]...)) // some of it before the answer
			require.NoError(t, err)
			write := start(func() (int, error) {
				for b := data[early:]; len(b) > 0; {
					n := min(len(b), 1+rand.IntN(200))
					if _, err := c.Write(b[:n]); err != nil {
						return 0, err
					}
					b = b[n:]
					time.Sleep(time.Duration(rand.Int64N(int64(20 * time.Microsecond))))
				}
				return 0, c.(stream).CloseWrite()
			})
			r := bufio.NewReader(c)
			resp, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, data, got)
			require.NoError(t, (<-write).err)
			require.NoError(t, c.Close())
		}
	})
}

// A client that says nothing: the handler that takes the connection over must
// not wait for the server's Read.
func TestHTTPHijackOfASilentClient(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		s := newSite(t, rt, network, false, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello")
			_ = errors.Join(rw.Flush(), c.Close())
		})})
		c, err := s.dial()
		require.NoError(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		require.NoError(t, err)
		b, err := io.ReadAll(c)
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(string(b), "\r\n\r\nhello"), "%q", b)
	})
}

// Shutdown waits for the request that is being answered, closes what is idle,
// and takes no more.
func TestHTTPShutdown(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		entered, leave := make(chan struct{}), make(chan struct{})
		s := newSite(t, rt, network, false, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				close(entered)
				<-leave
			}
			_, _ = io.WriteString(w, "done")
		})})
		idle, err := s.dial()
		require.NoError(t, err)
		defer idle.Close()
		_, err = io.WriteString(idle, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		r := bufio.NewReader(idle)
		resp, err := http.ReadResponse(r, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)

		slow := start(func() (int, error) {
			_, got, err := s.get(context.Background(), "/slow", nil)
			return len(got), err
		})
		<-entered
		shut := start(func() (int, error) { return 0, s.Shutdown(context.Background()) })
		require.ErrorIs(t, (<-s.served).err, http.ErrServerClosed)
		served := make(chan result, 1)
		served <- result{err: http.ErrServerClosed}
		s.served = served
		_, err = r.ReadByte()
		require.Equal(t, io.EOF, err, "the idle connection is closed")
		if network == "unix" { // a port may be somebody else's by now
			_, err = s.dial()
			require.Error(t, err)
		}
		select {
		case r := <-shut:
			t.Fatalf("Shutdown did not wait for a request: %v", r.err)
		default:
		}
		close(leave)
		res := <-slow
		require.NoError(t, res.err)
		require.Equal(t, len("done"), res.n)
		require.NoError(t, (<-shut).err)
	})
}

// The server's timeouts close connections that say too little.
func TestHTTPTimeouts(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		s := newSite(t, rt, network, false, &http.Server{Handler: handler,
			ReadHeaderTimeout: 5 * time.Millisecond, IdleTimeout: 5 * time.Millisecond})
		for name, request := range map[string]string{
			"nothing":       "",
			"half a header": "GET / HTTP/1.1\r\nHo",
			"idle":          "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n",
		} {
			c, err := s.dial()
			require.NoError(t, err)
			_, err = io.WriteString(c, request)
			if err == nil {
				_, err = io.ReadAll(c)
			}
			// A server whose time was up before it has read anything closes with
			// data unread, which resets the connection.
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				assert.NoError(t, err, name)
			}
			require.NoError(t, c.Close())
		}
	})
}

// A client that goes away ends the context of its request, and the body that
// it was sending.
func TestHTTPClientGoesAway(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		entered, ended := make(chan struct{}, 1), make(chan error, 1)
		s := newSite(t, rt, network, false, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			switch r.URL.Path {
			case "/wait":
				<-r.Context().Done()
				ended <- r.Context().Err()
			case "/upload":
				_, err := io.Copy(io.Discard, r.Body)
				ended <- err
			case "/download":
				_, err := w.Write(zeros)
				ended <- err
			}
		})})
		for path, check := range map[string]func(error){
			"/wait":     func(err error) { require.ErrorIs(t, err, context.Canceled) },
			"/upload":   func(err error) { require.ErrorIs(t, err, io.ErrUnexpectedEOF) },
			"/download": func(err error) { require.Error(t, err) },
		} {
			c, err := s.dial()
			require.NoError(t, err)
			header := ""
			if path == "/upload" {
				header = "Content-Length: 1000\r\n"
			}
			_, err = io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: localhost\r\n"+header+"\r\nsome")
			require.NoError(t, err)
			<-entered
			require.NoError(t, c.Close())
			check(<-ended)
		}
		// The other way round: a request whose context ends.
		ctx, cancel := context.WithCancel(context.Background())
		get := start(func() (int, error) {
			_, _, err := s.get(ctx, "/wait", nil)
			return 0, err
		})
		<-entered
		cancel()
		require.ErrorIs(t, (<-get).err, context.Canceled)
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}
