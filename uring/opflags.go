package uring

// The flags of single operations. Most share SQE.OpFlags; those of accept, send
// and receive lie in SQE.Ioprio, those of poll in SQE.Len.

// NopFlags are the flags of IORING_OP_NOP, mostly of use to tests.
type NopFlags uint32

// What a no-op does all the same.
const (
	IORING_NOP_INJECT_RESULT NopFlags = 1 << 0 // complete with SQE.Len as the result (6.10)
	IORING_NOP_FILE          NopFlags = 1 << 1 // look the descriptor up (6.13)
	IORING_NOP_FIXED_FILE    NopFlags = 1 << 2 // look the registered slot up (6.13)
	IORING_NOP_FIXED_BUFFER  NopFlags = 1 << 3 // look the registered buffer up (6.13)
	IORING_NOP_TW            NopFlags = 1 << 4 // complete from task work
	IORING_NOP_CQE32         NopFlags = 1 << 5 // complete with a 32-byte CQE (6.18)
)

var nopNames = flagNames{
	{1 << 0, "INJECT_RESULT"},
	{1 << 1, "FILE"},
	{1 << 2, "FIXED_FILE"},
	{1 << 3, "FIXED_BUFFER"},
	{1 << 4, "TW"},
	{1 << 5, "CQE32"},
}

// String names the flags that are set.
func (f NopFlags) String() string { return nopNames.format(uint64(f)) }

// FsyncFlags are the flags of IORING_OP_FSYNC.
type FsyncFlags uint32

// IORING_FSYNC_DATASYNC makes a sync behave as fdatasync(2).
const IORING_FSYNC_DATASYNC FsyncFlags = 1 << 0

var fsyncNames = flagNames{
	{1 << 0, "DATASYNC"},
}

// String names the flags that are set.
func (f FsyncFlags) String() string { return fsyncNames.format(uint64(f)) }

// PollFlags are the flags of IORING_OP_POLL_ADD and IORING_OP_POLL_REMOVE.
type PollFlags uint32

// How a poll behaves, and what an update changes.
const (
	IORING_POLL_ADD_MULTI        PollFlags = 1 << 0 // keep reporting (5.13)
	IORING_POLL_UPDATE_EVENTS    PollFlags = 1 << 1 // replace the mask (5.13)
	IORING_POLL_UPDATE_USER_DATA PollFlags = 1 << 2 // replace the user data (5.13)
	IORING_POLL_ADD_LEVEL        PollFlags = 1 << 3 // level-triggered: no kernel takes it, EINVAL
)

var pollNames = flagNames{
	{1 << 0, "ADD_MULTI"},
	{1 << 1, "UPDATE_EVENTS"},
	{1 << 2, "UPDATE_USER_DATA"},
	{1 << 3, "ADD_LEVEL"},
}

// String names the flags that are set.
func (f PollFlags) String() string { return pollNames.format(uint64(f)) }

// TimeoutFlags are the flags of the three timeout operations.
type TimeoutFlags uint32

// How a timeout is measured, updated and reported.
const (
	IORING_TIMEOUT_ABS           TimeoutFlags = 1 << 0 // a point in time, not a duration (5.5)
	IORING_TIMEOUT_UPDATE        TimeoutFlags = 1 << 1 // change a timeout (5.11)
	IORING_TIMEOUT_BOOTTIME      TimeoutFlags = 1 << 2 // the clock that counts suspension (5.15)
	IORING_TIMEOUT_REALTIME      TimeoutFlags = 1 << 3 // the wall clock (5.15)
	IORING_LINK_TIMEOUT_UPDATE   TimeoutFlags = 1 << 4 // change a linked timeout (5.15)
	IORING_TIMEOUT_ETIME_SUCCESS TimeoutFlags = 1 << 5 // expiry does not break a link (5.16)
	IORING_TIMEOUT_MULTISHOT     TimeoutFlags = 1 << 6 // expire again and again (6.4)
	IORING_TIMEOUT_IMMEDIATE_ARG TimeoutFlags = 1 << 7 // the time is in the entry itself (7.1)
)

// Groups of TimeoutFlags.
const (
	IORING_TIMEOUT_CLOCK_MASK  = IORING_TIMEOUT_BOOTTIME | IORING_TIMEOUT_REALTIME
	IORING_TIMEOUT_UPDATE_MASK = IORING_TIMEOUT_UPDATE | IORING_LINK_TIMEOUT_UPDATE
)

var timeoutNames = flagNames{
	{1 << 0, "ABS"},
	{1 << 1, "UPDATE"},
	{1 << 2, "BOOTTIME"},
	{1 << 3, "REALTIME"},
	{1 << 4, "LINK_TIMEOUT_UPDATE"},
	{1 << 5, "ETIME_SUCCESS"},
	{1 << 6, "MULTISHOT"},
	{1 << 7, "IMMEDIATE_ARG"},
}

// String names the flags that are set.
func (f TimeoutFlags) String() string { return timeoutNames.format(uint64(f)) }

