package uring

import (
	"encoding/binary"
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// raw is an entry as the kernel sees it.
type raw [64]byte

// set stores numbers of the given size at the given offset.
func (r *raw) set(off int, v any) {
	switch v := v.(type) {
	case uint8:
		r[off] = v
	case uint16:
		binary.NativeEndian.PutUint16(r[off:], v)
	case uint32:
		binary.NativeEndian.PutUint32(r[off:], v)
	case int32:
		binary.NativeEndian.PutUint32(r[off:], uint32(v))
	case uint64:
		binary.NativeEndian.PutUint64(r[off:], v)
	default:
		panic("a number without a size")
	}
}

func rawOf(s *SQE) raw { return *(*raw)(unsafe.Pointer(s)) }

// Offsets in an entry, by the kernel's names.
const (
	atIoprio  = 2
	atFd      = 4
	atOff     = 8
	atAddr    = 16
	atLevel   = 16
	atOptname = 20
	atLen     = 24
	atOpFlags = 28
	atBuf     = 40
	atIndex   = 44
	atAddr3   = 48
)

type fields map[int]any

// Memory for the table below; what matters is only the address.
var (
	memBytes   = []byte("payload")
	memPath    = new(byte)
	memPath2   = new(byte)
	memIov     = new([2]Iovec)
	memTime    = new(Timespec)
	memHow     = new(OpenHow)
	memFds     = new([2]int32)
	memWord    = new(uint32)
	memWaitv   = new(FutexWaitv)
	memBlob    = new([256]byte)
	memAddrlen = new(uint32)
)

func num[T any](p *T) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }

