package uring

// RegisterOp is the opcode of io_uring_register(2).
type RegisterOp uint32

// Everything io_uring_register can be asked for.
const (
	IORING_REGISTER_BUFFERS             RegisterOp = 0
	IORING_UNREGISTER_BUFFERS           RegisterOp = 1
	IORING_REGISTER_FILES               RegisterOp = 2
	IORING_UNREGISTER_FILES             RegisterOp = 3
	IORING_REGISTER_EVENTFD             RegisterOp = 4
	IORING_UNREGISTER_EVENTFD           RegisterOp = 5
	IORING_REGISTER_FILES_UPDATE        RegisterOp = 6
	IORING_REGISTER_EVENTFD_ASYNC       RegisterOp = 7
	IORING_REGISTER_PROBE               RegisterOp = 8
	IORING_REGISTER_PERSONALITY         RegisterOp = 9
	IORING_UNREGISTER_PERSONALITY       RegisterOp = 10
	IORING_REGISTER_RESTRICTIONS        RegisterOp = 11
	IORING_REGISTER_ENABLE_RINGS        RegisterOp = 12
	IORING_REGISTER_FILES2              RegisterOp = 13
	IORING_REGISTER_FILES_UPDATE2       RegisterOp = 14
	IORING_REGISTER_BUFFERS2            RegisterOp = 15
	IORING_REGISTER_BUFFERS_UPDATE      RegisterOp = 16
	IORING_REGISTER_IOWQ_AFF            RegisterOp = 17
	IORING_UNREGISTER_IOWQ_AFF          RegisterOp = 18
	IORING_REGISTER_IOWQ_MAX_WORKERS    RegisterOp = 19
	IORING_REGISTER_RING_FDS            RegisterOp = 20
	IORING_UNREGISTER_RING_FDS          RegisterOp = 21
	IORING_REGISTER_PBUF_RING           RegisterOp = 22
	IORING_UNREGISTER_PBUF_RING         RegisterOp = 23
	IORING_REGISTER_SYNC_CANCEL         RegisterOp = 24
	IORING_REGISTER_FILE_ALLOC_RANGE    RegisterOp = 25
	IORING_REGISTER_PBUF_STATUS         RegisterOp = 26
	IORING_REGISTER_NAPI                RegisterOp = 27
	IORING_UNREGISTER_NAPI              RegisterOp = 28
	IORING_REGISTER_CLOCK               RegisterOp = 29
	IORING_REGISTER_CLONE_BUFFERS       RegisterOp = 30
	IORING_REGISTER_SEND_MSG_RING       RegisterOp = 31
	IORING_REGISTER_ZCRX_IFQ            RegisterOp = 32
	IORING_REGISTER_RESIZE_RINGS        RegisterOp = 33
	IORING_REGISTER_MEM_REGION          RegisterOp = 34
	IORING_REGISTER_QUERY               RegisterOp = 35
	IORING_REGISTER_ZCRX_CTRL           RegisterOp = 36
	IORING_REGISTER_BPF_FILTER          RegisterOp = 37
	IORING_REGISTER_LAST                RegisterOp = 38      // one more than the last
	IORING_REGISTER_USE_REGISTERED_RING RegisterOp = 1 << 31 // the ring is a registered index (6.3)
)

