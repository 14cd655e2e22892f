package net_test

import (
	"bytes"
	"io"
	stdnet "net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// copyPair returns two connections: what is written to in is to be copied from
// from to to, and comes out of out.
func copyPair(t testing.TB, rt *proactor.Runtime, network string) (in stream, from stream, to *net.TCPConn, out stream) {
	t.Helper()
	in, from = connect(t, rt, network)
	a, out := connect(t, rt, "tcp4")
	return in, from, a.(*net.TCPConn), out
}

// Streams of all sizes go from connection to connection whole: by ReadFrom and
// WriteTo, as io.Copy finds them, after what was written before.
func TestCopyBetweenConns(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		for i, size := range []int{0, 1, 70_000, pick(5<<20, 600_000)} {
			for name, f := range map[string]func(to *net.TCPConn, from stream) (int64, error){
				"copy":     func(to *net.TCPConn, from stream) (int64, error) { return io.Copy(to, from) },
				"readfrom": func(to *net.TCPConn, from stream) (int64, error) { return to.ReadFrom(from) },
				"hidden": func(to *net.TCPConn, from stream) (int64, error) {
					return to.ReadFrom(struct{ io.Reader }{from})
				},
				"limited": func(to *net.TCPConn, from stream) (int64, error) {
					lr := &io.LimitedReader{R: from, N: int64(size) + 1}
					n, err := to.ReadFrom(lr)
					if lr.N != int64(size)+1-n {
						t.Errorf("limit %d after %d bytes", lr.N, n)
					}
					return n, err
				},
			} {
				in, from, to, out := copyPair(t, rt, network)
				data := bytesOf(uint64(i), size)
				w := start(func() (int, error) {
					n, err := in.Write(data[min(size, 1):])
					_ = in.CloseWrite()
					return n, err
				})
				r := readPattern(t, out, uint64(i), size)
				first, err := to.Write(data[:min(size, 1)])
				require.NoError(t, err)
				n, err := f(to, from)
				require.NoError(t, err, name)
				require.EqualValues(t, size-first, n, name)
				require.NoError(t, to.CloseWrite())
				require.NoError(t, (<-w).err)
				require.NoError(t, (<-r).err, name)
			}
		}
	})
}

// WriteTo goes to Unix streams, too, and to any Writer.
func TestWriteTo(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const size = 300_000
		for _, unix := range []bool{true, false} {
			in, from := connect(t, rt, "tcp4")
			w := start(func() (int, error) {
				n, err := in.Write(bytesOf(1, size))
				_ = in.CloseWrite()
				return n, err
			})
			if unix {
				to, out := connect(t, rt, "unix")
				r := readPattern(t, out, 1, size)
				n, err := from.(io.WriterTo).WriteTo(to)
				require.NoError(t, err)
				require.EqualValues(t, size, n)
				require.NoError(t, to.CloseWrite())
				require.NoError(t, (<-r).err)
			} else {
				var buf bytes.Buffer
				n, err := from.(io.WriterTo).WriteTo(&buf)
				require.NoError(t, err)
				require.EqualValues(t, size, n)
				require.Equal(t, bytesOf(1, size), buf.Bytes())
			}
			require.NoError(t, (<-w).err)
		}
	})
}

// A limit leaves the rest in the connection, and nothing is read beyond it.
func TestCopyLimited(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		in, from, to, out := copyPair(t, rt, network)
		_, err := in.Write([]byte("abcdef"))
		require.NoError(t, err)
		lr := &io.LimitedReader{R: from, N: 4}
		n, err := to.ReadFrom(lr)
		require.NoError(t, err)
		require.EqualValues(t, 4, n)
		require.Zero(t, lr.N)
		n, err = to.ReadFrom(lr)
		require.NoError(t, err)
		require.Zero(t, n)
		got := make([]byte, 4)
		_, err = io.ReadFull(out, got)
		require.NoError(t, err)
		require.Equal(t, "abcd", string(got))
		_, err = io.ReadFull(from, got[:2])
		require.NoError(t, err)
		require.Equal(t, "ef", string(got[:2]))
	})
}

// Deadlines end a copy that waits to receive or to send; what was copied by then
// has been counted, and a copy of the rest goes on where it was.
func TestCopyDeadlines(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		in, from, to, out := copyPair(t, rt, network)
		_, err := in.Write([]byte("abc"))
		require.NoError(t, err)
		require.NoError(t, from.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		n, err := to.ReadFrom(from)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.EqualValues(t, 3, n)
		var oe *stdnet.OpError
		require.ErrorAs(t, err, &oe)
		require.Equal(t, "readfrom", oe.Op)
		require.NoError(t, from.SetReadDeadline(time.Time{}))
		_, err = in.Write([]byte("def"))
		require.NoError(t, err)
		n, err = to.ReadFrom(io.LimitReader(from, 3))
		require.NoError(t, err)
		require.EqualValues(t, 3, n)
		got := make([]byte, 6)
		_, err = io.ReadFull(out, got)
		require.NoError(t, err)
		require.Equal(t, "abcdef", string(got))

		// Nobody reads.
		w := start(func() (int, error) { return in.Write(zeros) })
		require.NoError(t, to.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
		_, err = to.ReadFrom(from)
		if err == nil {
			require.NoError(t, (<-w).err)
			t.Fatal("all of it fitted")
		}
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, in.Close())
		<-w
	})
}

