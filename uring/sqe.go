package uring

import "structs"

// SQEFlags is the flags byte of a submission queue entry. It means the same
// for every operation.
type SQEFlags uint8

// Where the file comes from, how the request is ordered, and how it completes.
const (
	IOSQE_FIXED_FILE       SQEFlags = 1 << IOSQE_FIXED_FILE_BIT       // Fd is a registered slot (5.1)
	IOSQE_IO_DRAIN         SQEFlags = 1 << IOSQE_IO_DRAIN_BIT         // start after all before it (5.2)
	IOSQE_IO_LINK          SQEFlags = 1 << IOSQE_IO_LINK_BIT          // the next starts after its success (5.3)
	IOSQE_IO_HARDLINK      SQEFlags = 1 << IOSQE_IO_HARDLINK_BIT      // the next starts after its end (5.5)
	IOSQE_ASYNC            SQEFlags = 1 << IOSQE_ASYNC_BIT            // go to a worker at once (5.6)
	IOSQE_BUFFER_SELECT    SQEFlags = 1 << IOSQE_BUFFER_SELECT_BIT    // take a buffer of a group (5.7)
	IOSQE_CQE_SKIP_SUCCESS SQEFlags = 1 << IOSQE_CQE_SKIP_SUCCESS_BIT // no completion if it succeeds (5.17)
)

// Bit numbers of the SQEFlags.
const (
	IOSQE_FIXED_FILE_BIT       = 0
	IOSQE_IO_DRAIN_BIT         = 1
	IOSQE_IO_LINK_BIT          = 2
	IOSQE_IO_HARDLINK_BIT      = 3
	IOSQE_ASYNC_BIT            = 4
	IOSQE_BUFFER_SELECT_BIT    = 5
	IOSQE_CQE_SKIP_SUCCESS_BIT = 6
)

var sqeNames = flagNames{
	{1 << 0, "FIXED_FILE"},
	{1 << 1, "IO_DRAIN"},
	{1 << 2, "IO_LINK"},
	{1 << 3, "IO_HARDLINK"},
	{1 << 4, "ASYNC"},
	{1 << 5, "BUFFER_SELECT"},
	{1 << 6, "CQE_SKIP_SUCCESS"},
}

// String names the flags that are set.
func (f SQEFlags) String() string { return sqeNames.format(uint64(f)) }

// IORING_FILE_INDEX_ALLOC, as a file index, asks the kernel to choose a free
// slot of the registered file table.
const IORING_FILE_INDEX_ALLOC uint32 = 0xffffffff

// SQE is a submission queue entry. Which operation uses which field, and for
// what, differs; the Prep methods know. Fields that an operation does not use
// must be zero.
//
// An entry of a ring with IORING_SETUP_SQE128 is followed by another 64 bytes.
type SQE struct {
	_           structs.HostLayout
	Opcode      Op
	Flags       SQEFlags
	Ioprio      uint16 // also the flags of accept, send and receive
	Fd          int32
	Off         uint64 // also addr2, and cmd_op in its first half
	Addr        uint64 // also splice_off_in; level and optname
	Len         uint32
	OpFlags     uint32 // the operation's own flags, whatever their name
	UserData    uint64
	BufIndex    uint16 // also buf_group
	Personality uint16
	SpliceFdIn  int32  // also file_index, optlen, addr_len, zcrx_ifq_idx
	Addr3       uint64 // also attr_ptr, optval
	Pad2        uint64 // also attr_type_mask
}
