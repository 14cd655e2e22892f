package uring

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestNop completes with what it is told to, and looks up what it is told to.
func TestNop(t *testing.T) {
	p := prove(t, IORING_OP_NOP)
	l := p.ring(8, Params{})
	require.Zero(p, l.ok((*SQE).PrepNop))

	needKernel(p, Version{6, 15}, "all flags of NOP")
	nop := func(fd int, result int32, flags NopFlags) func(*SQE) {
		return func(s *SQE) { s.PrepNopFlags(fd, result, flags) }
	}
	require.Equal(p, 4711, l.ok(nop(-1, 4711, IORING_NOP_INJECT_RESULT)))
	l.fails(syscall.EXDEV, nop(-1, -int32(syscall.EXDEV), IORING_NOP_INJECT_RESULT))
	require.Zero(p, l.ok(nop(-1, 0, IORING_NOP_TW)))
	l.fails(syscall.EINVAL, nop(-1, 0, 1<<31))

	a, _ := socketPair(p)
	require.Zero(p, l.ok(nop(a, 0, IORING_NOP_FILE)))
	l.fails(syscall.EBADF, nop(1<<20, 0, IORING_NOP_FILE))
	l.fails(syscall.EBADF, nop(0, 0, IORING_NOP_FILE|IORING_NOP_FIXED_FILE))
	files(l, int32(a))
	require.Zero(p, l.ok(nop(0, 0, IORING_NOP_FILE|IORING_NOP_FIXED_FILE)))
	l.fails(syscall.EBADF, nop(1, 0, IORING_NOP_FILE|IORING_NOP_FIXED_FILE))

	l.fails(syscall.EFAULT, nop(-1, 0, IORING_NOP_FIXED_BUFFER))
	buffers(l, make([]byte, 64))
	require.Zero(p, l.ok(nop(-1, 0, IORING_NOP_FIXED_BUFFER)))

	needKernel(p, Version{6, 18}, "NOP with 32-byte completions")
	l.fails(syscall.EINVAL, nop(-1, 0, IORING_NOP_CQE32))
}

// TestSilentSuccess: only the failure of a request that skips its completion is
// told.
func TestSilentSuccess(t *testing.T) {
	needKernel(t, Version{5, 17}, "CQE_SKIP")
	p := explore(t)
	l := p.ring(8, Params{})
	l.add(flagged(IOSQE_CQE_SKIP_SUCCESS, (*SQE).PrepNop))
	told := l.add((*SQE).PrepNop)
	bad := l.add(flagged(IOSQE_CQE_SKIP_SUCCESS, func(s *SQE) { s.PrepClose(1 << 20) }))
	require.Equal(p, told, l.any().UserData)
	cqe := l.any()
	require.Equal(p, bad, cqe.UserData)
	require.Equal(p, syscall.EBADF, cqe.Errno())
	l.quiet()

	// The silent ones of a chain that breaks are told as well.
	l.add(flagged(IOSQE_IO_LINK, func(s *SQE) { s.PrepClose(1 << 20) }))
	cut := l.add(flagged(IOSQE_CQE_SKIP_SUCCESS, (*SQE).PrepNop))
	require.Equal(p, syscall.ECANCELED, l.of(cut).Errno())

	// It does not go with draining, which counts completions.
	l.fails(syscall.EOPNOTSUPP, flagged(IOSQE_CQE_SKIP_SUCCESS|IOSQE_IO_DRAIN, (*SQE).PrepNop))
}

// TestLinkedRequests run one after the other, and a failure ends the chain.
func TestLinkedRequests(t *testing.T) {
	p := explore(t)
	l := p.ring(16, Params{})
	a, b := socketPair(p)
	buf := make([]byte, 8)
	recv := func(s *SQE) { s.PrepRecv(a, buf, 0, 0) }
	fail := func(s *SQE) { s.PrepClose(1 << 20) }

	// What is linked to a request that waits has not begun.
	first := l.add(flagged(IOSQE_IO_LINK, recv))
	second := l.add(flagged(IOSQE_IO_LINK, (*SQE).PrepNop))
	third := l.add((*SQE).PrepNop)
	other := l.add((*SQE).PrepNop)
	l.push()
	require.Equal(p, other, l.any().UserData, "another chain does not wait")
	l.quiet()
	write(p, b, "go")
	for _, want := range []uint64{first, second, third} {
		require.Equal(p, want, l.any().UserData)
	}

	// A failure cancels the rest of its own chain.
	l.add(flagged(IOSQE_IO_LINK, fail))
	cut1 := l.add(flagged(IOSQE_IO_LINK, (*SQE).PrepNop))
	cut2 := l.add((*SQE).PrepNop)
	free := l.add((*SQE).PrepNop)
	l.push()
	require.Equal(p, syscall.ECANCELED, l.of(cut1).Errno())
	require.Equal(p, syscall.ECANCELED, l.of(cut2).Errno())
	require.Zero(p, l.of(free).Errno())

	// So does a short read: fewer bytes than were asked for is no success here.
	write(p, b, "abc")
	short := l.add(flagged(IOSQE_IO_LINK, func(s *SQE) { s.PrepRecv(a, buf, unix.MSG_WAITALL, 0) }))
	cut := l.add((*SQE).PrepNop)
	require.NoError(p, unix.Shutdown(b, unix.SHUT_WR))
	l.push()
	require.Equal(p, int32(3), l.of(short).Res)
	require.Equal(p, syscall.ECANCELED, l.of(cut).Errno())
}

