package net_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// zeroConn is what connections have for sending without copying.
type zeroConn interface {
	stream
	WriteZeroCopy(b []byte, release func()) (int, error)
}

// zeroCopyPair returns a connection whose ends have the option, of a listener and
// of a dialer.
func zeroCopyPair(t *testing.T, rt *proactor.Runtime, network string, from int) (dialed, accepted zeroConn) {
	t.Helper()
	lc := net.ListenConfig{Runtime: rt, ZeroCopy: from}
	l, err := lc.Listen(context.Background(), network, address(t, network))
	require.NoError(t, err)
	defer l.Close()
	d := net.Dialer{Runtime: rt, ZeroCopy: from}
	c1, err := d.Dial(network, l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c1.Close() })
	c2, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = c2.Close() })
	return c1.(zeroConn), c2.(zeroConn)
}

// Connections with the option carry the same bytes as others, in both directions
// at once, and nothing that their writers write to their memory afterwards.
func TestZeroCopyCarriesTheSameBytes(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := zeroCopyPair(t, rt, network, 1000)
		size := pick(2<<20, 200<<10)
		var ends []<-chan result
		for i, c := range []zeroConn{c1, c2} {
			seed := uint64(i)
			ends = append(ends, start(func() (int, error) {
				sent := 0
				data := bytesOf(seed, size)
				for n := 1; sent < size; n = n*3 + 1 {
					b := data[sent:min(sent+n, size)]
					if n > 100_000 {
						n = 1
					}
					m, err := c.Write(b)
					clear(b)
					if sent += m; err != nil {
						return sent, err
					}
				}
				pieces := net.Buffers{bytesOf(seed+10, 3000), bytesOf(seed+20, 5000), nil, bytesOf(seed+30, 10)}
				m, err := pieces.WriteTo(c)
				if err == nil {
					err = c.CloseWrite()
				}
				return sent + int(m), err
			}), start(func() (int, error) {
				other := uint64(1 - i)
				want := bytesOf(other, size)
				for j, n := range []int{3000, 5000, 10} {
					want = append(want, bytesOf(other+10*uint64(j+1), n)...)
				}
				got, err := io.ReadAll(c)
				if err == nil && !bytes.Equal(got, want) {
					err = errors.New("other bytes than were sent")
				}
				return len(got), err
			}))
		}
		for _, end := range ends {
			r := <-end
			require.NoError(t, r.err)
			require.Equal(t, size+8010, r.n)
		}
	})
}

// WriteZeroCopy writes in order and releases each piece once, on every network
// and backend, also when it fails.
func TestWriteZeroCopy(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		a, b := connect(t, rt, network)
		c, released := a.(zeroConn), make(chan int, 1000)
		const rounds = 100
		data := bytesOf(7, rounds*10_000)
		reader := readPattern(t, b, 7, len(data))
		for i := range rounds {
			piece := data[i*10_000:][:10_000]
			n, err := c.WriteZeroCopy(piece[:9_000], func() { released <- i })
			require.NoError(t, err)
			require.Equal(t, 9_000, n)
			n, err = c.Write(piece[9_000:])
			require.NoError(t, err)
			require.Equal(t, 1_000, n)
		}
		n, err := c.WriteZeroCopy(nil, nil)
		require.NoError(t, err)
		require.Zero(t, n)
		require.NoError(t, c.CloseWrite())
		r := <-reader
		require.NoError(t, r.err)
		require.Equal(t, len(data), r.n)

		_, err = c.WriteZeroCopy(data[:5000], func() { released <- rounds })
		require.ErrorIs(t, err, syscall.EPIPE)
		require.NoError(t, c.Close())
		_, err = c.WriteZeroCopy(data[:5000], func() { released <- rounds + 1 })
		require.ErrorIs(t, err, net.ErrClosed)
		_, plain := c.Write(data[:5000])
		require.Equal(t, plain.Error(), err.Error(), "the errors are those of Write")

		seen := make(map[int]int)
		for range rounds + 2 {
			seen[<-released]++
		}
		require.Len(t, seen, rounds+2, "some have not been released, or twice")
		require.Empty(t, released)
	})
}

// A deadline bounds a WriteZeroCopy that the kernel does not take, and the memory
// comes back when the connection is gone.
func TestWriteZeroCopyDeadline(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		a, b := connect(t, rt, network)
		c, released := a.(zeroConn), make(chan struct{}, 2)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(30*time.Millisecond)))
		n, err := c.WriteZeroCopy(make([]byte, 32<<20), func() { released <- struct{}{} })
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Less(t, n, 32<<20)
		require.NoError(t, c.Close())
		require.NoError(t, b.Close())
		<-released
	})
}

// The option of a Dialer or ListenConfig is before that of the runtime, and the
// zero value is the runtime's.
func TestZeroCopyOptions(t *testing.T) {
	for _, c := range []struct{ config, option, tried int }{
		{0, 0, 0}, {0, 8, 2}, {8, 0, 2}, {8, -1, 0}, {100, 8, 2}, {8, 100, 0},
	} {
		rt := newRuntime(t, proactor.Config{ZeroCopy: c.config})
		require.Equal(t, c.config, rt.ZeroCopy())
		c1, c2 := zeroCopyPair(t, rt, "tcp", c.option)
		for range 3 {
			roundTrip(t, c1, c2)
		}
		_, err := c1.Write(make([]byte, 50))
		require.NoError(t, err)
		_, err = c2.Write(make([]byte, 50))
		require.NoError(t, err)
		if rt.HasRing() {
			require.EqualValues(t, c.tried, rt.Stats().ZeroCopy, "%+v: each end tries once, for the loopback copies", c)
			require.EqualValues(t, c.tried, rt.Stats().ZeroCopyOff)
		}
		require.NoError(t, c1.Close())
		require.NoError(t, c2.Close())
	}
	_, err := proactor.New(proactor.Config{ZeroCopy: -1})
	require.ErrorContains(t, err, "ZeroCopy is -1")
}

// A listener whose connections are to send without copying is for plain TCP,
// because others cannot; who asks for Multipath TCP gets that.
func TestZeroCopyListenerIsPlainTCP(t *testing.T) {
	rt := newRuntime(t, proactor.Config{ZeroCopy: 8})
	require.False(t, (&net.ListenConfig{ZeroCopy: 1}).MultipathTCP())
	require.False(t, (&net.ListenConfig{Runtime: rt}).MultipathTCP())
	require.Equal(t, new(net.ListenConfig).MultipathTCP(), (&net.ListenConfig{Runtime: rt, ZeroCopy: -1}).MultipathTCP())
	lc := net.ListenConfig{Runtime: rt, ZeroCopy: 1}
	lc.SetMultipathTCP(true)
	require.True(t, lc.MultipathTCP())
	lc.SetMultipathTCP(false)
	require.False(t, lc.MultipathTCP())
}
