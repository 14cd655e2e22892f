package uring

import (
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const privateWord = FUTEX2_SIZE_U32 | FUTEX2_PRIVATE

// TestFutex waits for a word to change, and wakes those who wait.
func TestFutex(t *testing.T) {
	p := prove(t, IORING_OP_FUTEX_WAIT, IORING_OP_FUTEX_WAKE)
	l := p.ring(8, Params{})
	word := keep(l, uint32(1))
	wait := func(val, mask uint64) func(*SQE) {
		return func(s *SQE) { s.PrepFutexWait(word, val, mask, privateWord) }
	}
	wake := func(n, mask uint64) func(*SQE) {
		return func(s *SQE) { s.PrepFutexWake(word, n, mask, privateWord) }
	}
	require.Zero(p, l.ok(wake(1, FUTEX_BITSET_MATCH_ANY)), "nobody waits")
	first, second := l.start(wait(1, FUTEX_BITSET_MATCH_ANY)), l.start(wait(1, 2))
	require.Equal(p, 1, l.ok(wake(5, 4)), "the other waits for another bit")
	require.Zero(p, l.of(first).Res)
	l.quiet()
	require.Equal(p, 1, l.ok(wake(5, FUTEX_BITSET_MATCH_ANY)))
	require.Zero(p, l.of(second).Res)

	// A wake by the system call is the same.
	third := l.start(wait(1, FUTEX_BITSET_MATCH_ANY))
	atomic.StoreUint32(word, 2)
	const futexWakePrivate = 1 | 128
	n, _, errno := unix.Syscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWakePrivate, 1)
	require.Zero(p, errno)
	require.EqualValues(p, 1, n)
	require.Zero(p, l.of(third).Res)

	l.fails(syscall.EAGAIN, wait(1, FUTEX_BITSET_MATCH_ANY)) // it is 2 by now
	l.fails(syscall.EINVAL, wait(2, 0))
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepFutexWake(word, 1, FUTEX_BITSET_MATCH_ANY, 1<<6) })
	id := l.start(wait(2, FUTEX_BITSET_MATCH_ANY))
	l.ok(func(s *SQE) { s.PrepCancel(id, 0) })
	require.Equal(p, syscall.ECANCELED, l.of(id).Errno())
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepFutexWait(nil, 0, FUTEX_BITSET_MATCH_ANY, privateWord) })
}

// TestFutexWaitv waits for any of several words, and says which.
func TestFutexWaitv(t *testing.T) {
	p := prove(t, IORING_OP_FUTEX_WAITV)
	l := p.ring(8, Params{})
	words := keep(l, [3]uint32{})
	waiters := func(vals ...uint32) func(*SQE) {
		v := make([]FutexWaitv, len(vals))
		for i, val := range vals {
			v[i].Wait(&words[i], val, privateWord)
		}
		l.kept = append(l.kept, v)
		return func(s *SQE) { s.PrepFutexWaitv(unsafe.SliceData(v), len(v)) }
	}
	id := l.start(waiters(0, 0, 0))
	require.Equal(p, 1, l.ok(func(s *SQE) { s.PrepFutexWake(&words[2], 1, FUTEX_BITSET_MATCH_ANY, privateWord) }))
	require.Equal(p, int32(2), l.of(id).Res)
	l.fails(syscall.EAGAIN, waiters(0, 7, 0))
	l.fails(syscall.EINVAL, waiters())
	id = l.start(waiters(0, 0))
	l.ok(func(s *SQE) { s.PrepCancel(id, 0) })
	require.Equal(p, syscall.ECANCELED, l.of(id).Errno())
}

