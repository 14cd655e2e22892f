package sys

import (
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/uring"
)

// Packet is a message on its way from or to a socket: what recvmsg(2) and
// sendmsg(2) take besides the data, in memory that the kernel may read and write
// while an operation is in flight. Allocate it with new and keep it reachable.
type Packet struct {
	hdr  unix.Msghdr
	iov  unix.Iovec
	name Sockaddr
	lone [1]byte // carries control data that come without any other
}

// Name returns the sender of the message that was received last, or room for the
// receiver of the next.
func (p *Packet) Name() *Sockaddr { return &p.name }

// RecvFromNow receives a message into b, as RecvNow does, and its sender.
func (p *Packet) RecvFromNow(fd int, b []byte) (int, syscall.Errno) {
	p.name.Reset()
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT,
		uintptr(unsafe.Pointer(&p.name.raw)), uintptr(unsafe.Pointer(&p.name.len)))
	p.name.settle()
	return int(n), errno
}

// settle makes an address that the kernel has left empty be none.
func (s *Sockaddr) settle() {
	if s.len == 0 {
		s.raw.Addr.Family = unix.AF_UNSPEC
	}
}

// SetBuffers says where the data and the control data of the message are. A
// socket that is not of datagrams transfers control data with at least one byte.
func (p *Packet) SetBuffers(b, control []byte, datagrams bool) {
	if len(b) == 0 && len(control) > 0 && !datagrams {
		b = p.lone[:]
	}
	p.hdr = unix.Msghdr{}
	p.iov.Base = unsafe.SliceData(b)
	p.iov.SetLen(len(b))
	p.hdr.Iov = &p.iov
	p.hdr.SetIovlen(1)
	p.hdr.Control = unsafe.SliceData(control)
	p.hdr.SetControllen(len(control))
}

// Forget lets go of the buffers.
func (p *Packet) Forget() {
	p.hdr.Iov, p.hdr.Control, p.iov.Base = nil, nil, nil
}

// wantName makes the sender's address be received, too.
func (p *Packet) wantName() {
	p.name.Reset()
	p.hdr.Name, p.hdr.Namelen = (*byte)(unsafe.Pointer(&p.name.raw)), p.name.len
}

// RecvMsgNow receives a message, without waiting: EAGAIN says that there is none.
func (p *Packet) RecvMsgNow(fd, flags int) (int, syscall.Errno) {
	p.wantName()
	n, _, errno := syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&p.hdr)),
		uintptr(flags|unix.MSG_DONTWAIT))
	return int(n), errno
}

// PrepRecvMsg prepares to receive a message. The kernel waits for one before it
// tries.
func (p *Packet) PrepRecvMsg(sqe *uring.SQE, fd, flags int) {
	p.wantName()
	sqe.PrepRecvmsg(fd, unsafe.Pointer(&p.hdr), uint32(flags), uring.IORING_RECVSEND_POLL_FIRST)
}

// Received returns what the kernel says about a message that has been received,
// and makes Name be its sender.
func (p *Packet) Received() (control, flags int) {
	p.name.len = p.hdr.Namelen
	p.name.settle()
	return int(p.hdr.Controllen), int(p.hdr.Flags)
}

// SendToNow sends b to an address, which may be nil on a connected socket,
// without waiting: EAGAIN says that there is no room.
func SendToNow(fd int, b []byte, to *Sockaddr) (int, syscall.Errno) {
	var name uintptr
	var size uint32
	if to != nil {
		size = to.len
	}
	if size > 0 {
		// In the call itself, so that the compiler knows that this is an address.
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL,
			uintptr(unsafe.Pointer(&to.raw)), uintptr(size))
		return int(n), errno
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL,
		name, uintptr(size))
	return int(n), errno
}

// SetTo says where the message goes: to is copied, and nil on a connected socket.
func (p *Packet) SetTo(to *Sockaddr) {
	p.hdr.Name, p.hdr.Namelen = nil, 0
	if to != nil {
		p.name = *to
		p.hdr.Name, p.hdr.Namelen = (*byte)(unsafe.Pointer(&p.name.raw)), p.name.len
	}
}

// SendMsgNow sends the message without waiting: EAGAIN says that there is no
// room.
func (p *Packet) SendMsgNow(fd int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&p.hdr)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return int(n), errno
}

// SetInet sets an Internet address for a socket of the given family, like SetIP;
// its zone, too, is found without allocating.
func (s *Sockaddr) SetInet(family int, a netip.AddrPort) bool {
	ip := a.Addr()
	if family == unix.AF_INET {
		if !ip.Is4() && !ip.Is4In6() {
			return false
		}
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: ip.As4()}
		putPort(&sa.Port, int(a.Port()))
		s.len = unix.SizeofSockaddrInet4
		return true
	}
	sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.raw))
	*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: ip.As16(), Scope_id: zones.index(ip.Zone())}
	putPort(&sa.Port, int(a.Port()))
	s.len = unix.SizeofSockaddrInet6
	return true
}

// Inet returns the address as AddrPort does, without allocating.
func (s *Sockaddr) Inet() netip.AddrPort {
	switch s.raw.Addr.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), port(&sa.Port))
	case unix.AF_INET6:
		return inet6((*unix.RawSockaddrInet6)(unsafe.Pointer(&s.raw)))
	}
	return netip.AddrPort{}
}

func inet6(sa *unix.RawSockaddrInet6) netip.AddrPort {
	ip := netip.AddrFrom16(sa.Addr)
	if sa.Scope_id != 0 {
		ip = ip.WithZone(zones.name(sa.Scope_id))
	}
	return netip.AddrPortFrom(ip, port(&sa.Port))
}

// Family returns the family of a socket: INET, INET6 or UNIX.
func Family(fd int) (int, error) {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return family, os.NewSyscallError("getsockopt", err)
}

// MsgCmsgCloexec makes received descriptors close-on-exec.
const MsgCmsgCloexec = unix.MSG_CMSG_CLOEXEC
