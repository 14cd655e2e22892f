package uring

import (
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// proof is a behavioural test of some operations. It claims to have seen each
// of them succeed and fail in the running kernel, and fails if it has not:
// TestEveryOperationIsProved reads the claims in the source, and docs/kernels.md
// lists them.
type proof struct {
	*testing.T
	seen map[Op]*outcomes
}

// outcomes counts the completions of an operation.
type outcomes struct{ succeeded, failed int }

// prove begins a test that sees the operations succeed and fail. It is skipped
// where the kernel is older than one of them.
func prove(t *testing.T, ops ...Op) *proof {
	t.Helper()
	p := begin(t, ops)
	p.atEnd(ops, func(op Op, saw outcomes) {
		if saw.succeeded == 0 || saw.failed == 0 {
			t.Errorf("%v completed %d times with success and %d times with an error of its own; both are claimed",
				op, saw.succeeded, saw.failed)
		}
	})
	return p
}

// proveRefusal begins a test that sees the operations refused, because this
// machine cannot have more.
func proveRefusal(t *testing.T, ops ...Op) *proof {
	t.Helper()
	p := begin(t, nil)
	p.atEnd(ops, func(op Op, saw outcomes) {
		if saw.failed == 0 {
			t.Errorf("%v was never refused, as is claimed", op)
		}
	})
	return p
}

// explore begins a behavioural test that claims nothing of any operation.
func explore(t *testing.T) *proof {
	t.Helper()
	return begin(t, nil)
}

func begin(t *testing.T, ops []Op) *proof {
	t.Helper()
	needRing(t)
	for _, op := range ops {
		info, ok := op.Info()
		require.True(t, ok, "%v", op)
		needKernel(t, info.Since, info.Name)
	}
	testkit.Watchdog(t, hang)
	return &proof{T: t, seen: map[Op]*outcomes{}}
}

// atEnd checks the claims when the test has ended, if nothing else failed it.
func (p *proof) atEnd(ops []Op, check func(Op, outcomes)) {
	t := p.T
	seen := p.seen
	t.Cleanup(func() {
		if t.Failed() || t.Skipped() {
			return
		}
		for _, op := range ops {
			saw := seen[op]
			if saw == nil {
				saw = &outcomes{}
			}
			check(op, *saw)
		}
	})
}

// lab is a ring that knows what was submitted, so that every completion is
// compared with what the table says of its operation.
type lab struct {
	*Ring
	p      *proof
	flying map[uint64]Op // by user data
	last   uint64
	kept   []any  // memory that the kernel may touch
	early  []*CQE // completions that nobody has asked for yet
}

// ring returns a ring of the test. What it must not do on other threads is up
// to the flags.
func (p *proof) ring(entries uint32, params Params) *lab {
	p.Helper()
	return &lab{Ring: newRing(p.T, entries, params), p: p, flying: map[uint64]Op{}}
}

// add takes an entry, lets fill fill it, and returns the user data it gave it.
func (l *lab) add(fill func(sqe *SQE)) uint64 {
	l.p.Helper()
	sqe := next(l.p.T, l.Ring)
	fill(sqe)
	l.last++
	sqe.UserData = l.last
	l.flying[l.last] = sqe.Opcode
	l.kept = append(l.kept, fill)
	return l.last
}

// flagged is a filler that sets flags, too.
func flagged(flags SQEFlags, fill func(sqe *SQE)) func(sqe *SQE) {
	return func(sqe *SQE) {
		fill(sqe)
		sqe.Flags |= flags
	}
}

// push submits what was added.
func (l *lab) push() {
	l.p.Helper()
	_, err := l.Submit()
	require.NoError(l.p, err)
}

// start adds a request and submits it.
func (l *lab) start(fill func(sqe *SQE)) uint64 {
	l.p.Helper()
	id := l.add(fill)
	l.push()
	return id
}

// do submits a request and returns its completion.
func (l *lab) do(fill func(sqe *SQE)) *CQE {
	l.p.Helper()
	return l.of(l.start(fill))
}

// ok submits a request that must succeed, and returns its result.
func (l *lab) ok(fill func(sqe *SQE)) int {
	l.p.Helper()
	cqe := l.do(fill)
	require.Zero(l.p, cqe.Errno(), "%v", *cqe)
	return int(cqe.Res)
}

// fails submits a request that must fail with the error.
func (l *lab) fails(want syscall.Errno, fill func(sqe *SQE)) {
	l.p.Helper()
	cqe := l.do(fill)
	require.Equal(l.p, want, cqe.Errno(), "%v", *cqe)
}

// expect says that completions with the user data are those of an operation
// that was submitted elsewhere or under another name.
func (l *lab) expect(userData uint64, op Op) { l.flying[userData] = op }

// of returns the next completion of a request, and keeps those of others.
func (l *lab) of(userData uint64) *CQE {
	l.p.Helper()
	for i, cqe := range l.early {
		if cqe.UserData == userData {
			l.early = append(l.early[:i], l.early[i+1:]...)
			return cqe
		}
	}
	for {
		cqe := l.reap()
		if cqe.UserData == userData {
			return cqe
		}
		l.early = append(l.early, cqe)
	}
}

// any returns the next completion, whosever it is.
func (l *lab) any() *CQE {
	l.p.Helper()
	if len(l.early) > 0 {
		cqe := l.early[0]
		l.early = l.early[1:]
		return cqe
	}
	return l.reap()
}

// reap waits for a completion and judges it.
func (l *lab) reap() *CQE {
	l.p.Helper()
	_, err := l.SubmitAndWait(1, hang)
	require.NoError(l.p, err, "early: %v, in flight: %v", l.early, l.flying)
	var cqes [1]CQE
	require.Equal(l.p, 1, l.CQ().Reap(cqes[:]))
	l.judge(&cqes[0])
	return &cqes[0]
}

// quiet requires that no completion is there, now that the kernel was entered.
func (l *lab) quiet() {
	l.p.Helper()
	_, errno := l.Enter(0, 0, IORING_ENTER_GETEVENTS)
	require.Zero(l.p, errno)
	cqe, ok := l.CQ().Peek()
	require.False(l.p, ok, "%v", cqe)
	require.Empty(l.p, l.early)
}

// judge compares a completion with the table, and counts it.
func (l *lab) judge(cqe *CQE) {
	l.p.Helper()
	op, known := l.flying[cqe.UserData]
	require.True(l.p, known, "a completion of nobody: %v", *cqe)
	info, known := op.Info()
	require.True(l.p, known, "%v", op)
	if !cqe.More() {
		delete(l.flying, cqe.UserData)
	}
	if info.Completes == CompletesOnce {
		require.False(l.p, cqe.More() || cqe.Notif(), "%v completes once: %v", op, *cqe)
	}
	if cqe.Notif() {
		require.Equal(l.p, CompletesTwice, info.Completes, "%v", op)
		return
	}
	saw := l.p.seen[op]
	if saw == nil {
		saw = &outcomes{}
		l.p.seen[op] = saw
	}
	switch errno := cqe.Errno(); {
	case errno == 0 || info.Result == ResultExpiry && errno == ETIME:
		saw.succeeded++
	case errno != syscall.ECANCELED || info.Cancel == CancelWaits || info.Cancel == CancelWithLink:
		saw.failed++
	}
	if cqe.Res < 0 || op == IORING_OP_NOP { // a no-op returns what it is told to
		return
	}
	switch info.Result {
	case ResultZero, ResultFDPair, ResultExpiry:
		require.Zero(l.p, cqe.Res, "%v", op)
	}
}

// path returns a path for the kernel, which lives as long as the ring.
func (l *lab) path(name string) *byte {
	b := append([]byte(name), 0)
	l.kept = append(l.kept, b)
	return &b[0]
}

// keep makes what p points to live as long as the ring.
func keep[T any](l *lab, v T) *T {
	p := new(T)
	*p = v
	l.kept = append(l.kept, p)
	return p
}

// iovecs returns the pieces as a vector, which lives as long as the ring.
func (l *lab) iovecs(pieces ...[]byte) *Iovec {
	v := make([]Iovec, len(pieces))
	for i, b := range pieces {
		v[i].SetBytes(b)
	}
	l.kept = append(l.kept, v)
	return unsafe.SliceData(v)
}
