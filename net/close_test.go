package net_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	stdnet "net"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// Close ends what is blocked, and what comes after fails the same way.
func TestCloseUnblocks(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, _ := connect(t, rt, network)
		fill(t, c1)
		var blocked []<-chan result
		for range 3 { // two of them wait for the third
			blocked = append(blocked,
				start(func() (int, error) { return c1.Read(make([]byte, 1)) }),
				start(func() (int, error) { return c1.Write(zeros) }))
		}
		time.Sleep(time.Millisecond)
		require.NoError(t, c1.Close())
		for _, b := range blocked {
			require.ErrorIs(t, (<-b).err, net.ErrClosed)
		}
		for _, f := range []func() error{
			func() error { _, err := c1.Read(make([]byte, 1)); return err },
			func() error { _, err := c1.Read(nil); return err },
			func() error { _, err := c1.Write([]byte("x")); return err },
			func() error { return c1.SetDeadline(time.Time{}) },
			c1.CloseRead, c1.CloseWrite, c1.Close,
		} {
			require.ErrorIs(t, f(), net.ErrClosed)
		}
	})
}

// Closing a listener ends all Accepts, and what is in its backlog is refused
// or reset.
func TestCloseUnblocksAccepts(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		for range pick(10, 3) {
			l := listen(t, rt, network)
			accept := func() (int, error) {
				for {
					c, err := l.Accept()
					if err != nil {
						return 0, err
					}
					_ = c.Close()
				}
			}
			var accepts []<-chan result
			for range 10 {
				accepts = append(accepts, start(accept))
			}
			c := dial(t, rt, l)
			time.Sleep(time.Duration(rand.Int64N(int64(200 * time.Microsecond))))
			closes := []<-chan result{
				start(func() (int, error) { return 0, l.Close() }),
				start(func() (int, error) { return 0, l.Close() }),
			}
			failed := 0
			for _, c := range closes {
				if err := (<-c).err; err != nil {
					require.ErrorIs(t, err, net.ErrClosed)
					failed++
				}
			}
			require.Equal(t, 1, failed, "one of two Closes succeeds")
			for _, a := range accepts {
				require.ErrorIs(t, (<-a).err, net.ErrClosed)
			}
			_, err := c.Read(make([]byte, 1))
			require.Error(t, err, "accepted and closed, or never accepted")
			_, err = l.Accept()
			require.ErrorIs(t, err, net.ErrClosed)
		}
	})
}

// Everything that a connection can do, at the same time as Close from several
// goroutines.
func TestCloseRacesEverything(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		for range pick(40, 12) {
			c1, c2 := connect(t, rt, network)
			var fs []func() error
			for _, c := range []stream{c1, c2} {
				buf := make([]byte, 1000)
				fs = append(fs,
					func() error { _, err := c.Read(buf); return err },
					func() error { _, err := c.Write(zeros[:100_000]); return err },
					func() error { return c.SetDeadline(time.Time{}) },
					func() error { return c.SetReadDeadline(time.Now().Add(50 * time.Microsecond)) },
					func() error { return c.SetReadDeadline(future()) },
					func() error { return c.SetReadBuffer(10_000) },
					func() error {
						if c.LocalAddr() == nil || c.RemoteAddr() == nil {
							return errors.New("no address")
						}
						return nil
					},
				)
				if rand.IntN(4) == 0 {
					fs = append(fs, c.CloseWrite)
				}
			}
			stop := make(chan struct{})
			var running []<-chan result
			for _, f := range fs {
				running = append(running, start(func() (int, error) {
					for {
						err := f()
						switch {
						case errors.Is(err, net.ErrClosed):
							return 0, nil
						case err == nil, err == io.EOF, errors.Is(err, os.ErrDeadlineExceeded),
							errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ENOTCONN):
						default:
							return 0, err
						}
						select {
						case <-stop:
							return 0, nil
						default:
							goruntime.Gosched()
						}
					}
				}))
			}
			time.Sleep(time.Duration(rand.Int64N(int64(300 * time.Microsecond))))
			for _, c := range []stream{c1, c2} {
				closes := make([]<-chan result, 3)
				for i := range closes {
					closes[i] = start(func() (int, error) { return 0, c.Close() })
				}
				succeeded := 0
				for _, closed := range closes {
					if err := (<-closed).err; err == nil {
						succeeded++
					} else {
						require.ErrorIs(t, err, net.ErrClosed)
					}
				}
				require.Equal(t, 1, succeeded)
			}
			close(stop)
			for _, r := range running {
				require.NoError(t, (<-r).err)
			}
		}
	})
}