// TestHardlinkedRequests go on after a failure, and still one after the other.
func TestHardlinkedRequests(t *testing.T) {
	p := explore(t)
	l := p.ring(8, Params{})
	order := []uint64{
		l.add(flagged(IOSQE_IO_HARDLINK, func(s *SQE) { s.PrepClose(1 << 20) })),
		l.add(flagged(IOSQE_IO_HARDLINK, func(s *SQE) { s.PrepTimeout(keep(l, TimespecOf(time.Millisecond)), 0, 0) })),
		l.add((*SQE).PrepNop),
	}
	want := []syscall.Errno{syscall.EBADF, ETIME, 0}
	l.push()
	for i := range order {
		cqe := l.any()
		require.Equal(p, order[i], cqe.UserData)
		require.Equal(p, want[i], cqe.Errno())
	}
}

// TestDrainedRequests wait for all before them, and those behind wait for them.
func TestDrainedRequests(t *testing.T) {
	p := explore(t)
	l := p.ring(8, Params{})
	a, b := socketPair(p)
	buf := make([]byte, 8)
	recv := l.add(func(s *SQE) { s.PrepRecv(a, buf, 0, 0) })
	drained := l.add(flagged(IOSQE_IO_DRAIN, (*SQE).PrepNop))
	behind := l.add((*SQE).PrepNop)
	l.push()
	l.quiet()
	write(p, b, "x")
	require.Equal(p, recv, l.any().UserData)
	require.Equal(p, drained, l.any().UserData)
	require.Equal(p, behind, l.any().UserData)

	// A multishot request counts until its last completion.
	needKernel(p, Version{6, 4}, "multishot timeout")
	ticks := l.add(func(s *SQE) { s.PrepTimeoutMultishot(keep(l, TimespecOf(time.Millisecond)), 3, 0) })
	drained = l.add(flagged(IOSQE_IO_DRAIN, (*SQE).PrepNop))
	for _, want := range []uint64{ticks, ticks, ticks, drained} {
		require.Equal(p, want, l.any().UserData)
	}
}

// TestWorker: a request that must go to a worker has the same result.
func TestWorker(t *testing.T) {
	p := explore(t)
	l := p.ring(4, Params{})
	a, b := socketPair(p)
	buf := make([]byte, 8)
	id := l.start(flagged(IOSQE_ASYNC, func(s *SQE) { s.PrepRecv(a, buf, 0, 0) }))
	write(p, b, "worked")
	require.Equal(p, int32(6), l.of(id).Res)
	require.Equal(p, "worked", string(buf[:6]))
}

// TestPersonalityOfAnEntry: a request can name credentials that were registered, and
// none that were not, or are not any more.
func TestPersonalityOfAnEntry(t *testing.T) {
	p := explore(t)
	l := p.ring(4, Params{})
	id, err := l.Register(IORING_REGISTER_PERSONALITY, nil, 0)
	require.NoError(p, err)
	as := func(id int) func(*SQE) {
		return func(s *SQE) {
			s.PrepOpenat(AtCWD, l.path("/proc/self/status"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
			s.Personality = uint16(id)
		}
	}
	fd := l.ok(as(id))
	require.NoError(p, unix.Close(fd))
	l.fails(syscall.EINVAL, as(id+1))
	_, err = l.Register(IORING_UNREGISTER_PERSONALITY, nil, uint32(id))
	require.NoError(p, err)
	l.fails(syscall.EINVAL, as(id))
}

// TestReservedFields: what an operation does not use must be zero.
func TestReservedFields(t *testing.T) {
	p := explore(t)
	l := p.ring(4, Params{})
	for name, spoil := range map[string]func(*SQE){
		"ioprio":    func(s *SQE) { s.Ioprio = 1 },
		"buf index": func(s *SQE) { s.BufIndex = 1 },
		"flags":     func(s *SQE) { s.Flags = 1 << 7 },
		"opcode":    func(s *SQE) { s.Opcode = 0xff },
	} {
		p.Log(name)
		a, _ := socketPair(p)
		cqe := func() *CQE {
			id := l.add(func(s *SQE) { s.PrepShutdown(a, unix.SHUT_RD); spoil(s) })
			l.expect(id, IORING_OP_SHUTDOWN)
			l.push()
			return l.of(id)
		}()
		require.Equal(p, syscall.EINVAL, cqe.Errno(), name)
	}
}
