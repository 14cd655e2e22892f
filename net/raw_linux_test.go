package net_test

import (
	"context"
	"errors"
	"io"
	stdnet "net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

func rawOf(t testing.TB, c any) syscall.RawConn {
	t.Helper()
	rc, err := c.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	return rc
}

// rawRead reads once by RawConn.
func rawRead(rc syscall.RawConn, b []byte) (n int, err error) {
	rerr := rc.Read(func(fd uintptr) bool {
		n, err = syscall.Read(int(fd), b)
		return err != syscall.EAGAIN
	})
	if rerr != nil {
		return 0, rerr
	}
	return n, err
}

// rawWrite writes all by RawConn.
func rawWrite(rc syscall.RawConn, b []byte) (n int, err error) {
	rerr := rc.Write(func(fd uintptr) bool {
		for n < len(b) {
			var m int
			if m, err = syscall.Write(int(fd), b[n:]); err == syscall.EAGAIN {
				return false
			} else if err != nil {
				return true
			}
			n += m
		}
		return true
	})
	if rerr != nil {
		return n, rerr
	}
	return n, err
}

// Much data goes through system calls on one connection's descriptor, and
// through its methods, in turn, in both directions at once.
func TestRawStreams(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		raw1, raw2 := rawOf(t, c1), rawOf(t, c2)
		size := pick(4<<20, 300_000)
		var running []<-chan result
		for i, ends := range []struct {
			w, r       stdnet.Conn
			raww, rawr syscall.RawConn
		}{{c1, c2, raw1, raw2}, {c2, c1, raw2, raw1}} {
			running = append(running, start(func() (int, error) {
				data := bytesOf(uint64(i), size)
				for turn := 0; len(data) > 0; turn++ {
					part := data[:min(len(data), 1+turn*7919%50_000)]
					write := ends.w.Write
					if turn%2 == 0 {
						write = func(b []byte) (int, error) { return rawWrite(ends.raww, b) }
					}
					if n, err := write(part); err != nil || n != len(part) {
						return n, errors.Join(err, io.ErrShortWrite)
					}
					data = data[len(part):]
				}
				return 0, nil
			}), start(func() (int, error) {
				want, buf, got := newPattern(uint64(i)), make([]byte, 30_000), 0
				for turn := 0; got < size; turn++ {
					read := ends.r.Read
					if turn%2 == 1 {
						read = func(b []byte) (int, error) { return rawRead(ends.rawr, b) }
					}
					n, err := read(buf)
					if err != nil || n == 0 {
						return got, errors.Join(err, io.ErrUnexpectedEOF)
					}
					if want.check(buf[:n]) >= 0 {
						return got, errors.New("not what was sent")
					}
					got += n
				}
				return got, nil
			}))
		}
		for _, r := range running {
			require.NoError(t, (<-r).err)
		}
	})
}

// What waits in a raw Read or Write is ended by deadlines and by Close, with the
// errors of the standard library.
func TestRawEnds(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, _ := connect(t, rt, network)
		fill(t, c1)
		rc := rawOf(t, c1)
		never := func(uintptr) bool { return false }
		check := func(err error, op string, want error) {
			t.Helper()
			var oe *stdnet.OpError
			require.ErrorAs(t, err, &oe)
			require.Equal(t, op, oe.Op)
			require.Equal(t, c1.LocalAddr().Network(), stdnetwork(oe.Net))
			require.ErrorIs(t, err, want)
		}
		require.NoError(t, c1.SetDeadline(time.Now().Add(5*time.Millisecond)))
		r, w := start(func() (int, error) { return 0, rc.Read(never) }), start(func() (int, error) { return 0, rc.Write(never) })
		check((<-r).err, "raw-read", os.ErrDeadlineExceeded)
		check((<-w).err, "raw-write", os.ErrDeadlineExceeded)
		check(rc.Read(func(uintptr) bool { return true }), "raw-read", os.ErrDeadlineExceeded)
		require.NoError(t, c1.SetDeadline(time.Time{}))
		r, w = start(func() (int, error) { return 0, rc.Read(never) }), start(func() (int, error) { return 0, rc.Write(never) })
		time.Sleep(time.Millisecond)
		require.NoError(t, c1.Close())
		check((<-r).err, "raw-read", net.ErrClosed)
		check((<-w).err, "raw-write", net.ErrClosed)
		check(rc.Control(func(uintptr) {}), "raw-control", net.ErrClosed)
		rc = rawOf(t, c1) // works, as with the standard library
		check(rc.Read(never), "raw-read", net.ErrClosed)
	})
}

// stdnetwork is the network that addresses have.
func stdnetwork(network string) string {
	if network == "tcp4" || network == "tcp6" {
		return "tcp"
	}
	return network
}

