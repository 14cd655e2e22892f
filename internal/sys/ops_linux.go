package sys

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/uring"
)

// Cloexec makes a new descriptor close-on-exec.
const Cloexec = unix.O_CLOEXEC

// SockCloexec makes a new socket close-on-exec.
const SockCloexec = unix.SOCK_CLOEXEC

// OpenFlags returns the flags of an open with those that every open of this
// library has.
func OpenFlags(flags int) int { return flags | unix.O_CLOEXEC | unix.O_LARGEFILE }

// SetAddrPort sets an Internet address of the family that it is of.
func (s *Sockaddr) SetAddrPort(a netip.AddrPort) error {
	ip := a.Addr()
	if ip.Is4() {
		return s.SetIP(unix.AF_INET, ip.AsSlice(), int(a.Port()), "")
	}
	if err := s.SetIP(unix.AF_INET6, ip.AsSlice(), int(a.Port()), ip.Zone()); err != nil {
		return err
	}
	return nil
}

// AddrPort returns the address if it is an Internet address.
func (s *Sockaddr) AddrPort() (netip.AddrPort, bool) {
	switch s.raw.Addr.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), port(&sa.Port)), true
	case unix.AF_INET6:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.raw))
		ip := netip.AddrFrom16(sa.Addr).WithZone(zoneName(sa.Scope_id))
		return netip.AddrPortFrom(ip, port(&sa.Port)), true
	}
	return netip.AddrPort{}, false
}

// UnixName returns the name if it is the address of a Unix socket; a leading @
// means the abstract namespace.
func (s *Sockaddr) UnixName() string {
	if s.raw.Addr.Family != unix.AF_UNIX {
		return ""
	}
	return s.UnixAddr("").Name
}

// PrepBind prepares a bind to the address in s.
func PrepBind(sqe *uring.SQE, fd int, s *Sockaddr) {
	sqe.PrepBind(fd, unsafe.Pointer(&s.raw), s.len)
}

// PrepSocketCmd prepares a command of a socket with an option's value.
func PrepSocketCmd(sqe *uring.SQE, fd int, cmd uring.SocketOp, level, name int, value []byte) {
	sqe.PrepSocketCmd(fd, cmd, uint32(level), uint32(name), unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value)))
}

// PrepMadvise prepares an advice on memory.
func PrepMadvise(sqe *uring.SQE, mem []byte, advice int) {
	sqe.PrepMadvise(unsafe.Pointer(unsafe.SliceData(mem)), uint32(len(mem)), int32(advice))
}

// PageOffset returns how far into a page a slice begins.
func PageOffset(mem []byte) int {
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(mem))) % uintptr(unix.Getpagesize()))
}

// PrepProvideBuffers prepares the gift of len(mem)/size buffers.
func PrepProvideBuffers(sqe *uring.SQE, mem []byte, size int, group, first uint16) {
	sqe.PrepProvideBuffers(unsafe.Pointer(unsafe.SliceData(mem)), uint32(size), len(mem)/size, group, first)
}

// Message is a msghdr and all that it points to, in memory that the kernel may
// read and write while an operation is in flight.
type Message struct {
	hdr  unix.Msghdr
	name Sockaddr
	iovs []uring.Iovec
}

// SetBuffers says where the message's bytes and its control data are.
func (m *Message) SetBuffers(bufs [][]byte, control []byte) {
	m.iovs = make([]uring.Iovec, len(bufs))
	for i, b := range bufs {
		m.iovs[i].SetBytes(b)
	}
	if len(bufs) > 0 {
		m.hdr.Iov = (*unix.Iovec)(unsafe.Pointer(&m.iovs[0]))
	}
	m.hdr.SetIovlen(len(bufs))
	if len(control) > 0 {
		m.hdr.Control = &control[0]
	}
	m.hdr.SetControllen(len(control))
}

// Name returns the address to send to, or room for that of the sender.
func (m *Message) Name() *Sockaddr { return &m.name }

// UseName makes the address part of the message.
func (m *Message) UseName() {
	m.hdr.Name, m.hdr.Namelen = (*byte)(unsafe.Pointer(&m.name.raw)), m.name.len
}

// Received returns what the kernel says about a message that has been received,
// and makes Name be its sender.
func (m *Message) Received() (control, flags int) {
	m.name.len = m.hdr.Namelen
	if m.name.len == 0 {
		m.name.raw.Addr.Family = unix.AF_UNSPEC
	}
	return int(m.hdr.Controllen), int(m.hdr.Flags) &^ unix.MSG_CMSG_CLOEXEC
}

// PrepRecvmsg prepares to receive the message; descriptors in its control data
// are close-on-exec.
func (m *Message) PrepRecvmsg(sqe *uring.SQE, fd int, flags uint32) {
	sqe.PrepRecvmsg(fd, unsafe.Pointer(&m.hdr), flags|unix.MSG_CMSG_CLOEXEC, 0)
}

// PrepSendmsg prepares to send the message, without a copy if zeroCopy.
func (m *Message) PrepSendmsg(sqe *uring.SQE, fd int, flags uint32, zeroCopy bool) {
	if zeroCopy {
		sqe.PrepSendmsgZC(fd, unsafe.Pointer(&m.hdr), flags, uring.IORING_SEND_ZC_REPORT_USAGE)
		return
	}
	sqe.PrepSendmsg(fd, unsafe.Pointer(&m.hdr), flags, 0)
}

// CloseRights closes the descriptors in control data.
func CloseRights(control []byte) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return // the kernel made it, so there is nothing in it
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // something else
		}
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}
}

// PrepStatx prepares to ask for the attributes of a path relative to dirfd, or
// of dirfd itself if the path is empty; its last byte is zero.
func PrepStatx(sqe *uring.SQE, dirfd int, path []byte, noFollow bool, mask uint32, st *uring.StatxResult) {
	flags := 0
	if noFollow {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	if path[0] == 0 {
		flags |= unix.AT_EMPTY_PATH
	}
	if mask == 0 {
		mask = unix.STATX_BASIC_STATS | unix.STATX_BTIME
	}
	sqe.PrepStatx(dirfd, &path[0], int32(flags), mask, st.Memory())
}

// EpollEvents is an array of epoll_event in memory that the kernel reads or
// writes.
type EpollEvents []unix.EpollEvent

// Set sets the i-th event.
func (e EpollEvents) Set(i int, events uint32, data uint64) {
	e[i].Events = events
	binary.NativeEndian.PutUint64(epollData(&e[i]), data)
}

// Get returns the i-th event.
func (e EpollEvents) Get(i int) (events uint32, data uint64) {
	return e[i].Events, binary.NativeEndian.Uint64(epollData(&e[i]))
}

// PrepEpollCtl prepares to change what an epoll descriptor watches.
func PrepEpollCtl(sqe *uring.SQE, epfd, op, fd int, e EpollEvents) {
	sqe.PrepEpollCtl(epfd, op, fd, unsafe.Pointer(&e[0]))
}

// PrepEpollWait prepares to wait for up to len(e) events.
func PrepEpollWait(sqe *uring.SQE, epfd int, e EpollEvents) {
	sqe.PrepEpollWait(epfd, unsafe.Pointer(&e[0]), len(e))
}

// epollData is the data field of an event, which x/sys splits into two.
func epollData(e *unix.EpollEvent) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&e.Fd)), 8)
}