// CancelFlags choose what IORING_OP_ASYNC_CANCEL and
// IORING_REGISTER_SYNC_CANCEL look for.
type CancelFlags uint32

// The keys of a cancellation.
const (
	IORING_ASYNC_CANCEL_ALL      CancelFlags = 1 << 0 // every match, not only the first (5.19)
	IORING_ASYNC_CANCEL_FD       CancelFlags = 1 << 1 // by file (5.19)
	IORING_ASYNC_CANCEL_ANY      CancelFlags = 1 << 2 // every request (5.19)
	IORING_ASYNC_CANCEL_FD_FIXED CancelFlags = 1 << 3 // the file is a registered slot (6.0)
	IORING_ASYNC_CANCEL_USERDATA CancelFlags = 1 << 4 // by user data (6.6)
	IORING_ASYNC_CANCEL_OP       CancelFlags = 1 << 5 // by opcode (6.6)
)

var cancelNames = flagNames{
	{1 << 0, "ALL"},
	{1 << 1, "FD"},
	{1 << 2, "ANY"},
	{1 << 3, "FD_FIXED"},
	{1 << 4, "USERDATA"},
	{1 << 5, "OP"},
}

// String names the flags that are set.
func (f CancelFlags) String() string { return cancelNames.format(uint64(f)) }

// RecvSendFlags are the ring's own flags of sends and receives, in SQE.Ioprio.
// The MSG_ flags of send(2) and recv(2) go into SQE.OpFlags as ever.
type RecvSendFlags uint16

// How a send or receive is carried out.
const (
	IORING_RECVSEND_POLL_FIRST  RecvSendFlags = 1 << 0 // wait before the first try (5.19)
	IORING_RECV_MULTISHOT       RecvSendFlags = 1 << 1 // keep receiving (6.0)
	IORING_RECVSEND_FIXED_BUF   RecvSendFlags = 1 << 2 // use a registered buffer (6.0)
	IORING_SEND_ZC_REPORT_USAGE RecvSendFlags = 1 << 3 // the notification tells if it copied (6.2)
	IORING_RECVSEND_BUNDLE      RecvSendFlags = 1 << 4 // several provided buffers at once (6.10)
	IORING_SEND_VECTORIZED      RecvSendFlags = 1 << 5 // the address is one of iovecs
)

var recvSendNames = flagNames{
	{1 << 0, "POLL_FIRST"},
	{1 << 1, "RECV_MULTISHOT"},
	{1 << 2, "FIXED_BUF"},
	{1 << 3, "ZC_REPORT_USAGE"},
	{1 << 4, "BUNDLE"},
	{1 << 5, "VECTORIZED"},
}

// String names the flags that are set.
func (f RecvSendFlags) String() string { return recvSendNames.format(uint64(f)) }

// AcceptFlags are the ring's own flags of IORING_OP_ACCEPT, in SQE.Ioprio.
type AcceptFlags uint16

// How connections are accepted.
const (
	IORING_ACCEPT_MULTISHOT  AcceptFlags = 1 << 0 // keep accepting (5.19)
	IORING_ACCEPT_DONTWAIT   AcceptFlags = 1 << 1 // fail with EAGAIN instead of waiting (6.10)
	IORING_ACCEPT_POLL_FIRST AcceptFlags = 1 << 2 // wait before the first try (6.10)
)

var acceptNames = flagNames{
	{1 << 0, "MULTISHOT"},
	{1 << 1, "DONTWAIT"},
	{1 << 2, "POLL_FIRST"},
}

// String names the flags that are set.
func (f AcceptFlags) String() string { return acceptNames.format(uint64(f)) }

// MsgRingFlags are the flags of IORING_OP_MSG_RING.
type MsgRingFlags uint32

// What happens on the other ring.
const (
	IORING_MSG_RING_CQE_SKIP   MsgRingFlags = 1 << 0 // pass a file, but post no completion (6.0)
	IORING_MSG_RING_FLAGS_PASS MsgRingFlags = 1 << 1 // SQE.FileIndex is the CQE's flags (6.3)
)

var msgRingNames = flagNames{
	{1 << 0, "CQE_SKIP"},
	{1 << 1, "FLAGS_PASS"},
}

// String names the flags that are set.
func (f MsgRingFlags) String() string { return msgRingNames.format(uint64(f)) }

// MsgRingCmd is what an IORING_OP_MSG_RING passes on.
type MsgRingCmd uint64

// The commands of IORING_OP_MSG_RING, in SQE.Addr.
const (
	IORING_MSG_DATA    MsgRingCmd = 0 // a result and user data (5.18)
	IORING_MSG_SEND_FD MsgRingCmd = 1 // a registered file (6.0)
)

var msgRingCmdNames = []string{"DATA", "SEND_FD"}

// String returns the name of the command.
func (c MsgRingCmd) String() string { return enumName("MSG", msgRingCmdNames, uint64(c)) }