// One who is not content with what there is gets more when it comes, also after
// it has been ready for long.
func TestRawReadWaitsForMore(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		rc := rawOf(t, c1)
		calls := 0
		more := start(func() (n int, err error) {
			return n, errors.Join(rc.Read(func(fd uintptr) bool {
				calls++
				n, _, err = syscall.Recvfrom(int(fd), make([]byte, 10), syscall.MSG_PEEK)
				return n >= 4
			}), err)
		})
		for _, b := range []string{"a", "b", "c"} {
			_, err := c2.Write([]byte(b))
			require.NoError(t, err)
			time.Sleep(10 * time.Millisecond)
		}
		require.Empty(t, more)
		_, err := c2.Write([]byte("d"))
		require.NoError(t, err)
		require.NoError(t, (<-more).err)
		require.Less(t, calls, 1000, "it has spun")
		got := make([]byte, 4)
		_, err = io.ReadFull(c1, got)
		require.NoError(t, err)
		require.Equal(t, "abcd", string(got))
	})
}

// A listener's RawConn is for options only. Accepts wait on, although the
// descriptor is non-blocking from then on.
func TestRawListener(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		rc := rawOf(t, l)
		require.Equal(t, syscall.EINVAL, rc.Read(func(uintptr) bool { return true }))
		require.Equal(t, syscall.EINVAL, rc.Write(func(uintptr) bool { return true }))
		require.NoError(t, rc.Control(func(fd uintptr) {
			v, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
			require.NoError(t, err)
			require.Equal(t, 1, v)
		}))
		accepted := make(chan stdnet.Conn, 1)
		done := start(func() (int, error) {
			c, err := l.Accept()
			accepted <- c
			return 0, err
		})
		time.Sleep(5 * time.Millisecond)
		require.Empty(t, done)
		c := dial(t, rt, l)
		require.NoError(t, (<-done).err)
		peer := <-accepted
		defer peer.Close()
		roundTrip(t, c, peer)
		require.NoError(t, l.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(time.Millisecond)))
		_, err := l.Accept()
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, l.Close())
		require.ErrorIs(t, rc.Control(func(uintptr) {}), net.ErrClosed)
	})
}

// Receives and sends that wait do so, too, once the descriptor is non-blocking:
// those of the ring, inline, and behind.
func TestNonblockingStillWaits(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		rawOf(t, c1)
		rawOf(t, c2)
		sent := fill(t, c1)
		w := start(func() (int, error) { return c1.Write(zeros) })
		r := start(func() (int, error) { return c1.Read(make([]byte, 1)) })
		time.Sleep(5 * time.Millisecond)
		require.Empty(t, w)
		require.Empty(t, r)
		_, err := c2.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, (<-r).err)
		_, err = io.CopyN(io.Discard, c2, int64(sent+len(zeros)))
		require.NoError(t, err)
		require.NoError(t, (<-w).err)
	})
}

// A Dialer's Control sees each socket before it is bound and connected, with the
// network and address that the standard library gives it, and its error is that
// of the dial. So does a ListenConfig's.
func TestControl(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		type call struct{ network, address string }
		var calls []call
		set := func(network, address string, c syscall.RawConn) error {
			calls = append(calls, call{network, address})
			return c.Control(func(fd uintptr) {
				require.NoError(t, syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, 2))
			})
		}
		lc := net.ListenConfig{Runtime: rt, Control: set}
		l, err := lc.Listen(context.Background(), network, address(t, network))
		require.NoError(t, err)
		defer l.Close()
		require.Equal(t, network, calls[0].network)
		require.Equal(t, 2, rawOptions(t, l)["SO_RCVLOWAT"])

		calls = nil
		want := []call{{network, l.Addr().String()}}
		generic := network
		if network != "unix" {
			generic = "tcp"
		}
		ignored := func(string, string, syscall.RawConn) error { return errors.New("called") }
		for _, d := range []net.Dialer{
			{Runtime: rt, Control: set},
			{Runtime: rt, Control: ignored, ControlContext: func(ctx context.Context, network, address string, c syscall.RawConn) error {
				require.Equal(t, "value", ctx.Value(key{}))
				return set(network, address, c)
			}},
		} {
			c, err := d.DialContext(context.WithValue(context.Background(), key{}, "value"), generic, l.Addr().String())
			require.NoError(t, err)
			require.Equal(t, want, calls)
			require.Equal(t, 2, rawOptions(t, c)["SO_RCVLOWAT"])
			peer, err := l.Accept()
			require.NoError(t, err)
			roundTrip(t, c, peer)
			require.NoError(t, errors.Join(c.Close(), peer.Close()))
			calls = nil
		}

		for _, fail := range []error{syscall.EPERM, context.Canceled, io.EOF} {
			control := func(string, string, syscall.RawConn) error { return fail }
			_, err := (&net.Dialer{Runtime: rt, Control: control}).Dial(generic, l.Addr().String())
			_, std := (&stdnet.Dialer{Control: control}).Dial(generic, l.Addr().String())
			require.EqualError(t, err, std.Error())
			require.ErrorIs(t, err, fail)
		}
	})
}

type key struct{}
