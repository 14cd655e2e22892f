package uring

import "structs"

// Zero-copy receive: a network queue puts payload straight into memory of the
// program. It needs a network card that separates headers from payload.

// ZCRXAreaFlags are the flags of a ZCRXAreaReg.
type ZCRXAreaFlags uint32

// IORING_ZCRX_AREA_DMABUF says that the area is a dma-buf.
const IORING_ZCRX_AREA_DMABUF ZCRXAreaFlags = 1 << 0

var zcrxAreaNames = flagNames{
	{1 << 0, "DMABUF"},
}

// String names the flags that are set.
func (f ZCRXAreaFlags) String() string { return zcrxAreaNames.format(uint64(f)) }

// An offset into an area carries the id of the area in its highest bits.
const (
	IORING_ZCRX_AREA_SHIFT        = 48
	IORING_ZCRX_AREA_MASK  uint64 = 0xffff << IORING_ZCRX_AREA_SHIFT
)

// ZCRXRegFlags are the flags of a ZCRXIfqReg.
type ZCRXRegFlags uint32

// Where a queue comes from; both came after 6.18.
const (
	ZCRX_REG_IMPORT ZCRXRegFlags = 1 << 0 // take over one exported elsewhere
	ZCRX_REG_NODEV  ZCRXRegFlags = 1 << 1 // no device behind it
)

var zcrxRegNames = flagNames{
	{1 << 0, "IMPORT"},
	{1 << 1, "NODEV"},
}

// String names the flags that are set.
func (f ZCRXRegFlags) String() string { return zcrxRegNames.format(uint64(f)) }

// ZCRXFeatures is what a kernel offers beyond the first release.
type ZCRXFeatures uint32

// The features of zero-copy receive; both came after 6.18.
const (
	ZCRX_FEATURE_RX_PAGE_SIZE ZCRXFeatures = 1 << 0 // ZCRXIfqReg.RxBufLen may be set
	ZCRX_FEATURE_EVENT        ZCRXFeatures = 1 << 1 // the queue reports events
)

var zcrxFeatureNames = flagNames{
	{1 << 0, "RX_PAGE_SIZE"},
	{1 << 1, "EVENT"},
}

// String names the features that are present.
func (f ZCRXFeatures) String() string { return zcrxFeatureNames.format(uint64(f)) }

// ZCRXCtrlOp is the command of an IORING_REGISTER_ZCRX_CTRL.
type ZCRXCtrlOp uint32

// The commands of IORING_REGISTER_ZCRX_CTRL; all came after 6.18.
const (
	ZCRX_CTRL_FLUSH_RQ  ZCRXCtrlOp = 0 // take all returned buffers back
	ZCRX_CTRL_EXPORT    ZCRXCtrlOp = 1 // make a descriptor of the queue
	ZCRX_CTRL_ARM_EVENT ZCRXCtrlOp = 2 // ask for the next event
)

var zcrxCtrlNames = []string{"FLUSH_RQ", "EXPORT", "ARM_EVENT"}

// String returns the name of the command.
func (o ZCRXCtrlOp) String() string { return enumName("ZCRX_CTRL", zcrxCtrlNames, uint64(o)) }

// ZCRXRqe returns a buffer to the kernel, in the refill ring.
type ZCRXRqe struct {
	_   structs.HostLayout
	Off uint64
	Len uint32
	Pad uint32
}

// ZCRXCqe is the second half of a completion of IORING_OP_RECV_ZC.
type ZCRXCqe struct {
	_   structs.HostLayout
	Off uint64 // area id and offset of the payload
	Pad uint64
}

// ZCRXOffsets tells where the fields of the refill ring lie in its region.
type ZCRXOffsets struct {
	_     structs.HostLayout
	Head  uint32
	Tail  uint32
	Rqes  uint32
	Resv2 uint32
	Resv  [2]uint64
}

// ZCRXAreaReg describes the memory that payload lands in.
type ZCRXAreaReg struct {
	_           structs.HostLayout
	Addr        uint64
	Len         uint64
	RqAreaToken uint64
	Flags       ZCRXAreaFlags
	DmabufFd    uint32
	Resv2       [2]uint64
}

// ZCRXIfqReg is the argument of IORING_REGISTER_ZCRX_IFQ.
type ZCRXIfqReg struct {
	_         structs.HostLayout
	IfIdx     uint32
	IfRxq     uint32
	RqEntries uint32
	Flags     ZCRXRegFlags
	AreaPtr   uint64 // address of a ZCRXAreaReg
	RegionPtr uint64 // address of a RegionDesc
	Offsets   ZCRXOffsets
	ZcrxID    uint32
	RxBufLen  uint32 // reserved in 6.18
	Resv      [3]uint64
}

// ZCRXCtrlExport is the argument of ZCRX_CTRL_EXPORT.
type ZCRXCtrlExport struct {
	_      structs.HostLayout
	ZcrxFd uint32
	Resv1  [11]uint32
}

// ZCRXCtrl is the argument of IORING_REGISTER_ZCRX_CTRL. Only the export has
// an argument of its own; the other commands leave it zero.
type ZCRXCtrl struct {
	_      structs.HostLayout
	ZcrxID uint32
	Op     ZCRXCtrlOp
	Resv   [2]uint64
	Export ZCRXCtrlExport
}
