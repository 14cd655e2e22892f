package uring

import (
	"fmt"
	"math/bits"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// flagTables lists every table of names, the prefixes its constants have in the
// kernel, the width of the type, and its constants in ascending order.
var flagTables = []struct {
	names flagNames
	width int
	all   uint64
	print func(uint64) string
}{
	{setupNames, 32, 0x1fffff, func(v uint64) string { return SetupFlags(v).String() }},
	{featureNames, 32, 0x3ffff, func(v uint64) string { return Features(v).String() }},
	{sqeNames, 8, 0x7f, func(v uint64) string { return SQEFlags(v).String() }},
	{cqeNames, 32, 0x803f, func(v uint64) string { return CQEFlags(v).String() }},
	{enterNames, 32, 0xff, func(v uint64) string { return EnterFlags(v).String() }},
	{sqRingNames, 32, 0x7, func(v uint64) string { return SQRingFlags(v).String() }},
	{cqRingNames, 32, 0x1, func(v uint64) string { return CQRingFlags(v).String() }},
	{regWaitNames, 32, 0x1, func(v uint64) string { return RegWaitFlags(v).String() }},
	{nopNames, 32, 0x3f, func(v uint64) string { return NopFlags(v).String() }},
	{fsyncNames, 32, 0x1, func(v uint64) string { return FsyncFlags(v).String() }},
	{pollNames, 32, 0xf, func(v uint64) string { return PollFlags(v).String() }},
	{timeoutNames, 32, 0xff, func(v uint64) string { return TimeoutFlags(v).String() }},
	{cancelNames, 32, 0x3f, func(v uint64) string { return CancelFlags(v).String() }},
	{recvSendNames, 16, 0x3f, func(v uint64) string { return RecvSendFlags(v).String() }},
	{acceptNames, 16, 0x7, func(v uint64) string { return AcceptFlags(v).String() }},
	{msgRingNames, 32, 0x3, func(v uint64) string { return MsgRingFlags(v).String() }},
	{installFDNames, 32, 0x1, func(v uint64) string { return InstallFDFlags(v).String() }},
	{spliceNames, 32, 0x8000000f, func(v uint64) string { return SpliceFlags(v).String() }},
	{uringCmdNames, 32, 0x3, func(v uint64) string { return UringCmdFlags(v).String() }},
	{rwAttrNames, 64, 0x1, func(v uint64) string { return RWAttrFlags(v).String() }},
	{futex2Names, 32, 0x8e, func(v uint64) string { return Futex2Flags(v).String() }},
	{rsrcNames, 32, 0x1, func(v uint64) string { return RsrcFlags(v).String() }},
	{cloneNames, 32, 0x3, func(v uint64) string { return CloneFlags(v).String() }},
	{probeOpNames, 16, 0x1, func(v uint64) string { return ProbeOpFlags(v).String() }},
	{pbufNames, 16, 0x3, func(v uint64) string { return PbufFlags(v).String() }},
	{regionNames, 32, 0x1, func(v uint64) string { return RegionFlags(v).String() }},
	{memRegionNames, 64, 0x1, func(v uint64) string { return MemRegionFlags(v).String() }},
	{bpfFilterNames, 32, 0x3, func(v uint64) string { return BPFFilterFlags(v).String() }},
	{zcrxAreaNames, 32, 0x1, func(v uint64) string { return ZCRXAreaFlags(v).String() }},
	{zcrxRegNames, 32, 0x3, func(v uint64) string { return ZCRXRegFlags(v).String() }},
	{zcrxFeatureNames, 32, 0x3, func(v uint64) string { return ZCRXFeatures(v).String() }},
	{memoryNames, 32, 0x3ffff, func(v uint64) string { return Memory(v).String() }},
}

// Every bit has exactly one name, every name exactly one bit, and the table is
// the one that String uses.
func TestFlagTables(t *testing.T) {
	for i, f := range flagTables {
		var seen, last uint64
		name := map[string]bool{}
		for _, n := range f.names {
			where := fmt.Sprintf("table %d, %s", i, n.name)
			assert.Equal(t, 1, bits.OnesCount64(n.bit), where)
			assert.Greater(t, n.bit, last, where)
			assert.False(t, name[n.name], where)
			assert.NotRegexp(t, `^$|[|]|^0`, n.name, where)
			last, seen, name[n.name] = n.bit, seen|n.bit, true
			if n.bit != uint64(IORING_CQE_F_BUFFER) || f.all != 0x803f {
				assert.Equal(t, n.name, f.print(n.bit), where)
			}
		}
		assert.Equal(t, f.all, seen, "table %d", i)
		assert.Equal(t, "0", f.print(0), "table %d", i)
		unknown := ^f.all & (1<<f.width - 1)
		if f.all == 0x803f {
			continue // the upper half of CQEFlags is not flags
		}
		assert.Equal(t, fmt.Sprintf("0x%x", unknown), f.print(unknown), "table %d", i)
		assert.Len(t, strings.Split(f.print(f.all), "|"), len(f.names), "table %d", i)
	}
}

func TestFlagsString(t *testing.T) {
	assert.Equal(t, "SINGLE_ISSUER|DEFER_TASKRUN", (IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER).String())
	assert.Equal(t, "CLAMP|0x80000000", (IORING_SETUP_CLAMP | 1<<31).String())
	assert.Equal(t, "0", SQEFlags(0).String())
	assert.Equal(t, "IO_LINK|0x80", SQEFlags(0x84).String())
	assert.Equal(t, "BUFFER|MORE|bid=5", (IORING_CQE_F_BUFFER | IORING_CQE_F_MORE | 5<<16).String())
	assert.Equal(t, "BUFFER|bid=0", IORING_CQE_F_BUFFER.String())
	assert.Equal(t, "MORE|0x10000", (IORING_CQE_F_MORE | IORING_CQE_F_TSTAMP_HW).String())
}

func TestEnumsString(t *testing.T) {
	assert.Equal(t, "REGISTER_FILES", IORING_REGISTER_FILES.String())
	assert.Equal(t, "REGISTER_FILES|USE_REGISTERED_RING",
		(IORING_REGISTER_FILES | IORING_REGISTER_USE_REGISTERED_RING).String())
	assert.Equal(t, "REGISTER(38)", IORING_REGISTER_LAST.String())
	assert.Equal(t, "SQE_OP", IORING_RESTRICTION_SQE_OP.String())
	assert.Equal(t, "RESTRICTION(4)", IORING_RESTRICTION_LAST.String())
	assert.Equal(t, "SEND_FD", IORING_MSG_SEND_FD.String())
	assert.Equal(t, "GETSOCKOPT", SOCKET_URING_OP_GETSOCKOPT.String())
	assert.Equal(t, "SCQ", IO_URING_QUERY_SCQ.String())
	assert.Equal(t, "STATIC_ADD_ID", IO_URING_NAPI_STATIC_ADD_ID.String())
	assert.Equal(t, "EXPORT", ZCRX_CTRL_EXPORT.String())
	assert.Equal(t, "ResultKind(0)", ResultKind(0).String())
}

// Every register opcode has a name and a first release.
func TestRegisterOps(t *testing.T) {
	seen := map[string]bool{}
	for op := range IORING_REGISTER_LAST {
		assert.Regexp(t, `^(UN)?REGISTER_[A-Z0-9_]+$`, op.String())
		assert.False(t, seen[op.String()], op.String())
		seen[op.String()] = true
		since, ok := op.Since()
		require.True(t, ok, op.String())
		assert.True(t, since.AtLeast(Version{5, 1}), op.String())
	}
	_, ok := IORING_REGISTER_LAST.Since()
	assert.False(t, ok)
}

// kernelOps is the order of the opcodes, as the kernel counts them.
const kernelOps = `NOP READV WRITEV FSYNC READ_FIXED WRITE_FIXED POLL_ADD POLL_REMOVE SYNC_FILE_RANGE SENDMSG
RECVMSG TIMEOUT TIMEOUT_REMOVE ACCEPT ASYNC_CANCEL LINK_TIMEOUT CONNECT FALLOCATE OPENAT CLOSE FILES_UPDATE STATX
READ WRITE FADVISE MADVISE SEND RECV OPENAT2 EPOLL_CTL SPLICE PROVIDE_BUFFERS REMOVE_BUFFERS TEE SHUTDOWN RENAMEAT
UNLINKAT MKDIRAT SYMLINKAT LINKAT MSG_RING FSETXATTR SETXATTR FGETXATTR GETXATTR SOCKET URING_CMD SEND_ZC
SENDMSG_ZC READ_MULTISHOT WAITID FUTEX_WAIT FUTEX_WAKE FUTEX_WAITV FIXED_FD_INSTALL FTRUNCATE BIND LISTEN RECV_ZC
EPOLL_WAIT READV_FIXED WRITEV_FIXED PIPE NOP128 URING_CMD128`

func TestOpOrder(t *testing.T) {
	names := strings.Fields(kernelOps)
	require.Len(t, names, int(IORING_OP_LAST))
	for op, name := range names {
		assert.Equal(t, name, Op(op).String())
	}
}

// Constants that no table of names covers, and a sample of those that one does.
func TestConstantValues(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"IORING_FILE_INDEX_ALLOC", uint64(IORING_FILE_INDEX_ALLOC), 0xffffffff},
		{"IORING_SETUP_SINGLE_ISSUER", uint64(IORING_SETUP_SINGLE_ISSUER), 0x1000},
		{"IORING_SETUP_DEFER_TASKRUN", uint64(IORING_SETUP_DEFER_TASKRUN), 0x2000},
		{"IORING_SETUP_NO_SQARRAY", uint64(IORING_SETUP_NO_SQARRAY), 0x10000},
		{"IORING_SETUP_SQ_REWIND", uint64(IORING_SETUP_SQ_REWIND), 0x100000},
		{"IORING_FEAT_NODROP", uint64(IORING_FEAT_NODROP), 0x2},
		{"IORING_FEAT_EXT_ARG", uint64(IORING_FEAT_EXT_ARG), 0x100},
		{"IORING_FEAT_NO_IOWAIT", uint64(IORING_FEAT_NO_IOWAIT), 0x20000},
		{"IOSQE_FIXED_FILE", uint64(IOSQE_FIXED_FILE), 0x1},
		{"IOSQE_CQE_SKIP_SUCCESS", uint64(IOSQE_CQE_SKIP_SUCCESS), 0x40},
		{"IORING_CQE_F_BUFFER", uint64(IORING_CQE_F_BUFFER), 0x1},
		{"IORING_CQE_F_MORE", uint64(IORING_CQE_F_MORE), 0x2},
		{"IORING_CQE_F_SOCK_NONEMPTY", uint64(IORING_CQE_F_SOCK_NONEMPTY), 0x4},
		{"IORING_CQE_F_NOTIF", uint64(IORING_CQE_F_NOTIF), 0x8},
		{"IORING_CQE_F_BUF_MORE", uint64(IORING_CQE_F_BUF_MORE), 0x10},
		{"IORING_CQE_F_SKIP", uint64(IORING_CQE_F_SKIP), 0x20},
		{"IORING_CQE_F_32", uint64(IORING_CQE_F_32), 0x8000},
		{"IORING_CQE_F_TSTAMP_HW", uint64(IORING_CQE_F_TSTAMP_HW), 0x10000},
		{"IORING_CQE_BUFFER_SHIFT", IORING_CQE_BUFFER_SHIFT, 16},
		{"IORING_TIMESTAMP_HW_SHIFT", IORING_TIMESTAMP_HW_SHIFT, 16},
		{"IORING_TIMESTAMP_TYPE_SHIFT", IORING_TIMESTAMP_TYPE_SHIFT, 17},
		{"IORING_NOTIF_USAGE_ZC_COPIED", uint64(IORING_NOTIF_USAGE_ZC_COPIED), 0x80000000},
		{"LIBURING_UDATA_TIMEOUT", LIBURING_UDATA_TIMEOUT, 0xffffffffffffffff},
		{"IORING_OFF_SQ_RING", IORING_OFF_SQ_RING, 0},
		{"IORING_OFF_CQ_RING", IORING_OFF_CQ_RING, 0x8000000},
		{"IORING_OFF_SQES", IORING_OFF_SQES, 0x10000000},
		{"IORING_OFF_PBUF_RING", IORING_OFF_PBUF_RING, 0x80000000},
		{"IORING_OFF_PBUF_SHIFT", IORING_OFF_PBUF_SHIFT, 16},
		{"IORING_OFF_MMAP_MASK", IORING_OFF_MMAP_MASK, 0xf8000000},
		{"MaxSQEntries", MaxSQEntries, 32768},
		{"MaxCQEntries", MaxCQEntries, 65536},
		{"IORING_ENTER_GETEVENTS", uint64(IORING_ENTER_GETEVENTS), 0x1},
		{"IORING_ENTER_SQ_WAKEUP", uint64(IORING_ENTER_SQ_WAKEUP), 0x2},
		{"IORING_ENTER_EXT_ARG", uint64(IORING_ENTER_EXT_ARG), 0x8},
		{"IORING_ENTER_REGISTERED_RING", uint64(IORING_ENTER_REGISTERED_RING), 0x10},
		{"IORING_TIMEOUT_CLOCK_MASK", uint64(IORING_TIMEOUT_CLOCK_MASK), 0xc},
		{"IORING_TIMEOUT_UPDATE_MASK", uint64(IORING_TIMEOUT_UPDATE_MASK), 0x12},
		{"IORING_URING_CMD_MASK", uint64(IORING_URING_CMD_MASK), 0x3},
		{"IORING_RECV_MULTISHOT", uint64(IORING_RECV_MULTISHOT), 0x2},
		{"IORING_RECVSEND_FIXED_BUF", uint64(IORING_RECVSEND_FIXED_BUF), 0x4},
		{"IORING_RECVSEND_BUNDLE", uint64(IORING_RECVSEND_BUNDLE), 0x10},
		{"IORING_ASYNC_CANCEL_FD", uint64(IORING_ASYNC_CANCEL_FD), 0x2},
		{"IORING_ASYNC_CANCEL_OP", uint64(IORING_ASYNC_CANCEL_OP), 0x20},
		{"SPLICE_F_FD_IN_FIXED", uint64(SPLICE_F_FD_IN_FIXED), 0x80000000},
		{"IORING_MSG_DATA", uint64(IORING_MSG_DATA), 0},
		{"IORING_MSG_SEND_FD", uint64(IORING_MSG_SEND_FD), 1},
		{"BLOCK_URING_CMD_DISCARD", uint64(BLOCK_URING_CMD_DISCARD), 0x1200},
		{"BLOCK_URING_CMD_ZONE_RESET_ALL", uint64(BLOCK_URING_CMD_ZONE_RESET_ALL), 0x1201},
		{"SOCKET_URING_OP_GETSOCKNAME", uint64(SOCKET_URING_OP_GETSOCKNAME), 5},
		{"IORING_REGISTER_RING_FDS", uint64(IORING_REGISTER_RING_FDS), 20},
		{"IORING_REGISTER_PBUF_RING", uint64(IORING_REGISTER_PBUF_RING), 22},
		{"IORING_REGISTER_SEND_MSG_RING", uint64(IORING_REGISTER_SEND_MSG_RING), 31},
		{"IORING_REGISTER_QUERY", uint64(IORING_REGISTER_QUERY), 35},
		{"IORING_REGISTER_BPF_FILTER", uint64(IORING_REGISTER_BPF_FILTER), 37},
		{"IORING_REGISTER_USE_REGISTERED_RING", uint64(IORING_REGISTER_USE_REGISTERED_RING), 0x80000000},
		{"IORING_REGISTER_FILES_SKIP", uint64(^IORING_REGISTER_FILES_SKIP), 1},
		{"IORING_REGISTER_SRC_REGISTERED", uint64(IORING_REGISTER_SRC_REGISTERED), 1},
		{"IORING_REGISTER_DST_REPLACE", uint64(IORING_REGISTER_DST_REPLACE), 2},
		{"IO_WQ_BOUND", IO_WQ_BOUND, 0},
		{"IO_WQ_UNBOUND", IO_WQ_UNBOUND, 1},
		{"IOU_PBUF_RING_INC", uint64(IOU_PBUF_RING_INC), 2},
		{"IORING_ZCRX_AREA_SHIFT", IORING_ZCRX_AREA_SHIFT, 48},
		{"IORING_ZCRX_AREA_MASK", IORING_ZCRX_AREA_MASK, 0xffff000000000000},
		{"IO_URING_BPF_CMD_FILTER", uint64(IO_URING_BPF_CMD_FILTER), 1},
		{"CurrentPosition", CurrentPosition, 0xffffffffffffffff},
	} {
		assert.Equal(t, c.want, c.got, c.name)
	}
}

