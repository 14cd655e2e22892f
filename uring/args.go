package uring

import "structs"

// Arguments that single operations pass by address. Unlike them, sockaddr,
// msghdr, statx, siginfo and epoll_event belong to other system calls as well;
// their types are those of golang.org/x/sys/unix.

// Iovec is one piece of a vectored operation, as in readv(2). It holds a real
// pointer, so that whatever keeps the Iovec alive keeps its bytes alive.
type Iovec struct {
	_    structs.HostLayout
	Base *byte
	Len  iovecLen
}

// SetBytes makes the piece be the given bytes.
func (v *Iovec) SetBytes(b []byte) {
	v.Base, v.Len = nil, iovecLen(len(b))
	if len(b) > 0 {
		v.Base = &b[0]
	}
}

// OpenHow is the argument of IORING_OP_OPENAT2, as in openat2(2).
type OpenHow struct {
	_       structs.HostLayout
	Flags   uint64
	Mode    uint64
	Resolve uint64
}

// FutexWaitv is the element of IORING_OP_FUTEX_WAITV, as in futex_waitv(2).
type FutexWaitv struct {
	_     structs.HostLayout
	Val   uint64
	Uaddr uint64
	Flags Futex2Flags
	Resv  uint32
}

// RecvmsgOut is the header that a multishot IORING_OP_RECVMSG puts at the
// beginning of each buffer. The name, the control data and the payload follow
// it, the first two in the sizes of the request's msghdr.
type RecvmsgOut struct {
	_          structs.HostLayout
	Namelen    uint32
	Controllen uint32
	Payloadlen uint32
	Flags      uint32 // MSG_ flags
}

// AttrPI is the protection information of a read or write.
type AttrPI struct {
	_      structs.HostLayout
	Flags  uint16
	AppTag uint16
	Len    uint32
	Addr   uint64
	Seed   uint64
	Rsvd   uint64
}
