package uring

import (
	"errors"
	"math"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// typedCase prepares one operation for a file, and the same with a Prep method
// and flags set by hand.
type typedCase struct {
	op    Op
	typed func(s *SQE, f File) error
	raw   func(s *SQE, n int)
}

// noError makes a case of a function that accepts every file.
func noError(op Op, typed func(s *SQE, f File), raw func(s *SQE, n int)) typedCase {
	return typedCase{op, func(s *SQE, f File) error { typed(s, f); return nil }, raw}
}

var (
	blob      = unsafe.Pointer(memBlob)
	memVector = []Iovec{{}, {}}
	memFixed  = FixedBytes(memBytes, 9)
	memName   = &append([]byte("user.name"), 0)[0]
)

// memFixedVector has the array of memVector.
func memFixedVector() FixedVector { return FixedVector{memVector, 9} }

// typedCases has a case for each function that takes a file, and for each kind
// of buffer that it takes.
func typedCases() []typedCase {
	sel := Selection{Group: 7, Max: 100}
	selected := func(s *SQE) {
		s.Flags, s.BufIndex, s.Len = IOSQE_BUFFER_SELECT, 7, 100
	}
	return []typedCase{
		noError(IORING_OP_READ, func(s *SQE, f File) { Read(s, f, memBytes, 3) }, func(s *SQE, n int) { s.PrepRead(n, memBytes, 3) }),
		noError(IORING_OP_READ_FIXED, func(s *SQE, f File) { Read(s, f, memFixed, 3) }, func(s *SQE, n int) { s.PrepReadFixed(n, memBytes, 3, 9) }),
		noError(IORING_OP_READV, func(s *SQE, f File) { Read(s, f, memVector, 3) }, func(s *SQE, n int) { s.PrepReadv(n, &memVector[0], 2, 3, 0) }),
		noError(IORING_OP_READV_FIXED, func(s *SQE, f File) { Read(s, f, memFixedVector(), 3) }, func(s *SQE, n int) { s.PrepReadvFixed(n, &memVector[0], 2, 3, 0, 9) }),
		noError(IORING_OP_READ, func(s *SQE, f File) { Read(s, f, sel, 3) }, func(s *SQE, n int) { s.PrepRead(n, nil, 3); selected(s) }),
		noError(IORING_OP_WRITE, func(s *SQE, f File) { Write(s, f, memBytes, 3) }, func(s *SQE, n int) { s.PrepWrite(n, memBytes, 3) }),
		noError(IORING_OP_WRITE_FIXED, func(s *SQE, f File) { Write(s, f, memFixed, 3) }, func(s *SQE, n int) { s.PrepWriteFixed(n, memBytes, 3, 9) }),
		noError(IORING_OP_WRITEV, func(s *SQE, f File) { Write(s, f, memVector, 3) }, func(s *SQE, n int) { s.PrepWritev(n, &memVector[0], 2, 3, 0) }),
		noError(IORING_OP_WRITEV_FIXED, func(s *SQE, f File) { Write(s, f, memFixedVector(), 3) }, func(s *SQE, n int) { s.PrepWritevFixed(n, &memVector[0], 2, 3, 0, 9) }),
		noError(IORING_OP_READ_MULTISHOT, func(s *SQE, f File) { ReadMultishot(s, f, Selection{Group: 7}, 3) }, func(s *SQE, n int) { s.PrepReadMultishot(n, 3, 7) }),
		noError(IORING_OP_SPLICE, func(s *SQE, f File) { Splice(s, FD(5), -1, f, 4, 8, SPLICE_F_MOVE) }, func(s *SQE, n int) { s.PrepSplice(5, -1, n, 4, 8, SPLICE_F_MOVE) }),
		noError(IORING_OP_TEE, func(s *SQE, f File) { Tee(s, FD(5), f, 8, SPLICE_F_MOVE) }, func(s *SQE, n int) { s.PrepTee(5, n, 8, SPLICE_F_MOVE) }),

		noError(IORING_OP_RECV, func(s *SQE, f File) { Recv(s, f, memBytes, 2, 1) }, func(s *SQE, n int) { s.PrepRecv(n, memBytes, 2, 1) }),
		noError(IORING_OP_RECV, func(s *SQE, f File) { Recv(s, f, sel, 2, 1) }, func(s *SQE, n int) { s.PrepRecv(n, nil, 2, 1); selected(s) }),
		noError(IORING_OP_RECV, func(s *SQE, f File) { Recv(s, f, Selection{Group: 7}, 2, IORING_RECV_MULTISHOT) }, func(s *SQE, n int) { s.PrepRecvMultishot(n, 7, 2, 0) }),
		noError(IORING_OP_SEND, func(s *SQE, f File) { Send(s, f, memBytes, 2, 1) }, func(s *SQE, n int) { s.PrepSend(n, memBytes, 2, 1) }),
		noError(IORING_OP_SEND, func(s *SQE, f File) { Send(s, f, memVector, 2, 1) }, func(s *SQE, n int) {
			*s = SQE{Opcode: IORING_OP_SEND, Ioprio: 0x21, Fd: int32(n), Addr: num(&memVector[0]), Len: 2, OpFlags: 2}
		}),
		noError(IORING_OP_SEND, func(s *SQE, f File) { Send(s, f, sel, 2, IORING_RECVSEND_BUNDLE) }, func(s *SQE, n int) {
			s.PrepSend(n, nil, 2, IORING_RECVSEND_BUNDLE)
			selected(s)
		}),
		noError(IORING_OP_SEND_ZC, func(s *SQE, f File) { SendZC(s, f, memBytes, 2, 1) }, func(s *SQE, n int) { s.PrepSendZC(n, memBytes, 2, 1) }),
		noError(IORING_OP_SEND_ZC, func(s *SQE, f File) { SendZC(s, f, memFixed, 2, 1) }, func(s *SQE, n int) { s.PrepSendZCFixed(n, memBytes, 2, 1, 9) }),
		noError(IORING_OP_SEND_ZC, func(s *SQE, f File) { SendZC(s, f, memVector, 2, 0) }, func(s *SQE, n int) {
			*s = SQE{Opcode: IORING_OP_SEND_ZC, Ioprio: 0x20, Fd: int32(n), Addr: num(&memVector[0]), Len: 2, OpFlags: 2}
		}),
		noError(IORING_OP_SENDMSG, func(s *SQE, f File) { SendMsg(s, f, blob, 2, 1) }, func(s *SQE, n int) { s.PrepSendmsg(n, blob, 2, 1) }),
		noError(IORING_OP_SENDMSG_ZC, func(s *SQE, f File) { SendMsgZC(s, f, blob, 2, 1) }, func(s *SQE, n int) { s.PrepSendmsgZC(n, blob, 2, 1) }),
		noError(IORING_OP_SENDMSG_ZC, func(s *SQE, f File) { SendMsgZCFixed(s, f, blob, 9, 2, 1) }, func(s *SQE, n int) {
			s.PrepSendmsgZC(n, blob, 2, 1|IORING_RECVSEND_FIXED_BUF)
			s.BufIndex = 9
		}),
		noError(IORING_OP_RECVMSG, func(s *SQE, f File) { RecvMsg(s, f, blob, 2, 1) }, func(s *SQE, n int) { s.PrepRecvmsg(n, blob, 2, 1) }),
		noError(IORING_OP_RECVMSG, func(s *SQE, f File) { RecvMsgMultishot(s, f, blob, sel, 2, 1) }, func(s *SQE, n int) { s.PrepRecvmsgMultishot(n, blob, 7, 2, 1) }),
		noError(IORING_OP_RECV_ZC, func(s *SQE, f File) { RecvZC(s, f, 3, 4096, 0) }, func(s *SQE, n int) { s.PrepRecvZC(n, 3, 4096, 0) }),
		noError(IORING_OP_ACCEPT, func(s *SQE, f File) { Accept(s, f, blob, memWord, 0x800, IORING_ACCEPT_POLL_FIRST, ToSlot(4)) }, func(s *SQE, n int) {
			s.PrepAccept(n, blob, memWord, 0x800, IORING_ACCEPT_POLL_FIRST)
			s.SetFileSlot(4)
		}),
		noError(IORING_OP_CONNECT, func(s *SQE, f File) { Connect(s, f, blob, 16) }, func(s *SQE, n int) { s.PrepConnect(n, blob, 16) }),
		noError(IORING_OP_BIND, func(s *SQE, f File) { Bind(s, f, blob, 16) }, func(s *SQE, n int) { s.PrepBind(n, blob, 16) }),
		noError(IORING_OP_LISTEN, func(s *SQE, f File) { Listen(s, f, 16) }, func(s *SQE, n int) { s.PrepListen(n, 16) }),
		noError(IORING_OP_SHUTDOWN, func(s *SQE, f File) { Shutdown(s, f, 1) }, func(s *SQE, n int) { s.PrepShutdown(n, 1) }),
		noError(IORING_OP_URING_CMD, func(s *SQE, f File) { SocketCmd(s, f, SOCKET_URING_OP_GETSOCKOPT, 1, 2, blob, 4) }, func(s *SQE, n int) {
			s.PrepSocketCmd(n, SOCKET_URING_OP_GETSOCKOPT, 1, 2, blob, 4)
		}),

		noError(IORING_OP_FSYNC, func(s *SQE, f File) { Fsync(s, f, 1) }, func(s *SQE, n int) { s.PrepFsync(n, 1) }),
		noError(IORING_OP_SYNC_FILE_RANGE, func(s *SQE, f File) { SyncFileRange(s, f, 1, 2, 3) }, func(s *SQE, n int) { s.PrepSyncFileRange(n, 1, 2, 3) }),
		noError(IORING_OP_FTRUNCATE, func(s *SQE, f File) { Ftruncate(s, f, 9) }, func(s *SQE, n int) { s.PrepFtruncate(n, 9) }),
		noError(IORING_OP_FALLOCATE, func(s *SQE, f File) { Fallocate(s, f, 1, 2, 3) }, func(s *SQE, n int) { s.PrepFallocate(n, 1, 2, 3) }),
		noError(IORING_OP_FADVISE, func(s *SQE, f File) { Fadvise(s, f, 1, 2, 3) }, func(s *SQE, n int) { s.PrepFadvise(n, 1, 2, 3) }),
		noError(IORING_OP_FSETXATTR, func(s *SQE, f File) { Fsetxattr(s, f, memName, memBytes, 1) }, func(s *SQE, n int) { s.PrepFsetxattr(n, memName, memBytes, 1) }),
		noError(IORING_OP_FGETXATTR, func(s *SQE, f File) { Fgetxattr(s, f, memName, memBytes) }, func(s *SQE, n int) { s.PrepFgetxattr(n, memName, memBytes) }),
		noError(IORING_OP_URING_CMD, func(s *SQE, f File) { UringCmd(s, f, 5, 1) }, func(s *SQE, n int) { s.PrepUringCmd(n, 5, 1) }),
		noError(IORING_OP_CLOSE, Close, func(s *SQE, n int) { s.PrepClose(n) }),
		{IORING_OP_FIXED_FD_INSTALL, func(s *SQE, f File) error { return FixedFDInstall(s, f, 1) }, func(s *SQE, n int) { s.PrepFixedFDInstall(uint32(n), 1) }},

		{IORING_OP_OPENAT, func(s *SQE, f File) error { return Openat(s, f, memPath, 1, 2, ToAnySlot) }, func(s *SQE, n int) {
			s.PrepOpenat(n, memPath, 1, 2)
			s.SetFileSlot(IORING_FILE_INDEX_ALLOC)
		}},
		{IORING_OP_OPENAT2, func(s *SQE, f File) error { return Openat2(s, f, memPath, memHow, ToFD) }, func(s *SQE, n int) { s.PrepOpenat2(n, memPath, memHow) }},
		{IORING_OP_STATX, func(s *SQE, f File) error { return Statx(s, f, memPath, 1, 2, blob) }, func(s *SQE, n int) { s.PrepStatx(n, memPath, 1, 2, blob) }},
		{IORING_OP_UNLINKAT, func(s *SQE, f File) error { return Unlinkat(s, f, memPath, 1) }, func(s *SQE, n int) { s.PrepUnlinkat(n, memPath, 1) }},
		{IORING_OP_MKDIRAT, func(s *SQE, f File) error { return Mkdirat(s, f, memPath, 1) }, func(s *SQE, n int) { s.PrepMkdirat(n, memPath, 1) }},
		{IORING_OP_SYMLINKAT, func(s *SQE, f File) error { return Symlinkat(s, memPath, f, memPath2) }, func(s *SQE, n int) { s.PrepSymlinkat(memPath, n, memPath2) }},
		{IORING_OP_RENAMEAT, func(s *SQE, f File) error { return Renameat(s, f, memPath, FD(5), memPath2, 1) }, func(s *SQE, n int) { s.PrepRenameat(n, memPath, 5, memPath2, 1) }},
		{IORING_OP_RENAMEAT, func(s *SQE, f File) error { return Renameat(s, FD(5), memPath, f, memPath2, 1) }, func(s *SQE, n int) { s.PrepRenameat(5, memPath, n, memPath2, 1) }},
		{IORING_OP_LINKAT, func(s *SQE, f File) error { return Linkat(s, f, memPath, FD(5), memPath2, 1) }, func(s *SQE, n int) { s.PrepLinkat(n, memPath, 5, memPath2, 1) }},
		{IORING_OP_LINKAT, func(s *SQE, f File) error { return Linkat(s, FD(5), memPath, f, memPath2, 1) }, func(s *SQE, n int) { s.PrepLinkat(5, memPath, n, memPath2, 1) }},

		noError(IORING_OP_POLL_ADD, func(s *SQE, f File) { PollAdd(s, f, 1, IORING_POLL_ADD_MULTI) }, func(s *SQE, n int) { s.PrepPollAdd(n, 1, IORING_POLL_ADD_MULTI) }),
		noError(IORING_OP_ASYNC_CANCEL, func(s *SQE, f File) { CancelFile(s, f, IORING_ASYNC_CANCEL_ALL) }, func(s *SQE, n int) { s.PrepCancelFd(n, IORING_ASYNC_CANCEL_ALL) }),
		noError(IORING_OP_MSG_RING, func(s *SQE, f File) { MsgRing(s, f, 1, 2, 3) }, func(s *SQE, n int) { s.PrepMsgRing(n, 1, 2, 3) }),
		{IORING_OP_MSG_RING, func(s *SQE, f File) error { return MsgRingFile(s, f, Slot(4), ToSlot(6), 2, 1) }, func(s *SQE, n int) { s.PrepMsgRingFd(n, 4, 6, 2, 1) }},
		{IORING_OP_EPOLL_CTL, func(s *SQE, f File) error { return EpollCtl(s, f, 1, FD(5), blob) }, func(s *SQE, n int) { s.PrepEpollCtl(n, 1, 5, blob) }},
		{IORING_OP_EPOLL_CTL, func(s *SQE, f File) error { return EpollCtl(s, FD(5), 1, f, blob) }, func(s *SQE, n int) { s.PrepEpollCtl(5, 1, n, blob) }},
		noError(IORING_OP_EPOLL_WAIT, func(s *SQE, f File) { EpollWait(s, f, blob, 8) }, func(s *SQE, n int) { s.PrepEpollWait(n, blob, 8) }),
	}
}

// asSlot changes an entry prepared for a descriptor into one for the slot of the
// same number, where the operation has another place for that than the flag.
func asSlot(s *SQE, n uint32) {
	switch s.Opcode {
	case IORING_OP_CLOSE:
		s.Fd = 0
		s.SetFileSlot(n)
	case IORING_OP_ASYNC_CANCEL:
		s.OpFlags |= uint32(IORING_ASYNC_CANCEL_FD_FIXED)
	default:
		s.Flags |= IOSQE_FIXED_FILE
	}
}

// TestRegisteredFiles goes over every operation, with a descriptor, with a slot
// and with no file. A slot used to be passed on as a descriptor by openat, statx
// and close, in the library that this follows.
func TestRegisteredFiles(t *testing.T) {
	const number = 6
	require.NoError(t, checkFileUses())
	covered := map[Op]bool{}
	for _, c := range typedCases() {
		covered[c.op] = true
		use, ok := c.op.FileUse()
		require.True(t, ok)

		var got, want SQE
		for i := range len(raw{}) {
			(*raw)(unsafe.Pointer(&got))[i] = 0xa5 // nothing of it remains
		}
		err := c.typed(&got, FD(number))
		if use == FileSlot {
			refused(t, c.op, &got, err, "takes only a registered file, not descriptor 6")
		} else {
			require.NoError(t, err, "%v", c.op)
			c.raw(&want, number)
			assert.Equal(t, want, got, "%v of a descriptor", c.op)
			assert.Equal(t, c.op, got.Opcode)

			require.NoError(t, c.typed(&got, File{}), "%v", c.op)
			c.raw(&want, -1)
			assert.Equal(t, want, got, "%v of no file", c.op)
		}

		err = c.typed(&got, Slot(number))
		if use == FileDescriptor {
			refused(t, c.op, &got, err, "cannot take a registered file: the kernel would refuse slot 6, or take it for descriptor 6")
			continue
		}
		require.NoError(t, err, "%v", c.op)
		c.raw(&want, number)
		asSlot(&want, number)
		assert.Equal(t, want, got, "%v of a slot", c.op)
	}
	for info := range Ops() {
		use, _ := info.Op.FileUse()
		switch {
		case info.Op == IORING_OP_URING_CMD128:
			// The same as its 64-byte form, in an entry of 128 bytes.
		case use == FileNone:
			assert.False(t, covered[info.Op], "%v is said to use no file", info.Op)
		default:
			assert.True(t, covered[info.Op], "%v uses a file and has no case here", info.Op)
		}
	}
}

// refused checks the error, and that the entry is harmless.
func refused(t *testing.T, op Op, s *SQE, err error, text string) {
	t.Helper()
	require.Error(t, err, "%v", op)
	assert.ErrorIs(t, err, syscall.EBADF, "%v", op)
	assert.ErrorContains(t, err, op.String()+" "+text)
	var wrong *FileError
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, op, wrong.Op)
	assert.Equal(t, SQE{Opcode: IORING_OP_NOP, Fd: -1, UserData: FillerUserData}, *s, "%v", op)
}

