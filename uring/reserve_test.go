package uring

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// collect returns the entries that the kernel is shown, and consumes them.
func collect(q *SubmissionQueue, khead, ktail *uint32) []SQE {
	var seen []SQE
	for ; *khead != *ktail; *khead++ {
		seen = append(seen, q.sqes[*khead&q.mask])
	}
	return seen
}

// spoil leaves in every slot what a careless submission would submit.
func spoil(q *SubmissionQueue) {
	for i := range q.sqes {
		q.sqes[i] = SQE{Opcode: IORING_OP_CLOSE, Fd: 1, UserData: 0xbad, Flags: IOSQE_IO_LINK}
	}
}

// userData returns the user data of entries, in order.
func userData(entries []SQE) []uint64 {
	var all []uint64
	for _, s := range entries {
		all = append(all, s.UserData)
	}
	return all
}

// TestReservationWraps lets a block begin at every position of the queue and of
// the 32-bit indexes: iou took it for one piece of memory and wrote behind the
// queue's end.
func TestReservationWraps(t *testing.T) {
	const entries = 4
	for start := range uint32(2 * entries) {
		for n := 1; n <= entries; n++ {
			q, khead, ktail := fakeSQ(entries, ^uint32(0)-entries+start)
			spoil(q)
			v, err := q.reserve(n, 0)
			require.NoError(t, err)
			require.Equal(t, n, v.Len())
			seen := map[*SQE]bool{}
			id := uint64(0)
			for sqe := range v.All() {
				sqe.PrepNop()
				sqe.UserData = id
				id++
				seen[sqe] = true
			}
			require.Len(t, seen, n, "each entry once")
			require.Equal(t, uint32(n), q.Flush())
			require.Equal(t, []uint64{0, 1, 2, 3}[:n], userData(collect(q, khead, ktail)))
		}
	}
}

// TestReservationIsAllOrNothing and takes nothing when it fails.
func TestReservationIsAllOrNothing(t *testing.T) {
	q, khead, _ := fakeSQ(4, 0)
	for _, n := range []int{0, -1, 5} {
		_, err := q.reserve(n, 0)
		require.ErrorContains(t, err, "entries in a submission queue of 4")
	}
	q.Next()
	_, err := q.reserve(4, 0)
	require.Equal(t, ErrQueueFull, err)
	require.Equal(t, uint32(3), q.Space())
	v, err := q.reserve(3, 0)
	require.NoError(t, err)
	require.Zero(t, q.Space())
	_, err = q.reserve(1, 0)
	require.Equal(t, ErrReserved, err)
	v.Done()
	_, err = q.reserve(1, 0)
	require.Equal(t, ErrQueueFull, err)
	q.Flush()
	*khead = 2
	v, err = q.reserve(2, 0)
	require.NoError(t, err)
	v.Done()
	v.Done()
}

// TestUnusedEntriesAreFillers: iou submitted what their slots held before.
func TestUnusedEntriesAreFillers(t *testing.T) {
	filler := SQE{Opcode: IORING_OP_NOP, Fd: -1, Flags: IOSQE_CQE_SKIP_SUCCESS, UserData: FillerUserData}
	for used := range 4 {
		q, khead, ktail := fakeSQ(4, 3)
		spoil(q)
		v, err := q.reserve(3, IOSQE_CQE_SKIP_SUCCESS)
		require.NoError(t, err)
		for i := range used {
			sqe := v.Next()
			require.Equal(t, filler, *sqe, "harmless from the beginning")
			if i < 3 {
				sqe.PrepTimeoutRemove(7)
			}
		}
		if used == 3 {
			require.Nil(t, v.Next())
		}
		require.Equal(t, 3-used, v.Len())
		v.Done()
		require.Equal(t, uint32(3), q.Flush())
		got := collect(q, khead, ktail)
		require.Len(t, got, 3)
		for i, s := range got {
			if i < used {
				assert.Equal(t, IORING_OP_TIMEOUT_REMOVE, s.Opcode)
			} else {
				assert.Equal(t, filler, s)
			}
		}
	}
}

// TestOpenReservationIsHeldBack: a flush in between, or by somebody else, showed
// the kernel half of a chain.
func TestOpenReservationIsHeldBack(t *testing.T) {
	q, khead, ktail := fakeSQ(8, 6)
	before := q.Next()
	before.PrepNop()
	before.UserData = 1
	v, err := q.reserve(3, 0)
	require.NoError(t, err)
	v.Next().UserData = 2
	after := q.Next()
	after.PrepNop()
	after.UserData = 5

	require.Equal(t, uint32(1), q.Flush(), "what was taken before")
	require.Equal(t, []uint64{1}, userData(collect(q, khead, ktail)))
	require.Zero(t, q.Flush())
	require.Equal(t, uint32(4), q.Pending())
	v.Next().UserData = 3
	v.Next().UserData = 4
	require.Zero(t, q.Flush(), "full, but perhaps not filled")
	v.Done()
	require.Equal(t, uint32(4), q.Flush())
	require.Equal(t, []uint64{2, 3, 4, 5}, userData(collect(q, khead, ktail)))
	require.Nil(t, v.Next(), "it has ended")
	require.Zero(t, v.Len())
	for range v.All() {
		t.Fatal("it has ended")
	}
}

