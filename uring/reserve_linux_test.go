package uring

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// reserve waits for room, which the thread of SQPOLL gives back a little late.
func reserve(t testing.TB, r *Ring, n int) Reservation {
	t.Helper()
	testkit.Eventually(t, func() bool { return int(r.SQ().Space()) >= n }, "the kernel takes entries")
	v, err := r.Reserve(n)
	require.NoError(t, err)
	return v
}

// TestHardLinkedAcrossTheWrap submits blocks that begin at every position of the
// queue and sees them complete in order, in rings with and without an index
// array and with a polling thread.
func TestHardLinkedAcrossTheWrap(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 8, Params{Flags: s.flags})
		spoil(r.SQ())
		for round := range uint64(20) {
			id := uint64(0)
			for sqe := range reserve(t, r, 3).HardLinked() {
				sqe.PrepNop()
				sqe.UserData = round<<8 | id
				id++
			}
			_, err := r.SubmitAndWait(3, hang)
			require.NoError(t, err)
			id = 0
			for cqe := range r.CQ().All() {
				require.Zero(t, cqe.Res)
				require.Equal(t, round<<8|id, cqe.UserData)
				id++
			}
			require.Equal(t, uint64(3), id)
		}
	})
}

// Entries of 128 bytes take two slots each, and their second halves are empty.
func TestReserveLargeEntries(t *testing.T) {
	r := newRing(t, 4, Params{Flags: IORING_SETUP_SQE128})
	for round := range uint64(10) { // three at a time begin at every position
		for i := range 4 {
			r.SQ().sqes[2*i+1] = SQE{Opcode: 0xff, UserData: 0xff}
		}
		id := uint64(0)
		for sqe := range reserve(t, r, 3).Linked() {
			sqe.PrepNop()
			sqe.UserData = round<<8 | id
			id++
		}
		for i := range uint32(3) {
			slot := (r.SQ().tail - 1 - i) & r.SQ().mask
			require.Zero(t, r.SQ().sqes[2*slot+1], "the second half of an entry")
		}
		_, err := r.SubmitAndWait(3, hang)
		require.NoError(t, err)
		id = 0
		for cqe := range r.CQ().All() {
			require.Zero(t, cqe.Res)
			require.Equal(t, round<<8|id, cqe.UserData)
			id++
		}
		require.Equal(t, uint64(3), id)
	}
}

// A ring is not resized under an open reservation, whose entries are not all
// filled.
func TestResizeWhileReserved(t *testing.T) {
	needKernel(t, Version{6, 13}, "RESIZE_RINGS")
	lockThread(t)
	r := newRing(t, 4, Params{Flags: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN})
	v := reserve(t, r, 2)
	require.ErrorIs(t, r.Resize(8, 0), ErrReserved)
	v.Done()
	require.NoError(t, r.Resize(8, 0))
	require.EqualValues(t, 8, r.SQ().Entries())
}

// TestLinksOfAReservation: a soft chain ends with its first failure, a hard one
// goes on, and a chain ends where its loop was left.
func TestLinksOfAReservation(t *testing.T) {
	r := newRing(t, 8, Params{})
	run := func(chain func(v Reservation)) map[uint64]syscall.Errno {
		v := reserve(t, r, 6)
		chain(v)
		v.Done()
		_, err := r.SubmitAndWait(5, hang)
		require.NoError(t, err)
		got := map[uint64]syscall.Errno{}
		for cqe := range r.CQ().All() {
			got[cqe.UserData] = cqe.Errno()
		}
		return got
	}
	fill := func(sqe *SQE, id uint64) {
		if sqe.PrepNop(); id == 1 {
			Fsync(sqe, File{}, 0)
		}
		sqe.UserData = id
	}
	const bad, gone = syscall.EBADF, syscall.ECANCELED
	got := run(func(v Reservation) {
		id := uint64(0)
		for sqe := range v.Linked() {
			fill(sqe, id)
			if id++; id == 3 {
				break // another chain
			}
		}
		for sqe := range v.Linked() {
			fill(sqe, id)
			if id++; id == 5 {
				break
			}
		}
	})
	assert.Equal(t, map[uint64]syscall.Errno{0: 0, 1: bad, 2: gone, 3: 0, 4: 0}, got, "and the sixth is silent")
	got = run(func(v Reservation) {
		id := uint64(0)
		for sqe := range v.HardLinked() {
			fill(sqe, id)
			if id++; id == 5 {
				break
			}
		}
	})
	assert.Equal(t, map[uint64]syscall.Errno{0: 0, 1: bad, 2: 0, 3: 0, 4: 0}, got)
}