// The source of a splice is a second file, which has a flag of its own.
func TestRegisteredSpliceSource(t *testing.T) {
	var s SQE
	Splice(&s, Slot(4), -1, FD(5), -1, 8, SPLICE_F_MOVE)
	require.Equal(t, SPLICE_F_FD_IN_FIXED|SPLICE_F_MOVE, SpliceFlags(s.OpFlags))
	require.Equal(t, int32(4), s.SpliceFdIn)
	require.Zero(t, s.Flags)
	Splice(&s, FD(4), -1, Slot(5), -1, 8, SPLICE_F_FD_IN_FIXED)
	require.Zero(t, s.OpFlags, "the file says what it is")
	require.Equal(t, IOSQE_FIXED_FILE, s.Flags)
	Tee(&s, Slot(4), FD(5), 8, 0)
	require.Equal(t, SPLICE_F_FD_IN_FIXED, SpliceFlags(s.OpFlags))

	refused(t, IORING_OP_MSG_RING, &s, MsgRingFile(&s, FD(3), FD(4), ToAnySlot, 0, 0),
		"takes only a registered file, not descriptor 4")
}

func TestFile(t *testing.T) {
	for _, c := range []struct {
		f          File
		registered bool
		number     int
		text       string
	}{
		{File{}, false, -1, "no file"},
		{FD(-1), false, -1, "no file"},
		{FD(0), false, 0, "descriptor 0"},
		{FD(AtCWD), false, -100, "the working directory"},
		{FD(math.MaxInt32), false, math.MaxInt32, "descriptor 2147483647"},
		{Slot(0), true, 0, "slot 0"},
		{Slot(7), true, 7, "slot 7"},
		{Slot(math.MaxUint32), true, math.MaxInt32, "slot 2147483647"},
	} {
		assert.Equal(t, c.registered, c.f.Registered(), c.text)
		assert.Equal(t, c.number, c.f.Number(), c.text)
		assert.Equal(t, c.text, c.f.String())
	}
	assert.NotEqual(t, FD(7), Slot(7))
	if huge := math.MaxInt; huge > math.MaxInt32 {
		assert.Equal(t, File{}, FD(math.MinInt), "its lower half is that of descriptor 0")
	}
}