// TestChains links all but the last, ends one chain early and begins another.
func TestChains(t *testing.T) {
	const link, hard = IOSQE_IO_LINK, IOSQE_IO_HARDLINK
	q, khead, ktail := fakeSQ(8, 5)
	flags := func() []SQEFlags {
		require.NotZero(t, q.Flush())
		var all []SQEFlags
		for _, s := range collect(q, khead, ktail) {
			all = append(all, s.Flags)
		}
		return all
	}
	reserve := func(n int) Reservation {
		v, err := q.reserve(n, 0)
		require.NoError(t, err)
		return v
	}
	for sqe := range reserve(3).Linked() {
		sqe.PrepNop() // clears the flags, which come after it
		sqe.Flags = IOSQE_ASYNC
	}
	require.Equal(t, []SQEFlags{IOSQE_ASYNC | link, IOSQE_ASYNC | link, IOSQE_ASYNC}, flags())
	for sqe := range reserve(2).HardLinked() {
		sqe.PrepNop()
	}
	require.Equal(t, []SQEFlags{hard, 0}, flags())
	for sqe := range reserve(1).Linked() {
		sqe.PrepNop()
	}
	require.Equal(t, []SQEFlags{0}, flags())

	v := reserve(7)
	n := 0
	for range v.Linked() {
		if n++; n == 3 {
			break
		}
	}
	require.Equal(t, 4, v.Len())
	for range v.HardLinked() {
		if n++; n == 5 {
			break
		}
	}
	require.NotNil(t, v.Next())
	require.Zero(t, q.Flush())
	v.Done()
	require.Equal(t, []SQEFlags{link, link, 0, hard, 0, 0, 0}, flags())
}

// A loop that panics leaves a reservation that can be ended.
func TestReservationSurvivesAPanic(t *testing.T) {
	q, _, _ := fakeSQ(4, 0)
	v, err := q.reserve(3, 0)
	require.NoError(t, err)
	require.Panics(t, func() {
		for range v.Linked() {
			panic("in the body")
		}
	})
	require.Zero(t, q.Flush())
	require.Equal(t, 2, v.Len())
	v.Done()
	require.Equal(t, uint32(3), q.Flush())
}

// TestEndedReservationIsHarmless: one that had ended used to be the next one, so
// that a deferred Done let that be submitted half filled.
func TestEndedReservationIsHarmless(t *testing.T) {
	q, _, _ := fakeSQ(8, 0)
	first, err := q.reserve(2, 0)
	require.NoError(t, err)
	first.Done()
	second, err := q.reserve(3, 0)
	require.NoError(t, err)
	require.Zero(t, first.Len())
	require.Nil(t, first.Next())
	for range first.Linked() {
		t.Fatal("it has ended")
	}
	first.Done()
	require.Equal(t, uint32(2), q.Flush(), "the second is still open")
	require.Equal(t, 3, second.Len())
	second.Done()
	require.Equal(t, uint32(5), q.Flush())

	var none Reservation
	none.Done()
	require.Nil(t, none.Next())
	require.Zero(t, none.Len())
}

func TestBatches(t *testing.T) {
	q, post := fakeCQ(8, ^uint32(0)-3, 0)
	for i := range uint64(7) {
		post(i)
	}
	var buf [3]CQE
	var sizes []int
	next := uint64(0)
	for batch := range q.Batches(buf[:]) {
		sizes = append(sizes, len(batch))
		require.Equal(t, q.head, *q.khead, "given back before the body runs")
		for _, cqe := range batch {
			require.Equal(t, next, cqe.UserData)
			next++
		}
		if next == 6 {
			break
		}
	}
	require.Equal(t, []int{3, 3}, sizes)
	require.Equal(t, uint32(1), q.Ready(), "what a loop leaves is there for the next")
	for batch := range q.Batches(buf[:]) {
		require.Len(t, batch, 1)
		require.Equal(t, uint64(6), batch[0].UserData)
	}
	for range q.Batches(buf[:]) {
		t.Fatal("there are none")
	}
	post(8)
	for range q.Batches(nil) {
		t.Fatal("no room")
	}
	cqe := CQE{UserData: FillerUserData}
	require.True(t, cqe.Filler())
	cqe.UserData++
	require.False(t, cqe.Filler())
}