// TestWaitid waits for children.
func TestWaitid(t *testing.T) {
	p := prove(t, IORING_OP_WAITID)
	l := p.ring(4, Params{})
	begin := func(script string) (pid int, stdin func()) {
		cmd := exec.CommandContext(p.Context(), "/bin/sh", "-c", script)
		in, err := cmd.StdinPipe()
		require.NoError(p, err)
		require.NoError(p, cmd.Start())
		p.Cleanup(func() { _ = cmd.Wait() }) // for what package exec keeps; the child is gone
		return cmd.Process.Pid, func() { require.NoError(p, in.Close()) }
	}
	wait := func(pid int, info *Siginfo, options uint32) func(*SQE) {
		return func(s *SQE) { s.PrepWaitid(unix.P_PID, pid, info.Memory(), options) }
	}
	pid, release := begin("cat; exit 7")
	info := keep(l, Siginfo{})
	require.Zero(p, l.ok(wait(pid, info, unix.WEXITED|unix.WNOHANG)))
	require.Zero(p, info.PID(), "it runs")
	id := l.start(wait(pid, info, unix.WEXITED))
	l.quiet()
	release()
	require.Zero(p, l.of(id).Res)
	const exited, killed = 1, 2 // CLD_EXITED, CLD_KILLED
	require.Equal(p, exited, info.Code())
	require.Equal(p, pid, info.PID())
	require.Equal(p, 7, info.Status())
	require.EqualValues(p, unix.Getuid(), info.UID())
	require.EqualValues(p, unix.SIGCHLD, info.Signo)
	l.fails(syscall.ECHILD, wait(pid, info, unix.WEXITED))

	pid, release = begin("cat")
	require.NoError(p, unix.Kill(pid, unix.SIGKILL))
	require.Zero(p, l.ok(wait(pid, info, unix.WEXITED)))
	require.Equal(p, killed, info.Code())
	require.EqualValues(p, unix.SIGKILL, info.Status())
	release()

	pid, release = begin("cat")
	id = l.start(wait(pid, info, unix.WEXITED))
	l.ok(func(s *SQE) { s.PrepCancel(id, 0) })
	require.Equal(p, syscall.ECANCELED, l.of(id).Errno())
	release()
	require.Zero(p, l.ok(func(s *SQE) { s.PrepWaitid(unix.P_PID, pid, nil, unix.WEXITED) }), "without the news")
	l.fails(syscall.EINVAL, wait(pid, info, 0))
}

// TestEpoll watches descriptors, and waits for them through the ring.
func TestEpoll(t *testing.T) {
	p := prove(t, IORING_OP_EPOLL_CTL, IORING_OP_EPOLL_WAIT)
	l := p.ring(8, Params{})
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Close(epfd) })
	a, b := socketPair(p)
	ctl := func(op, fd int, events uint32) func(*SQE) {
		ev := keep(l, unix.EpollEvent{Events: events, Fd: int32(fd)})
		return func(s *SQE) { s.PrepEpollCtl(epfd, op, fd, unsafe.Pointer(ev)) }
	}
	require.Zero(p, l.ok(ctl(unix.EPOLL_CTL_ADD, a, unix.EPOLLIN)))
	l.fails(syscall.EEXIST, ctl(unix.EPOLL_CTL_ADD, a, unix.EPOLLIN))
	l.fails(syscall.ENOENT, ctl(unix.EPOLL_CTL_MOD, b, unix.EPOLLIN))
	file, _ := newFile(p, "")
	l.fails(syscall.EPERM, ctl(unix.EPOLL_CTL_ADD, file, unix.EPOLLIN)) // cannot be polled

	events := keep(l, [4]unix.EpollEvent{})
	wait := func(fd, n int) func(*SQE) {
		return func(s *SQE) { s.PrepEpollWait(fd, unsafe.Pointer(events), n) }
	}
	id := l.start(wait(epfd, 4))
	l.quiet()
	write(p, b, "x")
	require.Equal(p, int32(1), l.of(id).Res)
	require.Equal(p, unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(a)}, events[0])
	require.Zero(p, l.ok(ctl(unix.EPOLL_CTL_MOD, a, unix.EPOLLIN|unix.EPOLLOUT)))
	require.Equal(p, 1, l.ok(wait(epfd, 4)))
	require.EqualValues(p, unix.EPOLLIN|unix.EPOLLOUT, events[0].Events)
	require.Zero(p, l.ok(ctl(unix.EPOLL_CTL_DEL, a, 0)))
	id = l.start(wait(epfd, 4))
	l.ok(func(s *SQE) { s.PrepCancel(id, 0) })
	require.Equal(p, syscall.ECANCELED, l.of(id).Errno())
	l.fails(syscall.EINVAL, wait(a, 4))
	l.fails(syscall.EINVAL, wait(epfd, 0))
}

