package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/uring"
)

// IPNameLen is the room that the address of an Internet socket takes at most.
const IPNameLen = unix.SizeofSockaddrInet6

// MsgTrunc and MsgCtrunc are flags of a message that did not fit.
const (
	MsgTrunc  = unix.MSG_TRUNC
	MsgCtrunc = unix.MSG_CTRUNC
)

// RecvHeader says how much room each message of a multishot receive has for the
// sender's address and for control data. The kernel reads it while the operation
// is in flight.
type RecvHeader struct{ raw unix.Msghdr }

// NewRecvHeader returns a RecvHeader with room for an Internet address and
// control bytes of control data.
func NewRecvHeader(control int) *RecvHeader {
	h := &RecvHeader{}
	h.raw.Namelen = IPNameLen
	h.raw.SetControllen(control)
	return h
}

// PrepRecvmsgMultishot prepares a receive of messages into buffers of a group.
func PrepRecvmsgMultishot(sqe *uring.SQE, fd int, h *RecvHeader, group uint16, flags uint32) {
	sqe.PrepRecvmsgMultishot(fd, unsafe.Pointer(&h.raw), group, flags, 0)
}

// SetRaw sets an address as the kernel has written it; what does not fit is cut
// off.
func (s *Sockaddr) SetRaw(name []byte) {
	s.Reset()
	s.len = uint32(copy(unsafe.Slice((*byte)(unsafe.Pointer(&s.raw)), maxSockaddrLen), name))
}
