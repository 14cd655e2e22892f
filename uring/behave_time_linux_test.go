package uring

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

const (
	short = 2 * time.Millisecond
	long  = time.Hour
)

// TestTimeout expires by every clock, or ends by the count of completions.
func TestTimeout(t *testing.T) {
	p := prove(t, IORING_OP_TIMEOUT)
	l := p.ring(8, Params{})
	timeout := func(ts Timespec, count uint64, flags TimeoutFlags) func(*SQE) {
		return func(s *SQE) { s.PrepTimeout(keep(l, ts), count, flags) }
	}
	clocks := map[TimeoutFlags]int32{0: unix.CLOCK_MONOTONIC}
	if running(p).AtLeast(Version{5, 15}) {
		clocks[IORING_TIMEOUT_BOOTTIME] = unix.CLOCK_BOOTTIME
		clocks[IORING_TIMEOUT_REALTIME] = unix.CLOCK_REALTIME
	}
	for flag, clock := range clocks {
		start := time.Now()
		l.fails(ETIME, timeout(TimespecOf(short), 0, flag))
		require.GreaterOrEqual(p, time.Since(start), short, "%v", flag)

		var now unix.Timespec
		require.NoError(p, unix.ClockGettime(clock, &now))
		start = time.Now()
		at := TimespecOf(time.Duration(now.Nano()) + short)
		l.fails(ETIME, timeout(at, 0, flag|IORING_TIMEOUT_ABS))
		require.Greater(p, time.Since(start), short/2, "%v", flag)
		// What has passed expires at once.
		l.fails(ETIME, timeout(Timespec{Sec: 1}, 0, flag|IORING_TIMEOUT_ABS))
	}
	l.fails(ETIME, timeout(Timespec{}, 0, 0))
	l.fails(ETIME, timeout(TimespecAt(time.Now().Add(short)), 0, IORING_TIMEOUT_ABS|IORING_TIMEOUT_REALTIME))

	counted := l.start(timeout(TimespecOf(long), 2, 0))
	l.ok((*SQE).PrepNop)
	l.quiet()
	l.ok((*SQE).PrepNop)
	require.Zero(p, l.of(counted).Res, "the count was reached")

	l.fails(syscall.EINVAL, timeout(Timespec{Sec: -1}, 0, 0))
	l.fails(syscall.EINVAL, timeout(Timespec{}, 0, IORING_TIMEOUT_BOOTTIME|IORING_TIMEOUT_REALTIME))
	l.fails(syscall.EINVAL, timeout(Timespec{}, 0, 1<<31))
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepTimeout(nil, 0, 0) })
}

// TestTimeoutInAChain: a timeout that expires breaks its chain, unless that is
// what it is there for.
func TestTimeoutInAChain(t *testing.T) {
	needKernel(t, Version{5, 16}, "ETIME_SUCCESS")
	p := explore(t)
	l := p.ring(4, Params{})
	for flags, want := range map[TimeoutFlags]syscall.Errno{0: syscall.ECANCELED, IORING_TIMEOUT_ETIME_SUCCESS: 0} {
		ts := keep(l, TimespecOf(short))
		timeout := l.add(flagged(IOSQE_IO_LINK, func(s *SQE) { s.PrepTimeout(ts, 0, flags) }))
		after := l.add((*SQE).PrepNop)
		l.push()
		require.Equal(p, ETIME, l.of(timeout).Errno())
		require.Equal(p, want, l.of(after).Errno(), "%v", flags)
	}
}

// TestMultishotTimeout ticks as often as it was asked to, or until it is
// cancelled.
func TestMultishotTimeout(t *testing.T) {
	needKernel(t, Version{6, 4}, "multishot timeout")
	p := explore(t)
	l := p.ring(4, Params{})
	start := time.Now()
	id := l.start(func(s *SQE) { s.PrepTimeoutMultishot(keep(l, TimespecOf(short)), 3, 0) })
	for i := range 3 {
		cqe := l.of(id)
		require.Equal(p, ETIME, cqe.Errno())
		require.Equal(p, i < 2, cqe.More())
		require.GreaterOrEqual(p, time.Since(start), short*time.Duration(i+1))
	}

	endless := l.start(func(s *SQE) { s.PrepTimeoutMultishot(keep(l, TimespecOf(short)), 0, 0) })
	for range 5 {
		cqe := l.of(endless)
		require.True(p, cqe.More())
	}
	remove := l.start(func(s *SQE) { s.PrepTimeoutRemove(endless) })
	require.Zero(p, l.of(remove).Errno())
	for cqe := l.of(endless); cqe.More(); cqe = l.of(endless) {
		require.Equal(p, ETIME, cqe.Errno())
	}

	l.fails(syscall.EINVAL, func(s *SQE) { // a point in time comes once
		s.PrepTimeoutMultishot(keep(l, TimespecOf(long)), 2, IORING_TIMEOUT_ABS)
	})
}