func TestCQE(t *testing.T) {
	c := CQE{Res: -int32(syscall.EINVAL)}
	assert.Equal(t, syscall.EINVAL, c.Errno())
	c.Res = 17
	assert.Zero(t, c.Errno())
	c.Res = -1 << 31 // IORING_NOTIF_USAGE_ZC_COPIED
	assert.Zero(t, c.Errno())

	_, ok := c.BufferID()
	assert.False(t, ok)
	c.Flags = IORING_CQE_F_BUFFER | 65535<<IORING_CQE_BUFFER_SHIFT
	id, ok := c.BufferID()
	assert.True(t, ok)
	assert.EqualValues(t, 65535, id)
	c.Flags = IORING_CQE_F_BUFFER
	id, ok = c.BufferID()
	assert.True(t, ok, "0 is a buffer id")
	assert.Zero(t, id)

	for flag, is := range map[CQEFlags]func(*CQE) bool{
		IORING_CQE_F_MORE:          (*CQE).More,
		IORING_CQE_F_NOTIF:         (*CQE).Notif,
		IORING_CQE_F_SOCK_NONEMPTY: (*CQE).SockNonempty,
		IORING_CQE_F_BUF_MORE:      (*CQE).BufMore,
		IORING_CQE_F_SKIP:          (*CQE).Skip,
		IORING_CQE_F_32:            (*CQE).Is32,
	} {
		assert.True(t, is(&CQE{Flags: flag}), flag.String())
		assert.False(t, is(&CQE{Flags: ^flag}), flag.String())
	}
}