// prepCases gives, for each method, every field that is not zero.
var prepCases = []struct {
	name string
	prep func(*SQE)
	op   uint8
	want fields
}{
	{"Nop", func(s *SQE) { s.PrepNop() }, 0, fields{atFd: int32(-1)}},
	{"Readv", func(s *SQE) { s.PrepReadv(5, &memIov[0], 2, 7, 3) }, 1,
		fields{atFd: int32(5), atOff: uint64(7), atAddr: num(memIov), atLen: uint32(2), atOpFlags: uint32(3)}},
	{"Writev", func(s *SQE) { s.PrepWritev(5, &memIov[0], 2, CurrentPosition, 3) }, 2,
		fields{atFd: int32(5), atOff: uint64(math.MaxUint64), atAddr: num(memIov), atLen: uint32(2), atOpFlags: uint32(3)}},
	{"Fsync", func(s *SQE) { s.PrepFsync(5, IORING_FSYNC_DATASYNC) }, 3, fields{atFd: int32(5), atOpFlags: uint32(1)}},
	{"ReadFixed", func(s *SQE) { s.PrepReadFixed(5, memBytes, 7, 9) }, 4,
		fields{atFd: int32(5), atOff: uint64(7), atAddr: num(&memBytes[0]), atLen: uint32(7), atBuf: uint16(9)}},
	{"WriteFixed", func(s *SQE) { s.PrepWriteFixed(5, memBytes, 7, 9) }, 5,
		fields{atFd: int32(5), atOff: uint64(7), atAddr: num(&memBytes[0]), atLen: uint32(7), atBuf: uint16(9)}},
	{"PollAdd", func(s *SQE) { s.PrepPollAdd(5, 0x10004, IORING_POLL_ADD_MULTI) }, 6,
		fields{atFd: int32(5), atLen: uint32(1), atOpFlags: pollWord(0x10004)}},
	{"PollRemove", func(s *SQE) { s.PrepPollRemove(77) }, 7, fields{atFd: int32(-1), atAddr: uint64(77)}},
	{"PollUpdate", func(s *SQE) { s.PrepPollUpdate(77, 78, 4, 6) }, 7,
		fields{atFd: int32(-1), atOff: uint64(78), atAddr: uint64(77), atLen: uint32(6), atOpFlags: pollWord(4)}},
	{"SyncFileRange", func(s *SQE) { s.PrepSyncFileRange(5, 7, 8, 2) }, 8,
		fields{atFd: int32(5), atOff: uint64(7), atLen: uint32(8), atOpFlags: uint32(2)}},
	{"Sendmsg", func(s *SQE) { s.PrepSendmsg(5, unsafe.Pointer(memBlob), 0x4000, IORING_RECVSEND_POLL_FIRST) }, 9,
		fields{atIoprio: uint16(1), atFd: int32(5), atAddr: num(memBlob), atLen: uint32(1), atOpFlags: uint32(0x4000)}},
	{"Recvmsg", func(s *SQE) { s.PrepRecvmsg(5, unsafe.Pointer(memBlob), 2, 0) }, 10,
		fields{atFd: int32(5), atAddr: num(memBlob), atLen: uint32(1), atOpFlags: uint32(2)}},
	{"RecvmsgMultishot", func(s *SQE) { s.PrepRecvmsgMultishot(5, unsafe.Pointer(memBlob), 3, 2, 0) }, 10,
		fields{1: uint8(0x20), atIoprio: uint16(2), atFd: int32(5), atAddr: num(memBlob), atLen: uint32(1),
			atOpFlags: uint32(2), atBuf: uint16(3)}},
	{"Timeout", func(s *SQE) { s.PrepTimeout(memTime, 4, IORING_TIMEOUT_ABS) }, 11,
		fields{atFd: int32(-1), atOff: uint64(4), atAddr: num(memTime), atLen: uint32(1), atOpFlags: uint32(1)}},
	{"TimeoutRemove", func(s *SQE) { s.PrepTimeoutRemove(77) }, 12, fields{atFd: int32(-1), atAddr: uint64(77)}},
	{"TimeoutUpdate", func(s *SQE) { s.PrepTimeoutUpdate(memTime, 77, IORING_TIMEOUT_ABS) }, 12,
		fields{atFd: int32(-1), atOff: num(memTime), atAddr: uint64(77), atOpFlags: uint32(3)}},
	{"Accept", func(s *SQE) {
		s.PrepAccept(5, unsafe.Pointer(memBlob), memAddrlen, 0x80000, IORING_ACCEPT_MULTISHOT)
	}, 13,
		fields{atIoprio: uint16(1), atFd: int32(5), atOff: num(memAddrlen), atAddr: num(memBlob), atOpFlags: uint32(0x80000)}},
	{"Accept no address", func(s *SQE) { s.PrepAccept(5, nil, nil, 0, 0) }, 13, fields{atFd: int32(5)}},
	{"Accept direct", func(s *SQE) { s.PrepAccept(5, nil, nil, 0, 0); s.SetFileSlot(4) }, 13,
		fields{atFd: int32(5), atIndex: uint32(5)}},
	{"Cancel", func(s *SQE) { s.PrepCancel(77, IORING_ASYNC_CANCEL_ALL) }, 14,
		fields{atFd: int32(-1), atAddr: uint64(77), atOpFlags: uint32(1)}},
	{"CancelFd", func(s *SQE) { s.PrepCancelFd(5, IORING_ASYNC_CANCEL_ALL) }, 14,
		fields{atFd: int32(5), atOpFlags: uint32(3)}},
	{"CancelOp", func(s *SQE) { s.PrepCancelOp(IORING_OP_RECV, 0) }, 14,
		fields{atFd: int32(-1), atLen: uint32(27), atOpFlags: uint32(0x20)}},
	{"LinkTimeout", func(s *SQE) { s.PrepLinkTimeout(memTime, IORING_TIMEOUT_BOOTTIME) }, 15,
		fields{atFd: int32(-1), atAddr: num(memTime), atLen: uint32(1), atOpFlags: uint32(4)}},
	{"Connect", func(s *SQE) { s.PrepConnect(5, unsafe.Pointer(memBlob), 16) }, 16,
		fields{atFd: int32(5), atOff: uint64(16), atAddr: num(memBlob)}},
	{"Fallocate", func(s *SQE) { s.PrepFallocate(5, 3, 4096, 8192) }, 17,
		fields{atFd: int32(5), atOff: uint64(4096), atAddr: uint64(8192), atLen: uint32(3)}},
	{"Openat", func(s *SQE) { s.PrepOpenat(AtCWD, memPath, 0x80000, 0o644) }, 18,
		fields{atFd: int32(-100), atAddr: num(memPath), atLen: uint32(0o644), atOpFlags: uint32(0x80000)}},
	{"Openat direct", func(s *SQE) { s.PrepOpenat(3, memPath, 0, 0); s.SetFileSlot(IORING_FILE_INDEX_ALLOC) }, 18,
		fields{atFd: int32(3), atAddr: num(memPath), atIndex: uint32(math.MaxUint32)}},
	{"Close", func(s *SQE) { s.PrepClose(5) }, 19, fields{atFd: int32(5)}},
	{"CloseDirect", func(s *SQE) { s.PrepCloseDirect(5) }, 19, fields{atIndex: uint32(6)}},
	{"FilesUpdate", func(s *SQE) { s.PrepFilesUpdate(&memFds[0], 2, 4) }, 20,
		fields{atFd: int32(-1), atOff: uint64(4), atAddr: num(memFds), atLen: uint32(2)}},
	{"FilesUpdate alloc", func(s *SQE) { s.PrepFilesUpdate(&memFds[0], 2, IORING_FILE_INDEX_ALLOC) }, 20,
		fields{atFd: int32(-1), atOff: uint64(math.MaxUint32), atAddr: num(memFds), atLen: uint32(2)}},
	{"Statx", func(s *SQE) { s.PrepStatx(3, memPath, 0x1000, 0x7ff, unsafe.Pointer(memBlob)) }, 21,
		fields{atFd: int32(3), atOff: num(memBlob), atAddr: num(memPath), atLen: uint32(0x7ff), atOpFlags: uint32(0x1000)}},
	{"Read", func(s *SQE) { s.PrepRead(5, memBytes, 7) }, 22,
		fields{atFd: int32(5), atOff: uint64(7), atAddr: num(&memBytes[0]), atLen: uint32(7)}},
	{"Write", func(s *SQE) { s.PrepWrite(5, memBytes[2:], 7) }, 23,
		fields{atFd: int32(5), atOff: uint64(7), atAddr: num(&memBytes[2]), atLen: uint32(5)}},
	{"Fadvise", func(s *SQE) { s.PrepFadvise(5, 7, 8, 4) }, 24,
		fields{atFd: int32(5), atOff: uint64(7), atLen: uint32(8), atOpFlags: uint32(4)}},
	{"Madvise", func(s *SQE) { s.PrepMadvise(unsafe.Pointer(memBlob), 256, 3) }, 25,
		fields{atFd: int32(-1), atAddr: num(memBlob), atLen: uint32(256), atOpFlags: uint32(3)}},
	{"Send", func(s *SQE) { s.PrepSend(5, memBytes, 0x4000, IORING_RECVSEND_POLL_FIRST) }, 26,
		fields{atIoprio: uint16(1), atFd: int32(5), atAddr: num(&memBytes[0]), atLen: uint32(7), atOpFlags: uint32(0x4000)}},
	{"Sendto", func(s *SQE) { s.PrepSend(5, memBytes, 0, 0); s.SetSendAddr(unsafe.Pointer(memBlob), 16) }, 26,
		fields{atFd: int32(5), atOff: num(memBlob), atAddr: num(&memBytes[0]), atLen: uint32(7), atIndex: uint16(16)}},
	{"Recv", func(s *SQE) { s.PrepRecv(5, memBytes, 2, IORING_RECVSEND_POLL_FIRST) }, 27,
		fields{atIoprio: uint16(1), atFd: int32(5), atAddr: num(&memBytes[0]), atLen: uint32(7), atOpFlags: uint32(2)}},
	{"RecvMultishot", func(s *SQE) { s.PrepRecvMultishot(5, 3, 2, IORING_RECVSEND_BUNDLE) }, 27,
		fields{1: uint8(0x20), atIoprio: uint16(0x12), atFd: int32(5), atOpFlags: uint32(2), atBuf: uint16(3)}},
	{"Openat2", func(s *SQE) { s.PrepOpenat2(3, memPath, memHow) }, 28,
		fields{atFd: int32(3), atOff: num(memHow), atAddr: num(memPath), atLen: uint32(24)}},
	{"EpollCtl", func(s *SQE) { s.PrepEpollCtl(5, 1, 6, unsafe.Pointer(memBlob)) }, 29,
		fields{atFd: int32(5), atOff: uint64(6), atAddr: num(memBlob), atLen: uint32(1)}},
	{"Splice", func(s *SQE) { s.PrepSplice(5, -1, 6, 7, 8, SPLICE_F_FD_IN_FIXED|SPLICE_F_MOVE) }, 30,
		fields{atFd: int32(6), atOff: uint64(7), atAddr: uint64(math.MaxUint64), atLen: uint32(8),
			atOpFlags: uint32(0x80000001), atIndex: int32(5)}},
	{"ProvideBuffers", func(s *SQE) { s.PrepProvideBuffers(unsafe.Pointer(memBlob), 64, 4, 3, 2) }, 31,
		fields{atFd: int32(4), atOff: uint64(2), atAddr: num(memBlob), atLen: uint32(64), atBuf: uint16(3)}},
	{"RemoveBuffers", func(s *SQE) { s.PrepRemoveBuffers(4, 3) }, 32, fields{atFd: int32(4), atBuf: uint16(3)}},
	{"Tee", func(s *SQE) { s.PrepTee(5, 6, 8, SPLICE_F_NONBLOCK) }, 33,
		fields{atFd: int32(6), atLen: uint32(8), atOpFlags: uint32(2), atIndex: int32(5)}},
	{"Shutdown", func(s *SQE) { s.PrepShutdown(5, 2) }, 34, fields{atFd: int32(5), atLen: uint32(2)}},
	{"Renameat", func(s *SQE) { s.PrepRenameat(3, memPath, AtCWD, memPath2, 1) }, 35,
		fields{atFd: int32(3), atOff: num(memPath2), atAddr: num(memPath), atLen: int32(-100), atOpFlags: uint32(1)}},
	{"Unlinkat", func(s *SQE) { s.PrepUnlinkat(3, memPath, 0x200) }, 36,
		fields{atFd: int32(3), atAddr: num(memPath), atOpFlags: uint32(0x200)}},
	{"Mkdirat", func(s *SQE) { s.PrepMkdirat(3, memPath, 0o755) }, 37,
		fields{atFd: int32(3), atAddr: num(memPath), atLen: uint32(0o755)}},
	{"Symlinkat", func(s *SQE) { s.PrepSymlinkat(memPath, 3, memPath2) }, 38,
		fields{atFd: int32(3), atOff: num(memPath2), atAddr: num(memPath)}},
	{"Linkat", func(s *SQE) { s.PrepLinkat(3, memPath, 4, memPath2, 0x400) }, 39,
		fields{atFd: int32(3), atOff: num(memPath2), atAddr: num(memPath), atLen: uint32(4), atOpFlags: uint32(0x400)}},
	{"MsgRing", func(s *SQE) { s.PrepMsgRing(5, 9, 77, IORING_MSG_RING_CQE_SKIP) }, 40,
		fields{atFd: int32(5), atOff: uint64(77), atLen: uint32(9), atOpFlags: uint32(1)}},
	{"MsgRing flags", func(s *SQE) { s.PrepMsgRing(5, 9, 77, IORING_MSG_RING_FLAGS_PASS); s.SetFileIndex(8) }, 40,
		fields{atFd: int32(5), atOff: uint64(77), atLen: uint32(9), atOpFlags: uint32(2), atIndex: uint32(8)}},
	{"MsgRingFd", func(s *SQE) { s.PrepMsgRingFd(5, 2, 3, 77, 0) }, 40,
		fields{atFd: int32(5), atOff: uint64(77), atAddr: uint64(1), atIndex: uint32(4), atAddr3: uint64(2)}},
	{"Fsetxattr", func(s *SQE) { s.PrepFsetxattr(5, memPath, memBytes, 1) }, 41,
		fields{atFd: int32(5), atOff: num(&memBytes[0]), atAddr: num(memPath), atLen: uint32(7), atOpFlags: uint32(1)}},
	{"Setxattr", func(s *SQE) { s.PrepSetxattr(memPath2, memPath, memBytes, 1) }, 42,
		fields{atOff: num(&memBytes[0]), atAddr: num(memPath), atLen: uint32(7), atOpFlags: uint32(1), atAddr3: num(memPath2)}},
	{"Fgetxattr", func(s *SQE) { s.PrepFgetxattr(5, memPath, memBytes) }, 43,
		fields{atFd: int32(5), atOff: num(&memBytes[0]), atAddr: num(memPath), atLen: uint32(7)}},
	{"Getxattr", func(s *SQE) { s.PrepGetxattr(memPath2, memPath, memBytes) }, 44,
		fields{atOff: num(&memBytes[0]), atAddr: num(memPath), atLen: uint32(7), atAddr3: num(memPath2)}},
	{"Socket", func(s *SQE) { s.PrepSocket(2, 0x80001, 6) }, 45,
		fields{atFd: int32(2), atOff: uint64(0x80001), atLen: uint32(6)}},
	{"UringCmd", func(s *SQE) { s.PrepUringCmd(5, BLOCK_URING_CMD_DISCARD, IORING_URING_CMD_FIXED) }, 46,
		fields{atFd: int32(5), atOff: uint32(0x1200), atOpFlags: uint32(1)}},
	{"SocketCmd", func(s *SQE) {
		s.PrepSocketCmd(5, SOCKET_URING_OP_SETSOCKOPT, 1, 2, unsafe.Pointer(memWord), 4)
	}, 46,
		fields{atFd: int32(5), atOff: uint32(3), atLevel: uint32(1), atOptname: uint32(2), atIndex: uint32(4), atAddr3: num(memWord)}},
	{"SendZC", func(s *SQE) { s.PrepSendZC(5, memBytes, 0x4000, IORING_SEND_ZC_REPORT_USAGE) }, 47,
		fields{atIoprio: uint16(8), atFd: int32(5), atAddr: num(&memBytes[0]), atLen: uint32(7), atOpFlags: uint32(0x4000)}},
	{"SendZCFixed", func(s *SQE) { s.PrepSendZCFixed(5, memBytes, 0, 0, 9) }, 47,
		fields{atIoprio: uint16(4), atFd: int32(5), atAddr: num(&memBytes[0]), atLen: uint32(7), atBuf: uint16(9)}},
	{"SendmsgZC", func(s *SQE) { s.PrepSendmsgZC(5, unsafe.Pointer(memBlob), 0, 0) }, 48,
		fields{atFd: int32(5), atAddr: num(memBlob), atLen: uint32(1)}},
	{"ReadMultishot", func(s *SQE) { s.PrepReadMultishot(5, CurrentPosition, 3) }, 49,
		fields{1: uint8(0x20), atFd: int32(5), atOff: uint64(math.MaxUint64), atBuf: uint16(3)}},
	{"Waitid", func(s *SQE) { s.PrepWaitid(1, 1234, unsafe.Pointer(memBlob), 4) }, 50,
		fields{atFd: int32(1234), atOff: num(memBlob), atLen: uint32(1), atIndex: uint32(4)}},
	{"FutexWait", func(s *SQE) {
		s.PrepFutexWait(memWord, 9, FUTEX_BITSET_MATCH_ANY, FUTEX2_SIZE_U32|FUTEX2_PRIVATE)
	}, 51,
		fields{atFd: int32(0x82), atOff: uint64(9), atAddr: num(memWord), atAddr3: uint64(0xffffffff)}},
	{"FutexWake", func(s *SQE) { s.PrepFutexWake(memWord, 1, FUTEX_BITSET_MATCH_ANY, FUTEX2_SIZE_U32) }, 52,
		fields{atFd: int32(2), atOff: uint64(1), atAddr: num(memWord), atAddr3: uint64(0xffffffff)}},
	{"FutexWaitv", func(s *SQE) { s.PrepFutexWaitv(memWaitv, 1) }, 53, fields{atAddr: num(memWaitv), atLen: uint32(1)}},
	{"FixedFDInstall", func(s *SQE) { s.PrepFixedFDInstall(4, IORING_FIXED_FD_NO_CLOEXEC) }, 54,
		fields{1: uint8(1), atFd: int32(4), atOpFlags: uint32(1)}},
	{"Ftruncate", func(s *SQE) { s.PrepFtruncate(5, 4096) }, 55, fields{atFd: int32(5), atOff: uint64(4096)}},
	{"Bind", func(s *SQE) { s.PrepBind(5, unsafe.Pointer(memBlob), 28) }, 56,
		fields{atFd: int32(5), atOff: uint64(28), atAddr: num(memBlob)}},
	{"Listen", func(s *SQE) { s.PrepListen(5, 128) }, 57, fields{atFd: int32(5), atLen: uint32(128)}},
	{"RecvZC", func(s *SQE) { s.PrepRecvZC(5, 3, 4096, 0) }, 58,
		fields{atIoprio: uint16(2), atFd: int32(5), atLen: uint32(4096), atIndex: uint32(3)}},
	{"EpollWait", func(s *SQE) { s.PrepEpollWait(5, unsafe.Pointer(memBlob), 8) }, 59,
		fields{atFd: int32(5), atAddr: num(memBlob), atLen: uint32(8)}},
	{"ReadvFixed", func(s *SQE) { s.PrepReadvFixed(5, &memIov[0], 2, 7, 3, 9) }, 60,
		fields{atFd: int32(5), atOff: uint64(7), atAddr: num(memIov), atLen: uint32(2), atOpFlags: uint32(3), atBuf: uint16(9)}},
	{"WritevFixed", func(s *SQE) { s.PrepWritevFixed(5, &memIov[0], 2, 7, 3, 9) }, 61,
		fields{atFd: int32(5), atOff: uint64(7), atAddr: num(memIov), atLen: uint32(2), atOpFlags: uint32(3), atBuf: uint16(9)}},
	{"Pipe", func(s *SQE) { s.PrepPipe(memFds, 0x80000) }, 62,
		fields{atAddr: num(memFds), atOpFlags: uint32(0x80000)}},
}