// TestUnusedReservation is silent, or recognisable.
func TestUnusedReservation(t *testing.T) {
	needKernel(t, Version{5, 17}, "CQE_SKIP")
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{})
	spoil(r.SQ())
	reserve(t, r, 3).Done()
	nop(t, r, 9)
	n, err := r.SubmitAndWait(1, hang)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.Equal(t, uint64(9), one(t, r).UserData, "three have no completion")

	v, err := r.ReserveAudible(2)
	require.NoError(t, err)
	v.Done()
	_, err = r.SubmitAndWait(2, hang)
	require.NoError(t, err)
	for cqe := range r.CQ().All() {
		require.True(t, cqe.Filler())
		require.Zero(t, cqe.Res)
	}
}

// TestSilentFillersEndDraining is what the comment of Reserve warns of.
func TestSilentFillersEndDraining(t *testing.T) {
	needKernel(t, Version{5, 17}, "CQE_SKIP")
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{})
	drain := func() syscall.Errno {
		cqe := submit1(t, r, func(s *SQE) { s.PrepNop(); s.Flags = IOSQE_IO_DRAIN })
		return cqe.Errno()
	}
	v, err := r.ReserveAudible(1)
	require.NoError(t, err)
	v.Done()
	require.True(t, func() bool { cqe := one(t, r); return cqe.Filler() }())
	require.Zero(t, drain())
	reserve(t, r, 1).Done()
	require.Equal(t, syscall.EOPNOTSUPP, drain())
}

// TestUnusedEntriesInEveryShape: of three entries one is used, in rings of all
// kinds and at every position of the queue, whose slots hold what must not be
// submitted.
func TestUnusedEntriesInEveryShape(t *testing.T) {
	needKernel(t, Version{5, 17}, "CQE_SKIP_SUCCESS")
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		for round := range uint64(9) {
			testkit.Eventually(t, func() bool { return r.SQ().Space() == 4 }, "the kernel takes entries")
			spoil(r.SQ())
			v := reserve(t, r, 3)
			if round%2 == 1 {
				v.Next() // taken and not filled
			}
			sqe := v.Next()
			sqe.PrepNop()
			sqe.UserData = round
			v.Done()
			nop(t, r, 100+round)
			n, err := r.SubmitAndWait(2, hang)
			require.NoError(t, err)
			require.Equal(t, 4, n)
			var got []uint64
			for cqe := range r.CQ().All() {
				require.Zero(t, cqe.Res)
				got = append(got, cqe.UserData)
			}
			require.Equal(t, []uint64{round, 100 + round}, got)
		}
	})
}

// TestHalfFilledReservationIsNotSubmitted, by whichever way to submit.
func TestHalfFilledReservationIsNotSubmitted(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		v := reserve(t, r, 2)
		v.Next().PrepNop()
		n, err := r.Submit()
		require.NoError(t, err)
		require.Zero(t, n)
		_, err = r.SubmitAndWait(1, time.Millisecond)
		require.Error(t, err)
		require.Zero(t, r.CQ().Ready())
		v.Next().PrepNop()
		v.Done()
		n, err = r.SubmitAndWait(2, hang)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, uint32(2), r.CQ().Ready())
	})
}

func TestReservationOfAClosedRing(t *testing.T) {
	needRing(t)
	r, err := New(4, nil)
	require.NoError(t, err)
	v, err := r.Reserve(2)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Nil(t, v.Next())
	require.Zero(t, v.Len())
	v.Done()
	_, err = r.Reserve(1)
	require.Error(t, err)
}

// TestReservedWriteAndSync is what links are for: the sync sees the write.
func TestReservedWriteAndSync(t *testing.T) {
	r := newRing(t, 4, Params{})
	fd := FD(tempFile(t, ""))
	text := []byte("text")
	step := 0
	for sqe := range reserve(t, r, 2).Linked() {
		if step++; step == 1 {
			Write(sqe, fd, text, 0)
		} else {
			Fsync(sqe, fd, IORING_FSYNC_DATASYNC)
		}
	}
	_, err := r.SubmitAndWait(2, hang)
	require.NoError(t, err)
	var got []int32
	for cqe := range r.CQ().All() {
		got = append(got, cqe.Res)
	}
	require.Equal(t, []int32{4, 0}, got)
	buf := make([]byte, 8)
	n, err := unix.Pread(fd.Number(), buf, 0)
	require.NoError(t, err)
	require.Equal(t, "text", string(buf[:n]))
}

func TestReservingAllocatesNothing(t *testing.T) {
	r := newRing(t, 8, Params{})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		v, err := r.Reserve(3)
		if err != nil {
			t.Error(err)
			return
		}
		for sqe := range v.Linked() {
			sqe.PrepNop()
		}
		if _, err := r.SubmitAndWait(3, -1); err != nil {
			t.Error(err)
		}
		for _, err := range r.Completions() {
			if err != nil {
				t.Error(err)
			}
		}
	}))
}
