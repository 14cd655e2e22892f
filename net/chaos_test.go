package net_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/internal/testkit/chaos"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// rough is a network that delays and cuts into pieces and loses nothing;
// hostile does all that chaos can.
func rough(seed uint64) chaos.Config {
	return chaos.Config{Seed: seed, Piece: 8 << 10, Delay: 300 * time.Microsecond,
		Fates: map[chaos.Fate]int{chaos.Whole: 3, chaos.Stall: 1}, Within: 20_000, Stall: 5 * time.Millisecond}
}

func hostile(seed uint64) chaos.Config {
	c := rough(seed)
	c.Fates = map[chaos.Fate]int{chaos.Whole: 2, chaos.Stall: 1, chaos.HalfClose: 1, chaos.Cut: 1, chaos.Reset: 1, chaos.Silent: 1}
	return c
}

// chaosTo starts a proxy before a listener until the test ends. What it does is
// logged, so that a failure shows it.
func chaosTo(t *testing.T, to stdnet.Addr, config chaos.Config) *chaos.Proxy {
	t.Helper()
	p, err := chaos.New(to.Network(), address(t, to.Network()), func() (stdnet.Conn, error) {
		return stdnet.Dial(to.Network(), to.String())
	}, config)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, p.Close())
		t.Logf("%v", p)
	})
	return p
}

// echoServer sends back what it receives until the test ends. When it has been
// told to stop it waits for its connections.
func echoServer(t *testing.T, l stdnet.Listener, most time.Duration) (stop func()) {
	t.Helper()
	var wg sync.WaitGroup
	served := start(func() (int, error) {
		for {
			c, err := l.Accept()
			if err != nil {
				return 0, err
			}
			wg.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(most))
				_, _ = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, 3000))
			})
		}
	})
	return func() {
		require.NoError(t, l.Close())
		require.ErrorIs(t, (<-served).err, net.ErrClosed)
		wg.Wait()
	}
}

// echoed sends a pattern, ends its direction and reads what comes back, which
// has to be the beginning of the pattern whatever happens. whole reports
// whether all of it came, and then nothing else.
func echoed(c stdnet.Conn, seed uint64, size int) (whole bool, err error) {
	sent := start(func() (int, error) {
		data := bytesOf(seed, size)
		for len(data) > 0 {
			n, err := c.Write(data[:min(len(data), 1+int(seed*977)%5000)])
			if data = data[n:]; err != nil {
				return 0, err
			}
		}
		return 0, c.(stream).CloseWrite()
	})
	p, got, buf := newPattern(seed), 0, make([]byte, 2000)
	for {
		n, err := c.Read(buf)
		if at := p.check(buf[:n]); at >= 0 {
			return false, fmt.Errorf("byte %d of connection %d is not what was sent", got+at, seed)
		}
		got += n
		if err == io.EOF {
			break
		}
		if err != nil {
			_ = c.Close()
			<-sent
			return false, ordinary(err)
		}
	}
	if got > size {
		return false, fmt.Errorf("%d bytes came back for %d", got, size)
	}
	_ = c.Close()
	if r := <-sent; got == size && r.err != nil {
		return false, fmt.Errorf("all came back, although sending failed: %w", r.err)
	} else if r.err != nil {
		return false, ordinary(r.err)
	}
	return got == size, nil
}

// ordinary returns nil for an error that a connection may have on a hostile
// network.
func ordinary(err error) error {
	// ENOTCONN is what shutdown(2) says of a connection that has been reset.
	for _, may := range []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ENOTCONN, os.ErrDeadlineExceeded, net.ErrClosed, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, may) {
			return nil
		}
	}
	return err
}

// Whatever a network does, what arrives is the beginning of what was sent, and
// all of it where nothing was lost.
func TestChaosStreams(t *testing.T) {
	seed := testkit.Seed(t)
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		for name, config := range map[string]chaos.Config{"rough": rough(seed), "hostile": hostile(seed)} {
			t.Run(name, func(t *testing.T) {
				l := listen(t, rt, network)
				stop := echoServer(t, l, time.Minute)
				p := chaosTo(t, l.Addr(), config)
				d := net.Dialer{Runtime: rt}
				var clients []<-chan result
				n := pick(60, 25)
				for i := range n {
					clients = append(clients, start(func() (int, error) {
						c, err := d.Dial(p.Addr().Network(), p.Addr().String())
						if err != nil {
							return 0, ordinary(err)
						}
						defer c.Close()
						if name == "hostile" { // for those that fall silent
							_ = c.SetDeadline(time.Now().Add(500 * time.Millisecond))
						}
						whole, err := echoed(c, uint64(i), 30_000)
						return map[bool]int{true: 1}[whole], err
					}))
				}
				whole := 0
				for _, c := range clients {
					r := <-c
					require.NoError(t, r.err)
					whole += r.n
				}
				require.NoError(t, p.Close()) // then all are counted
				stop()
				if name == "rough" {
					require.Equal(t, n, whole, "%v", p)
				} else {
					require.Less(t, p.Struck(chaos.Whole), n, "%v", p)
				}
			})
		}
	})
}