// Each method writes exactly the bytes the kernel expects, and leaves nothing
// of what was in the entry before.
func TestPrepEncoding(t *testing.T) {
	covered := map[Op]bool{}
	for _, c := range prepCases {
		var want raw
		want[0] = c.op
		for off, v := range c.want {
			want.set(off, v)
		}
		var s SQE
		for i := range len(want) {
			(*raw)(unsafe.Pointer(&s))[i] = 0xa5
		}
		c.prep(&s)
		assert.Equal(t, want, rawOf(&s), c.name)
		covered[s.Opcode] = true
	}
	for info := range Ops() {
		if info.Op == IORING_OP_NOP128 || info.Op == IORING_OP_URING_CMD128 {
			continue // the same as their 64-byte forms, in an entry of 128 bytes
		}
		assert.True(t, covered[info.Op], "%s has no method, or no case here", info.Name)
	}
}

// A slice without bytes is as good as any other.
func TestPrepEmptySlices(t *testing.T) {
	sized := make([]byte, 8)
	for name, prep := range map[string]func(*SQE, []byte){
		"Read":       func(s *SQE, b []byte) { s.PrepRead(5, b, 0) },
		"Write":      func(s *SQE, b []byte) { s.PrepWrite(5, b, 0) },
		"ReadFixed":  func(s *SQE, b []byte) { s.PrepReadFixed(5, b, 0, 0) },
		"WriteFixed": func(s *SQE, b []byte) { s.PrepWriteFixed(5, b, 0, 0) },
		"Recv":       func(s *SQE, b []byte) { s.PrepRecv(5, b, 0, 0) },
		"Send":       func(s *SQE, b []byte) { s.PrepSend(5, b, 0, 0) },
		"SendZC":     func(s *SQE, b []byte) { s.PrepSendZC(5, b, 0, 0) },
		"Fgetxattr":  func(s *SQE, b []byte) { s.PrepFgetxattr(5, memPath, b) },
	} {
		address := func(s *SQE) uint64 {
			if s.Opcode == IORING_OP_FGETXATTR {
				return s.Off
			}
			return s.Addr
		}
		var s SQE
		require.NotPanics(t, func() { prep(&s, nil) }, name)
		assert.Zero(t, address(&s), name)
		assert.Zero(t, s.Len, name)

		require.NotPanics(t, func() { prep(&s, []byte{}) }, name)
		assert.Zero(t, s.Len, name)

		require.NotPanics(t, func() { prep(&s, sized[3:3]) }, name)
		assert.Equal(t, num(&sized[3]), address(&s), name)
		assert.Zero(t, s.Len, name)
	}
}

