package uring

import (
	"strconv"
	"structs"
	"syscall"
)

// CQEFlags is the flags word of a completion. Its upper half is a number, not
// flags, when IORING_CQE_F_BUFFER is set.
type CQEFlags uint32

// What a completion says beside its result.
const (
	IORING_CQE_F_BUFFER        CQEFlags = 1 << 0  // the upper half is a buffer id (5.7)
	IORING_CQE_F_MORE          CQEFlags = 1 << 1  // more completions of this request follow (5.13)
	IORING_CQE_F_SOCK_NONEMPTY CQEFlags = 1 << 2  // the socket had more to give (5.19)
	IORING_CQE_F_NOTIF         CQEFlags = 1 << 3  // a zero-copy send let its memory go (6.0)
	IORING_CQE_F_BUF_MORE      CQEFlags = 1 << 4  // the buffer is only partly consumed (6.12)
	IORING_CQE_F_SKIP          CQEFlags = 1 << 5  // filler at the end of a mixed ring (6.18)
	IORING_CQE_F_32            CQEFlags = 1 << 15 // this completion is 32 bytes long (6.18)
	IORING_CQE_F_TSTAMP_HW     CQEFlags = 1 << 16 // a transmit time stamp made by hardware (6.17)
)

// Positions of the numbers in the upper half of CQEFlags.
const (
	IORING_CQE_BUFFER_SHIFT     = 16
	IORING_TIMESTAMP_HW_SHIFT   = 16
	IORING_TIMESTAMP_TYPE_SHIFT = IORING_TIMESTAMP_HW_SHIFT + 1
)

// IORING_NOTIF_USAGE_ZC_COPIED is the result of a zero-copy notification that
// was asked to report usage: the data were copied after all. It is no errno.
const IORING_NOTIF_USAGE_ZC_COPIED uint32 = 1 << 31

// LIBURING_UDATA_TIMEOUT is the user data that liburing keeps for its own
// timeouts. This package never submits with it; a foreign ring may.
const LIBURING_UDATA_TIMEOUT = ^uint64(0)

// cqeNames covers the lower half; String explains the upper half itself.
var cqeNames = flagNames{
	{1 << 0, "BUFFER"},
	{1 << 1, "MORE"},
	{1 << 2, "SOCK_NONEMPTY"},
	{1 << 3, "NOTIF"},
	{1 << 4, "BUF_MORE"},
	{1 << 5, "SKIP"},
	{1 << 15, "32"},
}

// String names the flags that are set. With IORING_CQE_F_BUFFER the upper half
// is printed as the buffer id.
func (f CQEFlags) String() string {
	if f&IORING_CQE_F_BUFFER == 0 {
		return cqeNames.format(uint64(f))
	}
	low := f & (1<<IORING_CQE_BUFFER_SHIFT - 1)
	return cqeNames.format(uint64(low)) + "|bid=" + strconv.FormatUint(uint64(f>>IORING_CQE_BUFFER_SHIFT), 10)
}

// CQE is a completion queue entry: what became of the request that carried
// UserData. In a 32-byte completion another 16 bytes follow it in the ring.
type CQE struct {
	_        structs.HostLayout
	UserData uint64
	Res      int32
	Flags    CQEFlags
}

// CQE32 is a completion queue entry of 32 bytes, see IORING_SETUP_CQE32 and
// IORING_SETUP_CQE_MIXED. What Extra means is up to the operation: the offset
// of a payload for RECV_ZC (ZCRXCqe), the time stamp of a socket command, the
// result of a pass-through command.
type CQE32 struct {
	_ structs.HostLayout
	CQE
	Extra [2]uint64
}

// maxErrno is the largest errno that a negative result can stand for.
const maxErrno = 4095

// Errno returns the error of a failed request, and 0 for one that succeeded.
// A negative result outside the range of error numbers is not an error: a
// zero-copy notification uses the sign bit as a flag.
func (c *CQE) Errno() syscall.Errno {
	if c.Res < 0 && c.Res >= -maxErrno {
		return syscall.Errno(-c.Res)
	}
	return 0
}

// BufferID returns the id of the provided buffer that the kernel picked, and
// whether it picked one.
func (c *CQE) BufferID() (uint16, bool) {
	if c.Flags&IORING_CQE_F_BUFFER == 0 {
		return 0, false
	}
	return uint16(c.Flags >> IORING_CQE_BUFFER_SHIFT), true
}

// More reports whether further completions of the same request will come. The
// memory of a request may be let go only when this is false.
func (c *CQE) More() bool { return c.Flags&IORING_CQE_F_MORE != 0 }

// Notif reports whether this is the second completion of a zero-copy send,
// which says that the kernel no longer reads the data.
func (c *CQE) Notif() bool { return c.Flags&IORING_CQE_F_NOTIF != 0 }

// SockNonempty reports whether the socket still held data, or connections,
// after this completion.
func (c *CQE) SockNonempty() bool { return c.Flags&IORING_CQE_F_SOCK_NONEMPTY != 0 }

// BufMore reports whether the kernel keeps the provided buffer and will put
// more data behind what this completion delivered.
func (c *CQE) BufMore() bool { return c.Flags&IORING_CQE_F_BUF_MORE != 0 }

// Skip reports whether this is a filler of a ring with mixed sizes, to be
// ignored.
func (c *CQE) Skip() bool { return c.Flags&IORING_CQE_F_SKIP != 0 }

// Is32 reports whether this completion takes two slots in a ring with mixed
// sizes.
func (c *CQE) Is32() bool { return c.Flags&IORING_CQE_F_32 != 0 }