// TestPipe makes descriptors or slots.
func TestPipe(t *testing.T) {
	p := prove(t, IORING_OP_PIPE)
	l := p.ring(4, Params{})
	fds := keep(l, [2]int32{})
	pipe := func(flags uint32) func(*SQE) { return func(s *SQE) { s.PrepPipe(fds, flags) } }
	require.Zero(p, l.ok(pipe(unix.O_CLOEXEC)))
	write(p, int(fds[1]), "through")
	buf := make([]byte, 16)
	n, err := unix.Read(int(fds[0]), buf)
	require.NoError(p, err)
	require.Equal(p, "through", string(buf[:n]))
	require.NoError(p, unix.Close(int(fds[0])))
	require.NoError(p, unix.Close(int(fds[1])))

	files(l)
	require.Zero(p, l.ok(func(s *SQE) { pipe(0)(s); s.SetFileSlot(IORING_FILE_INDEX_ALLOC) }))
	text := []byte("slots")
	require.Equal(p, 5, l.ok(flagged(IOSQE_FIXED_FILE, func(s *SQE) { s.PrepWrite(int(fds[1]), text, 0) })))
	require.Equal(p, 5, l.ok(flagged(IOSQE_FIXED_FILE, func(s *SQE) { s.PrepRead(int(fds[0]), buf, 0) })))
	require.Zero(p, l.ok(func(s *SQE) { pipe(0)(s); s.SetFileSlot(IORING_FILE_INDEX_ALLOC) }))
	l.fails(syscall.ENFILE, func(s *SQE) { pipe(0)(s); s.SetFileSlot(IORING_FILE_INDEX_ALLOC) })
	l.fails(syscall.EINVAL, pipe(1<<30))
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepPipe(nil, unix.O_CLOEXEC) })
}

// TestMessageBetweenRings passes a completion or a file to another ring.
func TestMessageBetweenRings(t *testing.T) {
	p := prove(t, IORING_OP_MSG_RING)
	needKernel(p, Version{6, 3}, "all messages between rings")
	from, to := p.ring(8, Params{}), p.ring(8, Params{})
	const name = 77
	require.Zero(p, from.ok(func(s *SQE) { s.PrepMsgRing(to.Fd(), 123, name, 0) }))
	to.expect(name, IORING_OP_MSG_RING)
	cqe := to.of(name)
	require.Equal(p, int32(123), cqe.Res)
	require.Zero(p, cqe.Flags)

	require.Zero(p, from.ok(func(s *SQE) {
		s.PrepMsgRing(to.Fd(), 1, name, IORING_MSG_RING_FLAGS_PASS)
		s.SetFileIndex(0x30000)
	}))
	to.expect(name, IORING_OP_MSG_RING)
	require.Equal(p, CQEFlags(0x30000), to.of(name).Flags)

	fd, _ := newFile(p, "text")
	files(from, int32(fd))
	files(to)
	pass := func(src, dst uint32, flags MsgRingFlags) func(*SQE) {
		return func(s *SQE) { s.PrepMsgRingFd(to.Fd(), src, dst, name, flags) }
	}
	require.Zero(p, from.ok(pass(0, 2, 0)))
	to.expect(name, IORING_OP_MSG_RING)
	require.Zero(p, to.of(name).Res)
	buf := make([]byte, 8)
	read := func(slot int) func(*SQE) {
		return flagged(IOSQE_FIXED_FILE, func(s *SQE) { s.PrepRead(slot, buf, 0) })
	}
	require.Equal(p, 4, to.ok(read(2)))
	slot := from.ok(pass(0, IORING_FILE_INDEX_ALLOC, IORING_MSG_RING_CQE_SKIP))
	require.Equal(p, 4, to.ok(read(slot)))
	to.quiet()

	from.fails(syscall.EBADF, pass(3, 0, 0))
	from.fails(syscall.EINVAL, pass(0, 99, 0))
	from.fails(syscall.EBADFD, func(s *SQE) { s.PrepMsgRing(fd, 0, name, 0) }) // no ring
	from.fails(syscall.EBADF, func(s *SQE) { s.PrepMsgRing(1<<20, 0, name, 0) })
	from.fails(syscall.EINVAL, func(s *SQE) { s.PrepMsgRing(to.Fd(), 0, name, 1<<31) })
	disabled := newRing(p.T, 2, Params{Flags: IORING_SETUP_R_DISABLED})
	from.fails(syscall.EBADFD, func(s *SQE) { s.PrepMsgRing(disabled.Fd(), 0, name, 0) })
}
