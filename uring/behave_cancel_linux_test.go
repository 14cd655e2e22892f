package uring

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// TestCancel finds requests by every key that there is.
func TestCancel(t *testing.T) {
	p := prove(t, IORING_OP_ASYNC_CANCEL)
	needKernel(p, Version{6, 6}, "all keys of a cancellation")
	l := p.ring(16, Params{})
	a, _ := socketPair(p)
	b, _ := socketPair(p)
	files(l, int32(a))
	buf := make([]byte, 8)
	recv := func(fd int) uint64 { return l.start(func(s *SQE) { s.PrepRecv(fd, buf, 0, 0) }) }
	poll := func(fd int) uint64 { return l.start(func(s *SQE) { s.PrepPollAdd(fd, unix.POLLIN, 0) }) }
	byUserData := func(id uint64, flags CancelFlags) func(*SQE) {
		return func(s *SQE) { s.PrepCancel(id, flags) }
	}
	byFd := func(fd int, flags CancelFlags) func(*SQE) {
		return func(s *SQE) { s.PrepCancelFd(fd, flags) }
	}
	byOp := func(op Op, flags CancelFlags) func(*SQE) {
		return func(s *SQE) { s.PrepCancelOp(op, flags) }
	}
	gone := func(ids ...uint64) {
		p.Helper()
		for _, id := range ids {
			require.Equal(p, syscall.ECANCELED, l.of(id).Errno())
		}
		require.Empty(p, l.flying)
	}

	id := recv(a)
	l.fails(syscall.ENOENT, byUserData(id+100, 0))
	require.Zero(p, l.ok(byUserData(id, 0)))
	gone(id)
	l.fails(syscall.ENOENT, byUserData(id, 0))

	// By file, through any of its descriptors: the first, or all.
	first, second, other := recv(a), poll(a), recv(b)
	l.fails(syscall.ENOENT, byFd(aliasOf(p, 0), 0))
	require.Zero(p, l.ok(byFd(a, 0)))
	require.Equal(p, 1, l.ok(byFd(aliasOf(p, a), IORING_ASYNC_CANCEL_ALL)))
	require.Zero(p, l.ok(byFd(b, 0)))
	gone(first, second, other)
	l.fails(syscall.EBADF, byFd(1<<20, 0))

	// By a slot of the registered files.
	id = recv(a)
	require.Zero(p, l.ok(byFd(0, IORING_ASYNC_CANCEL_FD_FIXED)))
	gone(id)
	l.fails(syscall.EBADF, byFd(3, IORING_ASYNC_CANCEL_FD_FIXED))

	// By operation, and by two keys together.
	first, second, other = recv(a), recv(b), poll(a)
	require.Zero(p, l.ok(byOp(IORING_OP_POLL_ADD, 0)))
	l.fails(syscall.ENOENT, byOp(IORING_OP_POLL_ADD, 0))
	l.fails(syscall.ENOENT, func(s *SQE) {
		s.PrepCancelOp(IORING_OP_RECV, IORING_ASYNC_CANCEL_USERDATA)
		s.Addr = other
	})
	require.Equal(p, 2, l.ok(byOp(IORING_OP_RECV, IORING_ASYNC_CANCEL_ALL)))
	gone(first, second, other)

	// Whatever there is.
	first, second = recv(a), poll(b)
	require.Equal(p, 2, l.ok(byUserData(0, IORING_ASYNC_CANCEL_ANY)), "any means all")
	gone(first, second)
	require.Zero(p, l.ok(byUserData(0, IORING_ASYNC_CANCEL_ANY|IORING_ASYNC_CANCEL_ALL)), "none is no error here")

	l.fails(syscall.EINVAL, byUserData(1, 1<<31))
	l.fails(syscall.EINVAL, byUserData(0, IORING_ASYNC_CANCEL_ANY|IORING_ASYNC_CANCEL_FD))
}

