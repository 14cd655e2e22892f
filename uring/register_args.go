package uring

import "structs"

// The arguments of io_uring_register(2), each named for what it registers.
// Addresses are numbers: whoever fills them keeps the memory alive. Reserved
// fields must be zero.

// FilesUpdate is the first form of an argument of
// IORING_REGISTER_FILES_UPDATE; RsrcUpdate has the same layout.
type FilesUpdate struct {
	_      structs.HostLayout
	Offset uint32
	Resv   uint32
	Fds    uint64 // address of int32 descriptors
}

// RsrcRegister is the argument of IORING_REGISTER_FILES2 and
// IORING_REGISTER_BUFFERS2.
type RsrcRegister struct {
	_     structs.HostLayout
	Nr    uint32
	Flags RsrcFlags
	Resv2 uint64
	Data  uint64 // address of int32 descriptors, or of iovecs
	Tags  uint64 // address of uint64 tags, or 0
}

// RsrcUpdate is the argument of IORING_REGISTER_FILES_UPDATE, and the element
// of IORING_REGISTER_RING_FDS, where Data is a descriptor.
type RsrcUpdate struct {
	_      structs.HostLayout
	Offset uint32
	Resv   uint32
	Data   uint64
}

// RsrcUpdate2 is the argument of IORING_REGISTER_FILES_UPDATE2 and
// IORING_REGISTER_BUFFERS_UPDATE.
type RsrcUpdate2 struct {
	_      structs.HostLayout
	Offset uint32
	Resv   uint32
	Data   uint64
	Tags   uint64
	Nr     uint32
	Resv2  uint32
}

// ProbeOp is what a Probe says of one opcode.
type ProbeOp struct {
	_     structs.HostLayout
	Op    Op
	Resv  uint8
	Flags ProbeOpFlags
	Resv2 uint32
}

// MaxProbeOps is how many opcodes a probe can ask for.
const MaxProbeOps = 256

// ProbeHeader is the fixed part of a Probe.
type ProbeHeader struct {
	_      structs.HostLayout
	LastOp Op
	OpsLen uint8
	Resv   uint16
	Resv2  [3]uint32
}

// Probe is the argument of IORING_REGISTER_PROBE.
type Probe struct {
	ProbeHeader
	Ops [MaxProbeOps]ProbeOp
}

// Restriction is the element of IORING_REGISTER_RESTRICTIONS. Target is a
// RegisterOp, an Op or SQEFlags, depending on Opcode.
type Restriction struct {
	_      structs.HostLayout
	Opcode RestrictionOp
	Target uint8
	Resv   uint8
	Resv2  [3]uint32
}

// TaskRestriction is the fixed part of the argument of
// IORING_REGISTER_RESTRICTIONS for a whole task; NrRes elements follow it. It
// came after 6.18.
type TaskRestriction struct {
	_     structs.HostLayout
	Flags uint16
	NrRes uint16
	Resv  [3]uint32
}

// ClockRegister is the argument of IORING_REGISTER_CLOCK.
type ClockRegister struct {
	_       structs.HostLayout
	Clockid uint32
	Resv    [3]uint32
}

// CloneBuffers is the argument of IORING_REGISTER_CLONE_BUFFERS.
type CloneBuffers struct {
	_      structs.HostLayout
	SrcFd  uint32
	Flags  CloneFlags
	SrcOff uint32
	DstOff uint32
	Nr     uint32 // 0 for all
	Pad    [3]uint32
}

// Buf is one entry of a ring of provided buffers. The Resv field of the first
// entry is at the same time the tail of the ring, which is why an entry must
// be filled field by field.
type Buf struct {
	_    structs.HostLayout
	Addr uint64
	Len  uint32
	Bid  uint16
	Resv uint16
}

// BufReg is the argument of IORING_REGISTER_PBUF_RING and, with only Bgid, of
// IORING_UNREGISTER_PBUF_RING.
type BufReg struct {
	_           structs.HostLayout
	RingAddr    uint64
	RingEntries uint32
	Bgid        uint16
	Flags       PbufFlags
	MinLeft     uint32 // with IOU_PBUF_RING_INC: retire a buffer with less room
	Resv        [5]uint32
}

// BufStatus is the argument of IORING_REGISTER_PBUF_STATUS.
type BufStatus struct {
	_        structs.HostLayout
	BufGroup uint32 // in
	Head     uint32 // out
	Resv     [8]uint32
}

// NAPI is the argument of IORING_REGISTER_NAPI and IORING_UNREGISTER_NAPI; the
// kernel returns the previous settings in it.
type NAPI struct {
	_              structs.HostLayout
	BusyPollTo     uint32 // microseconds
	PreferBusyPoll uint8
	Opcode         NAPIOp
	Pad            [2]uint8
	OpParam        uint32
	Resv           uint32
}

// SyncCancelReg is the argument of IORING_REGISTER_SYNC_CANCEL. A Timeout of
// -1 seconds and -1 nanoseconds waits for ever.
type SyncCancelReg struct {
	_       structs.HostLayout
	Addr    uint64 // user data to look for
	Fd      int32
	Flags   CancelFlags
	Timeout Timespec
	Opcode  Op
	Pad     [7]uint8
	Pad2    [3]uint64
}

// FileIndexRange is the argument of IORING_REGISTER_FILE_ALLOC_RANGE.
type FileIndexRange struct {
	_    structs.HostLayout
	Off  uint32
	Len  uint32
	Resv uint64
}

// RegionDesc describes memory shared with the kernel.
type RegionDesc struct {
	_          structs.HostLayout
	UserAddr   uint64
	Size       uint64
	Flags      RegionFlags
	ID         uint32
	MmapOffset uint64
	Resv       [4]uint64
}

// MemRegionReg is the argument of IORING_REGISTER_MEM_REGION.
type MemRegionReg struct {
	_         structs.HostLayout
	RegionPtr uint64 // address of a RegionDesc
	Flags     MemRegionFlags
	Resv      [2]uint64
}

// BPFFilterFlags are the flags of a BPFFilter.
type BPFFilterFlags uint32

// How a filter is applied.
const (
	IO_URING_BPF_FILTER_DENY_REST BPFFilterFlags = 1 << 0 // deny opcodes without a filter
	IO_URING_BPF_FILTER_SZ_STRICT BPFFilterFlags = 1 << 1 // the sizes must agree exactly
)

var bpfFilterNames = flagNames{
	{1 << 0, "DENY_REST"},
	{1 << 1, "SZ_STRICT"},
}

// String names the flags that are set.
func (f BPFFilterFlags) String() string { return bpfFilterNames.format(uint64(f)) }

// IO_URING_BPF_CMD_FILTER is the BPF.CmdType that installs a filter.
const IO_URING_BPF_CMD_FILTER uint16 = 1

// BPFFilter is a classic BPF program that judges the entries of one opcode.
type BPFFilter struct {
	_         structs.HostLayout
	Opcode    uint32
	Flags     BPFFilterFlags
	FilterLen uint32
	PduSize   uint8
	Resv      [3]uint8
	FilterPtr uint64
	Resv2     [5]uint64
}

// BPF is the argument of IORING_REGISTER_BPF_FILTER, which came after 6.18.
type BPF struct {
	_        structs.HostLayout
	CmdType  uint16
	CmdFlags uint16
	Resv     uint32
	Filter   BPFFilter
}