func TestTarget(t *testing.T) {
	var s SQE
	Socket(&s, 2, 1, 0, ToFD)
	assert.Zero(t, s.FileIndex())
	Socket(&s, 2, 1, 0, ToSlot(0))
	assert.Equal(t, uint32(1), s.FileIndex())
	Pipe(&s, memFds, 0, ToAnySlot)
	assert.Equal(t, IORING_FILE_INDEX_ALLOC, s.FileIndex())
	for _, slot := range []uint32{math.MaxInt32, math.MaxUint32 - 1, math.MaxUint32} {
		assert.Equal(t, Target(1<<31), ToSlot(slot), "neither another slot nor any nor a descriptor")
	}

	file := func(to Target, res int32) File {
		f, err := to.File(CQE{Res: res})
		require.NoError(t, err)
		return f
	}
	assert.Equal(t, FD(5), file(ToFD, 5))
	assert.Equal(t, Slot(5), file(ToAnySlot, 5))
	assert.Equal(t, Slot(3), file(ToSlot(3), 0))
	for _, to := range []Target{ToFD, ToAnySlot, ToSlot(3)} {
		f, err := to.File(CQE{Res: -int32(syscall.ENFILE)})
		assert.Equal(t, syscall.ENFILE, err)
		assert.Zero(t, f)
	}
}

