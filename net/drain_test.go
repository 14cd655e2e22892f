package net_test

import (
	"context"
	"errors"
	"io"
	stdnet "net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// drainable listens until the test ends.
func drainable(t testing.TB, rt *proactor.Runtime, network string) net.DrainListener {
	t.Helper()
	return listen(t, rt, network).(net.DrainListener)
}

// ended returns a context that has ended.
func ended(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestListenerStats(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := drainable(t, rt, network)
		require.Equal(t, "accepted 0", l.Stats().String()[:len("accepted 0")])
		require.Zero(t, l.Stats().Active)

		blocked := start(func() (int, error) { return 0, closing(l.Accept()) })
		testkit.Eventually(t, func() bool { return l.Stats().Waiting == 1 }, "nobody waits")
		_ = dial(t, rt, l)
		require.NoError(t, (<-blocked).err)
		s := l.Stats()
		require.EqualValues(t, 1, s.Accepted)
		require.Zero(t, s.Active)
		require.Zero(t, s.Waiting)

		var conns []stdnet.Conn
		for range 3 {
			_ = dial(t, rt, l)
			c, err := l.Accept()
			require.NoError(t, err)
			conns = append(conns, c)
		}
		_ = dial(t, rt, l)
		s = l.Stats()
		require.EqualValues(t, 4, s.Accepted)
		require.EqualValues(t, 3, s.Active)
		require.LessOrEqual(t, s.Inline, s.Accepted)
		if tcp, isTCP := l.(*net.TCPListener); isTCP && s.Backlog >= 0 {
			require.Equal(t, 1, s.Backlog, "%v", s)
			require.Positive(t, s.BacklogLimit)
			require.Contains(t, tcp.Stats().String(), "backlog 1 of ")
		} else if network == "unix" {
			require.Equal(t, -1, s.Backlog)
		}
		require.NoError(t, closing(l.Accept()))
		for i, c := range conns {
			require.NoError(t, c.Close())
			require.ErrorIs(t, c.Close(), net.ErrClosed)
			require.EqualValues(t, 2-i, l.Stats().Active)
		}

		require.NoError(t, l.(interface{ SetDeadline(time.Time) error }).SetDeadline(past))
		require.Error(t, closing(l.Accept()))
		require.EqualValues(t, 1, l.Stats().Timeouts)
		require.NoError(t, l.Close())
		require.ErrorIs(t, closing(l.Accept()), net.ErrClosed)
		s = l.Stats()
		require.EqualValues(t, 1, s.Closed)
		require.EqualValues(t, 5, s.Accepted)
		require.Zero(t, s.Failed)
		require.Zero(t, s.Waiting)
		require.Equal(t, -1, s.Backlog)
		require.Contains(t, s.String(), "timeouts 1, closed 1")
	})
}

// Drain ends Accepts that wait, and itself when the last connection is closed.
func TestDrainWaitsForConnections(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := drainable(t, rt, network)
		c := dial(t, rt, l)
		server, err := l.Accept()
		require.NoError(t, err)
		var accepts []<-chan result
		for range 3 {
			accepts = append(accepts, start(func() (int, error) { return 0, closing(l.Accept()) }))
		}
		testkit.Eventually(t, func() bool { return l.Stats().Waiting == 3 }, "nobody waits")

		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errors.New("enough"))
		defer cancel()
		err = l.Drain(ctx)
		var left *net.DrainError
		require.ErrorAs(t, err, &left)
		require.EqualValues(t, 1, left.Left)
		require.Equal(t, "enough", left.Err.Error())
		require.Equal(t, "drain "+l.Addr().Network()+" "+l.Addr().String()+": 1 accepted connections are still open: enough", err.Error())
		for _, a := range accepts {
			require.ErrorIs(t, (<-a).err, net.ErrClosed)
		}
		_, err = stdnet.Dial(l.Addr().Network(), l.Addr().String())
		require.Error(t, err)

		// What is open works.
		roundTrip(t, c, server)
		drained := start(func() (int, error) { return 0, l.Drain(t.Context()) })
		again := start(func() (int, error) { return 0, l.Drain(t.Context()) })
		time.Sleep(time.Millisecond)
		require.Empty(t, drained)
		require.NoError(t, server.Close())
		require.NoError(t, (<-drained).err)
		require.NoError(t, (<-again).err)
		require.NoError(t, l.Drain(ended(t)), "nothing to wait for")
		require.ErrorIs(t, l.Close(), net.ErrClosed)
		require.Zero(t, l.Stats().Active)
	})
}

