package sys

import (
	"encoding/binary"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// HasBatches says that there are system calls for Batches.
const HasBatches = true

// MaxBatch is the most messages that a Batch holds.
const MaxBatch = 64

// Batch is a number of messages to Internet addresses, or from them, for one
// system call.
type Batch struct {
	hdrs     [MaxBatch]mmsghdr
	names    [MaxBatch]unix.RawSockaddrInet6 // an IPv4 address is shorter
	iovs     []unix.Iovec
	controls [MaxBatch]segmentControl
	n        int
}

// mmsghdr is the kernel's struct of that name.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// segmentControl is room for a control message with the size of segments.
type segmentControl [segmentControlLen]byte

const (
	// segmentControlLen is what a control message with an int takes on every
	// architecture.
	segmentControlLen = 24
	udpSegment        = 103 // UDP_SEGMENT
	udpGRO            = 104 // UDP_GRO
)

var batches = sync.Pool{New: func() any { return new(Batch) }}

// NewBatch returns an empty Batch. Give it back with Free.
func NewBatch() *Batch { return batches.Get().(*Batch) }

// Free lets go of everything that the batch refers to. The caller must not use it
// any more.
func (b *Batch) Free() {
	clear(b.hdrs[:b.n])
	clear(b.iovs)
	b.iovs = b.iovs[:0]
	b.n = 0
	batches.Put(b)
}

// Grow makes room for the buffers of all messages, before the first is added.
func (b *Batch) Grow(buffers int) {
	if cap(b.iovs) < buffers {
		b.iovs = make([]unix.Iovec, 0, buffers)
	}
}

// add adds a message and returns its header.
func (b *Batch) add(bufs [][]byte, control []byte) *unix.Msghdr {
	m := &b.hdrs[b.n]
	b.n++
	first := len(b.iovs)
	for _, buf := range bufs {
		v := unix.Iovec{Base: unsafe.SliceData(buf)}
		v.SetLen(len(buf))
		b.iovs = append(b.iovs, v)
	}
	m.hdr.Iov = unsafe.SliceData(b.iovs[first:])
	m.hdr.SetIovlen(len(bufs))
	m.hdr.Control = unsafe.SliceData(control)
	m.hdr.SetControllen(len(control))
	return &m.hdr
}

// AddRecv adds room for a message. Without room for control data, there is some
// for the size of segments.
func (b *Batch) AddRecv(bufs [][]byte, control []byte) {
	i := b.n
	if len(control) == 0 {
		control = b.controls[i][:]
	}
	h := b.add(bufs, control)
	b.names[i].Family = unix.AF_UNSPEC
	h.Name, h.Namelen = (*byte)(unsafe.Pointer(&b.names[i])), unix.SizeofSockaddrInet6
}

// AddSend adds a message to a socket of the family, to an address unless that is
// the zero AddrPort. A positive segment makes it several datagrams of so many
// bytes each. It reports false if the address is not of the family.
func (b *Batch) AddSend(family int, bufs [][]byte, control []byte, to netip.AddrPort, segment int) bool {
	i := b.n
	var sa Sockaddr
	if to.IsValid() && !sa.SetInet(family, to) {
		return false
	}
	if segment > 0 {
		control = b.segmented(i, control, segment)
	}
	h := b.add(bufs, control)
	if to.IsValid() {
		b.names[i] = *(*unix.RawSockaddrInet6)(unsafe.Pointer(&sa.raw))
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&b.names[i])), sa.len
	}
	return true
}

// segmented adds the size of segments to control data.
func (b *Batch) segmented(i int, control []byte, segment int) []byte {
	c := b.controls[i][:]
	clear(c)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, udpSegment
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(c[unix.CmsgLen(0):], uint16(segment))
	c = c[:unix.CmsgSpace(2)]
	if len(control) == 0 {
		return c
	}
	// The kernel expects the next message at a multiple of its long.
	const word = int(unsafe.Sizeof(uintptr(0)))
	padded := (len(control) + word - 1) / word * word
	all := make([]byte, padded, padded+len(c))
	copy(all, control)
	return append(all, c...)
}

// RecvNow receives as many messages as there are and there is room for, without
// waiting: EAGAIN says that there are none.
func (b *Batch) RecvNow(fd, flags int) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.hdrs)),
		uintptr(b.n), uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
	return int(n), errno
}

// SendNow sends messages from the i-th on, as many as there is room for, without
// waiting: EAGAIN says that there is none. An error is that of the first.
func (b *Batch) SendNow(fd, i, flags int) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.hdrs[i])),
		uintptr(b.n-i), uintptr(flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL), 0, 0)
	return int(n), errno
}

// Len returns the number of messages.
func (b *Batch) Len() int { return b.n }

// Sent returns the number of bytes of the i-th message that were sent.
func (b *Batch) Sent(i int) int { return int(b.hdrs[i].n) }

// Received returns what was received as the i-th message: bytes of data and of
// control data in the caller's room, flags, the size of its segments if it is
// several, and its sender.
func (b *Batch) Received(i int) (n, control, flags, segment int, from netip.AddrPort) {
	m := &b.hdrs[i]
	control = int(m.hdr.Controllen)
	if control > 0 {
		data := unsafe.Slice(m.hdr.Control, control)
		segment = segmentOf(data)
		if m.hdr.Control == &b.controls[i][0] {
			control = 0
		}
	}
	if m.hdr.Namelen > 0 {
		sa := &b.names[i]
		switch sa.Family {
		case unix.AF_INET:
			sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
			from = netip.AddrPortFrom(netip.AddrFrom4(sa4.Addr), port(&sa4.Port))
		case unix.AF_INET6:
			from = inet6(sa)
		}
	}
	return int(m.n), control, int(m.hdr.Flags), segment, from
}

// segmentOf returns the size of segments that control data tell, or 0.
func segmentOf(control []byte) int {
	for len(control) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return 0
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == udpGRO && len(data) >= 4 {
			return int(int32(binary.NativeEndian.Uint32(data)))
		}
		control = rest
	}
	return 0
}

// SetUDPGRO sets UDP_GRO: datagrams of a sender that come together are received
// as one message.
func SetUDPGRO(fd int, on bool) error {
	return setsockoptInt(fd, unix.IPPROTO_UDP, udpGRO, boolint(on))
}

// UDPSegments fails if the kernel cannot split messages of the socket into
// segments, which UDP_SEGMENT asks for.
func UDPSegments(fd int) error {
	_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, udpSegment)
	return os.NewSyscallError("getsockopt", err)
}
