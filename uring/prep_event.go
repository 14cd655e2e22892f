package uring

import "unsafe"

// PrepPollAdd waits until a file is ready; events are the POLL bits of poll(2).
// Since 5.1. The result is the mask of what is ready. With
// IORING_POLL_ADD_MULTI it completes again and again.
func (s *SQE) PrepPollAdd(fd int, events uint32, flags PollFlags) {
	*s = SQE{Opcode: IORING_OP_POLL_ADD, Fd: int32(fd), Len: uint32(flags), OpFlags: pollWord(events)}
}

// PrepPollRemove ends the poll with the given user data. Since 5.1. The result
// is 0; the poll itself completes with ECANCELED.
func (s *SQE) PrepPollRemove(target uint64) {
	*s = SQE{Opcode: IORING_OP_POLL_REMOVE, Fd: -1, Addr: target}
}

// PrepPollUpdate changes the events or the user data of the poll with the
// given user data, as the flags say. Since 5.13. The result is 0.
func (s *SQE) PrepPollUpdate(target, newUserData uint64, events uint32, flags PollFlags) {
	*s = SQE{
		Opcode: IORING_OP_POLL_REMOVE, Fd: -1, Off: newUserData, Addr: target, Len: uint32(flags),
		OpFlags: pollWord(events),
	}
}

// PrepTimeout waits until the time is up or, if count is not 0, until count
// further requests have completed. Since 5.4. ts must stay valid. The result is
// an error, ETIME, when the time is up, and 0 when the count was reached. With
// IORING_TIMEOUT_MULTISHOT it completes again and again, count times or without
// end.
func (s *SQE) PrepTimeout(ts *Timespec, count uint64, flags TimeoutFlags) {
	*s = SQE{
		Opcode: IORING_OP_TIMEOUT, Fd: -1, Off: count, Addr: address(ts), Len: 1, OpFlags: uint32(flags),
	}
}

// PrepTimeoutRemove ends the timeout with the given user data. Since 5.5. The
// result is 0; the timeout itself completes with ECANCELED.
func (s *SQE) PrepTimeoutRemove(target uint64) {
	*s = SQE{Opcode: IORING_OP_TIMEOUT_REMOVE, Fd: -1, Addr: target}
}

// PrepTimeoutUpdate sets a new time for the timeout with the given user data;
// with IORING_LINK_TIMEOUT_UPDATE that is a linked timeout. Since 5.11, for
// linked ones 5.15. ts must stay valid. The result is 0.
func (s *SQE) PrepTimeoutUpdate(ts *Timespec, target uint64, flags TimeoutFlags) {
	*s = SQE{
		Opcode: IORING_OP_TIMEOUT_REMOVE, Fd: -1, Off: address(ts), Addr: target,
		OpFlags: uint32(flags | IORING_TIMEOUT_UPDATE),
	}
}

// PrepLinkTimeout bounds the time of the request before it, which must carry
// IOSQE_IO_LINK. Since 5.5. ts must stay valid. The result is an error: ETIME
// when it cancelled the request, ECANCELED when the request was done before.
func (s *SQE) PrepLinkTimeout(ts *Timespec, flags TimeoutFlags) {
	*s = SQE{Opcode: IORING_OP_LINK_TIMEOUT, Fd: -1, Addr: address(ts), Len: 1, OpFlags: uint32(flags)}
}

// PrepCancel cancels the request with the given user data, or with
// IORING_ASYNC_CANCEL_ANY all requests. Since 5.5. The result is the number of
// requests with IORING_ASYNC_CANCEL_ALL or _ANY, which may be none; otherwise 0
// (of a wait for a futex or a child 1), ENOENT if there is no such request, and
// EALREADY if it runs and was only interrupted. The request itself completes in
// any case, before or after this.
func (s *SQE) PrepCancel(userData uint64, flags CancelFlags) {
	*s = SQE{Opcode: IORING_OP_ASYNC_CANCEL, Fd: -1, Addr: userData, OpFlags: uint32(flags)}
}

// PrepCancelFd cancels a request on the given file, or all of them with
// IORING_ASYNC_CANCEL_ALL; with IORING_ASYNC_CANCEL_FD_FIXED fd is a slot. Since
// 5.19. The result is that of PrepCancel.
func (s *SQE) PrepCancelFd(fd int, flags CancelFlags) {
	*s = SQE{Opcode: IORING_OP_ASYNC_CANCEL, Fd: int32(fd), OpFlags: uint32(flags | IORING_ASYNC_CANCEL_FD)}
}