// Connections that wait to be accepted when Drain begins are served.
func TestDrainServesTheBacklog(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := drainable(t, rt, network)
		const n = 5
		var clients []stream
		for range n {
			clients = append(clients, dial(t, rt, l))
		}
		drained := start(func() (int, error) { return 0, l.Drain(t.Context()) })
		time.Sleep(time.Millisecond)
		require.Empty(t, drained)
		for range n {
			c, err := l.Accept()
			require.NoError(t, err)
			_, err = c.Write([]byte("served"))
			require.NoError(t, err)
			require.NoError(t, c.Close())
		}
		require.ErrorIs(t, closing(l.Accept()), net.ErrClosed)
		require.NoError(t, (<-drained).err)
		for _, c := range clients {
			b, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, "served", string(b))
		}
	})
}

// As long as nobody accepts what is there, Drain waits for its context.
func TestDrainWithoutAccept(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := drainable(t, rt, network)
		c := dial(t, rt, l)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		require.NoError(t, l.Drain(ctx), "nothing that was accepted is open")
		require.Error(t, ctx.Err())
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err, "it was refused")
	})
}

// Close in the middle of a Drain wins.
func TestCloseWhileDraining(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := drainable(t, rt, network)
		_ = dial(t, rt, l)
		drained := start(func() (int, error) { return 0, l.Drain(t.Context()) })
		time.Sleep(time.Millisecond)
		require.NoError(t, l.Close())
		require.NoError(t, (<-drained).err)
		require.ErrorIs(t, closing(l.Accept()), net.ErrClosed)
	})
}

// Under load, each connection either is refused or gets its whole answer.
func TestDrainUnderLoad(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := drainable(t, rt, network)
		var served atomic.Int64
		var handlers sync.WaitGroup
		server := start(func() (int, error) {
			for n := 0; ; n++ {
				c, err := l.Accept()
				if err != nil {
					return n, err
				}
				handlers.Go(func() {
					defer c.Close()
					b := make([]byte, 4)
					if _, err := io.ReadFull(c, b); err == nil {
						if _, err = c.Write(b); err == nil {
							served.Inc()
						}
					}
				})
			}
		})
		d := net.Dialer{Runtime: rt}
		var clients []<-chan result
		for range 8 {
			clients = append(clients, start(func() (n int, err error) {
				for {
					c, err := d.Dial(l.Addr().Network(), l.Addr().String())
					if err != nil {
						return n, nil
					}
					b := []byte("ping")
					if _, err = c.Write(b); err == nil {
						_, err = io.ReadFull(c, b)
					}
					_ = c.Close()
					if err != nil {
						return n, nil // reset: it was not accepted
					}
					n++
				}
			}))
		}
		testkit.Eventually(t, func() bool { return served.Load() > int64(pick(200, 20)) }, "no progress")
		require.NoError(t, l.Drain(t.Context()))
		require.ErrorIs(t, (<-server).err, net.ErrClosed)
		require.Zero(t, l.Stats().Active)
		handlers.Wait()
		answered := 0
		for _, c := range clients {
			answered += (<-c).n
		}
		require.EqualValues(t, served.Load(), answered)
		require.EqualValues(t, served.Load(), l.Stats().Accepted, "%v", l.Stats())
	})
}

// The recipe of Drain's documentation: an HTTP server that ends what it has begun.
func TestDrainOfAnHTTPServer(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l := drainable(t, rt, "tcp4")
		begun, finish := make(chan struct{}), make(chan struct{})
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				close(begun)
				<-finish
			}
			_, _ = io.WriteString(w, strings.Repeat("x", 100))
		})}
		serving := start(func() (int, error) { return 0, srv.Serve(l) })
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		get := func(path string) <-chan result {
			return start(func() (int, error) {
				resp, err := client.Get("http://" + l.Addr().String() + path)
				if err != nil {
					return 0, err
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				return len(b), err
			})
		}
		require.Equal(t, result{100, nil}, <-get("/"))
		slow := get("/slow")
		<-begun
		srv.SetKeepAlivesEnabled(false)
		drained := start(func() (int, error) { return 0, l.Drain(t.Context()) })
		require.ErrorIs(t, (<-serving).err, net.ErrClosed)
		time.Sleep(time.Millisecond)
		require.Empty(t, drained)
		close(finish)
		require.Equal(t, result{100, nil}, <-slow)
		require.NoError(t, (<-drained).err)
	})
}