// registerOps holds the name and first release of every RegisterOp.
var registerOps = [IORING_REGISTER_LAST]struct {
	name  string
	since Version
}{
	IORING_REGISTER_BUFFERS:          {"REGISTER_BUFFERS", Version{5, 1}},
	IORING_UNREGISTER_BUFFERS:        {"UNREGISTER_BUFFERS", Version{5, 1}},
	IORING_REGISTER_FILES:            {"REGISTER_FILES", Version{5, 1}},
	IORING_UNREGISTER_FILES:          {"UNREGISTER_FILES", Version{5, 1}},
	IORING_REGISTER_EVENTFD:          {"REGISTER_EVENTFD", Version{5, 2}},
	IORING_UNREGISTER_EVENTFD:        {"UNREGISTER_EVENTFD", Version{5, 2}},
	IORING_REGISTER_FILES_UPDATE:     {"REGISTER_FILES_UPDATE", Version{5, 5}},
	IORING_REGISTER_EVENTFD_ASYNC:    {"REGISTER_EVENTFD_ASYNC", Version{5, 6}},
	IORING_REGISTER_PROBE:            {"REGISTER_PROBE", Version{5, 6}},
	IORING_REGISTER_PERSONALITY:      {"REGISTER_PERSONALITY", Version{5, 6}},
	IORING_UNREGISTER_PERSONALITY:    {"UNREGISTER_PERSONALITY", Version{5, 6}},
	IORING_REGISTER_RESTRICTIONS:     {"REGISTER_RESTRICTIONS", Version{5, 10}},
	IORING_REGISTER_ENABLE_RINGS:     {"REGISTER_ENABLE_RINGS", Version{5, 10}},
	IORING_REGISTER_FILES2:           {"REGISTER_FILES2", Version{5, 13}},
	IORING_REGISTER_FILES_UPDATE2:    {"REGISTER_FILES_UPDATE2", Version{5, 13}},
	IORING_REGISTER_BUFFERS2:         {"REGISTER_BUFFERS2", Version{5, 13}},
	IORING_REGISTER_BUFFERS_UPDATE:   {"REGISTER_BUFFERS_UPDATE", Version{5, 13}},
	IORING_REGISTER_IOWQ_AFF:         {"REGISTER_IOWQ_AFF", Version{5, 14}},
	IORING_UNREGISTER_IOWQ_AFF:       {"UNREGISTER_IOWQ_AFF", Version{5, 14}},
	IORING_REGISTER_IOWQ_MAX_WORKERS: {"REGISTER_IOWQ_MAX_WORKERS", Version{5, 15}},
	IORING_REGISTER_RING_FDS:         {"REGISTER_RING_FDS", Version{5, 18}},
	IORING_UNREGISTER_RING_FDS:       {"UNREGISTER_RING_FDS", Version{5, 18}},
	IORING_REGISTER_PBUF_RING:        {"REGISTER_PBUF_RING", Version{5, 19}},
	IORING_UNREGISTER_PBUF_RING:      {"UNREGISTER_PBUF_RING", Version{5, 19}},
	IORING_REGISTER_SYNC_CANCEL:      {"REGISTER_SYNC_CANCEL", Version{6, 0}},
	IORING_REGISTER_FILE_ALLOC_RANGE: {"REGISTER_FILE_ALLOC_RANGE", Version{6, 0}},
	IORING_REGISTER_PBUF_STATUS:      {"REGISTER_PBUF_STATUS", Version{6, 8}},
	IORING_REGISTER_NAPI:             {"REGISTER_NAPI", Version{6, 9}},
	IORING_UNREGISTER_NAPI:           {"UNREGISTER_NAPI", Version{6, 9}},
	IORING_REGISTER_CLOCK:            {"REGISTER_CLOCK", Version{6, 12}},
	IORING_REGISTER_CLONE_BUFFERS:    {"REGISTER_CLONE_BUFFERS", Version{6, 12}},
	IORING_REGISTER_SEND_MSG_RING:    {"REGISTER_SEND_MSG_RING", Version{6, 13}},
	IORING_REGISTER_ZCRX_IFQ:         {"REGISTER_ZCRX_IFQ", Version{6, 15}},
	IORING_REGISTER_RESIZE_RINGS:     {"REGISTER_RESIZE_RINGS", Version{6, 13}},
	IORING_REGISTER_MEM_REGION:       {"REGISTER_MEM_REGION", Version{6, 13}},
	IORING_REGISTER_QUERY:            {"REGISTER_QUERY", Version{6, 18}},
	IORING_REGISTER_ZCRX_CTRL:        {"REGISTER_ZCRX_CTRL", Version{6, 19}},
	IORING_REGISTER_BPF_FILTER:       {"REGISTER_BPF_FILTER", Version{7, 0}},
}

// String returns the name of the opcode, as in REGISTER_FILES.
func (o RegisterOp) String() string {
	bare := o &^ IORING_REGISTER_USE_REGISTERED_RING
	name := ""
	if bare < IORING_REGISTER_LAST {
		name = registerOps[bare].name
	} else {
		name = enumName("REGISTER", nil, uint64(bare))
	}
	if bare != o {
		name += "|USE_REGISTERED_RING"
	}
	return name
}

// Since returns the release that brought the opcode, and whether this package
// knows it.
func (o RegisterOp) Since() (Version, bool) {
	o &^= IORING_REGISTER_USE_REGISTERED_RING
	if o >= IORING_REGISTER_LAST {
		return Version{}, false
	}
	return registerOps[o].since, true
}

// IORING_REGISTER_FILES_SKIP, as a descriptor in an update of the registered
// files, leaves a slot as it is.
const IORING_REGISTER_FILES_SKIP int32 = -2

// RsrcFlags are the flags of an RsrcRegister.
type RsrcFlags uint32

// IORING_RSRC_REGISTER_SPARSE makes a table of empty slots.
const IORING_RSRC_REGISTER_SPARSE RsrcFlags = 1 << 0

var rsrcNames = flagNames{
	{1 << 0, "SPARSE"},
}

// String names the flags that are set.
func (f RsrcFlags) String() string { return rsrcNames.format(uint64(f)) }

// CloneFlags are the flags of a CloneBuffers.
type CloneFlags uint32

