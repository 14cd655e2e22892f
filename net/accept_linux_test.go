package net_test

import (
	"errors"
	"io"
	"math/rand/v2"
	stdnet "net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// A storm of connections, accepted by many goroutines while the deadline moves
// about: each connection is accepted once, and none is lost.
func TestAcceptStorm(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		perClient := pick(300, 50)
		if !plain(t) {
			perClient = 30
		}
		const clients, servers = 6, 5
		got := make(chan byte, clients*perClient)
		var accepts []<-chan result
		for range servers {
			accepts = append(accepts, start(func() (n int, err error) {
				for {
					c, err := l.Accept()
					if errors.Is(err, os.ErrDeadlineExceeded) {
						time.Sleep(100 * time.Microsecond)
						continue
					}
					if err != nil {
						return n, err
					}
					n++
					b := make([]byte, 1)
					if _, err := io.ReadFull(c, b); err != nil {
						return n, err
					}
					got <- b[0]
					if err := c.Close(); err != nil {
						return n, err
					}
				}
			}))
		}
		stop := make(chan struct{})
		mover := start(func() (int, error) {
			rng := rand.New(rand.NewPCG(1, 1))
			for {
				select {
				case <-stop:
					return 0, l.(deadliner).SetDeadline(time.Time{})
				default:
				}
				// In the past, now, soon, or none.
				at := time.Now().Add(time.Duration(rng.IntN(2000)-500) * time.Microsecond)
				if rng.IntN(3) == 0 {
					at = time.Time{}
				}
				if err := l.(deadliner).SetDeadline(at); err != nil {
					return 0, err
				}
				time.Sleep(time.Duration(rng.IntN(300)) * time.Microsecond)
			}
		})
		d := net.Dialer{Runtime: rt}
		var dials []<-chan result
		for i := range clients {
			dials = append(dials, start(func() (n int, err error) {
				for n < perClient {
					c, err := d.Dial(l.Addr().Network(), l.Addr().String())
					if errors.Is(err, syscall.EAGAIN) {
						time.Sleep(100 * time.Microsecond) // a Unix socket's backlog is full
						continue
					}
					if err != nil {
						return n, err
					}
					n++
					if _, err := c.Write([]byte{byte(i)}); err != nil {
						return n, err
					}
					// Closed by the server, who has read.
					if _, err := c.Read(make([]byte, 1)); err != io.EOF {
						return n, err
					}
					_ = c.Close()
				}
				return n, nil
			}))
		}
		for _, d := range dials {
			require.Equal(t, result{perClient, nil}, <-d)
		}
		close(stop)
		require.NoError(t, (<-mover).err)
		require.NoError(t, l.Close())
		total := 0
		for _, a := range accepts {
			r := <-a
			require.ErrorIs(t, r.err, net.ErrClosed)
			total += r.n
		}
		require.Equal(t, clients*perClient, total)
		close(got)
		counts := make(map[byte]int)
		for b := range got {
			counts[b]++
		}
		for i := range clients {
			require.Equal(t, perClient, counts[byte(i)])
		}
	})
}

// Close ends all Accepts, the first Close succeeds and the others say that it is
// closed, and what waits to be accepted is refused.
func TestCloseWhileManyAccept(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		for range pick(20, 5) {
			l := listen(t, rt, network)
			var accepts []<-chan result
			for range 8 {
				accepts = append(accepts, start(func() (int, error) { return 0, closing(l.Accept()) }))
			}
			if n := rand.IntN(200); n < 100 {
				time.Sleep(time.Duration(n) * time.Microsecond)
			}
			var closes []<-chan result
			for range 3 {
				closes = append(closes, start(func() (int, error) { return 0, l.Close() }))
			}
			won := 0
			for _, c := range closes {
				if r := <-c; r.err == nil {
					won++
				} else {
					require.ErrorIs(t, r.err, net.ErrClosed)
				}
			}
			require.Equal(t, 1, won)
			for _, a := range accepts {
				require.ErrorIs(t, (<-a).err, net.ErrClosed)
			}
		}
		l := listen(t, rt, network)
		c := dial(t, rt, l)
		require.NoError(t, l.Close())
		require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, err := c.Read(make([]byte, 1))
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Error(t, err)
	})
}

