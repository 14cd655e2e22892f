package proactor_test

import (
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

func TestTimeoutAt(t *testing.T) {
	testkit.NeedKernel(t, 5, 15, "timeouts of the wall clock")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		when := time.Now().Add(10 * time.Millisecond)
		do(t, rt, proactor.TimeoutAt{Time: when})
		require.False(t, time.Now().Round(0).Before(when.Round(0)))
		do(t, rt, proactor.TimeoutAt{}) // long past
	})
}

func TestEpoll(t *testing.T) {
	testkit.NeedKernel(t, 6, 15, "EPOLL_WAIT")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		epfd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
		require.NoError(t, err)
		fds(t, epfd)
		r, w := pipe(t)
		const data = 0x0123456789abcdef
		watch := proactor.EpollCtl{
			Epoll: epfd, Op: syscall.EPOLL_CTL_ADD, FD: r,
			Event: proactor.EpollEvent{Events: syscall.EPOLLIN, Data: data},
		}
		do(t, rt, watch)
		fail(t, rt, watch, "epoll_ctl", syscall.EEXIST)
		c, err := proactor.Submit(t.Context(), rt, proactor.EpollWait{Epoll: epfd, Max: 4})
		require.NoError(t, err)
		_, err = syscall.Write(w, []byte("x"))
		require.NoError(t, err)
		events, err := c.Result()
		require.NoError(t, err)
		require.Equal(t, []proactor.EpollEvent{{Events: syscall.EPOLLIN, Data: data}}, events)
		fail(t, rt, proactor.EpollWait{Epoll: badFD, Max: 1}, "epoll_wait", syscall.EBADF)
		refuse(t, rt, proactor.EpollWait{Epoll: epfd})
	})
}

func TestFutex(t *testing.T) {
	testkit.NeedKernel(t, 6, 7, "the operations on futexes")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		words := make([]uint32, 3)
		wake := func(op proactor.FutexWake) {
			testkit.Eventually(t, func() bool { return do(t, rt, op) == 1 }, "nobody waits")
		}
		for _, shared := range []bool{false, true} {
			c, err := proactor.Submit(t.Context(), rt, proactor.FutexWait{Word: &words[0], Mask: 2, Shared: shared})
			require.NoError(t, err)
			require.Zero(t, do(t, rt, proactor.FutexWake{Word: &words[0], N: 1, Mask: 1, Shared: shared}), "of another mask")
			atomic.StoreUint32(&words[0], 0)
			wake(proactor.FutexWake{Word: &words[0], N: 1, Mask: 2, Shared: shared})
			_, err = c.Result()
			require.NoError(t, err)

			any, err := proactor.Submit(t.Context(), rt, proactor.FutexWaitAny{
				Words: []*uint32{&words[0], &words[1], &words[2]}, Values: []uint32{0, 0, 0}, Shared: shared,
			})
			require.NoError(t, err)
			wake(proactor.FutexWake{Word: &words[1], N: 1, Shared: shared})
			i, err := any.Result()
			require.NoError(t, err)
			require.Equal(t, 1, i)
		}
		fail(t, rt, proactor.FutexWait{Word: &words[0], Value: 1}, "futex_wait", syscall.EAGAIN)
		fail(t, rt, proactor.FutexWaitAny{Words: []*uint32{&words[0]}, Values: []uint32{1}}, "futex_waitv", syscall.EAGAIN)
		require.Zero(t, do(t, rt, proactor.FutexWake{Word: &words[0], N: 1}))
		refuse(t, rt, proactor.FutexWait{})
		refuse(t, rt, proactor.FutexWake{Word: &words[0], N: -1})
		refuse(t, rt, proactor.FutexWaitAny{})
		refuse(t, rt, proactor.FutexWaitAny{Words: []*uint32{nil}, Values: []uint32{0}})
	})
}

func TestWaitChild(t *testing.T) {
	testkit.NeedKernel(t, 6, 7, "WAITID")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		start := func(script string) int {
			cmd := exec.Command("/bin/sh", "-c", script)
			require.NoError(t, cmd.Start())
			pid := cmd.Process.Pid
			require.NoError(t, cmd.Process.Release())
			return pid
		}
		pid := start("exit 7")
		s := do(t, rt, proactor.WaitChild{Kind: proactor.ChildPID, ID: pid})
		require.Equal(t, proactor.ChildState{PID: pid, UID: uint32(syscall.Getuid()), Code: 1, Status: 7}, s)
		fail(t, rt, proactor.WaitChild{Kind: proactor.ChildPID, ID: pid}, "waitid", syscall.ECHILD)

		pid = start("kill -9 $$")
		s = do(t, rt, proactor.WaitChild{Kind: proactor.ChildPID, ID: pid})
		require.Equal(t, proactor.ChildState{PID: pid, UID: uint32(syscall.Getuid()), Code: 2, Status: 9}, s)

		pid = start("sleep 100")
		s = do(t, rt, proactor.WaitChild{Kind: proactor.ChildPID, ID: pid, Options: 4 | syscall.WNOHANG})
		require.Zero(t, s.PID)
		c, err := proactor.Submit(t.Context(), rt, proactor.WaitChild{Kind: proactor.ChildPID, ID: pid})
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		s, err = c.Result()
		require.NoError(t, err)
		require.Equal(t, pid, s.PID)
	})
}

func TestRingMessage(t *testing.T) {
	testkit.NeedKernel(t, 5, 18, "MSG_RING")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ring, err := uring.New(4, nil)
		require.NoError(t, err)
		defer func() { require.NoError(t, ring.Close()) }()
		do(t, rt, proactor.RingMessage{Ring: ring.Fd(), Value: -7, UserData: 42})
		cqe, ok := ring.CQ().Peek()
		require.True(t, ok)
		require.EqualValues(t, -7, cqe.Res)
		require.EqualValues(t, 42, cqe.UserData)
		r, _ := pipe(t)
		fail(t, rt, proactor.RingMessage{Ring: r}, "msg_ring", syscall.EBADFD)
	})
}
