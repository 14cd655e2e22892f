package proactor

import (
	"fmt"
	"net/netip"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// Datagrams receives messages, with their senders' addresses, from an Internet
// socket into buffers of a group, with the flags of recvmsg(2). A buffer must
// have room for 44 bytes and Control more than the longest message. Linux 6.0.
type Datagrams struct {
	FD      int
	Group   *BufferGroup
	Flags   uint32
	Control int // room for control messages in bytes
}

// Datagram is a message from Datagrams. It is a Lease: whoever takes the item
// calls Release, and until then may use what the methods return.
type Datagram struct {
	lease   Lease
	control int
}

// recvmsgHeader is what the kernel puts in front of each message besides the
// address and the control data.
const recvmsgHeader = 16

// Prepare implements Multishot.
func (o Datagrams) Prepare(r *Request) error {
	if least := recvmsgHeader + sys.IPNameLen + o.Control; o.Control < 0 || o.Group.cfg.Size <= least {
		return fmt.Errorf("proactor: datagrams with %d bytes of control data in buffers of %d bytes: want more than %d",
			o.Control, o.Group.cfg.Size, least)
	}
	h := sys.NewRecvHeader(o.Control)
	r.Keep = h
	r.On = o.Group.shard
	sys.PrepRecvmsgMultishot(&r.SQE, o.FD, h, o.Group.id, o.Flags)
	return prepared(r)
}

// Item implements Multishot.
func (o Datagrams) Item(_ *Request, c driver.Completion) (Datagram, error) {
	l, err := leaseOf(o.Group, c)
	return Datagram{l, o.Control}, err
}

// Discard implements Multishot.
func (o Datagrams) Discard(d Datagram) { d.Release() }

func (o Datagrams) buffers() *BufferGroup { return o.Group }

func (o Datagrams) spill(d Datagram) Datagram {
	d.lease = d.lease.copyOut()
	return d
}

func (d Datagram) message() uring.Recvmsg {
	m, _ := uring.ParseRecvmsg(d.lease.Bytes(), sys.IPNameLen, d.control)
	return m
}

// Data returns the message, and nothing beyond it; nil after Release.
func (d Datagram) Data() []byte {
	p := d.message().Payload
	return p[:len(p):len(p)]
}

// From returns the sender's address, which is not valid if there is none.
func (d Datagram) From() netip.AddrPort {
	sa := new(sys.Sockaddr)
	sa.SetRaw(d.message().Name)
	if addr := sa.TCPAddr(); addr != nil {
		return addr.AddrPort()
	}
	return netip.AddrPort{}
}

// Control returns the control messages as they are in a msghdr.
func (d Datagram) Control() []byte {
	c := d.message().Control
	return c[:len(c):len(c)]
}

// Truncated reports whether the message was longer than its buffer has room for.
func (d Datagram) Truncated() bool { return d.message().Flags&sys.MsgTrunc != 0 }

// Release gives the buffer back, as Lease.Release does.
func (d Datagram) Release() bool { return d.lease.Release() }