// A listener whose file has been made blocking, which concerns both, can still be
// given up, and keeps its deadlines.
func TestAcceptBesideABlockingFile(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		if !rt.HasRing() {
			return // the standard library's Accept blocks, and its Close with it
		}
		l := listen(t, rt, network)
		f := fileOf(t, l)
		defer f.Close()
		require.Zero(t, descriptorFlags(t, int(f.Fd()))&syscall.O_NONBLOCK)
		for range 2 {
			c := dial(t, rt, l)
			server, err := l.Accept()
			require.NoError(t, err)
			roundTrip(t, c, server)
			require.NoError(t, server.Close())
		}
		require.NoError(t, l.(deadliner).SetDeadline(time.Now().Add(time.Millisecond)))
		require.ErrorIs(t, closing(l.Accept()), os.ErrDeadlineExceeded)
		require.NoError(t, l.(deadliner).SetDeadline(time.Time{}))
		blocked := start(func() (int, error) { return 0, closing(l.Accept()) })
		time.Sleep(time.Millisecond)
		require.Empty(t, blocked)
		require.NoError(t, l.Close())
		require.ErrorIs(t, (<-blocked).err, net.ErrClosed)
	})
}

// A deadline in the past fails an Accept also if somebody waits to be accepted,
// who is not lost.
func TestAcceptDeadlineKeepsTheConnection(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		c := dial(t, rt, l)
		require.NoError(t, l.(deadliner).SetDeadline(past))
		for range 2 {
			err := closing(l.Accept())
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.True(t, err.(stdnet.Error).Timeout())
		}
		require.NoError(t, l.(deadliner).SetDeadline(time.Now().Add(time.Hour)))
		server, err := l.Accept()
		require.NoError(t, err)
		roundTrip(t, c, server)
		require.NoError(t, server.Close())
	})
}

// An HTTP server that has run out of descriptors tries again until there are some,
// and then serves those who have waited.
func TestHTTPServerWithoutDescriptors(t *testing.T) {
	if inChild(t) {
		return
	}
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) {
		// An accept has the limit that was there when it began.
		var limit syscall.Rlimit
		require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
		low := limit
		low.Cur = 64
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
		defer func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)) }()
		l := listen(t, rt, "tcp4").(net.DrainListener)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })}
		serving := start(func() (int, error) { return 0, srv.Serve(l) })
		testkit.Eventually(t, func() bool { return l.Stats().Waiting == 1 }, "the server does not accept")

		var clients []int
		for range 3 {
			fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			defer syscall.Close(fd)
			clients = append(clients, fd)
		}
		var spare []int
		for range 2 { // an accept that is just beginning has one for a moment
			for {
				fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
				if err != nil {
					require.ErrorIs(t, err, syscall.EMFILE)
					break
				}
				spare = append(spare, fd)
			}
			time.Sleep(time.Millisecond)
		}
		var release sync.Once
		giveBack := func() {
			for _, fd := range spare {
				_ = syscall.Close(fd)
			}
		}
		defer release.Do(giveBack)

		for _, fd := range clients {
			require.NoError(t, syscall.Connect(fd, sockaddr(l.Addr())))
		}
		testkit.Eventually(t, func() bool { return l.Stats().Exhausted >= 3 }, "the server does not try again: %v", l.Stats())
		require.Zero(t, l.Stats().Accepted)
		require.Empty(t, serving)
		release.Do(giveBack)
		for _, fd := range clients {
			_, err := syscall.Write(fd, []byte("GET / HTTP/1.0\r\n\r\n"))
			require.NoError(t, err)
			b := make([]byte, 12)
			n, err := syscall.Read(fd, b)
			require.NoError(t, err)
			require.Equal(t, "HTTP/1.0 200", string(b[:n]))
		}
		require.NoError(t, srv.Close())
		require.ErrorIs(t, (<-serving).err, http.ErrServerClosed)
	})
}
