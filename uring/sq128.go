package uring

import "unsafe"

// SubmissionQueue128 is the submission queue of a ring that takes entries of
// 128 bytes: all of them (IORING_SETUP_SQE128), or those that are asked for
// (IORING_SETUP_SQE_MIXED). Ring.SQ128 returns it. It is a view of the ring's
// SubmissionQueue, with the same rules, and both may be used in turn.
type SubmissionQueue128 struct{ *SubmissionQueue }

// Next returns the next free entry with all its 128 bytes, the second half of
// which is empty, or nil when the queue has no room for it. Everything said of
// SubmissionQueue.Next holds.
//
// In a ring of mixed sizes an entry of 128 bytes takes the room of two, and two
// that lie next to each other: at the end of the queue a filler may come before
// it (see FillerUserData), which completes silently unless it fails or is
// cancelled. The filler ends a chain of linked entries, so that in a chain only
// the first entry can be of 128 bytes for certain; and the ring refuses
// IOSQE_IO_DRAIN after it, as it does after Reserve. Only NOP128 and URING_CMD128
// have that size there.
func (q SubmissionQueue128) Next() *SQE128 {
	if q.mixed {
		return q.nextPair()
	}
	return (*SQE128)(unsafe.Pointer(q.SubmissionQueue.Next()))
}

// nextPair takes two slots of a ring of mixed sizes that lie next to each
// other.
func (q *SubmissionQueue) nextPair() *SQE128 {
	atEnd := q.tail&q.mask == q.mask
	need := uint32(2)
	if atEnd {
		need = 3
	}
	if q.entries < need || q.Space() < need {
		return nil
	}
	if atEnd {
		q.Next().prepFiller(IOSQE_CQE_SKIP_SUCCESS)
	}
	sqe := (*SQE128)(unsafe.Pointer(&q.sqes[q.tail&q.mask]))
	sqe.Extra = [64]byte{}
	q.tail += 2
	return sqe
}

// PrepNop128 is PrepNop in an entry of 128 bytes of a ring of mixed sizes. Since
// 6.19; before, the result is EINVAL. In a ring with IORING_SETUP_SQE128 it is
// PrepNop.
func (s *SQE128) PrepNop128() { *s = SQE128{SQE: SQE{Opcode: IORING_OP_NOP128, Fd: -1}} }

// PrepUringCmd128 is PrepUringCmd in an entry of 128 bytes of a ring of mixed
// sizes: the command has 80 bytes, in Cmd. Since 6.19; before, the result is
// EINVAL. In a ring with IORING_SETUP_SQE128 it is PrepUringCmd.
func (s *SQE128) PrepUringCmd128(fd int, cmd uint32, flags UringCmdFlags) {
	*s = SQE128{}
	s.PrepUringCmd(fd, cmd, flags)
	s.Opcode = IORING_OP_URING_CMD128
}
