package uring

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeSQ is a submission queue without a kernel, whose indexes begin at start.
// The kernel's part is to move the head.
func fakeSQ(entries, start uint32) (q *SubmissionQueue, khead, ktail *uint32) {
	khead, ktail = new(start), new(start)
	return &SubmissionQueue{
		khead: khead, ktail: ktail, kflags: new(uint32), kdropped: new(uint32),
		sqes: make([]SQE, entries), mask: entries - 1, entries: entries,
		head: start, tail: start, published: start,
	}, khead, ktail
}

// TestSubmissionIndexesWrap crosses the end of the 32-bit indexes, which a real
// queue reaches after four billion entries.
func TestSubmissionIndexesWrap(t *testing.T) {
	const entries = 4
	q, khead, ktail := fakeSQ(entries, ^uint32(0)-5)
	seen := uint64(0)
	for userData, round := uint64(0), 0; round < 10; round++ {
		for want := uint32(3); want > 0; want-- {
			require.Equal(t, want+1, q.Space())
			sqe := q.Next()
			require.NotNil(t, sqe)
			sqe.UserData = userData
			userData++
		}
		require.Equal(t, *khead, *ktail, "not shown yet")
		require.Equal(t, uint32(3), q.Flush())
		require.Equal(t, *khead+3, *ktail)
		for ; *khead != *ktail; *khead++ {
			require.Equal(t, seen, q.sqes[*khead&q.mask].UserData)
			seen++
		}
		require.Zero(t, q.Pending())
	}
}

func TestSubmissionQueueFull(t *testing.T) {
	q, khead, _ := fakeSQ(2, 0)
	require.NotNil(t, q.Next())
	require.NotNil(t, q.Next())
	require.Nil(t, q.Next())
	require.Zero(t, q.Space())
	require.Equal(t, uint32(2), q.Flush())
	require.Nil(t, q.Next(), "showing an entry does not free it")
	*khead++
	require.Equal(t, uint32(1), q.Space())
	require.NotNil(t, q.Next())
	require.Nil(t, q.Next())
	require.Equal(t, uint32(2), q.Pending())
}

// TestSubmissionSpaceIsCurrent: Space told of entries that the kernel had long
// consumed as if they were still waiting, until the queue was full, and a chain
// seemed not to fit.
func TestSubmissionSpaceIsCurrent(t *testing.T) {
	q, khead, _ := fakeSQ(4, 0)
	q.Next()
	q.Next()
	q.Flush()
	require.Equal(t, uint32(2), q.Space())
	*khead = 2
	require.Equal(t, uint32(4), q.Space())
}

func TestSubmissionQueueFlags(t *testing.T) {
	q, _, _ := fakeSQ(1, 0)
	*q.kflags, *q.kdropped = uint32(IORING_SQ_CQ_OVERFLOW), 3
	require.Equal(t, IORING_SQ_CQ_OVERFLOW, q.Flags())
	require.Equal(t, uint32(3), q.Dropped())
}

// fakeCQ is a completion queue without a kernel, whose indexes begin at start,
// with completions of 16 << shift bytes.
func fakeCQ(entries, start, shift uint32) (q *CompletionQueue, post func(userData uint64)) {
	q = &CompletionQueue{
		khead: new(start), ktail: new(start), kflags: new(uint32), koverflow: new(uint32),
		cqes: make([]CQE, entries<<shift), mask: entries - 1, entries: entries, shift: shift, head: start,
	}
	return q, func(userData uint64) {
		slot := (*q.ktail & q.mask) << shift
		q.cqes[slot] = CQE{UserData: userData}
		if shift > 0 {
			q.cqes[slot+1] = CQE{UserData: ^userData} // the second half is no completion
		}
		*q.ktail++
	}
}

// TestReapingManyAcrossTheEnd: batches that are copied as memory come in two
// pieces where the queue begins again, for small completions and large ones.
func TestReapingManyAcrossTheEnd(t *testing.T) {
	for shift := range uint32(2) {
		for before := range uint32(16) {
			q, post := fakeCQ(16, ^uint32(0)-before, shift)
			for i := range uint64(14) {
				post(100 + i)
			}
			dst := make([]CQE, 16)
			require.Equal(t, 12, q.Reap(dst[:12]))
			require.Equal(t, 2, q.Reap(dst[12:]))
			for i := range uint64(14) {
				require.Equal(t, 100+i, dst[i].UserData, "%d before the end", before)
			}
			require.Zero(t, q.Ready())
			require.Equal(t, *q.ktail, *q.khead)
		}
	}
}

func TestCompletionIndexesWrap(t *testing.T) {
	for shift := range uint32(2) {
		q, post := fakeCQ(4, ^uint32(0)-5, shift)
		require.Equal(t, uint32(4), q.Entries())
		var posted, seen uint64
		for range 10 {
			for range 3 {
				post(posted)
				posted++
			}
			require.Equal(t, uint32(3), q.Ready())
			require.True(t, q.Nonempty())
			next, ok := q.Peek()
			require.True(t, ok)
			require.Equal(t, seen, next.UserData)
			require.Equal(t, *q.ktail-3, *q.khead, "looking consumes nothing")

			var dst [2]CQE
			require.Equal(t, 2, q.Reap(dst[:]))
			require.Equal(t, seen, dst[0].UserData)
			require.Equal(t, seen+1, dst[1].UserData)
			require.Equal(t, *q.ktail-1, *q.khead, "the slots are given back")
			for cqe := range q.All() {
				require.Equal(t, seen+2, cqe.UserData)
			}
			seen += 3
			require.Equal(t, *q.ktail, *q.khead)
			require.Zero(t, q.Ready())
			require.False(t, q.Nonempty())
			require.Zero(t, q.Reap(dst[:]))
			_, ok = q.Peek()
			require.False(t, ok)
		}
	}
}

func TestReapIntoNothing(t *testing.T) {
	q, post := fakeCQ(2, 0, 0)
	post(1)
	require.Zero(t, q.Reap(nil))
	require.Equal(t, uint32(1), q.Ready())
}

// TestAllCanBeLeftAndResumed also posts a completion while it iterates: it has
// a place already, because the one before was given back.
func TestAllCanBeLeftAndResumed(t *testing.T) {
	q, post := fakeCQ(2, 0, 0)
	post(0)
	post(1)
	for cqe := range q.All() {
		require.Zero(t, cqe.UserData)
		break
	}
	require.Equal(t, uint32(1), q.Ready())
	post(2)
	var seen []uint64
	for cqe := range q.All() {
		seen = append(seen, cqe.UserData)
		if cqe.UserData < 4 {
			post(cqe.UserData + 2)
		}
	}
	require.Equal(t, []uint64{1, 2, 3, 4, 5}, seen)
}

func TestCompletionQueueWords(t *testing.T) {
	q, _ := fakeCQ(1, 0, 0)
	*q.koverflow = 7
	require.Equal(t, uint32(7), q.Overflow())
	require.True(t, q.EventfdEnabled())
	q.SetEventfd(false)
	require.False(t, q.EventfdEnabled())
	require.Equal(t, uint32(IORING_CQ_EVENTFD_DISABLED), *q.kflags)
	q.SetEventfd(true)
	require.True(t, q.EventfdEnabled())

	// Before Linux 5.8 the word did not exist, and what was read in its place
	// was the head of the submission queue.
	q.kflags = nil
	require.True(t, q.EventfdEnabled())
	q.SetEventfd(false)
	require.True(t, q.EventfdEnabled())
}
