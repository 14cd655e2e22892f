package net_test

import (
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

type filer interface{ File() (*os.File, error) }

// fileOf returns the file of a socket until the test ends.
func fileOf(t testing.TB, c any) *os.File {
	t.Helper()
	f, err := c.(filer).File()
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// A connection's file is another descriptor of the same socket: it has
// deadlines, its Fd is blocking, the connection goes on either way, and it keeps
// its options.
func TestFileOfConn(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		if tcp, ok := c1.(*net.TCPConn); ok {
			require.NoError(t, tcp.SetNoDelay(false))
			require.NoError(t, tcp.SetKeepAlivePeriod(77*time.Second))
			require.NoError(t, tcp.SetKeepAlive(false))
		}
		before := rawOptions(t, c1)
		f := fileOf(t, c1)
		if rt.HasRing() {
			require.Equal(t, before, rawOptions(t, c1))
		}
		_, err := f.Write([]byte("by file"))
		require.NoError(t, err)
		got := make([]byte, 7)
		_, err = io.ReadFull(c2, got)
		require.NoError(t, err)
		require.Equal(t, "by file", string(got))
		require.NoError(t, f.SetReadDeadline(time.Now().Add(time.Millisecond)))
		_, err = f.Read(got)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Zero(t, descriptorFlags(t, int(f.Fd()))&syscall.O_NONBLOCK)
		if rt.HasRing() {
			roundTrip(t, c1, c2)
			_, err = rawWrite(rawOf(t, c1), []byte("x")) // non-blocking again
			require.NoError(t, err)
			_, err = io.ReadFull(c2, got[:1])
			require.NoError(t, err)
		}
		require.NoError(t, f.Close())
		roundTrip(t, c1, c2)
		require.NoError(t, c1.Close())
		_, err = c1.(filer).File()
		require.ErrorIs(t, err, net.ErrClosed)
		var oe *stdnet.OpError
		require.ErrorAs(t, err, &oe)
		require.Equal(t, "file", oe.Op)
	})
}

func rawOptions(t testing.TB, c any) (m map[string]int) {
	t.Helper()
	require.NoError(t, rawOf(t, c).Control(func(fd uintptr) { m = options(t, int(fd)) }))
	return m
}

// FileConn makes a connection of a descriptor of any origin, with its addresses,
// independent of the file.
func TestFileConn(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		d := net.Dialer{Runtime: rt}
		f := fileOf(t, c1)
		c3, err := d.FileConn(f)
		require.NoError(t, err)
		defer c3.Close()
		require.IsType(t, c1, c3)
		require.NoError(t, f.Close())
		require.Equal(t, c1.LocalAddr().String(), c3.LocalAddr().String())
		require.NoError(t, c1.Close())
		roundTrip(t, c3, c2)
		blocked := start(func() (int, error) { return c3.Read(make([]byte, 1)) })
		time.Sleep(time.Millisecond)
		require.Empty(t, blocked)
		require.NoError(t, c3.Close())
		require.ErrorIs(t, (<-blocked).err, net.ErrClosed)
		_, err = c2.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
	})
}

// A listener's file makes another listener of the same socket; each accepts, and
// the one that is left after Close of the other, too.
func TestFileListener(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l1 := listen(t, rt, network)
		f := fileOf(t, l1)
		lc := net.ListenConfig{Runtime: rt}
		l2, err := lc.FileListener(f)
		require.NoError(t, err)
		defer l2.Close()
		require.IsType(t, l1, l2)
		require.NoError(t, f.Close())
		require.Equal(t, l1.Addr().String(), l2.Addr().String())
		for _, l := range []stdnet.Listener{l1, l2} {
			c := dial(t, rt, l)
			peer, err := l.Accept()
			require.NoError(t, err)
			roundTrip(t, c, peer)
			require.NoError(t, peer.Close())
		}
		require.NoError(t, l2.Close()) // removes no file
		c := dial(t, rt, l1)
		peer, err := l1.Accept()
		require.NoError(t, err)
		defer peer.Close()
		roundTrip(t, c, peer)
	})
}

// What is no socket is refused as by the standard library.
func TestFileOfOthers(t *testing.T) {
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	_, err = net.FileConn(f)
	_, want := stdnet.FileConn(f)
	require.Equal(t, want, err)
	require.ErrorIs(t, err, syscall.ENOTSOCK)
	_, err = net.FileListener(f)
	_, want = stdnet.FileListener(f)
	require.Equal(t, want, err)
	_, err = net.FilePacketConn(f)
	require.ErrorIs(t, err, syscall.ENOTSOCK)
}
