package uring

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

const deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN

var resizable = []SetupFlags{
	deferred, deferred | IORING_SETUP_NO_SQARRAY, deferred | IORING_SETUP_CQE32,
	deferred | IORING_SETUP_SQE128, deferred | IORING_SETUP_CQE_MIXED,
}

// TestResize goes through sizes in both directions with requests in flight,
// entries that wait to be submitted and completions that wait to be reaped. None
// of them may be lost, or come twice.
func TestResize(t *testing.T) {
	testkit.NeedKernel(t, 6, 13, "RESIZE_RINGS")
	for _, flags := range resizable {
		t.Run(flags.String(), func(t *testing.T) {
			if flags&IORING_SETUP_CQE_MIXED != 0 {
				testkit.NeedKernel(t, 6, 18, "CQE_MIXED")
			}
			testkit.Watchdog(t, hang)
			lockThread(t)
			r := newRing(t, 8, Params{Flags: flags})
			near, far := socketPair(t)
			buf := make([]byte, 8)
			next(t, r).PrepRecv(near, buf, 0, 0)
			(&r.sq.sqes[(r.sq.tail-1)&r.sq.mask<<r.sq.shift]).UserData = 1 << 32
			_, err := r.Submit()
			require.NoError(t, err)

			var sent, seen uint64
			before := len(ringMappings(t))
			for _, size := range []struct{ sq, cq, wantSQ, wantCQ uint32 }{
				{16, 0, 16, 32}, {64, 0, 64, 128}, {5, 100, 8, 128}, {4, 16, 4, 16}, {4, 8, 4, 8}, {128, 0, 128, 256}, {4, 0, 4, 8},
			} {
				for range 2 { // in the completion queue
					nop(t, r, sent)
					sent++
				}
				_, err := r.SubmitAndWait(2, hang)
				require.NoError(t, err)
				for i := range 2 { // in the submission queue, one of them shown
					nop(t, r, sent)
					sent++
					if i == 0 {
						r.SQ().Flush()
					}
				}
				require.NoError(t, r.Resize(size.sq, size.cq), "%+v", size)
				require.Equal(t, size.wantSQ, r.SQ().Entries())
				require.Equal(t, size.wantCQ, r.CQ().Entries())
				require.Equal(t, size.wantSQ, r.Params().SqEntries)
				require.Equal(t, size.wantSQ-2, r.SQ().Space())
				require.Equal(t, uint32(2), r.CQ().Ready())
				require.Len(t, ringMappings(t), before)
				_, err = r.SubmitAndWait(4, hang)
				require.NoError(t, err)
				for cqe := range r.CQ().All() {
					require.Equal(t, seen, cqe.UserData)
					seen++
				}
				require.Equal(t, sent, seen)
				for range 2*size.wantSQ + 1 {
					roundTrip(t, r)
				}
			}
			write(t, far, "hello")
			cqe := one(t, r)
			require.Equal(t, uint64(1<<32), cqe.UserData, "the request of before")
			require.Equal(t, "hello", string(buf[:cqe.Res]))
		})
	}
}

// TestResizeTooSmall: what waits must fit.
func TestResizeTooSmall(t *testing.T) {
	testkit.NeedKernel(t, 6, 13, "RESIZE_RINGS")
	testkit.Watchdog(t, hang)
	lockThread(t)
	r := newRing(t, 8, Params{Flags: deferred})
	for i := range uint64(8) {
		nop(t, r, i)
	}
	err := r.Resize(4, 0)
	require.ErrorIs(t, err, syscall.EOVERFLOW)
	require.ErrorContains(t, err, "8 wait to be submitted")
	_, err = r.SubmitAndWait(8, hang)
	require.NoError(t, err)
	err = r.Resize(2, 4)
	require.ErrorIs(t, err, syscall.EOVERFLOW)
	require.ErrorContains(t, err, "does not fit")
	require.Equal(t, uint32(8), r.SQ().Entries())
	seen := uint64(0)
	for cqe := range r.CQ().All() {
		require.Equal(t, seen, cqe.UserData)
		seen++
	}
	require.Equal(t, uint64(8), seen, "nothing has changed")
	require.NoError(t, r.Resize(2, 4))
	roundTrip(t, r)
	require.ErrorIs(t, r.Resize(0, 0), syscall.EINVAL)
	require.ErrorIs(t, r.Resize(1<<20, 0), syscall.EINVAL)
	roundTrip(t, r)
}

func TestResizeOfOtherRings(t *testing.T) {
	testkit.NeedKernel(t, 6, 13, "RESIZE_RINGS")
	r := newRing(t, 8, Params{})
	err := r.Resize(16, 0)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "the ring needs DEFER_TASKRUN")
	roundTrip(t, r)
	require.ErrorContains(t, r.ResizeInMemory(16, 0, nil), "use Resize")
}

// TestResizeInMemory moves a ring between two pieces of memory.
func TestResizeInMemory(t *testing.T) {
	testkit.NeedKernel(t, 6, 14, "RESIZE_RINGS, and large rings on ordinary pages")
	testkit.Watchdog(t, hang)
	needRing(t)
	lockThread(t)
	for _, flags := range resizable {
		t.Log(flags)
		p := Params{Flags: flags}
		a := pages(t, RingMemorySize(16, p))
		b := pages(t, RingMemorySize(16, p))
		r, err := NewInMemory(4, &p, a)
		require.NoError(t, err)
		require.ErrorContains(t, r.Resize(8, 0), "use ResizeInMemory")
		require.ErrorContains(t, r.ResizeInMemory(8, 0, nil), fmt.Sprintf("it needs %d", 2*os.Getpagesize()))
		for i, mem := range [][]byte{b, a, b} {
			nop(t, r, 7)
			require.NoError(t, r.ResizeInMemory(8>>i, 0, mem), "%v", flags)
			require.Equal(t, uint64(7), one(t, r).UserData)
			for range 40 {
				roundTrip(t, r)
			}
		}
		require.NoError(t, r.Close())
		require.ErrorContains(t, r.Resize(8, 0), "closed")
	}
}

// TestTakingOver copies what waits into queues of another size, wherever it lies:
// kernels of the first releases with resizing get it wrong for large entries.
func TestTakingOver(t *testing.T) {
	for shift := range uint32(2) {
		for start := range uint32(8) {
			sq := func(entries uint32) *SubmissionQueue {
				q, _, _ := fakeSQ(entries, start)
				q.shift, q.sqes = shift, make([]SQE, entries<<shift)
				return q
			}
			before, after := sq(4), sq(8)
			for i := range uint64(3) {
				sqe := before.Next()
				sqe.UserData = i
				before.sqes[(start+uint32(i))%4<<shift+shift].Addr3 = 10 + i // its second half, if it has one
			}
			after.tail = before.tail
			after.takeOver(before)
			for i := range uint32(3) {
				at := (start + i) % 8 << shift
				require.Equal(t, uint64(i), after.sqes[at].UserData)
				require.Equal(t, 10+uint64(i), after.sqes[at+shift].Addr3)
			}

			old, post := fakeCQ(8, start, shift)
			for i := range uint64(4) {
				post(i)
			}
			small, _ := fakeCQ(4, start, shift)
			*small.ktail = *old.ktail
			small.takeOver(old)
			var dst [5]CQE32
			require.Equal(t, 4, small.Reap32(dst[:]))
			for i := range uint64(4) {
				require.Equal(t, i, dst[i].UserData)
				if shift > 0 {
					require.Equal(t, ^i, dst[i].Extra[0])
				}
			}
		}
	}
}