func TestParseRecvmsg(t *testing.T) {
	header := func(name, control, payload byte) []byte {
		b := make([]byte, 16, 64)
		h := RecvmsgOut{Namelen: uint32(name), Controllen: uint32(control), Payloadlen: uint32(payload), Flags: 0x20}
		copy(b, (*[16]byte)(unsafe.Pointer(&h))[:])
		return b
	}
	buf := append(header(3, 2, 5), "nam_CC..hello"...)
	m, ok := ParseRecvmsg(buf, 4, 4)
	require.True(t, ok)
	assert.Equal(t, Recvmsg{Flags: 0x20, Name: []byte("nam"), Control: []byte("CC"), Payload: []byte("hello")}, m)

	// Sizes in the header may exceed the room, when something was cut.
	m, ok = ParseRecvmsg(append(header(9, 9, 99), "nam_CC..hello"...), 4, 4)
	require.True(t, ok)
	assert.Equal(t, Recvmsg{Flags: 0x20, Name: []byte("nam_"), Control: []byte("CC.."), Payload: []byte("hello")}, m)

	for _, c := range []struct{ n, name, control int }{
		{15, 0, 0}, {0, 0, 0}, {20, 5, 0}, {20, 4, 1}, {29, -1, 0}, {29, 0, -1}, {29, int(^uint(0) >> 1), 1},
	} {
		_, ok := ParseRecvmsg(buf[:c.n], c.name, c.control)
		assert.False(t, ok, c)
	}
	_, ok = ParseRecvmsg(buf[:24], 4, 4)
	assert.True(t, ok, "a message may be empty")
}
