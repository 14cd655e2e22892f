package uring

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// The further methods write exactly their fields, whatever was there before.
func TestPrepMoreEncoding(t *testing.T) {
	for _, c := range []struct {
		name string
		prep func(*SQE)
		op   Op
		want fields
	}{
		{"NopFlags", func(s *SQE) { s.PrepNopFlags(-1, -5, IORING_NOP_INJECT_RESULT) }, IORING_OP_NOP,
			fields{atFd: int32(-1), atLen: uint32(1<<32 - 5), atOpFlags: uint32(1)}},
		{"FsyncRange", func(s *SQE) { s.PrepFsyncRange(5, 7, 8, IORING_FSYNC_DATASYNC) }, IORING_OP_FSYNC,
			fields{atFd: int32(5), atOff: uint64(7), atLen: uint32(8), atOpFlags: uint32(1)}},
		{"Fadvise64", func(s *SQE) { s.PrepFadvise64(5, 7, 1<<40, 4) }, IORING_OP_FADVISE,
			fields{atFd: int32(5), atOff: uint64(7), atAddr: uint64(1 << 40), atOpFlags: uint32(4)}},
		{"Madvise64", func(s *SQE) { s.PrepMadvise64(unsafe.Pointer(memBlob), 1<<40, 4) }, IORING_OP_MADVISE,
			fields{atFd: int32(-1), atOff: uint64(1 << 40), atAddr: num(memBlob), atOpFlags: uint32(4)}},
		{"TimeoutMultishot", func(s *SQE) { s.PrepTimeoutMultishot(memTime, 3, IORING_TIMEOUT_BOOTTIME) }, IORING_OP_TIMEOUT,
			fields{atFd: int32(-1), atOff: uint64(3), atAddr: num(memTime), atLen: uint32(1), atOpFlags: uint32(0x44)}},
		{"TimeoutImmediate", func(s *SQE) { s.PrepTimeoutImmediate(99, 3, 0) }, IORING_OP_TIMEOUT,
			fields{atFd: int32(-1), atOff: uint64(3), atAddr: uint64(99), atLen: uint32(1), atOpFlags: uint32(0x80)}},
		{"SocketName", func(s *SQE) { s.PrepSocketName(5, unsafe.Pointer(memBlob), memAddrlen, true) }, IORING_OP_URING_CMD,
			fields{atFd: int32(5), atOff: uint32(5), atAddr: num(memBlob), 44: uint32(1), 48: num(memAddrlen)}},
		{"TxTimestamp", func(s *SQE) { s.PrepTxTimestamp(5) }, IORING_OP_URING_CMD,
			fields{atFd: int32(5), atOff: uint32(4)}},
		{"Discard", func(s *SQE) { s.PrepDiscard(5, 7, 8) }, IORING_OP_URING_CMD,
			fields{atFd: int32(5), atOff: uint32(0x1200), atAddr: uint64(7), 48: uint64(8)}},
		{"ZoneResetAll", func(s *SQE) { s.PrepZoneResetAll(5) }, IORING_OP_URING_CMD,
			fields{atFd: int32(5), atOff: uint32(0x1201)}},
	} {
		var want raw
		want[0] = uint8(c.op)
		for off, v := range c.want {
			want.set(off, v)
		}
		var s SQE
		for i := range len(want) {
			(*raw)(unsafe.Pointer(&s))[i] = 0xa5
		}
		c.prep(&s)
		assert.Equal(t, want, rawOf(&s), c.name)
	}
}

// Entries of 128 bytes are cleared to the end.
func TestPrep128(t *testing.T) {
	var s SQE128
	dirty := func() {
		for i := range 128 {
			(*[128]byte)(unsafe.Pointer(&s))[i] = 0xa5
		}
	}
	dirty()
	s.PrepNop128()
	assert.Equal(t, SQE128{SQE: SQE{Opcode: IORING_OP_NOP128, Fd: -1}}, s)
	dirty()
	s.PrepUringCmd128(5, 6, IORING_URING_CMD_FIXED)
	assert.Equal(t, uint32(6), s.CmdOp())
	assert.Equal(t, [80]byte{}, *s.Cmd())
	s.SetCmdOp(0)
	assert.Equal(t, SQE128{SQE: SQE{Opcode: IORING_OP_URING_CMD128, Fd: 5, OpFlags: 1}}, s)
}
