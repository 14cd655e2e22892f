package net_test

import (
	"errors"
	"math/rand/v2"
	stdnet "net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// unixConn is what a UnixConn of ours and one of the standard library's have
// for messages.
type unixConn interface {
	stdnet.Conn
	stdnet.PacketConn
	CloseRead() error
	CloseWrite() error
	ReadFromUnix(b []byte) (int, *stdnet.UnixAddr, error)
	ReadMsgUnix(b, oob []byte) (n, oobn, flags int, addr *stdnet.UnixAddr, err error)
	WriteToUnix(b []byte, addr *stdnet.UnixAddr) (int, error)
	WriteMsgUnix(b, oob []byte, addr *stdnet.UnixAddr) (n, oobn int, err error)
}

var (
	_ unixConn = (*stdnet.UnixConn)(nil)
	_ unixConn = (*net.UnixConn)(nil)
)

// unixNetworks are all networks of Unix sockets.
var unixNetworks = []string{"unix", "unixpacket", "unixgram"}

// unixPair returns a socket that sends to another, and that. Both are closed when
// the test ends.
func unixPair(t testing.TB, rt *proactor.Runtime, network string) (from, to *net.UnixConn) {
	t.Helper()
	if network != "unixgram" {
		a, b := connect(t, rt, network)
		return a.(*net.UnixConn), b.(*net.UnixConn)
	}
	to = listenPacket(t, rt, network).(*net.UnixConn)
	d := net.Dialer{Runtime: rt, LocalAddr: &stdnet.UnixAddr{Name: filepath.Join(shortDir(t), "d"), Net: network}}
	c, err := d.Dial(network, to.LocalAddr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.UnixConn), to
}

func forEachUnix(t *testing.T, f func(t *testing.T, rt *proactor.Runtime, network string)) {
	t.Helper()
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range unixNetworks {
			t.Run(network, func(t *testing.T) { f(t, rt, network) })
		}
	})
}

// Descriptors are passed with a message, and work at the other end, whether the
// receiver waits or not.
func TestUnixRights(t *testing.T) {
	forEachUnix(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		a, b := unixPair(t, rt, network)
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		defer w.Close()
		rights := syscall.UnixRights(int(w.Fd()))
		buf, oob := make([]byte, 10), make([]byte, 100)
		for round := range 6 {
			data := []byte("fd")
			if round%3 == 2 {
				data = nil // on a stream, a byte carries them
			}
			var n, oobn, flags int
			var from *stdnet.UnixAddr
			receive := func() (_ int, err error) {
				n, oobn, flags, from, err = b.ReadMsgUnix(buf, oob)
				return n, err
			}
			var got <-chan result
			if round%2 == 0 {
				got = start(receive)
				time.Sleep(50 * time.Microsecond)
			}
			sent, oobSent, err := a.WriteMsgUnix(data, rights, nil)
			if network == "unixgram" {
				// It was made for one peer: so the standard library.
				require.ErrorIs(t, err, stdnet.ErrWriteToConnected)
				require.NoError(t, b.SetReadDeadline(time.Now().Add(-1)))
				if got != nil {
					require.ErrorIs(t, (<-got).err, os.ErrDeadlineExceeded)
				}
				return
			}
			require.NoError(t, err)
			require.Equal(t, []int{len(data), len(rights)}, []int{sent, oobSent})
			if got == nil {
				got = start(receive)
			}
			require.NoError(t, (<-got).err)
			require.Nil(t, from, "the sender has no name")
			require.Equal(t, max(len(data), 1), n)
			require.NotZero(t, flags&syscall.MSG_CMSG_CLOEXEC, "as the standard library's")
			writeThrough(t, oob[:oobn], r)
		}
	})
}

