package uring

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEntriesOfMixedSizes fills a queue without a kernel, which would take an
// entry of 128 bytes for two slots and refuse one that begins in the last: a
// filler comes before it there, and no slot is used by two entries.
func TestEntriesOfMixedSizes(t *testing.T) {
	q, khead, ktail := fakeSQ(4, ^uint32(0)-6)
	q.mixed = true
	wide := SubmissionQueue128{q}
	for round := range 40 {
		small := round%3 != 0
		if small {
			sqe := q.Next()
			require.NotNil(t, sqe)
			sqe.PrepNop()
		}
		at, space := q.tail&q.mask, q.Space()
		sqe := wide.Next()
		require.NotNil(t, sqe)
		require.Zero(t, sqe.Extra)
		sqe.PrepNop128()
		for i := range sqe.Extra {
			sqe.Extra[i] = 0xff
		}
		used := uint32(2)
		if at == q.mask {
			used = 3
			require.Equal(t, SQE{
				Opcode: IORING_OP_NOP, Fd: -1, Flags: IOSQE_CQE_SKIP_SUCCESS, UserData: FillerUserData,
			}, q.sqes[at], "it completes if it is refused or cancelled, and then nobody takes it for a request of his own")
			at = 0
		}
		require.Equal(t, space-used, q.Space())
		require.Equal(t, IORING_OP_NOP128, q.sqes[at].Opcode)
		require.Equal(t, ^uint64(0), q.sqes[at+1].UserData, "its second half")
		q.Flush()
		*khead = *ktail
	}
	for q.Space() > 1 {
		q.Next().PrepNop()
	}
	require.Nil(t, wide.Next(), "room for half of it")
	require.NotNil(t, q.Next())
	require.Nil(t, q.Next())
	require.Nil(t, wide.Next())

	tight, khead, _ := fakeSQ(4, 3)
	tight.mixed = true
	for range 2 {
		tight.Next().PrepNop()
	}
	*khead = 3
	tight.tail, tight.head = 3+4, 3+2 // one slot at the end and one at the beginning
	*khead = 3 + 2
	require.Equal(t, uint32(2), tight.Space())
	require.Nil(t, SubmissionQueue128{tight}.Next(), "two that do not lie next to each other")
	require.Equal(t, uint32(2), tight.Space(), "nothing was taken")

	one, _, _ := fakeSQ(1, 0)
	one.mixed = true
	require.Nil(t, SubmissionQueue128{one}.Next(), "never")
}

// TestSince: the releases of flags are in order where the bits are, and a set
// needs the newest of its members.
func TestSince(t *testing.T) {
	require.Len(t, setupSince, len(setupNames))
	require.Len(t, featuresSince, len(featureNames))
	require.Len(t, enterSince, len(enterNames))
	require.Len(t, sqeSince, len(sqeNames))
	for _, tt := range []struct {
		flags interface{ Since() (Version, bool) }
		since Version
	}{
		{SetupFlags(0), Version{5, 1}},
		{IORING_SETUP_IOPOLL, Version{5, 1}},
		{IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER, Version{6, 1}},
		{IORING_SETUP_CQE_MIXED | IORING_SETUP_CQSIZE, Version{6, 18}},
		{IORING_SETUP_SQ_REWIND, Version{7, 0}},
		{IORING_FEAT_NO_IOWAIT | IORING_FEAT_NODROP, Version{6, 15}},
		{IORING_ENTER_ABS_TIMER, Version{6, 12}},
		{IOSQE_CQE_SKIP_SUCCESS | IOSQE_ASYNC, Version{5, 17}},
	} {
		since, known := tt.flags.Since()
		require.True(t, known)
		require.Equal(t, tt.since, since, "%v", tt.flags)
	}
	_, known := SetupFlags(1 << 31).Since()
	require.False(t, known)
}
