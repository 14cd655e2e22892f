package net_test

import (
	"context"
	"fmt"
	"io"
	stdnet "net"
	"os"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// collected has the garbage collected until a condition holds.
func collected(t *testing.T, cond func() bool, what string) {
	t.Helper()
	testkit.Eventually(t, func() bool {
		goruntime.GC()
		return cond()
	}, "%s", what)
}

// collectALot gives the garbage collector every chance to be wrong.
func collectALot() {
	for range 5 {
		goruntime.GC()
		time.Sleep(2 * time.Millisecond) // for finalizers, which run after it
	}
}

// halfForgotten returns one end of a connection whose other end nobody has any
// more, after what use has done with it. accepted says which end is kept.
//
//go:noinline
func halfForgotten(t *testing.T, l stdnet.Listener, d *net.Dialer, accepted bool, use func(c stdnet.Conn)) stdnet.Conn {
	t.Helper()
	client, err := d.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	kept, lost := client, server
	if accepted {
		kept, lost = server, client
	}
	t.Cleanup(func() { _ = kept.Close() })
	require.NoError(t, kept.SetReadDeadline(time.Now().Add(20*time.Second)))
	use(lost)
	return kept
}

// uses are what can have been done with a connection before it is forgotten,
// none of which keeps it open.
func uses(t *testing.T) map[string]func(c stdnet.Conn) {
	return map[string]func(c stdnet.Conn){
		"nothing": func(stdnet.Conn) {},
		"write": func(c stdnet.Conn) {
			_, err := c.Write([]byte("last words"))
			require.NoError(t, err)
		},
		"timeout": func(c stdnet.Conn) {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		},
		"deadline": func(c stdnet.Conn) {
			require.NoError(t, c.SetDeadline(time.Now().Add(time.Hour)))
		},
		"raw": func(c stdnet.Conn) {
			rc, err := c.(syscall.Conn).SyscallConn()
			require.NoError(t, err)
			require.NoError(t, rc.Control(func(uintptr) {}))
		},
		"half-close": func(c stdnet.Conn) {
			require.NoError(t, c.(stream).CloseRead())
		},
		"reference to itself": func(c stdnet.Conn) {
			self := new(struct{ c, self any })
			self.c, self.self = c, self
		},
	}
}

// A connection that nobody can reach any more is closed, from either end, and
// not counted by its listener. What was written arrives.
func TestForgottenConnections(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		d := &net.Dialer{Runtime: rt}
		for name, use := range uses(t) {
			for _, accepted := range []bool{false, true} {
				t.Run(fmt.Sprint(name, "/", accepted), func(t *testing.T) {
					kept := halfForgotten(t, l, d, accepted, use)
					read := start(func() (int, error) {
						b, err := io.ReadAll(kept)
						return len(b), err
					})
					collected(t, func() bool { return len(read) > 0 }, "the other end is still open")
					r := <-read
					require.NoError(t, r.err)
					want := 0
					if name == "write" {
						want = len("last words")
					}
					require.Equal(t, want, r.n)
					require.NoError(t, kept.Close())
					collected(t, func() bool { return l.(net.DrainListener).Stats().Active == 0 }, "it is still counted")
				})
			}
		}
	})
}

// Drain does not wait for connections that have been forgotten.
func TestDrainAndForgottenConnections(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l := listen(t, rt, "tcp4")
		d := &net.Dialer{Runtime: rt}
		for range 20 {
			halfForgotten(t, l, d, false, func(stdnet.Conn) {})
		}
		require.EqualValues(t, 20, l.(net.DrainListener).Stats().Accepted)
		drained := start(func() (int, error) { return 0, l.(net.DrainListener).Drain(t.Context()) })
		collected(t, func() bool { return len(drained) > 0 }, "Drain waits for connections that are gone")
		require.NoError(t, (<-drained).err)
	})
}

// What waits in an operation is not forgotten, even if nobody else has the
// connection.
func TestOperationsKeepAConnection(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		d := &net.Dialer{Runtime: rt}
		waits := map[string]func(c stdnet.Conn) (int, error){
			"read":     func(c stdnet.Conn) (int, error) { return c.Read(make([]byte, 1)) },
			"write to": func(c stdnet.Conn) (int, error) { n, err := io.CopyN(io.Discard, c, 1); return int(n), err },
			"raw": func(c stdnet.Conn) (n int, err error) {
				rc, err := c.(syscall.Conn).SyscallConn()
				if err != nil {
					return 0, err
				}
				b := make([]byte, 1)
				err2 := rc.Read(func(fd uintptr) bool {
					n, err = syscall.Read(int(fd), b)
					return err != syscall.EAGAIN
				})
				if err == nil {
					err = err2
				}
				return n, err
			},
			"file": func(c stdnet.Conn) (int, error) {
				f, err := c.(*net.TCPConn).File()
				if err != nil {
					return 0, err
				}
				defer f.Close()
				return f.Read(make([]byte, 1))
			},
		}
		for name, wait := range waits {
			if name == "file" && network == "unix" {
				continue // the same
			}
			var waiting <-chan result
			kept := halfForgotten(t, l, d, true, func(c stdnet.Conn) { waiting = start(func() (int, error) { return wait(c) }) })
			collectALot()
			require.Empty(t, waiting, name)
			_, err := kept.Write([]byte("x"))
			require.NoError(t, err, name)
			r := <-waiting
			require.NoError(t, r.err, name)
			require.Equal(t, 1, r.n, name)
			b, err := io.ReadAll(collecting(t, kept))
			require.NoError(t, err, name)
			require.Empty(t, b)
		}
	})
}