// writeThrough takes the descriptor out of oob, writes to it and closes it.
func writeThrough(t testing.TB, oob []byte, r *os.File) {
	t.Helper()
	messages, err := syscall.ParseSocketControlMessage(oob)
	require.NoError(t, err)
	require.Len(t, messages, 1)
	fds, err := syscall.ParseUnixRights(&messages[0])
	require.NoError(t, err)
	require.Len(t, fds, 1)
	f := os.NewFile(uintptr(fds[0]), "passed")
	defer f.Close()
	_, err = f.Write([]byte("!"))
	require.NoError(t, err)
	n, err := r.Read(make([]byte, 10))
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// Datagrams carry descriptors and have senders.
func TestUnixgramRights(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a := listenPacket(t, rt, "unixgram").(*net.UnixConn)
		b := listenPacket(t, rt, "unixgram").(*net.UnixConn)
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		defer w.Close()
		to := b.LocalAddr().(*stdnet.UnixAddr)
		n, oobn, err := a.WriteMsgUnix(nil, syscall.UnixRights(int(w.Fd())), to)
		require.NoError(t, err)
		require.Zero(t, n)
		require.NotZero(t, oobn)
		oob := make([]byte, 100)
		n, oobn, _, from, err := b.ReadMsgUnix(nil, oob)
		require.NoError(t, err)
		require.Zero(t, n)
		require.Equal(t, a.LocalAddr(), from)
		writeThrough(t, oob[:oobn], r)
		_, err = a.WriteToUnix([]byte("x"), &stdnet.UnixAddr{Name: to.Name, Net: "unix"})
		require.ErrorIs(t, err, syscall.EAFNOSUPPORT)
		_, err = a.WriteToUnix([]byte("x"), nil)
		require.ErrorContains(t, err, "missing address")
		_, err = a.WriteTo([]byte("x"), &stdnet.UnixAddr{Name: to.Name + "no", Net: "unixgram"})
		require.ErrorIs(t, err, syscall.ENOENT)
	})
}

// Descriptors for which there is no room, which come to somebody who does not
// want them, or whose receive is being cancelled, are not left open.
func TestUnixRightsDoNotLeak(t *testing.T) {
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := unixPair(t, rt, "unix")
		r, w, err := os.Pipe()
		require.NoError(t, err)
		defer r.Close()
		defer w.Close()
		fd := int(w.Fd())
		buf, oob := make([]byte, 1), make([]byte, 1000)
		before := len(testkit.Fds(t))
		for i := range pick(300, 100) {
			var got <-chan result
			var oobn, flags int
			room := []int{0, 16, 20, 1000}[i%4]
			require.NoError(t, b.SetReadDeadline(time.Time{}))
			got = start(func() (int, error) {
				var err error
				_, oobn, flags, _, err = b.ReadMsgUnix(buf, oob[:room])
				return 0, err
			})
			if i%3 == 0 {
				time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
			}
			_, _, err := a.WriteMsgUnix([]byte("x"), syscall.UnixRights(fd, fd, fd), nil)
			require.NoError(t, err)
			if i%2 == 0 {
				require.NoError(t, b.SetReadDeadline(time.Now().Add(-1)))
			}
			if err := (<-got).err; err != nil {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.NoError(t, b.SetReadDeadline(time.Time{}))
				n, err := b.Read(buf) // it is still there, and its descriptors are dropped
				require.NoError(t, err)
				require.Equal(t, 1, n)
				continue
			}
			if room < 1000 {
				require.NotZero(t, flags&syscall.MSG_CTRUNC)
			}
			closeRights(t, oob[:oobn])
		}
		// Fewer there can be, when something of another test becomes garbage.
		require.LessOrEqual(t, len(testkit.Fds(t)), before)
	})
}

// closeRights closes what is in control data.
func closeRights(t testing.TB, oob []byte) {
	t.Helper()
	messages, err := syscall.ParseSocketControlMessage(oob)
	require.NoError(t, err)
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		require.NoError(t, err)
		for _, fd := range fds {
			require.NoError(t, syscall.Close(fd))
		}
	}
}