// How buffers are cloned from another ring.
const (
	IORING_REGISTER_SRC_REGISTERED CloneFlags = 1 << 0 // the source ring is a registered index (6.12)
	IORING_REGISTER_DST_REPLACE    CloneFlags = 1 << 1 // replace what is there (6.13)
)

var cloneNames = flagNames{
	{1 << 0, "SRC_REGISTERED"},
	{1 << 1, "DST_REPLACE"},
}

// String names the flags that are set.
func (f CloneFlags) String() string { return cloneNames.format(uint64(f)) }

// ProbeOpFlags are the flags of one opcode in a probe.
type ProbeOpFlags uint16

// IO_URING_OP_SUPPORTED says that the kernel knows the opcode.
const IO_URING_OP_SUPPORTED ProbeOpFlags = 1 << 0

var probeOpNames = flagNames{
	{1 << 0, "SUPPORTED"},
}

// String names the flags that are set.
func (f ProbeOpFlags) String() string { return probeOpNames.format(uint64(f)) }

// PbufFlags are the flags of a BufReg.
type PbufFlags uint16

// How a ring of provided buffers is kept.
const (
	IOU_PBUF_RING_MMAP PbufFlags = 1 << 0 // the kernel allocates it, the caller maps it (6.4)
	IOU_PBUF_RING_INC  PbufFlags = 1 << 1 // a buffer is consumed bit by bit (6.12)
)

var pbufNames = flagNames{
	{1 << 0, "MMAP"},
	{1 << 1, "INC"},
}

// String names the flags that are set.
func (f PbufFlags) String() string { return pbufNames.format(uint64(f)) }

// RestrictionOp is the kind of a Restriction.
type RestrictionOp uint16

// What a restriction allows or demands.
const (
	IORING_RESTRICTION_REGISTER_OP        RestrictionOp = 0
	IORING_RESTRICTION_SQE_OP             RestrictionOp = 1
	IORING_RESTRICTION_SQE_FLAGS_ALLOWED  RestrictionOp = 2
	IORING_RESTRICTION_SQE_FLAGS_REQUIRED RestrictionOp = 3
	IORING_RESTRICTION_LAST               RestrictionOp = 4 // one more than the last
)

var restrictionNames = []string{"REGISTER_OP", "SQE_OP", "SQE_FLAGS_ALLOWED", "SQE_FLAGS_REQUIRED"}

// String returns the name of the kind.
func (o RestrictionOp) String() string { return enumName("RESTRICTION", restrictionNames, uint64(o)) }

// RegionFlags are the flags of a RegionDesc.
type RegionFlags uint32

// IORING_MEM_REGION_TYPE_USER says that the caller brings the memory.
const IORING_MEM_REGION_TYPE_USER RegionFlags = 1 << 0

var regionNames = flagNames{
	{1 << 0, "TYPE_USER"},
}

// String names the flags that are set.
func (f RegionFlags) String() string { return regionNames.format(uint64(f)) }

// MemRegionFlags are the flags of a MemRegionReg.
type MemRegionFlags uint64

// IORING_MEM_REGION_REG_WAIT_ARG says that the region holds RegWait entries.
const IORING_MEM_REGION_REG_WAIT_ARG MemRegionFlags = 1 << 0

var memRegionNames = flagNames{
	{1 << 0, "REG_WAIT_ARG"},
}

// String names the flags that are set.
func (f MemRegionFlags) String() string { return memRegionNames.format(uint64(f)) }

// The two numbers of IORING_REGISTER_IOWQ_MAX_WORKERS, by index.
const (
	IO_WQ_BOUND   = 0 // workers for work of bounded time, as on regular files
	IO_WQ_UNBOUND = 1 // workers for work that may take for ever, as on sockets
)

// NAPIOp is what an IORING_REGISTER_NAPI asks for.
type NAPIOp uint8

// The commands of IORING_REGISTER_NAPI; the static ones came with 6.13.
const (
	IO_URING_NAPI_REGISTER_OP   NAPIOp = 0 // start, NAPI.OpParam is a tracking strategy
	IO_URING_NAPI_STATIC_ADD_ID NAPIOp = 1 // NAPI.OpParam is an id to add
	IO_URING_NAPI_STATIC_DEL_ID NAPIOp = 2 // NAPI.OpParam is an id to remove
)

var napiNames = []string{"REGISTER_OP", "STATIC_ADD_ID", "STATIC_DEL_ID"}

// String returns the name of the command.
func (o NAPIOp) String() string { return enumName("NAPI", napiNames, uint64(o)) }

// Strategies by which a ring learns which network queues to poll.
const (
	IO_URING_NAPI_TRACKING_DYNAMIC  uint32 = 0
	IO_URING_NAPI_TRACKING_STATIC   uint32 = 1
	IO_URING_NAPI_TRACKING_INACTIVE uint32 = 255
)
