package uring

import "unsafe"

// PrepNopFlags does nothing but what its flags say: look the descriptor up,
// which is a number, a slot, or -1 for none, and complete with the given result.
// For tests of an event loop. Since 6.10, with all flags since 6.15; kernels
// before ignore the flags.
func (s *SQE) PrepNopFlags(fd int, result int32, flags NopFlags) {
	*s = SQE{Opcode: IORING_OP_NOP, Fd: int32(fd), Len: uint32(result), OpFlags: uint32(flags)}
}

// PrepFsyncRange is PrepFsync for n bytes from off on; 0 is all that follows.
// Since 5.1. The kernel may sync more. The result is 0.
func (s *SQE) PrepFsyncRange(fd int, off uint64, n uint32, flags FsyncFlags) {
	*s = SQE{Opcode: IORING_OP_FSYNC, Fd: int32(fd), Off: off, Len: n, OpFlags: uint32(flags)}
}

// PrepFadvise64 is PrepFadvise with a length of 64 bits. Since 6.11: kernels
// before refuse it with EINVAL. The result is 0.
func (s *SQE) PrepFadvise64(fd int, off, n uint64, advice int32) {
	*s = SQE{Opcode: IORING_OP_FADVISE, Fd: int32(fd), Off: off, Addr: n, OpFlags: uint32(advice)}
}

// PrepMadvise64 is PrepMadvise with a length of 64 bits. Since 6.11: kernels
// before refuse it with EINVAL. The result is 0.
func (s *SQE) PrepMadvise64(addr unsafe.Pointer, n uint64, advice int32) {
	*s = SQE{Opcode: IORING_OP_MADVISE, Fd: -1, Off: n, Addr: rawAddress(addr), OpFlags: uint32(advice)}
}

// PrepTimeoutMultishot expires again and again, n times or, if n is 0, until it
// is cancelled. Since 6.4. ts must stay valid until the first completion at
// least. Each result is an error, ETIME; all but the last of n have
// IORING_CQE_F_MORE. It ends early, too, when a completion finds no room in the
// queue, and then has to be prepared again.
func (s *SQE) PrepTimeoutMultishot(ts *Timespec, n uint64, flags TimeoutFlags) {
	s.PrepTimeout(ts, n, flags|IORING_TIMEOUT_MULTISHOT)
}

// PrepTimeoutImmediate is PrepTimeout with a duration in nanoseconds in the
// entry itself, so that no memory has to stay valid. Since 7.1: kernels before
// refuse it with EINVAL. It does not go with IORING_TIMEOUT_ABS there.
func (s *SQE) PrepTimeoutImmediate(nsec, count uint64, flags TimeoutFlags) {
	*s = SQE{
		Opcode: IORING_OP_TIMEOUT, Fd: -1, Off: count, Addr: nsec, Len: 1,
		OpFlags: uint32(flags | IORING_TIMEOUT_IMMEDIATE_ARG),
	}
}

// PrepSocketName asks for the address of a socket, or of its peer, as
// getsockname(2) and getpeername(2) do. Since 6.19: kernels before refuse it with
// EOPNOTSUPP. The address and its length, which says what room there is, must
// stay valid. The result is 0.
func (s *SQE) PrepSocketName(fd int, addr unsafe.Pointer, addrlen *uint32, peer bool) {
	s.PrepUringCmd(fd, uint32(SOCKET_URING_OP_GETSOCKNAME), 0)
	s.Addr, s.Addr3 = rawAddress(addr), address(addrlen)
	if peer {
		s.SetOptlen(1)
	}
}

// PrepTxTimestamp reports when what was sent on a socket left, for a socket with
// SO_TIMESTAMPING set to tell time stamps alone (SOF_TIMESTAMPING_OPT_TSONLY).
// Since 6.17, in a ring with 32-byte completions. It completes again and again;
// CQE.TxTimestamp takes a completion apart.
func (s *SQE) PrepTxTimestamp(fd int) {
	s.PrepUringCmd(fd, uint32(SOCKET_URING_OP_TX_TIMESTAMP), 0)
}

// PrepDiscard tells a block device that n bytes from off on are not needed any
// more; both are multiples of its sector size. Since 6.12. The result is 0.
func (s *SQE) PrepDiscard(fd int, off, n uint64) {
	s.PrepUringCmd(fd, BLOCK_URING_CMD_DISCARD, 0)
	s.Addr, s.Addr3 = off, n
}

// PrepZoneResetAll empties all zones of a zoned block device. It came after 6.18:
// kernels before refuse it with EINVAL. The result is 0.
func (s *SQE) PrepZoneResetAll(fd int) { s.PrepUringCmd(fd, BLOCK_URING_CMD_ZONE_RESET_ALL, 0) }
