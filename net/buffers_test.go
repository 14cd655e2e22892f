package net_test

import (
	"bytes"
	"errors"
	"io"
	stdnet "net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// pieces cuts data into pieces of the given sizes, in turn.
func pieces(data []byte, sizes ...int) net.Buffers {
	var v net.Buffers
	for i := 0; len(data) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(data))
		v = append(v, data[:n])
		data = data[n:]
	}
	return v
}

// Lists of all shapes arrive whole and in order, between Writes, and are consumed:
// few pieces and more than a system call takes, small and large, empty ones
// among them.
func TestBuffers(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		big := pick(4<<20, 500_000)
		for i, shape := range []struct {
			size  int
			sizes []int
		}{
			{3, []int{1}},
			{300, []int{100, 0, 7}},
			{5000, []int{1}}, // five system calls
			{big, []int{64 << 10}},
			{big, []int{0, 1 << 20, 1, 0}},
		} {
			c1, c2 := connect(t, rt, network)
			data := bytesOf(uint64(i), shape.size)
			r := readPattern(t, c2, uint64(i), shape.size)
			first, err := c1.Write(data[:1])
			require.NoError(t, err)
			v := pieces(data[1:shape.size-1], shape.sizes...)
			all := v
			n, err := v.WriteTo(c1)
			require.NoError(t, err)
			require.EqualValues(t, shape.size-2, n)
			require.Empty(t, v)
			require.False(t, slices.ContainsFunc(all, func(b []byte) bool { return b != nil }), "a piece is still referred to")
			_, err = c1.Write(data[int(n)+first:])
			require.NoError(t, err)
			require.NoError(t, c1.CloseWrite())
			require.NoError(t, (<-r).err)
		}
	})
}

// A list that cannot be written as a whole says how much of it was, and keeps the
// rest, which can be written later.
func TestBuffersPartly(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		require.NoError(t, c1.SetWriteBuffer(256<<10))
		require.NoError(t, c2.SetReadBuffer(256<<10))
		data := bytesOf(3, 4<<20)
		v := pieces(data, 70_000, 3, 0, 4096)
		require.NoError(t, c1.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
		n, err := v.WriteTo(c1)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var opErr *stdnet.OpError
		require.ErrorAs(t, err, &opErr)
		require.Equal(t, "writev", opErr.Op)
		require.Positive(t, n)
		require.Less(t, n, int64(len(data)))
		require.True(t, bytes.Equal(data[n:], bytes.Join(v, nil)), "the rest is not what was not written")

		before := len(v)
		m, err := v.WriteTo(c1) // the deadline still holds
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Zero(t, m)
		require.Len(t, v, before)

		require.NoError(t, c1.SetWriteDeadline(time.Time{}))
		r := readPattern(t, c2, 3, len(data))
		m, err = v.WriteTo(c1)
		require.NoError(t, err)
		require.EqualValues(t, len(data), n+m)
		require.NoError(t, c1.CloseWrite())
		require.NoError(t, (<-r).err)
	})
}

// Close ends a WriteTo that waits, and what was not written stays in the list.
func TestBuffersClose(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		data := bytesOf(5, 16<<20)
		v := pieces(data, 1<<20)
		w := start(func() (int, error) {
			n, err := v.WriteTo(c1)
			return int(n), err
		})
		_, err := c2.Read(make([]byte, 1)) // it has begun
		require.NoError(t, err)
		time.Sleep(10 * time.Millisecond)
		require.NoError(t, c1.Close())
		got := <-w
		require.ErrorIs(t, got.err, net.ErrClosed)
		require.True(t, bytes.Equal(data[got.n:], bytes.Join(v, nil)))
	})
}

// What is empty is written without waiting and stays as it is; what cannot be
// written stays as it is, too, and says why as the standard library does.
func TestBuffersEdges(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		for _, v := range []net.Buffers{nil, {}, {nil}, {{}, nil}} {
			before := len(v)
			n, err := v.WriteTo(c1)
			require.NoError(t, err)
			require.Zero(t, n)
			require.Len(t, v, before)
		}
		require.NoError(t, c1.CloseWrite())
		v := net.Buffers{[]byte("a"), []byte("b")}
		n, err := v.WriteTo(c1)
		require.Zero(t, n)
		require.ErrorContains(t, err, "broken pipe")
		require.ErrorContains(t, err, "writev "+network[:3])
		require.Len(t, v, 2)
		_, err = c2.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		require.NoError(t, c1.Close())
		n, err = v.WriteTo(c1)
		require.Zero(t, n)
		require.ErrorIs(t, err, net.ErrClosed)
		require.Len(t, v, 2)
		_, err = v.WriteTo(new(net.TCPConn))
		require.Error(t, err)
	})
}

