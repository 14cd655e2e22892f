package uring

import "unsafe"

// The kernel gives several names to most fields of an SQE. The methods below
// are those names; each reads or writes exactly the bytes the kernel reads
// under it, whatever the byte order of the machine.

// half returns the 32-bit half of a 64-bit field that lies at the given
// index in memory.
func half(field *uint64, index int) *uint32 {
	return &(*[2]uint32)(unsafe.Pointer(field))[index]
}

// Addr2 returns the second address.
func (s *SQE) Addr2() uint64 { return s.Off }

// SetAddr2 sets the second address.
func (s *SQE) SetAddr2(addr uint64) { s.Off = addr }

// CmdOp returns the command of IORING_OP_URING_CMD.
func (s *SQE) CmdOp() uint32 { return *half(&s.Off, 0) }

// SetCmdOp sets the command of IORING_OP_URING_CMD and clears the padding
// behind it.
func (s *SQE) SetCmdOp(op uint32) { *half(&s.Off, 0), *half(&s.Off, 1) = op, 0 }

// SpliceOffIn returns the offset a splice reads at.
func (s *SQE) SpliceOffIn() uint64 { return s.Addr }

// SetSpliceOffIn sets the offset a splice reads at, ^uint64(0) for a pipe.
func (s *SQE) SetSpliceOffIn(off uint64) { s.Addr = off }

// Level returns the protocol level of a socket option command.
func (s *SQE) Level() uint32 { return *half(&s.Addr, 0) }

// SetLevel sets the protocol level of a socket option command.
func (s *SQE) SetLevel(level uint32) { *half(&s.Addr, 0) = level }

// Optname returns the option of a socket option command.
func (s *SQE) Optname() uint32 { return *half(&s.Addr, 1) }

// SetOptname sets the option of a socket option command.
func (s *SQE) SetOptname(name uint32) { *half(&s.Addr, 1) = name }

// Poll32Events returns the poll mask in its usual form.
func (s *SQE) Poll32Events() uint32 { return pollWord(s.OpFlags) }

// SetPoll32Events sets the poll mask, given in its usual form.
func (s *SQE) SetPoll32Events(events uint32) { s.OpFlags = pollWord(events) }

// bigEndian is whether the first byte of a number in memory is its largest.
var bigEndian = func() bool {
	probe := uint16(1)
	return *(*byte)(unsafe.Pointer(&probe)) == 0
}()

// pollWord converts a poll mask between its usual form and the one in an SQE.
// The kernel keeps the low half first, where 16-bit masks used to be, so the
// halves change places on a big-endian machine.
func pollWord(v uint32) uint32 {
	if bigEndian {
		return swapHalves(v)
	}
	return v
}

func swapHalves(v uint32) uint32 { return v<<16 | v>>16 }

// BufGroup returns the buffer group that a buffer is taken from.
func (s *SQE) BufGroup() uint16 { return s.BufIndex }

// SetBufGroup sets the buffer group that a buffer is taken from. The request
// needs IOSQE_BUFFER_SELECT as well.
func (s *SQE) SetBufGroup(group uint16) { s.BufIndex = group }

// FileIndex returns the direct descriptor target: 0 for none, otherwise the
// slot plus one, or IORING_FILE_INDEX_ALLOC.
func (s *SQE) FileIndex() uint32 { return uint32(s.SpliceFdIn) }

// SetFileIndex sets the raw direct descriptor target: 0 for none, otherwise
// the slot plus one, or IORING_FILE_INDEX_ALLOC. SetFileSlot takes the slot.
func (s *SQE) SetFileIndex(index uint32) { s.SpliceFdIn = int32(index) }

// SetFileSlot makes the request put its new file into a slot of the registered
// file table instead of a descriptor. IORING_FILE_INDEX_ALLOC lets the kernel
// choose, and then the result is the slot.
func (s *SQE) SetFileSlot(slot uint32) {
	if slot != IORING_FILE_INDEX_ALLOC {
		slot++
	}
	s.SetFileIndex(slot)
}

// ZcrxIfqIdx returns the id of the zero-copy receive queue.
func (s *SQE) ZcrxIfqIdx() uint32 { return uint32(s.SpliceFdIn) }

// SetZcrxIfqIdx sets the id of the zero-copy receive queue.
func (s *SQE) SetZcrxIfqIdx(id uint32) { s.SpliceFdIn = int32(id) }

// Optlen returns the size of the option value of a socket option command.
func (s *SQE) Optlen() uint32 { return uint32(s.SpliceFdIn) }

// SetOptlen sets the size of the option value of a socket option command.
func (s *SQE) SetOptlen(n uint32) { s.SpliceFdIn = int32(n) }

// addrLen returns the two 16-bit words at the place of addr_len.
func (s *SQE) addrLen() *[2]uint16 { return (*[2]uint16)(unsafe.Pointer(&s.SpliceFdIn)) }

// AddrLen returns the size of the destination address of a send.
func (s *SQE) AddrLen() uint16 { return s.addrLen()[0] }

// SetAddrLen sets the size of the destination address of a send and clears the
// padding behind it.
func (s *SQE) SetAddrLen(n uint16) { *s.addrLen() = [2]uint16{n, 0} }

// AttrPtr returns the address of the attributes of a read or write.
func (s *SQE) AttrPtr() uint64 { return s.Addr3 }

// SetAttrPtr sets the address of the attributes of a read or write.
func (s *SQE) SetAttrPtr(addr uint64) { s.Addr3 = addr }

// AttrTypeMask returns which attributes AttrPtr points to.
func (s *SQE) AttrTypeMask() RWAttrFlags { return RWAttrFlags(s.Pad2) }

// SetAttrTypeMask sets which attributes AttrPtr points to.
func (s *SQE) SetAttrTypeMask(mask RWAttrFlags) { s.Pad2 = uint64(mask) }

// Optval returns the address of the option value of a socket option command.
func (s *SQE) Optval() uint64 { return s.Addr3 }

// SetOptval sets the address of the option value of a socket option command.
func (s *SQE) SetOptval(addr uint64) { s.Addr3 = addr }

// Cmd returns the 16 bytes that an IORING_OP_URING_CMD passes to its driver.
func (s *SQE) Cmd() *[16]byte { return (*[16]byte)(unsafe.Pointer(&s.Addr3)) }

// SQE128 is the entry of a ring with IORING_SETUP_SQE128: the same SQE, with
// more room for the command of IORING_OP_URING_CMD.
type SQE128 struct {
	SQE
	Extra [64]byte
}

// Cmd returns the 80 bytes that an IORING_OP_URING_CMD passes to its driver.
func (s *SQE128) Cmd() *[80]byte { return (*[80]byte)(unsafe.Pointer(&s.Addr3)) }