// A length beyond 32 bits is cut, not wrapped: zero would read as the end.
func TestPrepHugeLength(t *testing.T) {
	assert.EqualValues(t, 7, cutLen(7))
	assert.EqualValues(t, maxLen, cutLen(maxLen+1))
	assert.EqualValues(t, maxLen, cutLen(math.MaxInt))
}

// Memory that is passed to a Prep method does not move with the stack.
func TestPrepMemoryIsNotOnTheStack(t *testing.T) {
	done := make(chan bool)
	go func() {
		var buf [64]byte
		var ts Timespec
		var word uint32
		var read, timeout, wait SQE
		read.PrepRead(5, buf[:], 0)
		timeout.PrepTimeout(&ts, 0, 0)
		wait.PrepFutexWait(&word, 0, 0, 0)
		growStack(2000)
		done <- read.Addr == num(&buf[0]) && timeout.Addr == num(&ts) && wait.Addr == num(&word)
	}()
	assert.True(t, <-done)
	assert.Nil(t, heapSink, "it is only there for the compiler")
}

//go:noinline
func growStack(n int) int {
	var pad [512]byte
	if n == 0 {
		return int(pad[0])
	}
	return growStack(n-1) + int(pad[n%len(pad)])
}

func TestPrepDoesNotAllocate(t *testing.T) {
	s := new(SQE)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		s.PrepRead(5, memBytes, 0)
		s.PrepRecv(5, memBytes, 0, 0)
		s.PrepTimeout(memTime, 0, 0)
		s.PrepSendmsg(5, unsafe.Pointer(memBlob), 0, 0)
	}))
}

func BenchmarkPrepRecv(b *testing.B) {
	s := new(SQE)
	for b.Loop() {
		s.PrepRecv(5, memBytes, 0, 0)
	}
}