// Concurrent lists are not mixed.
func TestBuffersConcurrently(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		const writers, size = 8, 40_000
		rounds := pick(20, 5)
		var running []<-chan result
		for i := range writers {
			data := bytes.Repeat([]byte{byte(i)}, size)
			running = append(running, start(func() (int, error) {
				for range rounds {
					v := pieces(data, 1000, 1, 999)
					if n, err := v.WriteTo(c1); err != nil || n != size {
						return int(n), errors.Join(err, io.ErrShortWrite)
					}
				}
				return size, nil
			}))
		}
		got := make([]byte, size)
		for range writers * rounds {
			_, err := io.ReadFull(c2, got)
			require.NoError(t, err)
			require.Equal(t, size, bytes.Count(got, got[:1]), "a list is mixed with another")
		}
		for _, r := range running {
			r := <-r
			require.NoError(t, r.err, "after %d bytes", r.n)
		}
	})
}

// After the descriptor was made non-blocking, lists wait all the same.
func TestBuffersNonblocking(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		rc, err := c1.(syscall.Conn).SyscallConn()
		require.NoError(t, err)
		require.NoError(t, rc.Write(func(uintptr) bool { return true }))
		const size = 8 << 20
		w := start(func() (int, error) {
			v := pieces(bytesOf(9, size), 100_000)
			n, err := v.WriteTo(c1)
			return int(n), errors.Join(err, c1.CloseWrite())
		})
		time.Sleep(10 * time.Millisecond)
		require.NoError(t, (<-readPattern(t, c2, 9, size)).err)
		require.NoError(t, (<-w).err)
	})
}

// By ReadFrom and io.Copy a list is written as by WriteTo, also one of the
// standard library, and other Writers get a Write for each piece.
func TestBuffersCopied(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const size = 100_000
		for name, f := range map[string]func(c *net.TCPConn, v *net.Buffers) (int64, error){
			"copy":     func(c *net.TCPConn, v *net.Buffers) (int64, error) { return io.Copy(c, v) },
			"readfrom": func(c *net.TCPConn, v *net.Buffers) (int64, error) { return c.ReadFrom(v) },
			"standard": func(c *net.TCPConn, v *net.Buffers) (int64, error) { return c.ReadFrom((*stdnet.Buffers)(v)) },
		} {
			c1, c2 := connect(t, rt, "tcp4")
			v := pieces(bytesOf(1, size), 777)
			r := readPattern(t, c2, 1, size)
			n, err := f(c1.(*net.TCPConn), &v)
			require.NoError(t, err, name)
			require.EqualValues(t, size, n, name)
			require.Empty(t, v, name)
			require.NoError(t, c1.CloseWrite())
			require.NoError(t, (<-r).err, name)
		}
	})
	v, w := pieces([]byte("abcdefg"), 2), &stingy{room: 5}
	n, err := v.WriteTo(w)
	require.ErrorIs(t, err, io.ErrShortBuffer)
	require.EqualValues(t, 5, n)
	require.Equal(t, [][]byte{[]byte("f"), []byte("g")}, [][]byte(v))
	require.Equal(t, "abcde", string(w.got))
	rest, err := io.ReadAll(&v)
	require.NoError(t, err)
	require.Equal(t, "fg", string(rest))
}

// stingy is a Writer with little room.
type stingy struct {
	room int
	got  []byte
}

func (w *stingy) Write(b []byte) (int, error) {
	n := min(len(b), w.room)
	w.room -= n
	w.got = append(w.got, b[:n]...)
	if n < len(b) {
		return n, io.ErrShortBuffer
	}
	return n, nil
}

// A list that there is room for is one system call.
func TestBuffersAtOnce(t *testing.T) {
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) {
		if !rt.HasRing() {
			return // nobody counts there
		}
		c1, c2 := connect(t, rt, "tcp4")
		data := bytesOf(1, 1000)
		list, backing := net.Buffers{}, make(net.Buffers, 10)
		got := make([]byte, len(data))
		before := rt.Stats()
		const rounds = 50
		for range rounds {
			list = backing
			for i := range list {
				list[i] = data[i*100:][:100]
			}
			n, err := list.WriteTo(c1)
			require.NoError(t, err)
			require.EqualValues(t, len(data), n)
			_, err = io.ReadFull(c2, got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, got))
		}
		after := rt.Stats()
		// Each list is one send; the reads may be without a wait, too.
		require.LessOrEqual(t, after.InlineTried-before.InlineTried, uint64(2*rounds))
	})
}