// Sends to a receiver that does not keep up wait, and nothing is lost or
// reordered, from a connected socket and from one that is not.
func TestUnixgramWaits(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := unixPair(t, rt, "unixgram")
		free := listenPacket(t, rt, "unixgram").(*net.UnixConn)
		to := b.LocalAddr().(*stdnet.UnixAddr)
		count := pick(500, 100)
		senders := []<-chan result{
			start(func() (int, error) {
				for i := range count {
					if _, err := a.Write(numbered(0, i, 50)); err != nil {
						return i, err
					}
				}
				return count, nil
			}),
			start(func() (int, error) {
				for i := range count {
					if _, err := free.WriteToUnix(numbered(1, i, 3000), to); err != nil {
						return i, err
					}
				}
				return count, nil
			}),
		}
		buf := make([]byte, 4000)
		var next [2]int
		for range 2 * count {
			n, from, err := b.ReadFromUnix(buf)
			require.NoError(t, err)
			sender, number, err := checkNumbered(buf[:n])
			require.NoError(t, err)
			require.Equal(t, next[sender], number)
			next[sender]++
			require.Equal(t, []stdnet.Addr{a.LocalAddr(), free.LocalAddr()}[sender], from)
		}
		for _, s := range senders {
			require.NoError(t, (<-s).err)
		}
		// One that waits is ended by a deadline, and by Close.
		full := func() error {
			for {
				if _, err := a.Write(buf); err != nil {
					return err
				}
			}
		}
		require.NoError(t, a.SetWriteDeadline(time.Now().Add(5*time.Millisecond)))
		require.ErrorIs(t, full(), os.ErrDeadlineExceeded)
		require.NoError(t, a.SetWriteDeadline(time.Time{}))
		r := start(func() (int, error) { return 0, full() })
		time.Sleep(time.Millisecond)
		require.NoError(t, a.Close())
		require.ErrorIs(t, (<-r).err, stdnet.ErrClosed)
	})
}

// What goes before control data on a stream comes before it, also when it was
// written behind.
func TestUnixMsgOrder(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := unixPair(t, rt, "unix")
		p := newPattern(3)
		const size = 100
		sender := start(func() (int, error) {
			q := newPattern(3)
			buf := make([]byte, size)
			for i := range 200 {
				_, _ = q.Read(buf)
				var err error
				if i%5 == 4 {
					var n int
					if n, _, err = a.WriteMsgUnix(buf, nil, nil); n != size && err == nil {
						err = errors.New("not all")
					}
				} else {
					_, err = a.Write(buf)
				}
				if err != nil {
					return i, err
				}
			}
			return 0, a.CloseWrite()
		})
		buf := make([]byte, 130)
		got := 0
		for i := 0; ; i++ {
			var n int
			var err error
			switch i % 3 {
			case 0:
				n, _, _, _, err = b.ReadMsgUnix(buf, nil)
			case 1:
				n, _, err = b.ReadFrom(buf)
			default:
				n, err = b.Read(buf)
			}
			if err != nil {
				require.ErrorContains(t, err, "EOF")
				break
			}
			require.Equal(t, -1, p.check(buf[:n]), "after %d bytes", got)
			got += n
		}
		require.Equal(t, 200*size, got)
		require.NoError(t, (<-sender).err)
	})
}

// The functions of the package, which run on the default runtime.
func TestUnixPacketFunctions(t *testing.T) {
	addr := &stdnet.UnixAddr{Name: filepath.Join(shortDir(t), "s"), Net: "unixgram"}
	a, err := net.ListenUnixgram("unixgram", addr)
	require.NoError(t, err)
	defer a.Close()
	b, err := net.DialUnix("unixgram", nil, addr)
	require.NoError(t, err)
	defer b.Close()
	_, err = b.Write([]byte("x"))
	require.NoError(t, err)
	n, from, err := a.ReadFromUnix(make([]byte, 10))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Nil(t, from)
	_, err = b.WriteTo([]byte("x"), addr)
	require.ErrorIs(t, err, stdnet.ErrWriteToConnected)
	_, err = net.ListenUnixgram("unix", addr)
	require.ErrorAs(t, err, new(stdnet.UnknownNetworkError))

	packet := &stdnet.UnixAddr{Name: filepath.Join(shortDir(t), "p"), Net: "unixpacket"}
	l, err := net.ListenUnix("unixpacket", packet)
	require.NoError(t, err)
	defer l.Close()
	c, err := net.DialUnix("unixpacket", nil, packet)
	require.NoError(t, err)
	defer c.Close()
	s, err := l.AcceptUnix()
	require.NoError(t, err)
	defer s.Close()
	for _, m := range []string{"one", "two"} {
		_, err = c.Write([]byte(m))
		require.NoError(t, err)
	}
	n, err = s.Read(make([]byte, 10))
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, "unixpacket", s.LocalAddr().Network())
	require.NoError(t, l.Close())
	require.NoFileExists(t, packet.Name)
}
