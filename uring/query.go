package uring

import "structs"

// QueryOp is what an IORING_REGISTER_QUERY asks for.
type QueryOp uint32

// The questions of IORING_REGISTER_QUERY. Linux 6.18 answers the first.
const (
	IO_URING_QUERY_OPCODES    QueryOp = 0 // a QueryOpcode
	IO_URING_QUERY_ZCRX       QueryOp = 1 // a QueryZcrx
	IO_URING_QUERY_SCQ        QueryOp = 2 // a QueryScq
	IO_URING_QUERY_ZCRX_NOTIF QueryOp = 3
	IO_URING_QUERY_MAX        QueryOp = 4 // one more than the last; the kernel spells it with leading underscores
)

var queryNames = []string{"OPCODES", "ZCRX", "SCQ", "ZCRX_NOTIF"}

// String returns the name of the question.
func (o QueryOp) String() string { return enumName("QUERY", queryNames, uint64(o)) }

// QueryHdr is the argument of IORING_REGISTER_QUERY: one question, chained to
// the next. Result is 0 or a negative errno, for each question by itself.
type QueryHdr struct {
	_         structs.HostLayout
	NextEntry uint64 // address of the next QueryHdr, or 0
	QueryData uint64 // address of the answer
	QueryOp   QueryOp
	Size      uint32 // of the answer; the kernel returns what it filled
	Result    int32
	Resv      [3]uint32
}

// QueryOpcode says what the running kernel knows.
type QueryOpcode struct {
	_                 structs.HostLayout
	NrRequestOpcodes  uint32 // one more than the last Op
	NrRegisterOpcodes uint32 // one more than the last RegisterOp
	FeatureFlags      uint64
	RingSetupFlags    uint64
	EnterFlags        uint64
	SqeFlags          uint64
	NrQueryOpcodes    uint32 // one more than the last QueryOp
	Pad               uint32
}

// QueryZcrx says what the running kernel knows of zero-copy receive. It came
// after 6.18.
type QueryZcrx struct {
	_              structs.HostLayout
	RegisterFlags  uint64
	AreaFlags      uint64
	NrCtrlOpcodes  uint32
	Features       ZCRXFeatures
	RqHdrSize      uint32
	RqHdrAlignment uint32
	Resv           uint64
}

// QueryScq says what memory the ring headers need. It came after 6.18.
type QueryScq struct {
	_            structs.HostLayout
	HdrSize      uint64
	HdrAlignment uint64
}