// TestCancelInAWorker: what a worker has begun is interrupted, and the
// cancellation says that it came too late to prevent it. A worker that has begun
// but does not wait yet misses the interruption, so that it has to be repeated.
func TestCancelInAWorker(t *testing.T) {
	p := explore(t)
	l := p.ring(4, Params{})
	r, _ := newPipe(p)
	buf := make([]byte, 8)
	read := l.start(flagged(IOSQE_ASYNC, func(s *SQE) { s.PrepRead(r, buf, CurrentPosition) }))
	testkit.Eventually(p.T, func() bool {
		errno := l.do(func(s *SQE) { s.PrepCancel(read, 0) }).Errno()
		require.Contains(p, []syscall.Errno{0, syscall.EALREADY, syscall.ENOENT}, errno)
		l.push() // lets the completion arrive
		return l.CQ().Ready() > 0 || len(l.early) > 0
	}, "the read ends")
	require.Contains(p, []syscall.Errno{syscall.ECANCELED, syscall.EINTR}, l.of(read).Errno())
}

// TestPoll reports what is ready, once or again and again.
func TestPoll(t *testing.T) {
	p := prove(t, IORING_OP_POLL_ADD)
	l := p.ring(8, Params{})
	a, b := socketPair(p)
	poll := func(fd int, events uint32, flags PollFlags) func(*SQE) {
		return func(s *SQE) { s.PrepPollAdd(fd, events, flags) }
	}
	require.Equal(p, unix.POLLOUT, l.ok(poll(a, unix.POLLIN|unix.POLLOUT, 0)))
	id := l.start(poll(a, unix.POLLIN, 0))
	l.quiet()
	write(p, b, "x")
	require.Equal(p, int32(unix.POLLIN), l.of(id).Res)
	drain := make([]byte, 8)
	_, err := unix.Read(a, drain)
	require.NoError(p, err)

	needKernel(p, Version{5, 13}, "multishot poll")
	id = l.start(poll(a, unix.POLLIN, IORING_POLL_ADD_MULTI))
	for range 3 {
		write(p, b, "x")
		cqe := l.of(id)
		require.Equal(p, int32(unix.POLLIN), cqe.Res)
		require.True(p, cqe.More(), "data do not end it, and need not be read")
	}
	require.NoError(p, unix.Shutdown(b, unix.SHUT_WR))
	require.NotZero(p, l.of(id).Res&unix.POLLIN, "neither does the end of the stream")
	require.Zero(p, l.ok(func(s *SQE) { s.PrepCancel(id, 0) }))
	require.Equal(p, syscall.ECANCELED, l.of(id).Errno())

	// A hang-up is told whether or not it was asked for.
	r, w := newPipe(p)
	id = l.start(poll(r, 0, 0))
	require.NoError(p, unix.Close(w))
	require.Equal(p, int32(unix.POLLHUP), l.of(id).Res)

	l.fails(syscall.EBADF, poll(1<<20, unix.POLLIN, 0))
	l.fails(syscall.EINVAL, poll(a, unix.POLLIN, 1<<31))
}

// TestPollOfWhatIsAlwaysReady: a regular file has no readiness to wait for.
func TestPollOfWhatIsAlwaysReady(t *testing.T) {
	p := explore(t)
	l := p.ring(4, Params{})
	fd, _ := newFile(p, "text")
	cqe := l.do(func(s *SQE) { s.PrepPollAdd(fd, unix.POLLIN|unix.POLLOUT, 0) })
	require.Equal(p, int32(unix.POLLIN|unix.POLLOUT), cqe.Res)
}

// TestLevelTriggeredPoll: the kernel has a name for it but refuses it so far.
func TestLevelTriggeredPoll(t *testing.T) {
	p := explore(t)
	l := p.ring(4, Params{})
	a, b := socketPair(p)
	write(p, b, "x")
	for _, flags := range []PollFlags{IORING_POLL_ADD_LEVEL, IORING_POLL_ADD_LEVEL | IORING_POLL_ADD_MULTI} {
		l.fails(syscall.EINVAL, func(s *SQE) { s.PrepPollAdd(a, unix.POLLIN, flags) })
	}
}

