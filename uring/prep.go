package uring

import "unsafe"

// The Prep methods fill an entry for one operation. They have four rules in
// common.
//
// Each begins by clearing the whole entry, so user data, SQEFlags and whatever
// else applies are set after it, never before.
//
// An entry holds addresses as numbers and therefore keeps nothing alive. All
// memory that is passed by address must stay reachable from somewhere else,
// and unchanged, until the last completion of the request, the one without
// IORING_CQE_F_MORE; where a comment below says that memory must stay valid,
// that is the meaning. A cancellation that was asked for ends nothing before
// that completion either.
//
// Such memory must not lie on a stack, because a stack moves when it grows.
// The Prep methods force their arguments to the heap; code that computes
// SQE.Addr by itself, or puts an address into something it points to by way of
// a number, must see to it.
//
// A failure is a negative errno in CQE.Res; what the comments say of the result
// is said of success. Descriptors may be slots of the registered file table if
// IOSQE_FIXED_FILE is set.

// CurrentPosition, as the offset of a read or write, means the position of the
// file, which then advances. Files without a position, such as sockets and
// pipes, ignore the offset.
const CurrentPosition = ^uint64(0)

// AtCWD, as a directory descriptor, means the working directory.
const AtCWD = -100

// maxLen is the longest read or write the kernel carries out at once. A longer
// slice is cut to this, so that a length beyond 32 bits becomes a short count
// and not a wrong one.
const maxLen = 0x7ffff000

// cutLen returns the length of a slice as an entry holds it.
func cutLen(n int) uint32 { return uint32(min(n, maxLen)) }

// neverTrue and heapSink exist to make arguments escape, see address.
var (
	neverTrue bool
	heapSink  unsafe.Pointer
)

// address returns a pointer as the number that an entry holds. The compiler
// must assume that the pointer is stored in heapSink, so what it points to is
// on the heap, where nothing moves. Converting it to a number alone would leave
// it on the stack of the caller.
func address[T any](p *T) uint64 { return rawAddress(unsafe.Pointer(p)) }

// rawAddress is address for a pointer without a type.
func rawAddress(p unsafe.Pointer) uint64 {
	if neverTrue {
		heapSink = p
	}
	return uint64(uintptr(p))
}

// setBytes puts a slice into Addr and Len. The address of an empty slice is
// whatever the slice has, nil included; the kernel does not look at it.
func (s *SQE) setBytes(b []byte) {
	s.Addr, s.Len = address(unsafe.SliceData(b)), cutLen(len(b))
}

// PrepNop does nothing. Since 5.1. The result is 0.
func (s *SQE) PrepNop() { *s = SQE{Opcode: IORING_OP_NOP, Fd: -1} }

// PrepUringCmd passes a command to the driver behind a file; its argument goes
// into Cmd. Since 5.19. What memory must stay valid and what the result means
// is up to the command.
func (s *SQE) PrepUringCmd(fd int, cmd uint32, flags UringCmdFlags) {
	*s = SQE{Opcode: IORING_OP_URING_CMD, Fd: int32(fd), OpFlags: uint32(flags)}
	s.SetCmdOp(cmd)
}

// PrepSocketCmd passes a command to a socket: a socket option to get or set, or
// with neither level, name nor value one of the queries. Since 6.7. The value
// must stay valid. The result is the size of the option that was read, or what
// was asked for.
func (s *SQE) PrepSocketCmd(fd int, cmd SocketOp, level, name uint32, value unsafe.Pointer, size uint32) {
	s.PrepUringCmd(fd, uint32(cmd), 0)
	s.SetLevel(level)
	s.SetOptname(name)
	s.SetOptval(rawAddress(value))
	s.SetOptlen(size)
}
