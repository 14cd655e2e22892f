package poll

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

// The kernel moves data between sockets, and from files, with little room on
// the way, and behind what was written before.
func TestKernelCopies(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const size = 300_000
		for _, tcp := range []bool{false, true} {
			src, in := pair(t, rt, tcp)
			dst, out := pair(t, rt, tcp)
			require.NoError(t, dst.SetBehind(true))
			if !tcp { // there, so little room means to wait for acknowledgements
				shrink(t, src, in)
				shrink(t, dst, out)
			}
			leave := gathering(t, dst)
			send(t, dst, chunk(0, 800))
			leave()
			w := start(func() error {
				for at := 800; at < size; {
					n, err := syscall.Write(in.fd, chunk(at, min(10_000, size-at)))
					if err != nil {
						return err
					}
					at += n
				}
				return syscall.Shutdown(in.fd, syscall.SHUT_WR)
			})
			r := start(func() error {
				readStream(t, out, 0, size+4000)
				return nil
			})
			n, handled, err := Splice(dst, src, math.MaxInt64)
			require.NoError(t, err)
			require.True(t, handled)
			require.EqualValues(t, size-800, n)
			require.NoError(t, <-w)

			path := filepath.Join(t.TempDir(), "f")
			require.NoError(t, os.WriteFile(path, chunk(size, 5000), 0o600))
			f, err := os.Open(path)
			require.NoError(t, err)
			n, handled, err = dst.SendFile(int(f.Fd()), 4000)
			require.NoError(t, err)
			require.True(t, handled)
			require.EqualValues(t, 4000, n)
			at, err := f.Seek(0, io.SeekCurrent)
			require.NoError(t, err)
			require.EqualValues(t, 4000, at)
			require.NoError(t, <-r)

			// A pipe is nothing to send from.
			require.NoError(t, f.Close())
			pr, pw, err := os.Pipe()
			require.NoError(t, err)
			n, handled, err = dst.SendFile(int(pr.Fd()), 10)
			require.Error(t, err)
			require.False(t, handled)
			require.Zero(t, n)
			require.NoError(t, pr.Close())
			require.NoError(t, pw.Close())
		}
	})
}

// What was written behind is sent before a raw write, and a deadline ends the
// wait for that.
func TestRawWriteComesBehind(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		fd, p := behindPair(t, rt, false)
		leave := gathering(t, fd)
		send(t, fd, chunk(0, 80))
		w := start(func() error {
			return fd.RawWrite(func(sysfd int) bool {
				_, err := syscall.Write(sysfd, chunk(80, 80))
				return err == nil
			})
		})
		time.Sleep(time.Millisecond)
		p.nothing(t)
		require.Empty(t, w)
		leave()
		require.NoError(t, <-w)
		readStream(t, p, 0, 160)

		leave = gathering(t, fd)
		send(t, fd, chunk(160, 80))
		require.NoError(t, fd.SetWriteDeadline(time.Now().Add(time.Millisecond)))
		err := fd.RawWrite(func(int) bool { panic("called") })
		leave()
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		readStream(t, p, 160, 80)
	})
}

// An Accept on a non-blocking descriptor waits, also where the kernel says EAGAIN:
// that it polls then is all that ready does.
func TestReadyForAccept(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		lfd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, syscall.Bind(lfd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		require.NoError(t, syscall.Listen(lfd, 8))
		addr, err := syscall.Getsockname(lfd)
		require.NoError(t, err)
		fd := NewAcceptor(rt, lfd, false)
		require.NoError(t, fd.SetNonblock())
		waiting := start(func() error {
			return fd.turn(&fd.rd, func() error { return fd.ready(&fd.rd, eventIn, new(patience)) })
		})
		time.Sleep(time.Millisecond)
		require.Empty(t, waiting)
		c, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		require.NoError(t, syscall.Connect(c, addr))
		require.NoError(t, <-waiting)
		accepted, _, err := fd.Accept()
		require.NoError(t, err)
		require.NoError(t, syscall.Close(accepted))
		require.NoError(t, syscall.Close(c))
		require.NoError(t, fd.Close())
	})
}