func TestFixedBufSlices(t *testing.T) {
	mem := make([]byte, 10, 16)
	b := FixedBytes(mem[:8:10], 3)
	assert.Equal(t, 8, b.Len())
	assert.Equal(t, 10, cap(b.Bytes()))

	part := b.Slice(2, 6)
	assert.Equal(t, uint16(3), part.Index(), "a part is of the same buffer")
	assert.Same(t, &mem[2], &part.Bytes()[0])
	assert.Equal(t, 4, part.Len())
	assert.Equal(t, 8, part.Slice(0, 8).Len(), "up to the capacity, as for slices")
	assert.Panics(t, func() { part.Slice(0, 9) }, "beyond the buffer")
	assert.Panics(t, func() { part.Slice(-1, 2) })
	assert.Panics(t, func() { part.Slice(3, 2) })

	narrow := b.Slice3(2, 4, 5)
	assert.Equal(t, 3, cap(narrow.Bytes()))
	assert.Equal(t, 3, narrow.Slice(0, 3).Len())
	assert.Panics(t, func() { narrow.Slice(0, 4) }, "what lies behind is somebody else's")
	assert.Panics(t, func() { b.Slice3(0, 1, 11) })
	assert.Zero(t, FixedBuf{}.Len())
}

func TestFixedVector(t *testing.T) {
	b := FixedBytes(make([]byte, 8), 3)
	iov := make([]Iovec, 2)
	v, err := NewFixedVector(iov, b.Slice(0, 2), b.Slice(6, 8))
	require.NoError(t, err)
	var s SQE
	Write(&s, FD(1), v, 0)
	assert.Equal(t, IORING_OP_WRITEV_FIXED, s.Opcode)
	assert.Equal(t, uint16(3), s.BufIndex)
	assert.Equal(t, num(&iov[0]), s.Addr)
	assert.Equal(t, uint32(2), s.Len)
	assert.Same(t, &b.Bytes()[6], iov[1].Base)

	_, err = NewFixedVector(iov, b, FixedBytes(b.Bytes(), 4))
	assert.ErrorContains(t, err, "part 1 of a vector is of registered buffer 4, the first of buffer 3")
	_, err = NewFixedVector(iov, b, b, b)
	assert.ErrorContains(t, err, "vector of 3 parts in room for 2")
	_, err = NewFixedVector(iov)
	assert.Error(t, err)
}

