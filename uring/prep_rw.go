package uring

import "unsafe"

// PrepRead reads at an offset, as pread(2) does, or read(2) with
// CurrentPosition. Since 5.6. buf must stay valid. The result is the number of
// bytes read, 0 at the end.
func (s *SQE) PrepRead(fd int, buf []byte, off uint64) {
	*s = SQE{Opcode: IORING_OP_READ, Fd: int32(fd), Off: off}
	s.setBytes(buf)
}

// PrepWrite writes at an offset, as pwrite(2) does, or write(2) with
// CurrentPosition. Since 5.6. buf must stay valid and unchanged. The result is
// the number of bytes written.
func (s *SQE) PrepWrite(fd int, buf []byte, off uint64) {
	*s = SQE{Opcode: IORING_OP_WRITE, Fd: int32(fd), Off: off}
	s.setBytes(buf)
}

// PrepReadv reads into n pieces, as preadv2(2) does; flags are its RWF_ flags.
// Since 5.1. The array and the bytes it points to must stay valid. The result
// is the number of bytes read, 0 at the end.
func (s *SQE) PrepReadv(fd int, iov *Iovec, n int, off uint64, flags int32) {
	s.prepVector(IORING_OP_READV, fd, iov, n, off, flags)
}

// PrepWritev writes n pieces, as pwritev2(2) does; flags are its RWF_ flags.
// Since 5.1. The array and the bytes it points to must stay valid and
// unchanged. The result is the number of bytes written.
func (s *SQE) PrepWritev(fd int, iov *Iovec, n int, off uint64, flags int32) {
	s.prepVector(IORING_OP_WRITEV, fd, iov, n, off, flags)
}

func (s *SQE) prepVector(op Op, fd int, iov *Iovec, n int, off uint64, flags int32) {
	*s = SQE{Opcode: op, Fd: int32(fd), Off: off, Addr: address(iov), Len: uint32(n), OpFlags: uint32(flags)}
}

// PrepReadFixed is PrepRead into a part of the registered buffer with the given
// index. Since 5.1. The buffer must stay registered. The result is the number
// of bytes read, 0 at the end.
func (s *SQE) PrepReadFixed(fd int, buf []byte, off uint64, index uint16) {
	*s = SQE{Opcode: IORING_OP_READ_FIXED, Fd: int32(fd), Off: off, BufIndex: index}
	s.setBytes(buf)
}

// PrepWriteFixed is PrepWrite from a part of the registered buffer with the
// given index. Since 5.1. The buffer must stay registered and the part
// unchanged. The result is the number of bytes written.
func (s *SQE) PrepWriteFixed(fd int, buf []byte, off uint64, index uint16) {
	*s = SQE{Opcode: IORING_OP_WRITE_FIXED, Fd: int32(fd), Off: off, BufIndex: index}
	s.setBytes(buf)
}

// PrepReadvFixed is PrepReadv into pieces of the registered buffer with the
// given index. Since 6.15. The array must stay valid and the buffer
// registered. The result is the number of bytes read, 0 at the end.
func (s *SQE) PrepReadvFixed(fd int, iov *Iovec, n int, off uint64, flags int32, index uint16) {
	s.prepVector(IORING_OP_READV_FIXED, fd, iov, n, off, flags)
	s.BufIndex = index
}

// PrepWritevFixed is PrepWritev from pieces of the registered buffer with the
// given index. Since 6.15. The array must stay valid, the buffer registered
// and the pieces unchanged. The result is the number of bytes written.
func (s *SQE) PrepWritevFixed(fd int, iov *Iovec, n int, off uint64, flags int32, index uint16) {
	s.prepVector(IORING_OP_WRITEV_FIXED, fd, iov, n, off, flags)
	s.BufIndex = index
}

// PrepReadMultishot reads again and again into buffers of a group, from a file
// that can be polled. Since 6.7. The group must stay registered. Each result is
// the number of bytes in the buffer that CQE.BufferID names.
func (s *SQE) PrepReadMultishot(fd int, off uint64, group uint16) {
	*s = SQE{
		Opcode: IORING_OP_READ_MULTISHOT, Fd: int32(fd), Off: off,
		Flags: IOSQE_BUFFER_SELECT, BufIndex: group,
	}
}

// PrepSplice moves n bytes between a pipe and a file, as splice(2) does; the
// offset of a pipe is -1. Since 5.7. No memory is used. The result is the number
// of bytes moved, 0 at the end.
func (s *SQE) PrepSplice(fdIn int, offIn int64, fdOut int, offOut int64, n uint32, flags SpliceFlags) {
	*s = SQE{
		Opcode: IORING_OP_SPLICE, Fd: int32(fdOut), Off: uint64(offOut), Addr: uint64(offIn),
		Len: n, OpFlags: uint32(flags), SpliceFdIn: int32(fdIn),
	}
}

// PrepTee copies n bytes from one pipe to another without consuming them, as
// tee(2) does. Since 5.8. No memory is used. The result is the number of bytes
// copied.
func (s *SQE) PrepTee(fdIn, fdOut int, n uint32, flags SpliceFlags) {
	*s = SQE{
		Opcode: IORING_OP_TEE, Fd: int32(fdOut), Len: n, OpFlags: uint32(flags), SpliceFdIn: int32(fdIn),
	}
}

// PrepProvideBuffers gives a group n buffers of equal size that lie one behind
// the other; first is the id of the first. Since 5.7. The memory belongs to the
// kernel until each buffer has been handed out or removed, whatever the
// completion says. The result is 0 or more.
func (s *SQE) PrepProvideBuffers(base unsafe.Pointer, size uint32, n int, group, first uint16) {
	*s = SQE{
		Opcode: IORING_OP_PROVIDE_BUFFERS, Fd: int32(n), Off: uint64(first),
		Addr: rawAddress(base), Len: size, BufIndex: group,
	}
}

// PrepRemoveBuffers takes up to n buffers back from a group. Since 5.7. The
// result is the number of buffers taken back.
func (s *SQE) PrepRemoveBuffers(n int, group uint16) {
	*s = SQE{Opcode: IORING_OP_REMOVE_BUFFERS, Fd: int32(n), BufIndex: group}
}