// While a copy waits to receive, the connection that it sends to can be closed,
// and the one that it receives from, which ends it.
func TestCopyAndClose(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		_, from, to, out := copyPair(t, rt, network)
		running := start(func() (int, error) { n, err := to.ReadFrom(from); return int(n), err })
		time.Sleep(2 * time.Millisecond)
		require.NoError(t, to.Close())
		_, err := out.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		require.Empty(t, running)
		require.NoError(t, from.Close())
		require.ErrorIs(t, (<-running).err, net.ErrClosed)
		_, err = to.ReadFrom(from)
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

// A copy to a peer that has gone fails as Write does.
func TestCopyToGonePeer(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		in, from, to, out := copyPair(t, rt, network)
		require.NoError(t, out.Close())
		w := start(func() (int, error) {
			for {
				if _, err := in.Write(make([]byte, 1000)); err != nil {
					return 0, err
				}
			}
		})
		_, err := to.ReadFrom(from)
		require.Error(t, err)
		var errno syscall.Errno
		require.ErrorAs(t, err, &errno)
		require.Contains(t, []syscall.Errno{syscall.EPIPE, syscall.ECONNRESET}, errno)
		require.NoError(t, from.Close())
		require.Error(t, (<-w).err)
	})
}

// Files are sent from their position on, as far as a limit allows, and stand
// behind what was sent. Pipes, and types with a Read of their own, are read.
func TestCopyFromFiles(t *testing.T) {
	size := pick(5<<20, 600_000)
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, os.WriteFile(path, bytesOf(7, size), 0o600))
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f, err := os.Open(path)
		require.NoError(t, err)
		defer f.Close()
		c, out := connect(t, rt, "tcp4")
		to := c.(*net.TCPConn)
		r := readPattern(t, out, 7, size)
		head := make([]byte, 10)
		_, err = io.ReadFull(f, head)
		require.NoError(t, err)
		_, err = to.Write(head)
		require.NoError(t, err)
		n, err := io.CopyN(to, f, 1000)
		require.NoError(t, err)
		require.EqualValues(t, 1000, n)
		at, err := f.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.EqualValues(t, 1010, at)
		own := &reader{File: f}
		n, err = to.ReadFrom(io.LimitReader(own, 1000))
		require.NoError(t, err)
		require.EqualValues(t, 1000, n)
		if rt.HasRing() { // the standard library goes past it
			require.Equal(t, 100, own.reads)
		}
		n, err = io.Copy(to, f)
		require.NoError(t, err)
		require.EqualValues(t, size-2010, n)
		n, err = io.Copy(to, f) // at the end
		require.NoError(t, err)
		require.Zero(t, n)
		require.NoError(t, to.CloseWrite())
		require.NoError(t, (<-r).err)

		require.NoError(t, f.Close())
		_, err = to.ReadFrom(f)
		require.ErrorIs(t, err, os.ErrClosed)
	})
}

// reader has a file and a Read of its own.
type reader struct {
	*os.File
	reads int
}

func (r *reader) Read(b []byte) (int, error) {
	r.reads++
	return r.File.Read(b[:min(len(b), 10)])
}

// Connections of this package and the standard library's copy to each other.
func TestCopyWithStdConns(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const size = 200_000
		for _, ours := range []bool{true, false} {
			c1, c2 := connect(t, rt, "tcp4")
			a, b := stdPair(t)
			var in, from, to, out stdnet.Conn = c1, c2, a, b
			if ours {
				in, from, to, out = a, b, c1, c2
			}
			w := start(func() (int, error) {
				n, err := in.Write(bytesOf(3, size))
				_ = in.Close()
				return n, err
			})
			r := readPattern(t, out, 3, size)
			n, err := io.Copy(to, from)
			require.NoError(t, err)
			require.EqualValues(t, size, n)
			require.NoError(t, to.Close())
			require.NoError(t, (<-w).err)
			require.NoError(t, (<-r).err)
		}
	})
}

// stdPair returns a connection of the standard library.
func stdPair(t testing.TB) (stdnet.Conn, stdnet.Conn) {
	t.Helper()
	l, err := stdnet.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	a, err := stdnet.Dial("tcp4", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = a.Close() })
	b, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return a, b
}

// A limit holds whatever the size of the buffers that are copied through, and
// while small messages and large ones change.
func TestCopyLimitedByLease(t *testing.T) {
	if os.Getenv("YAMANOTE_EXPECT_BACKEND") == "std" {
		return // no such buffers
	}
	for _, size := range []int{1, 100, 64 << 10} {
		rt := newRuntime(t, proactor.Config{Mode: proactor.ModeRing, ReadBuffers: proactor.BufferConfig{Size: size, Count: 4}})
		for _, network := range networks {
			in, from, to, out := copyPair(t, rt, network)
			data := bytesOf(1, 200_000)
			w := start(func() (int, error) {
				for at := 0; at < len(data); {
					n, err := in.Write(data[at:min(at+1+at/3, len(data))])
					if at += n; err != nil {
						return at, err
					}
				}
				return len(data), in.CloseWrite()
			})
			r := readPattern(t, out, 1, len(data))
			for sum, limit := int64(0), int64(1); sum < int64(len(data)); limit = 2*limit + 1 {
				lr := &io.LimitedReader{R: from, N: limit}
				n, err := to.ReadFrom(lr)
				require.NoError(t, err)
				require.Equal(t, limit-n, lr.N)
				if sum += n; sum < int64(len(data)) {
					require.Equal(t, limit, n)
				}
			}
			require.NoError(t, to.CloseWrite())
			require.NoError(t, (<-w).err)
			require.NoError(t, (<-r).err)
		}
	}
}