// Memory that is passed to the typed functions does not move with the stack
// either.
func TestTypedMemoryIsNotOnTheStack(t *testing.T) {
	done := make(chan bool)
	go func() {
		var buf [64]byte
		var iov [1]Iovec
		iov[0].SetBytes(buf[:])
		var read, fixed, vector, send SQE
		Read(&read, FD(5), buf[:], 0)
		Write(&fixed, FD(5), FixedBytes(buf[1:], 0), 0)
		Read(&vector, FD(5), iov[:], 0)
		SendZC(&send, FD(5), buf[2:], 0, 0)
		growStack(2000)
		done <- read.Addr == num(&buf[0]) && fixed.Addr == num(&buf[1]) && vector.Addr == num(&iov[0]) &&
			send.Addr == num(&buf[2]) && num(iov[0].Base) == num(&buf[0])
	}()
	assert.True(t, <-done)
}

func TestTypedPreparationDoesNotAllocate(t *testing.T) {
	s := new(SQE)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		Read(s, FD(5), memBytes, 0)
		Read(s, Slot(5), memFixed.Slice(1, 2), 0)
		Read(s, FD(5), memVector, 0)
		Write(s, FD(5), memFixedVector(), 0)
		Recv(s, Slot(5), Selection{Group: 1}, 0, IORING_RECV_MULTISHOT)
		SendZC(s, Slot(5), memFixed, 0, 0)
		if Openat(s, FD(AtCWD), memPath, 0, 0, ToAnySlot) != nil {
			t.Error("refused")
		}
		if _, err := NewFixedVector(memVector, memFixed, memFixed); err != nil {
			t.Error(err)
		}
	}))
}

func TestFileErrorsAreFound(t *testing.T) {
	var s SQE
	err := Statx(&s, Slot(1), memPath, 0, 0, blob)
	assert.True(t, errors.Is(err, syscall.EBADF))
	assert.EqualError(t, err, "uring: STATX cannot take a registered file: the kernel would refuse slot 1, or take it for "+
		"descriptor 1; FIXED_FD_INSTALL makes a descriptor of a slot")
}

func BenchmarkTypedPreparation(b *testing.B) {
	s := new(SQE)
	b.Run("PrepRead", func(b *testing.B) {
		for b.Loop() {
			s.PrepRead(5, memBytes, 0)
		}
	})
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			Read(s, FD(5), memBytes, 0)
		}
	})
	b.Run("fixed", func(b *testing.B) {
		for b.Loop() {
			Read(s, Slot(5), memFixed, 0)
		}
	})
	b.Run("select", func(b *testing.B) {
		for b.Loop() {
			Recv(s, Slot(5), Selection{Group: 1}, 0, 0)
		}
	})
}
