package poll

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// A deadline or a Close that comes at any point of an operation ends it, or
// finds that it has its result; never does one go on for ever, and never is a
// byte lost.
func TestFateRacesOperations(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		fd, p := pair(t, rt, false)
		sent, got := 0, 0
		b := make([]byte, 64)
		for range 1000 {
			require.NoError(t, fd.SetReadDeadline(time.Time{}))
			var n int
			recv := start(func() (err error) { n, err = fd.Recv(b); return err })
			for range rand.IntN(100) {
				_ = fd.rd.fate.Load()
			}
			// Many small writes fill a socket, so not too many at once.
			if rand.IntN(2) == 0 && sent-got < 150 {
				_, err := syscall.Write(p.fd, chunk(sent, 3))
				require.NoError(t, err)
				sent += 3
			}
			require.NoError(t, fd.SetReadDeadline(time.Unix(1, 0)))
			if err := <-recv; err != nil {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.Zero(t, n)
			}
			require.Equal(t, chunk(got, n), b[:n])
			got += n
		}
		require.NoError(t, fd.SetReadDeadline(time.Time{}))
		for got < sent {
			n, err := fd.Recv(b)
			require.NoError(t, err)
			require.Equal(t, chunk(got, n), b[:n])
			got += n
		}
	})
}

// A cancellation that hits an operation for which it was not meant has no
// effect: it is submitted again.
func TestStrayCancellation(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		fd, p := pair(t, rt, false)
		b := make([]byte, 8)
		recv := start(func() error { _, err := fd.Recv(b); return err })
		for range 50 {
			fd.cancelCurrent(&fd.rd)
			jitter(20 * time.Microsecond)
		}
		testkit.Eventually(t, func() bool { return rt.Stats().Cancelled > 0 || len(recv) > 0 }, "nothing was cancelled")
		_, err := syscall.Write(p.fd, []byte("x"))
		require.NoError(t, err)
		require.NoError(t, <-recv)
	})
}

// Close returns when no operation refers to the descriptor, not earlier: its
// number may be another socket's at once.
func TestCloseWaits(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for range 100 {
			fd, p := pair(t, rt, false)
			fill(t, fd, 0)
			running := []<-chan error{
				start(func() error { _, err := fd.Recv(make([]byte, 8)); return err }),
				start(func() error { _, err := fd.Recv(make([]byte, 8)); return err }),
				start(func() error { _, err := fd.Send(make([]byte, 100)); return err }),
				start(func() error { return fd.Control(func(int) error { jitter(100 * time.Microsecond); return nil }) }),
			}
			jitter(200 * time.Microsecond)
			closes := []<-chan error{start(fd.Close), start(fd.Close)}
			failed := 0
			for _, c := range closes {
				if err := <-c; err != nil {
					require.Equal(t, net.ErrClosed, err)
					failed++
				} else {
					require.EqualValues(t, closingBit, fd.refs.Load())
					require.Nil(t, fd.rd.current.Load())
					require.Nil(t, fd.wr.current.Load())
				}
			}
			require.Equal(t, 1, failed)
			for _, r := range running {
				if err := <-r; err != nil {
					require.Equal(t, net.ErrClosed, err)
				}
			}
			require.Zero(t, rt.Stats().InFlight)
			p.close()
		}
	})
}

// What Retire leaves is open, and nobody's.
func TestRetire(t *testing.T) {
	rt := open(t, proactor.Config{})
	fd, p := pair(t, rt, false)
	recv := start(func() error { _, err := fd.Recv(make([]byte, 1)); return err })
	jitter(time.Millisecond)
	require.NoError(t, fd.Retire())
	require.Equal(t, net.ErrClosed, <-recv)
	require.Equal(t, net.ErrClosed, fd.Close())
	_, err := syscall.Write(fd.sysfd, []byte("x"))
	require.NoError(t, err)
	_, err = io.ReadFull(p, make([]byte, 1))
	require.NoError(t, err)
	require.NoError(t, syscall.Close(fd.sysfd))
}

// The deadline of a direction has no effect on the other, and ends with it.
func TestDeadlinesOfDirections(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		fd, p := pair(t, rt, false)
		require.NoError(t, fd.SetReadDeadline(time.Unix(1, 0)))
		_, err := fd.Recv(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		n, err := fd.Recv(nil)
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = fd.Send([]byte("abc"))
		require.NoError(t, err)
		require.Equal(t, 3, n)
		require.NoError(t, fd.SetDeadline(time.Unix(1, 0)))
		_, err = fd.Send([]byte("abc"))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, fd.SetDeadline(time.Time{}))
		n, err = fd.Send([]byte("def"))
		require.NoError(t, err)
		require.Equal(t, 3, n)
		b := make([]byte, 6)
		_, err = io.ReadFull(p, b)
		require.NoError(t, err)
		require.Equal(t, "abcdef", string(b))
	})
}
