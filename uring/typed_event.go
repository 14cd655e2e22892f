package uring

import "unsafe"

// PollAdd is PrepPollAdd.
func PollAdd(s *SQE, f File, events uint32, flags PollFlags) {
	s.PrepPollAdd(0, events, flags)
	s.setFile(f)
}

// CancelFile is PrepCancelFd. IORING_ASYNC_CANCEL_FD_FIXED is set as the file
// demands. The kernel compares files, so it does not matter by which of its
// names a request was given the file.
func CancelFile(s *SQE, f File, flags CancelFlags) {
	flags &^= IORING_ASYNC_CANCEL_FD_FIXED
	if f.Registered() {
		flags |= IORING_ASYNC_CANCEL_FD_FIXED
	}
	s.PrepCancelFd(f.Number(), flags)
}

// MsgRing is PrepMsgRing.
func MsgRing(s *SQE, ring File, res uint32, userData uint64, flags MsgRingFlags) {
	s.PrepMsgRing(0, res, userData, flags)
	s.setFile(ring)
}

// MsgRingFile is PrepMsgRingFd: it passes a registered file, no descriptor, to a
// slot of the other ring.
func MsgRingFile(s *SQE, ring, f File, to Target, userData uint64, flags MsgRingFlags) error {
	if !f.Registered() {
		return s.refuse(IORING_OP_MSG_RING, f, FileSlot)
	}
	s.PrepMsgRingFd(0, uint32(f.Number()), 0, userData, flags)
	s.SetFileIndex(uint32(to))
	s.setFile(ring)
	return nil
}

// EpollCtl is PrepEpollCtl. Neither the epoll descriptor nor what it watches can
// be a registered file.
func EpollCtl(s *SQE, epfd File, op int, f File, event unsafe.Pointer) error {
	if bad, ok := anyRegistered(epfd, f); ok {
		return s.refuse(IORING_OP_EPOLL_CTL, bad, FileDescriptor)
	}
	s.PrepEpollCtl(epfd.Number(), op, f.Number(), event)
	return nil
}

// EpollWait is PrepEpollWait.
func EpollWait(s *SQE, epfd File, events unsafe.Pointer, n int) {
	s.PrepEpollWait(0, events, n)
	s.setFile(epfd)
}