// TestPollRemoveAndUpdate ends a poll, or changes what it waits for and under
// which name.
func TestPollRemoveAndUpdate(t *testing.T) {
	p := prove(t, IORING_OP_POLL_REMOVE)
	l := p.ring(8, Params{})
	a, b := socketPair(p)
	arm := func(flags PollFlags) uint64 {
		return l.start(func(s *SQE) { s.PrepPollAdd(a, unix.POLLIN, flags) })
	}
	id := arm(0)
	require.Zero(p, l.ok(func(s *SQE) { s.PrepPollRemove(id) }))
	require.Equal(p, syscall.ECANCELED, l.of(id).Errno())
	l.fails(syscall.ENOENT, func(s *SQE) { s.PrepPollRemove(id) })

	needKernel(p, Version{5, 13}, "poll update")
	id = arm(0)
	require.Zero(p, l.ok(func(s *SQE) { s.PrepPollUpdate(id, 0, unix.POLLOUT, IORING_POLL_UPDATE_EVENTS) }))
	require.Equal(p, int32(unix.POLLOUT), l.of(id).Res)

	id = arm(IORING_POLL_ADD_MULTI)
	renamed := id + 1000
	l.expect(renamed, IORING_OP_POLL_ADD)
	require.Zero(p, l.ok(func(s *SQE) {
		s.PrepPollUpdate(id, renamed, 0, IORING_POLL_UPDATE_USER_DATA|IORING_POLL_ADD_MULTI)
	}))
	delete(l.flying, id)
	write(p, b, "x")
	cqe := l.of(renamed)
	require.Equal(p, int32(unix.POLLIN), cqe.Res)
	require.True(p, cqe.More())
	l.fails(syscall.ENOENT, func(s *SQE) { s.PrepPollUpdate(id, 0, unix.POLLIN, IORING_POLL_UPDATE_EVENTS) })
	require.Zero(p, l.ok(func(s *SQE) { s.PrepPollRemove(renamed) }))
	require.Equal(p, syscall.ECANCELED, l.of(renamed).Errno())
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepPollUpdate(id, 0, 0, IORING_POLL_ADD_LEVEL) })
}

// TestPollOfARing: a ring is ready to be read when it has completions.
func TestPollOfARing(t *testing.T) {
	p := explore(t)
	watched, watcher := p.ring(4, Params{}), p.ring(4, Params{})
	id := watcher.start(func(s *SQE) { s.PrepPollAdd(watched.Fd(), unix.POLLIN, 0) })
	watcher.quiet()
	nop := watched.start((*SQE).PrepNop)
	require.NotZero(p, watcher.of(id).Res&unix.POLLIN)
	require.Zero(p, watched.of(nop).Res)
}

// TestMultishotPollSurvivesOverflow: completions that find no room are kept
// aside; the poll may end for it, but nothing is lost and nothing hangs.
func TestMultishotPollSurvivesOverflow(t *testing.T) {
	needKernel(t, Version{5, 13}, "multishot poll")
	p := explore(t)
	l := p.ring(2, Params{Flags: IORING_SETUP_CQSIZE, CqEntries: 2})
	a, b := socketPair(p)
	id := l.start(func(s *SQE) { s.PrepPollAdd(a, unix.POLLIN, IORING_POLL_ADD_MULTI) })
	for range 8 {
		write(p, b, "x")
		l.push() // runs the task work that posts
	}
	told := 0
	cqe := l.of(id)
	for told = 1; cqe.More() && told < 8; told++ {
		require.Equal(p, int32(unix.POLLIN), cqe.Res)
		if l.CQ().Ready() == 0 {
			break
		}
		cqe = l.of(id)
	}
	require.NotZero(p, told)
	if cqe.More() {
		l.start(func(s *SQE) { s.PrepPollRemove(id) })
		for cqe = l.of(id); cqe.More(); cqe = l.of(id) {
		}
		require.Equal(p, syscall.ECANCELED, cqe.Errno())
	} else {
		require.Equal(p, int32(unix.POLLIN), cqe.Res, "it has ended by saying that there are data")
	}
	require.Zero(p, l.CQ().Overflow())
}