// TestMultishotTimeoutWithoutRoom: a tick that finds the queue full is the last.
func TestMultishotTimeoutWithoutRoom(t *testing.T) {
	needKernel(t, Version{6, 4}, "multishot timeout")
	p := explore(t)
	l := p.ring(2, Params{Flags: IORING_SETUP_CQSIZE, CqEntries: 2})
	id := l.start(func(s *SQE) { s.PrepTimeoutMultishot(keep(l, TimespecOf(short)), 0, 0) })
	testkit.Eventually(p.T, func() bool {
		_, errno := l.Enter(0, 0, 0) // the thread has to pass through the kernel
		require.Zero(p, errno)
		return l.SQ().Flags()&IORING_SQ_CQ_OVERFLOW != 0
	}, "the queue overflows")
	for i := range 3 {
		cqe := l.of(id)
		require.Equal(p, ETIME, cqe.Errno())
		require.Equal(p, i < 2, cqe.More())
	}
	require.Zero(p, l.CQ().Overflow(), "the last was kept aside, not lost")
}

// TestTimeoutRemoveAndUpdate ends a timeout, or gives it another time.
func TestTimeoutRemoveAndUpdate(t *testing.T) {
	p := prove(t, IORING_OP_TIMEOUT_REMOVE)
	l := p.ring(4, Params{})
	arm := func() uint64 {
		return l.start(func(s *SQE) { s.PrepTimeout(keep(l, TimespecOf(long)), 0, 0) })
	}
	id := arm()
	require.Zero(p, l.ok(func(s *SQE) { s.PrepTimeoutRemove(id) }))
	require.Equal(p, syscall.ECANCELED, l.of(id).Errno())
	l.fails(syscall.ENOENT, func(s *SQE) { s.PrepTimeoutRemove(id) })

	needKernel(p, Version{5, 15}, "updates of linked timeouts")
	id = arm()
	require.Zero(p, l.ok(func(s *SQE) { s.PrepTimeoutUpdate(keep(l, TimespecOf(short)), id, 0) }))
	require.Equal(p, ETIME, l.of(id).Errno())
	id = arm()
	require.Zero(p, l.ok(func(s *SQE) { s.PrepTimeoutUpdate(keep(l, Timespec{Sec: 1}), id, IORING_TIMEOUT_ABS) }))
	require.Equal(p, ETIME, l.of(id).Errno())
	l.fails(syscall.ENOENT, func(s *SQE) { s.PrepTimeoutUpdate(keep(l, TimespecOf(short)), id, 0) })
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepTimeoutUpdate(keep(l, TimespecOf(short)), id, IORING_TIMEOUT_MULTISHOT) })

	// A linked timeout is found by a flag of its own.
	a, _ := socketPair(p)
	buf := make([]byte, 8)
	recv := l.add(flagged(IOSQE_IO_LINK, func(s *SQE) { s.PrepRecv(a, buf, 0, 0) }))
	bound := l.start(func(s *SQE) { s.PrepLinkTimeout(keep(l, TimespecOf(long)), 0) })
	l.fails(syscall.ENOENT, func(s *SQE) { s.PrepTimeoutUpdate(keep(l, TimespecOf(short)), bound, 0) })
	require.Zero(p, l.ok(func(s *SQE) {
		s.PrepTimeoutUpdate(keep(l, TimespecOf(short)), bound, IORING_LINK_TIMEOUT_UPDATE)
	}))
	require.Equal(p, syscall.ECANCELED, l.of(recv).Errno())
	require.Equal(p, ETIME, l.of(bound).Errno())
}

// TestLinkTimeout bounds the time of one request.
func TestLinkTimeout(t *testing.T) {
	p := prove(t, IORING_OP_LINK_TIMEOUT)
	l := p.ring(8, Params{})
	a, b := socketPair(p)
	buf := make([]byte, 8)
	bounded := func(d time.Duration) (recv, bound uint64) {
		recv = l.add(flagged(IOSQE_IO_LINK, func(s *SQE) { s.PrepRecv(a, buf, 0, 0) }))
		bound = l.start(func(s *SQE) { s.PrepLinkTimeout(keep(l, TimespecOf(d)), 0) })
		return recv, bound
	}

	recv, bound := bounded(short)
	require.Equal(p, syscall.ECANCELED, l.of(recv).Errno())
	require.Equal(p, ETIME, l.of(bound).Errno())

	recv, bound = bounded(long)
	write(p, b, "data")
	require.Equal(p, int32(4), l.of(recv).Res)
	require.Equal(p, syscall.ECANCELED, l.of(bound).Errno())

	// Cancelling the request ends its timeout.
	recv, bound = bounded(long)
	require.Zero(p, l.ok(func(s *SQE) { s.PrepCancel(recv, 0) }))
	require.Equal(p, syscall.ECANCELED, l.of(recv).Errno())
	require.Equal(p, syscall.ECANCELED, l.of(bound).Errno())

	// Without a request before it there is nothing to bound, and it bounds one
	// request, so that a second one has none.
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepLinkTimeout(keep(l, TimespecOf(short)), 0) })
	recv = l.add(flagged(IOSQE_IO_LINK, func(s *SQE) { s.PrepRecv(a, buf, 0, 0) }))
	bound = l.add(flagged(IOSQE_IO_LINK, func(s *SQE) { s.PrepLinkTimeout(keep(l, TimespecOf(short)), 0) }))
	after := l.add((*SQE).PrepNop)
	l.push()
	require.Equal(p, syscall.ECANCELED, l.of(recv).Errno())
	require.Equal(p, ETIME, l.of(bound).Errno())
	require.Equal(p, syscall.ECANCELED, l.of(after).Errno())
}
