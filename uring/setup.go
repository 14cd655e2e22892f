package uring

import "structs"

// SetupFlags is the flags word of io_uring_setup(2).
type SetupFlags uint32

// How completions are found, and who consumes the submission queue.
const (
	IORING_SETUP_IOPOLL SetupFlags = 1 << 0 // busy-poll the device for completions
	IORING_SETUP_SQPOLL SetupFlags = 1 << 1 // a kernel thread consumes the SQ
	IORING_SETUP_SQ_AFF SetupFlags = 1 << 2 // bind that thread to Params.SqThreadCPU
)

// Geometry and sharing; the kernel versions are those of the first release.
const (
	IORING_SETUP_CQSIZE     SetupFlags = 1 << 3 // Params.CqEntries is a request (5.5)
	IORING_SETUP_CLAMP      SetupFlags = 1 << 4 // reduce excessive sizes instead of failing (5.6)
	IORING_SETUP_ATTACH_WQ  SetupFlags = 1 << 5 // share the workers of Params.WqFd (5.6)
	IORING_SETUP_R_DISABLED SetupFlags = 1 << 6 // start disabled (5.10)
	IORING_SETUP_SUBMIT_ALL SetupFlags = 1 << 7 // a bad SQE does not stop the batch (5.18)
)

// When and where the kernel runs completion work.
const (
	IORING_SETUP_COOP_TASKRUN  SetupFlags = 1 << 8  // do not interrupt the task for it (5.19)
	IORING_SETUP_TASKRUN_FLAG  SetupFlags = 1 << 9  // show pending work in the SQ flags (5.19)
	IORING_SETUP_SQE128        SetupFlags = 1 << 10 // 128-byte SQEs (5.19)
	IORING_SETUP_CQE32         SetupFlags = 1 << 11 // 32-byte CQEs (5.19)
	IORING_SETUP_SINGLE_ISSUER SetupFlags = 1 << 12 // one thread submits (6.0)
	IORING_SETUP_DEFER_TASKRUN SetupFlags = 1 << 13 // run it only when that thread waits (6.1)
)

// Memory of the ring, and later additions.
const (
	IORING_SETUP_NO_MMAP            SetupFlags = 1 << 14 // the caller brings the memory (6.5)
	IORING_SETUP_REGISTERED_FD_ONLY SetupFlags = 1 << 15 // return a registered index, no descriptor (6.5)
	IORING_SETUP_NO_SQARRAY         SetupFlags = 1 << 16 // no index array in the SQ (6.6)
	IORING_SETUP_HYBRID_IOPOLL      SetupFlags = 1 << 17 // sleep a little before polling (6.13)
	IORING_SETUP_CQE_MIXED          SetupFlags = 1 << 18 // 16- and 32-byte CQEs in one ring (6.18)
	IORING_SETUP_SQE_MIXED          SetupFlags = 1 << 19 // 64- and 128-byte SQEs in one ring (6.19)
	IORING_SETUP_SQ_REWIND          SetupFlags = 1 << 20 // submit always from the start of the SQ (7.0)
)

var setupNames = flagNames{
	{1 << 0, "IOPOLL"},
	{1 << 1, "SQPOLL"},
	{1 << 2, "SQ_AFF"},
	{1 << 3, "CQSIZE"},
	{1 << 4, "CLAMP"},
	{1 << 5, "ATTACH_WQ"},
	{1 << 6, "R_DISABLED"},
	{1 << 7, "SUBMIT_ALL"},
	{1 << 8, "COOP_TASKRUN"},
	{1 << 9, "TASKRUN_FLAG"},
	{1 << 10, "SQE128"},
	{1 << 11, "CQE32"},
	{1 << 12, "SINGLE_ISSUER"},
	{1 << 13, "DEFER_TASKRUN"},
	{1 << 14, "NO_MMAP"},
	{1 << 15, "REGISTERED_FD_ONLY"},
	{1 << 16, "NO_SQARRAY"},
	{1 << 17, "HYBRID_IOPOLL"},
	{1 << 18, "CQE_MIXED"},
	{1 << 19, "SQE_MIXED"},
	{1 << 20, "SQ_REWIND"},
}

// String names the flags that are set.
func (f SetupFlags) String() string { return setupNames.format(uint64(f)) }

// Features is the set of behaviours a kernel reports in Params.Features.
type Features uint32

// What the running kernel promises, with the release each bit appeared in.
const (
	IORING_FEAT_SINGLE_MMAP     Features = 1 << 0  // both rings lie in one mapping (5.4)
	IORING_FEAT_NODROP          Features = 1 << 1  // a full CQ keeps completions aside (5.5)
	IORING_FEAT_SUBMIT_STABLE   Features = 1 << 2  // arguments are copied at submission (5.5)
	IORING_FEAT_RW_CUR_POS      Features = 1 << 3  // offset -1 means the file position (5.6)
	IORING_FEAT_CUR_PERSONALITY Features = 1 << 4  // credentials are those of the submitter (5.6)
	IORING_FEAT_FAST_POLL       Features = 1 << 5  // waiting is done by poll, not by a worker (5.7)
	IORING_FEAT_POLL_32BITS     Features = 1 << 6  // poll masks have 32 bits (5.9)
	IORING_FEAT_SQPOLL_NONFIXED Features = 1 << 7  // SQPOLL takes ordinary descriptors (5.11)
	IORING_FEAT_EXT_ARG         Features = 1 << 8  // enter takes a timeout (5.11)
	IORING_FEAT_NATIVE_WORKERS  Features = 1 << 9  // workers are threads of the process (5.12)
	IORING_FEAT_RSRC_TAGS       Features = 1 << 10 // registered resources carry tags (5.13)
	IORING_FEAT_CQE_SKIP        Features = 1 << 11 // a success may stay silent (5.17)
	IORING_FEAT_LINKED_FILE     Features = 1 << 12 // a linked request resolves its file late (5.17)
	IORING_FEAT_REG_REG_RING    Features = 1 << 13 // register through a registered ring (6.3)
	IORING_FEAT_RECVSEND_BUNDLE Features = 1 << 14 // several buffers in one send or receive (6.10)
	IORING_FEAT_MIN_TIMEOUT     Features = 1 << 15 // a wait may have a minimum time (6.12)
	IORING_FEAT_RW_ATTR         Features = 1 << 16 // reads and writes carry attributes (6.14)
	IORING_FEAT_NO_IOWAIT       Features = 1 << 17 // a wait need not count as I/O wait (6.15)
)