// collecting has the garbage collected while somebody reads from c.
func collecting(t *testing.T, c stdnet.Conn) io.Reader {
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	go func() {
		for ctx.Err() == nil {
			goruntime.GC()
			time.Sleep(time.Millisecond)
		}
	}()
	return c
}

// A Write that waits for room keeps the connection, and so does what was written
// behind and not sent yet: the peer gets everything, and then the end.
func TestForgottenWithUnsentData(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		d := &net.Dialer{Runtime: rt}
		sum := 0
		var waiting <-chan result
		kept := halfForgotten(t, l, d, true, func(c stdnet.Conn) {
			sum = fill(t, c)
			require.NoError(t, c.SetWriteDeadline(time.Time{}))
		})
		collectALot()
		b, err := io.ReadAll(collecting(t, kept))
		require.NoError(t, err)
		require.Len(t, b, sum)

		const size = 8 << 20
		kept = halfForgotten(t, l, d, false, func(c stdnet.Conn) {
			waiting = start(func() (int, error) { return c.Write(bytesOf(3, size)) })
		})
		collectALot()
		newPattern(3).readAll(t, kept, size, 1<<20)
		require.NoError(t, (<-waiting).err)
		b, err = io.ReadAll(collecting(t, kept))
		require.NoError(t, err)
		require.Empty(t, b)
	})
}

// Listeners and sockets of datagrams that are forgotten give their address back.
// The file of a Unix socket stays, as with the standard library.
func TestForgottenSockets(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		lc := &net.ListenConfig{Runtime: rt}
		ctx := t.Context()
		listen := func(network, addr string) (io.Closer, stdnet.Addr, error) {
			l, err := lc.Listen(ctx, network, addr)
			if err != nil {
				return nil, nil, err
			}
			return l, l.Addr(), nil
		}
		packets := func(network, addr string) (io.Closer, stdnet.Addr, error) {
			c, err := lc.ListenPacket(ctx, network, addr)
			if err != nil {
				return nil, nil, err
			}
			return c, c.LocalAddr(), c.SetReadDeadline(time.Now().Add(time.Hour))
		}
		name := "@yamanote-" + strings.ReplaceAll(t.Name(), "/", "-")
		for network, tt := range map[string]struct {
			open func(network, addr string) (io.Closer, stdnet.Addr, error)
			addr string
		}{
			"tcp4":       {listen, "127.0.0.1:0"},
			"unix":       {listen, name + "-s"},
			"unixpacket": {listen, name + "-p"},
			"udp4":       {packets, "127.0.0.1:0"},
			"unixgram":   {packets, name + "-d"},
		} {
			addr := forgetSocket(t, network, tt.addr, tt.open)
			collected(t, func() bool {
				c, _, err := tt.open(network, addr)
				if err != nil {
					require.ErrorIs(t, err, syscall.EADDRINUSE)
					return false
				}
				require.NoError(t, c.Close())
				return true
			}, network+" "+addr+" is still in use")
		}
	})
}

//go:noinline
func forgetSocket(t *testing.T, network, addr string, open func(network, addr string) (io.Closer, stdnet.Addr, error)) string {
	_, a, err := open(network, addr)
	require.NoError(t, err)
	_, _, err = open(network, a.String())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	return a.String()
}

// Who waits in Accept or for a datagram keeps the socket.
func TestOperationsKeepASocket(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		lc := &net.ListenConfig{Runtime: rt}
		d := &net.Dialer{Runtime: rt}
		for network, wait := range map[string]func(t *testing.T, lc *net.ListenConfig) (string, <-chan result){
			"tcp4": acceptOnly, "udp4": receiveOnly,
		} {
			addr, waiting := wait(t, lc)
			collectALot()
			require.Empty(t, waiting, network)
			c, err := d.Dial(network, addr)
			require.NoError(t, err)
			_, err = c.Write([]byte("four"))
			require.NoError(t, err)
			r := <-waiting
			require.NoError(t, r.err, network)
			require.Equal(t, 4, r.n, network)
			require.NoError(t, c.Close())
		}
	})
}

// acceptOnly waits for a connection and then for data, and nobody else has the
// listener.
//
//go:noinline
func acceptOnly(t *testing.T, lc *net.ListenConfig) (string, <-chan result) {
	l, err := lc.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	return l.Addr().String(), start(func() (int, error) {
		c, err := l.Accept()
		if err != nil {
			return 0, err
		}
		defer c.Close()
		return c.Read(make([]byte, 9))
	})
}

// receiveOnly waits for a datagram, and nobody else has the socket.
//
//go:noinline
func receiveOnly(t *testing.T, lc *net.ListenConfig) (string, <-chan result) {
	p, err := lc.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	require.NoError(t, err)
	return p.LocalAddr().String(), start(func() (int, error) {
		n, _, err := p.ReadFrom(make([]byte, 9))
		return n, err
	})
}
