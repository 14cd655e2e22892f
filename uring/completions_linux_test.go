package uring

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// ready returns the user data of the completions that are there.
func ready(t testing.TB, r *Ring) []uint64 {
	t.Helper()
	var all []uint64
	for cqe, err := range r.Completions() {
		require.NoError(t, err)
		all = append(all, cqe.UserData)
	}
	return all
}

// TestCompletionsEndWhenThereAreNone also leaves the loop and resumes it.
func TestCompletionsEndWhenThereAreNone(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 8, Params{Flags: s.flags})
		require.Empty(t, ready(t, r))
		for i := range uint64(5) {
			nop(t, r, i)
		}
		_, err := r.SubmitAndWait(5, hang)
		require.NoError(t, err)
		for cqe, err := range r.Completions() {
			require.NoError(t, err)
			if cqe.UserData == 1 {
				break
			}
		}
		require.Equal(t, []uint64{2, 3, 4}, ready(t, r))
		require.Empty(t, ready(t, r))
	})
}

// TestCompletionsAfterAnOverflow: what the kernel keeps aside comes only when the
// ring is entered.
func TestCompletionsAfterAnOverflow(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		needKernel(t, Version{5, 5}, "CQSIZE")
		r := newRing(t, 4, Params{Flags: s.flags | IORING_SETUP_CQSIZE, CqEntries: 4})
		const total = 20
		for i := range uint64(total) {
			nop(t, r, i)
			if i%4 == 3 {
				n, err := r.Submit()
				require.NoError(t, err)
				require.Equal(t, 4, n)
			}
		}
		var want, got []uint64
		for i := range uint64(total) {
			want = append(want, i)
		}
		testkit.Eventually(t, func() bool {
			got = append(got, ready(t, r)...)
			return len(got) >= total
		}, "all completions")
		assert.Equal(t, want, got)
	})
}

// TestCompletionsOfTaskWork: what a socket has made ready waits for the ring to be
// entered, and is not missed by who does not wait.
func TestCompletionsOfTaskWork(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		near, far := socketPair(t)
		buf := make([]byte, 8)
		sqe := next(t, r)
		Recv(sqe, FD(near), buf, 0, 0)
		sqe.UserData = 5
		_, err := r.Submit()
		require.NoError(t, err)
		require.Empty(t, ready(t, r))
		write(t, far, "text")
		var got []uint64
		testkit.Eventually(t, func() bool {
			got = ready(t, r)
			return len(got) > 0
		}, "the completion")
		require.Equal(t, []uint64{5}, got)
		require.Equal(t, "text", string(buf[:4]))
	})
}

func TestWaitCompletions(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		nop(t, r, 0)
		count := uint64(0)
		for cqe, err := range r.WaitCompletions(1, hang) {
			require.NoError(t, err)
			require.Equal(t, count, cqe.UserData)
			if count++; count == 50 {
				break
			}
			nop(t, r, count) // the next wait submits it
		}
		require.Empty(t, ready(t, r))

		for i := range uint64(4) {
			nop(t, r, i)
		}
		var got []uint64
		for cqe, err := range r.WaitCompletions(4, hang) {
			require.NoError(t, err)
			if got == nil && s.flags&IORING_SETUP_CQE32 == 0 {
				require.Equal(t, uint32(3), r.CQ().Ready(), "it has waited for all four")
			}
			if got = append(got, cqe.UserData); len(got) == 2 {
				break
			}
		}
		require.Equal(t, []uint64{0, 1}, got)
		require.Equal(t, []uint64{2, 3}, ready(t, r), "what a loop leaves is there")
	})
}

// TestWaitCompletionsTimesOut says so, goes on if the loop does, and delivers
// what has come although it is not enough.
func TestWaitCompletionsTimesOut(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		needKernel(t, Version{5, 11}, "EXT_ARG")
		r := newRing(t, 4, Params{Flags: s.flags})
		timeouts := 0
		for cqe, err := range r.WaitCompletions(0, 2*time.Millisecond) {
			if err != nil {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				require.Zero(t, cqe)
				if timeouts++; timeouts == 3 {
					nop(t, r, 7)
				}
				continue
			}
			require.Equal(t, uint64(7), cqe.UserData)
			break
		}
		require.GreaterOrEqual(t, timeouts, 3)

		nop(t, r, 8)
		for cqe, err := range r.WaitCompletions(2, 20*time.Millisecond) {
			require.NoError(t, err, "one is there")
			require.Equal(t, uint64(8), cqe.UserData)
			break
		}
		for _, err := range r.WaitCompletions(1, 0) {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			break
		}
	})
}

// TestCompletionErrorsAreTheLast: an error that would come again and again ends
// the sequence.
func TestCompletionErrorsAreTheLast(t *testing.T) {
	needKernel(t, Version{6, 1}, "DEFER_TASKRUN")
	lockThread(t)
	r := newRing(t, 4, Params{Flags: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN})
	elsewhere(func() {
		var errs []error
		for cqe, err := range r.Completions() {
			assert.Zero(t, cqe)
			errs = append(errs, err)
		}
		for cqe, err := range r.WaitCompletions(1, hang) {
			assert.Zero(t, cqe)
			errs = append(errs, err)
		}
		if assert.Len(t, errs, 2) {
			assert.ErrorIs(t, errs[0], syscall.EEXIST)
			assert.ErrorIs(t, errs[1], syscall.EEXIST)
			assert.ErrorContains(t, errs[1], "SINGLE_ISSUER")
		}
	})
	roundTrip(t, r)
}

func TestCompletionsOfAClosedRing(t *testing.T) {
	needRing(t)
	r, err := New(4, nil)
	require.NoError(t, err)
	nop(t, r, 1)
	_, err = r.SubmitAndWait(1, hang)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Empty(t, ready(t, r))
	for cqe, err := range r.WaitCompletions(1, time.Minute) {
		require.Error(t, err)
		require.False(t, errors.Is(err, os.ErrDeadlineExceeded))
		require.Zero(t, cqe)
	}
}

// TestFillersAreLeftOut of both sequences.
func TestFillersAreLeftOut(t *testing.T) {
	r := newRing(t, 8, Params{})
	testkit.Watchdog(t, hang)
	fill := func() {
		v, err := r.ReserveAudible(2)
		require.NoError(t, err)
		v.Done()
		nop(t, r, 1)
		require.Error(t, Mkdirat(next(t, r), Slot(1), memPath, 0), "a refused entry is one, too")
	}
	fill()
	_, err := r.SubmitAndWait(4, hang)
	require.NoError(t, err)
	require.Equal(t, []uint64{1}, ready(t, r))
	fill()
	for cqe, err := range r.WaitCompletions(1, hang) {
		require.NoError(t, err)
		require.Equal(t, uint64(1), cqe.UserData)
		break
	}
	require.Empty(t, ready(t, r))
}

func TestWaitingForCompletionsAllocatesNothing(t *testing.T) {
	r := newRing(t, 4, Params{})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		r.SQ().Next().PrepNop()
		for _, err := range r.WaitCompletions(1, -1) {
			if err != nil {
				t.Error(err)
			}
			break
		}
	}))
}