var featureNames = flagNames{
	{1 << 0, "SINGLE_MMAP"},
	{1 << 1, "NODROP"},
	{1 << 2, "SUBMIT_STABLE"},
	{1 << 3, "RW_CUR_POS"},
	{1 << 4, "CUR_PERSONALITY"},
	{1 << 5, "FAST_POLL"},
	{1 << 6, "POLL_32BITS"},
	{1 << 7, "SQPOLL_NONFIXED"},
	{1 << 8, "EXT_ARG"},
	{1 << 9, "NATIVE_WORKERS"},
	{1 << 10, "RSRC_TAGS"},
	{1 << 11, "CQE_SKIP"},
	{1 << 12, "LINKED_FILE"},
	{1 << 13, "REG_REG_RING"},
	{1 << 14, "RECVSEND_BUNDLE"},
	{1 << 15, "MIN_TIMEOUT"},
	{1 << 16, "RW_ATTR"},
	{1 << 17, "NO_IOWAIT"},
}

// String names the features that are present.
func (f Features) String() string { return featureNames.format(uint64(f)) }

// File offsets at which a ring descriptor is mapped.
const (
	IORING_OFF_SQ_RING    = 0x00000000
	IORING_OFF_CQ_RING    = 0x08000000
	IORING_OFF_SQES       = 0x10000000
	IORING_OFF_PBUF_RING  = 0x80000000
	IORING_OFF_PBUF_SHIFT = 16 // the buffer group id is shifted by this
	IORING_OFF_MMAP_MASK  = 0xf8000000
)

// The largest rings the kernel creates. It has no names for them in its
// interface; they are its documented limits.
const (
	MaxSQEntries = 32768
	MaxCQEntries = 2 * MaxSQEntries
)

// SQRingFlags is the flags word the kernel maintains in the submission ring.
type SQRingFlags uint32

// What the kernel asks of the submitter.
const (
	IORING_SQ_NEED_WAKEUP SQRingFlags = 1 << 0 // the SQPOLL thread sleeps (5.1)
	IORING_SQ_CQ_OVERFLOW SQRingFlags = 1 << 1 // completions wait outside the full CQ (5.8)
	IORING_SQ_TASKRUN     SQRingFlags = 1 << 2 // completion work waits for an enter (5.19)
)

var sqRingNames = flagNames{
	{1 << 0, "NEED_WAKEUP"},
	{1 << 1, "CQ_OVERFLOW"},
	{1 << 2, "TASKRUN"},
}

// String names the flags that are set.
func (f SQRingFlags) String() string { return sqRingNames.format(uint64(f)) }

// CQRingFlags is the flags word the program maintains in the completion ring.
type CQRingFlags uint32

// IORING_CQ_EVENTFD_DISABLED asks the kernel not to signal the registered
// eventfd.
const IORING_CQ_EVENTFD_DISABLED CQRingFlags = 1 << 0

var cqRingNames = flagNames{
	{1 << 0, "EVENTFD_DISABLED"},
}

// String names the flags that are set.
func (f CQRingFlags) String() string { return cqRingNames.format(uint64(f)) }

// SQRingOffsets tells where the fields of the submission ring lie within its
// mapping.
type SQRingOffsets struct {
	_           structs.HostLayout
	Head        uint32
	Tail        uint32
	RingMask    uint32
	RingEntries uint32
	Flags       uint32
	Dropped     uint32
	Array       uint32 // 0 with IORING_SETUP_NO_SQARRAY
	Resv1       uint32
	UserAddr    uint64 // address of the SQEs, with IORING_SETUP_NO_MMAP
}

// CQRingOffsets tells where the fields of the completion ring lie within its
// mapping.
type CQRingOffsets struct {
	_           structs.HostLayout
	Head        uint32
	Tail        uint32
	RingMask    uint32
	RingEntries uint32
	Overflow    uint32
	Cqes        uint32
	Flags       uint32
	Resv1       uint32
	UserAddr    uint64 // address of the rings, with IORING_SETUP_NO_MMAP
}

// Params is the argument of io_uring_setup(2): the caller fills the requests,
// the kernel the rest. IORING_REGISTER_RESIZE_RINGS takes it too.
type Params struct {
	_            structs.HostLayout
	SqEntries    uint32
	CqEntries    uint32
	Flags        SetupFlags
	SqThreadCPU  uint32
	SqThreadIdle uint32 // milliseconds
	Features     Features
	WqFd         uint32
	Resv         [3]uint32
	SqOff        SQRingOffsets
	CqOff        CQRingOffsets
}