// A runtime that is shut down ends everything on its ring. Without a ring
// there is nothing to end.
func TestShutdownUnblocks(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		if !rt.HasRing() {
			return
		}
		// The runtime of the test is needed for the others.
		b := rt.Backend()
		mine := newRuntime(t, proactor.Config{Mode: proactor.ModeRing, Shards: b.Shards,
			SQEntries: b.Ring.SQEntries, CQEntries: b.Ring.CQEntries, WriteBehind: rt.WriteBehind()})
		l := listen(t, mine, network)
		blocked := []<-chan result{start(func() (int, error) { _, err := l.Accept(); return 0, err })}
		conns := []io.Closer{l}
		for range 3 {
			c1, c2 := connect(t, mine, network)
			fill(t, c1)
			blocked = append(blocked,
				start(func() (int, error) { return c1.Read(make([]byte, 1)) }),
				start(func() (int, error) { return c1.Write(zeros) }),
				start(func() (int, error) { return c1.Write(zeros) }))
			conns = append(conns, c1, c2)
		}
		time.Sleep(time.Duration(rand.Int64N(int64(2 * time.Millisecond))))
		require.NoError(t, mine.Shutdown(context.Background()))
		for _, b := range blocked {
			err := (<-b).err
			require.ErrorIs(t, err, net.ErrClosed)
			require.ErrorIs(t, err, proactor.ErrClosed)
		}
		_, err := l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = conns[1].(stdnet.Conn).Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		d := net.Dialer{Runtime: mine}
		c, err := d.Dial(l.Addr().Network(), l.Addr().String())
		require.ErrorIs(t, err, net.ErrClosed)
		require.Nil(t, c)
		for _, c := range conns {
			require.NoError(t, c.Close(), "a descriptor can be closed without its runtime")
		}
	})
}

// SO_LINGER of zero makes Close reset the connection.
func TestLingerZeroResets(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"tcp4", "tcp6"} {
			c1, c2 := connect(t, rt, network)
			_, err := c1.Write([]byte("lost"))
			require.NoError(t, err)
			read := start(func() (int, error) {
				for {
					if n, err := c1.Read(make([]byte, 1)); err != nil {
						return n, err
					}
				}
			})
			require.NoError(t, c2.(*net.TCPConn).SetLinger(0))
			require.NoError(t, c2.Close())
			require.ErrorIs(t, (<-read).err, syscall.ECONNRESET)
			_, err = c1.Write([]byte("x"))
			require.ErrorIs(t, err, syscall.EPIPE)
		}
	})
}

// Without it, Close sends what has been written.
func TestCloseSendsWhatWasWritten(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		sum := fill(t, c1)
		require.NoError(t, c1.Close())
		b, err := io.ReadAll(c2)
		require.NoError(t, err)
		require.Len(t, b, sum)
	})
}

// Addresses are the kernel's, and stay after Close.
func TestAddresses(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		addr := address(t, network)
		lc := net.ListenConfig{Runtime: rt}
		l, err := lc.Listen(context.Background(), network, addr)
		require.NoError(t, err)
		defer l.Close()
		client := dial(t, rt, l)
		server, err := l.Accept()
		require.NoError(t, err)
		defer server.Close()
		check := func() {
			require.Equal(t, l.Addr(), server.LocalAddr())
			require.Equal(t, l.Addr(), client.RemoteAddr())
			if network == "unix" {
				require.Equal(t, &net.UnixAddr{Name: addr, Net: "unix"}, l.Addr())
				return
			}
			require.Equal(t, client.LocalAddr(), server.RemoteAddr())
			for _, a := range []net.Addr{l.Addr(), client.LocalAddr()} {
				require.NotZero(t, a.(*net.TCPAddr).Port)
				require.Equal(t, addr, net.JoinHostPort(a.(*net.TCPAddr).IP.String(), "0"))
			}
		}
		check()
		for _, c := range []io.Closer{client, server, l} {
			require.NoError(t, c.Close())
		}
		check()
	})
}

// The file of a Unix listener goes when the listener closes, unless that is
// not wanted.
func TestUnixFile(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dir := shortDir(t)
		lc := net.ListenConfig{Runtime: rt}
		exists := func(path string) bool {
			_, err := os.Lstat(path)
			return err == nil
		}
		for name, tt := range map[string]struct {
			unlink []bool
			want   bool
		}{
			"default":     {nil, false},
			"unlink":      {[]bool{true}, false},
			"keep":        {[]bool{false}, true},
			"other":       {[]bool{false, true}, false},
			"and back":    {[]bool{true, false}, true},
			"and forth":   {[]bool{false, true, true}, false},
			"kept closed": {[]bool{false}, true},
		} {
			path := filepath.Join(dir, name)
			l, err := lc.Listen(context.Background(), "unix", path)
			require.NoError(t, err)
			require.True(t, exists(path))
			for _, u := range tt.unlink {
				l.(*net.UnixListener).SetUnlinkOnClose(u)
			}
			c := dial(t, rt, l)
			require.NoError(t, l.Close())
			require.Equal(t, tt.want, exists(path), name)
			require.NoError(t, os.WriteFile(path+".new", nil, 0o600))
			require.NoError(t, os.Rename(path+".new", path))
			require.ErrorIs(t, l.Close(), net.ErrClosed)
			require.True(t, exists(path), "a second Close removes what is not the listener's")
			require.NoError(t, c.Close())
		}

		// Closed from many goroutines, it is removed once.
		path := filepath.Join(dir, "many")
		l, err := lc.Listen(context.Background(), "unix", path)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() { _ = l.Close() })
		}
		wg.Wait()
		require.False(t, exists(path))
	})
}