// InstallFDFlags are the flags of IORING_OP_FIXED_FD_INSTALL.
type InstallFDFlags uint32

// IORING_FIXED_FD_NO_CLOEXEC leaves the new descriptor open across exec.
const IORING_FIXED_FD_NO_CLOEXEC InstallFDFlags = 1 << 0

var installFDNames = flagNames{
	{1 << 0, "NO_CLOEXEC"},
}

// String names the flags that are set.
func (f InstallFDFlags) String() string { return installFDNames.format(uint64(f)) }

// SpliceFlags are the flags of IORING_OP_SPLICE and IORING_OP_TEE.
type SpliceFlags uint32

// The flags of splice(2) and the ring's addition to them.
const (
	SPLICE_F_MOVE        SpliceFlags = 1 << 0
	SPLICE_F_NONBLOCK    SpliceFlags = 1 << 1
	SPLICE_F_MORE        SpliceFlags = 1 << 2
	SPLICE_F_GIFT        SpliceFlags = 1 << 3
	SPLICE_F_FD_IN_FIXED SpliceFlags = 1 << 31 // the source is a registered slot (5.7)
)

var spliceNames = flagNames{
	{1 << 0, "MOVE"},
	{1 << 1, "NONBLOCK"},
	{1 << 2, "MORE"},
	{1 << 3, "GIFT"},
	{1 << 31, "FD_IN_FIXED"},
}

// String names the flags that are set.
func (f SpliceFlags) String() string { return spliceNames.format(uint64(f)) }

// UringCmdFlags are the flags of IORING_OP_URING_CMD.
type UringCmdFlags uint32

// How a command takes its memory.
const (
	IORING_URING_CMD_FIXED     UringCmdFlags = 1 << 0 // use a registered buffer (6.1)
	IORING_URING_CMD_MULTISHOT UringCmdFlags = 1 << 1 // keep completing, from provided buffers (6.18)
	IORING_URING_CMD_MASK                    = IORING_URING_CMD_FIXED | IORING_URING_CMD_MULTISHOT
)

var uringCmdNames = flagNames{
	{1 << 0, "FIXED"},
	{1 << 1, "MULTISHOT"},
}

// String names the flags that are set.
func (f UringCmdFlags) String() string { return uringCmdNames.format(uint64(f)) }

// SocketOp is a command of IORING_OP_URING_CMD on a socket.
type SocketOp uint32

// The commands of sockets, in SQE.CmdOp, since 6.7 unless noted.
const (
	SOCKET_URING_OP_SIOCINQ      SocketOp = 0
	SOCKET_URING_OP_SIOCOUTQ     SocketOp = 1
	SOCKET_URING_OP_GETSOCKOPT   SocketOp = 2
	SOCKET_URING_OP_SETSOCKOPT   SocketOp = 3
	SOCKET_URING_OP_TX_TIMESTAMP SocketOp = 4 // 6.17
	SOCKET_URING_OP_GETSOCKNAME  SocketOp = 5 // 6.19
)

var socketOpNames = []string{"SIOCINQ", "SIOCOUTQ", "GETSOCKOPT", "SETSOCKOPT", "TX_TIMESTAMP", "GETSOCKNAME"}

// String returns the name of the command.
func (o SocketOp) String() string { return enumName("SOCKET", socketOpNames, uint64(o)) }

// Commands of IORING_OP_URING_CMD on a block device.
const (
	BLOCK_URING_CMD_DISCARD        uint32 = 0x1200 // 6.12
	BLOCK_URING_CMD_ZONE_RESET_ALL uint32 = 0x1201
)

// RWAttrFlags says which attributes go with a read or write.
type RWAttrFlags uint64

// IORING_RW_ATTR_FLAG_PI marks protection information, an AttrPI.
const IORING_RW_ATTR_FLAG_PI RWAttrFlags = 1 << 0

var rwAttrNames = flagNames{
	{1 << 0, "PI"},
}

// String names the flags that are set.
func (f RWAttrFlags) String() string { return rwAttrNames.format(uint64(f)) }

// Futex2Flags describe a futex word, as in futex_wait(2).
type Futex2Flags uint32

// The size of the word is a number in the two lowest bits; the ring and every
// current kernel know 32 bits only.
const (
	FUTEX2_SIZE_U32 Futex2Flags = 2
	FUTEX2_NUMA     Futex2Flags = 1 << 2
	FUTEX2_MPOL     Futex2Flags = 1 << 3
	FUTEX2_PRIVATE  Futex2Flags = 1 << 7
)

// FUTEX_BITSET_MATCH_ANY is the mask of a futex wait or wake that does not
// select.
const FUTEX_BITSET_MATCH_ANY uint64 = 0xffffffff

var futex2Names = flagNames{
	{1 << 1, "SIZE_U32"},
	{1 << 2, "NUMA"},
	{1 << 3, "MPOL"},
	{1 << 7, "PRIVATE"},
}

// String names the flags that are set.
func (f Futex2Flags) String() string { return futex2Names.format(uint64(f)) }