// A proxy of ours, whose data the kernel moves, stands between two hostile
// networks: it adds and loses nothing and passes every end on.
func TestChaosSplice(t *testing.T) {
	seed := testkit.Seed(t)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, config := range map[string]func(uint64) chaos.Config{"rough": rough, "hostile": hostile} {
			t.Run(name, func(t *testing.T) {
				back := listen(t, rt, "tcp4")
				stop := echoServer(t, back, time.Minute)
				behind := chaosTo(t, back.Addr(), config(seed))
				l := listen(t, rt, "tcp4")
				stopProxy := forward(t, rt, l, behind.Addr())
				front := chaosTo(t, l.Addr(), config(seed+1))
				d := net.Dialer{Runtime: rt}
				var clients []<-chan result
				n := pick(40, 15)
				for i := range n {
					clients = append(clients, start(func() (int, error) {
						c, err := d.Dial("tcp4", front.Addr().String())
						if err != nil {
							return 0, ordinary(err)
						}
						defer c.Close()
						if name == "hostile" {
							_ = c.SetDeadline(time.Now().Add(500 * time.Millisecond))
						}
						whole, err := echoed(c, uint64(i), 50_000)
						return map[bool]int{true: 1}[whole], err
					}))
				}
				whole := 0
				for _, c := range clients {
					r := <-c
					require.NoError(t, r.err)
					whole += r.n
				}
				if name == "rough" {
					require.Equal(t, n, whole)
				}
				require.NoError(t, front.Close())
				require.NoError(t, behind.Close())
				stopProxy()
				stop()
			})
		}
	})
}

// forward passes connections on to an address by io.Copy, each direction with
// its end.
func forward(t *testing.T, rt *proactor.Runtime, l stdnet.Listener, to stdnet.Addr) (stop func()) {
	t.Helper()
	var wg sync.WaitGroup
	d := net.Dialer{Runtime: rt}
	served := start(func() (int, error) {
		for {
			c, err := l.Accept()
			if err != nil {
				return 0, err
			}
			wg.Go(func() {
				defer c.Close()
				back, err := d.Dial(to.Network(), to.String())
				if err != nil {
					return
				}
				defer back.Close()
				both(c.(stream), back.(stream))
			})
		}
	})
	return func() {
		require.NoError(t, l.Close())
		require.ErrorIs(t, (<-served).err, net.ErrClosed)
		wg.Wait()
	}
}

// both copies both directions. One that fails takes the other with it.
func both(a, b stream) {
	var wg sync.WaitGroup
	for _, ends := range [][2]stream{{a, b}, {b, a}} {
		wg.Go(func() {
			if _, err := io.Copy(ends[1], ends[0]); err != nil {
				_, _ = a.Close(), b.Close()
				return
			}
			_ = ends[1].CloseWrite()
		})
	}
	wg.Wait()
}

// Requests over a network that only delays are all answered, and rightly; over
// a hostile one they are answered rightly or not at all.
func TestChaosHTTP(t *testing.T) {
	seed := testkit.Seed(t)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, config := range map[string]chaos.Config{"rough": rough(seed), "hostile": hostile(seed)} {
			for _, secure := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s TLS %t", name, secure), func(t *testing.T) {
					s := newSite(t, rt, "tcp4", secure, &http.Server{Handler: handler})
					p := chaosTo(t, s.l.Addr(), config)
					d := net.Dialer{Runtime: rt}
					s.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (stdnet.Conn, error) {
						return d.DialContext(ctx, "tcp4", p.Addr().String())
					}
					if name == "hostile" {
						s.client.Timeout = 500 * time.Millisecond
					}
					var clients []<-chan result
					for i := range 8 {
						clients = append(clients, start(func() (answered int, err error) {
							for j := range pick(8, 4) {
								err := s.ask(1000*(i+1) + 7*j)
								if err == nil {
									answered++
								} else if name == "rough" || errors.Is(err, errWrong) {
									return answered, err
								}
							}
							return answered, nil
						}))
					}
					answered := 0
					for _, c := range clients {
						r := <-c
						require.NoError(t, r.err)
						answered += r.n
					}
					t.Logf("%d answers", answered)
					s.client.CloseIdleConnections()
					require.NoError(t, p.Close())
					direct := s.client.Transport.(*http.Transport).Clone() // which has no connection yet
					direct.DialContext = func(context.Context, string, string) (stdnet.Conn, error) { return s.dial() }
					defer direct.CloseIdleConnections()
					s.client = &http.Client{Transport: direct}
					require.NoError(t, s.ask(10_000), "the server is as before")
				})
			}
		}
	})
}

var errWrong = errors.New("an answer that is not right")

// ask has the server hash an upload, and send a stream of which it knows the
// hash.
func (s *site) ask(n int) error {
	h := sha256.New()
	_, _ = io.CopyN(h, newPattern(40), int64(n))
	_, got, err := s.get(context.Background(), "/hash", io.LimitReader(newPattern(40), int64(n)))
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("%d %x <nil>", n, h.Sum(nil)); got != want {
		// The server has seen an end that the network made, and says so.
		if !strings.HasPrefix(got, strconv.Itoa(n)) {
			return errors.New(got)
		}
		return fmt.Errorf("%w: %q instead of %q", errWrong, got, want)
	}
	resp, got, err := s.get(context.Background(), "/stream?n="+strconv.Itoa(n), nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status) // the network has cut the request, and the server says so
	}
	if len(got) == n && newPattern(40).check([]byte(got)) >= 0 {
		return fmt.Errorf("%w: a stream", errWrong)
	}
	if len(got) != n {
		return fmt.Errorf("%w: %d bytes instead of %d without an error", errWrong, len(got), n)
	}
	return nil
}
