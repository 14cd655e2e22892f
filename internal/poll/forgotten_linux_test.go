package poll

import (
	"io"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// forget makes an FD of a descriptor, has it used and forgets it. It counts those
// that were closed for that.
//
//go:noinline
func forget(rt *proactor.Runtime, sysfd int, closed *atomic.Int64, use func(fd *FD)) {
	use(NewWatched(rt, sysfd, func() { closed.Inc() }))
}

// An FD that is garbage is closed once, and one that has been closed not again.
func TestForgotten(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, use := range map[string]func(fd *FD){
			"unused": func(*FD) {},
			"used": func(fd *FD) {
				require.NoError(t, fd.SetDeadline(time.Now().Add(time.Hour)))
				_, err := fd.Send([]byte("x"))
				require.NoError(t, err)
			},
			"expired": func(fd *FD) {
				require.NoError(t, fd.SetReadDeadline(time.Now().Add(time.Millisecond)))
				_, err := fd.Recv(make([]byte, 1))
				require.Error(t, err)
			},
			"with linger": func(fd *FD) {
				require.NoError(t, fd.Control(func(sysfd int) error {
					return syscall.SetsockoptLinger(sysfd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1, Linger: 3})
				}))
			},
		} {
			fds := tcpPair(t)
			p := &peer{fd: fds[1]}
			var closed atomic.Int64
			forget(rt, fds[0], &closed, use)
			testkit.Eventually(t, func() bool {
				runtime.GC()
				return closed.Load() == 1
			}, "%s: not closed", name)
			_, err := io.ReadAll(p)
			require.NoError(t, err, name)
			p.close()
		}

		var closed atomic.Int64
		fds := tcpPair(t)
		forget(rt, fds[0], &closed, func(fd *FD) { require.NoError(t, fd.Close()) })
		// Whoever gets the number now must not have it closed.
		require.NoError(t, syscall.Dup3(fds[1], fds[0], syscall.O_CLOEXEC))
		for range 5 {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
		require.Zero(t, closed.Load())
		require.NoError(t, syscall.Close(fds[0]))
		require.NoError(t, syscall.Close(fds[1]))
	})
}

// What Send has only copied is sent before a forgotten connection is closed, and
// one that has lost some of it is reset.
func TestForgottenBehind(t *testing.T) {
	const size = 3000
	rt := open(t, proactor.Config{})
	for _, lose := range []bool{false, true} {
		fds := tcpPair(t)
		p := &peer{fd: fds[1]}
		var closed atomic.Int64
		sum := 0
		forget(rt, fds[0], &closed, func(fd *FD) {
			shrink(t, fd, p)
			sum = fill(t, fd, 0)
			leave := gathering(t, fd)
			require.NoError(t, fd.SetBehind(true))
			n, err := fd.Send(chunk(sum, size))
			require.NoError(t, err)
			require.Equal(t, size, n)
			leave()
			if lose {
				w := fd.behind.Load()
				require.True(t, w.active)
				w.drop()
				testkit.Eventually(t, func() bool { return idle(t, fd) }, "it goes on")
				require.True(t, w.lost)
			}
		})
		for range 5 {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
		if !lose {
			require.Zero(t, closed.Load(), "there is something to be sent")
			readStream(t, p, 0, sum+size)
		}
		testkit.Eventually(t, func() bool {
			runtime.GC()
			return closed.Load() == 1
		}, "not closed")
		_, err := io.ReadAll(p)
		if lose {
			require.ErrorIs(t, err, syscall.ECONNRESET)
		} else {
			require.NoError(t, err)
		}
		p.close()
	}
}