// PrepCancelOp cancels a request of the given kind, or all of them with
// IORING_ASYNC_CANCEL_ALL. Since 6.6. The result is that of PrepCancel.
func (s *SQE) PrepCancelOp(op Op, flags CancelFlags) {
	*s = SQE{
		Opcode: IORING_OP_ASYNC_CANCEL, Fd: -1, Len: uint32(op), OpFlags: uint32(flags | IORING_ASYNC_CANCEL_OP),
	}
}

// PrepMsgRing posts a completion with the given result and user data to another
// ring. With IORING_MSG_RING_FLAGS_PASS it has the flags set by SetFileIndex.
// Since 5.18. The result is 0.
func (s *SQE) PrepMsgRing(ringFd int, res uint32, userData uint64, flags MsgRingFlags) {
	*s = SQE{
		Opcode: IORING_OP_MSG_RING, Fd: int32(ringFd), Off: userData, Addr: uint64(IORING_MSG_DATA),
		Len: res, OpFlags: uint32(flags),
	}
}

// PrepMsgRingFd passes the file in slot src of this ring to slot dst of another,
// or with IORING_FILE_INDEX_ALLOC to one that the kernel chooses, and posts a
// completion with the given user data there, unless IORING_MSG_RING_CQE_SKIP is
// set. Since 6.0. The result is 0, or the chosen slot.
func (s *SQE) PrepMsgRingFd(ringFd int, src, dst uint32, userData uint64, flags MsgRingFlags) {
	*s = SQE{
		Opcode: IORING_OP_MSG_RING, Fd: int32(ringFd), Off: userData, Addr: uint64(IORING_MSG_SEND_FD),
		Addr3: uint64(src), OpFlags: uint32(flags),
	}
	s.SetFileSlot(dst)
}

// PrepEpollCtl changes what an epoll descriptor watches, as epoll_ctl(2) does.
// Since 5.6. The epoll_event must stay valid. The result is 0.
func (s *SQE) PrepEpollCtl(epfd, op, fd int, event unsafe.Pointer) {
	*s = SQE{
		Opcode: IORING_OP_EPOLL_CTL, Fd: int32(epfd), Off: uint64(fd), Addr: rawAddress(event), Len: uint32(op),
	}
}

// PrepEpollWait waits for up to n events of an epoll descriptor. Since 6.15. The
// array of epoll_event must stay valid. The result is the number of events.
func (s *SQE) PrepEpollWait(epfd int, events unsafe.Pointer, n int) {
	*s = SQE{Opcode: IORING_OP_EPOLL_WAIT, Fd: int32(epfd), Addr: rawAddress(events), Len: uint32(n)}
}

// PrepFutexWait waits while the word has the given value, as futex_wait(2) does;
// wakes that share no bit with mask are ignored. Since 6.7. The word must stay
// valid. The result is 0, or EAGAIN if the word had another value.
func (s *SQE) PrepFutexWait(word *uint32, val, mask uint64, flags Futex2Flags) {
	s.prepFutex(IORING_OP_FUTEX_WAIT, word, val, mask, flags)
}

// PrepFutexWake wakes up to n waiters of the word, as futex_wake(2) does. Since
// 6.7. The word must stay valid. The result is the number of waiters woken.
func (s *SQE) PrepFutexWake(word *uint32, n, mask uint64, flags Futex2Flags) {
	s.prepFutex(IORING_OP_FUTEX_WAKE, word, n, mask, flags)
}

func (s *SQE) prepFutex(op Op, word *uint32, val, mask uint64, flags Futex2Flags) {
	*s = SQE{Opcode: op, Fd: int32(flags), Off: val, Addr: address(word), Addr3: mask}
}

// PrepFutexWaitv waits for any of n futex words, as futex_waitv(2) does. Since
// 6.7. The array and the words must stay valid. The result is the index of the
// word that was woken.
func (s *SQE) PrepFutexWaitv(words *FutexWaitv, n int) {
	*s = SQE{Opcode: IORING_OP_FUTEX_WAITV, Addr: address(words), Len: uint32(n)}
}

// PrepWaitid waits for a child process, as waitid(2) does. Since 6.7. The
// siginfo, unless it is nil, must stay valid. The result is 0.
func (s *SQE) PrepWaitid(idtype, id int, info unsafe.Pointer, options uint32) {
	*s = SQE{
		Opcode: IORING_OP_WAITID, Fd: int32(id), Off: rawAddress(info), Len: uint32(idtype),
		SpliceFdIn: int32(options),
	}
}
