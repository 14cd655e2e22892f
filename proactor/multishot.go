package proactor

import (
	"net"
	"os"
	"time"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// Accepts accepts connections on a listening socket. Linux 5.19.
//
// ECONNABORTED, a connection that was gone before it was accepted, is passed
// over; EMFILE and ENFILE are errors of Next after which it can be called again,
// better not at once.
type Accepts struct{ FD int }

// Arrival is a connection from Accepts. Its descriptor is close-on-exec and
// blocking, and belongs to whoever takes the item.
type Arrival struct{ FD int }

// Peer returns the address of the other side, which the kernel does not tell by
// itself in a multishot accept. It fails if the connection is broken already.
func (a Arrival) Peer() (net.Addr, error) {
	sa := new(sys.Sockaddr)
	if err := sys.Getpeername(a.FD, sa); err != nil {
		return nil, err
	}
	if addr := sa.TCPAddr(); addr != nil {
		return addr, nil
	}
	return sa.UnixAddr("unix"), nil
}

// Prepare implements Multishot.
func (o Accepts) Prepare(r *Request) error {
	sys.PrepAcceptMultishot(&r.SQE, o.FD)
	return prepared(r)
}

// Item implements Multishot.
func (o Accepts) Item(_ *Request, c driver.Completion) (Arrival, error) {
	return Arrival{FD: int(c.Res)}, nil
}

// Discard implements Multishot.
func (o Accepts) Discard(a Arrival) { _ = sys.Close(a.FD) }

// Receives receives from a connected socket into buffers of a group, with the
// flags of recv(2). The stream ends when the peer has ended its side. Linux 6.0.
type Receives struct {
	FD    int
	Group *BufferGroup
	Flags uint32
}

// Prepare implements Multishot.
func (o Receives) Prepare(r *Request) error {
	r.On = o.Group.shard
	r.SQE.PrepRecvMultishot(o.FD, o.Group.id, o.Flags, 0)
	return prepared(r)
}

// Item implements Multishot.
func (o Receives) Item(_ *Request, c driver.Completion) (Lease, error) { return leaseOf(o.Group, c) }

// Discard implements Multishot.
func (o Receives) Discard(l Lease) { l.Release() }

func (o Receives) buffers() *BufferGroup { return o.Group }
func (o Receives) spill(l Lease) Lease   { return l.copyOut() }

// Reads reads from a pipe, a terminal or another file that can be polled, into
// buffers of a group. Regular files cannot, and fail with EBADFD. Linux 6.7.
type Reads struct {
	FD    int
	Group *BufferGroup
}

// Prepare implements Multishot.
func (o Reads) Prepare(r *Request) error {
	r.On = o.Group.shard
	r.SQE.PrepReadMultishot(o.FD, uring.CurrentPosition, o.Group.id)
	return prepared(r)
}

// Item implements Multishot.
func (o Reads) Item(_ *Request, c driver.Completion) (Lease, error) { return leaseOf(o.Group, c) }

// Discard implements Multishot.
func (o Reads) Discard(l Lease) { l.Release() }

func (o Reads) buffers() *BufferGroup { return o.Group }
func (o Reads) spill(l Lease) Lease   { return l.copyOut() }

// Polls tells each time a descriptor becomes ready for one of the poll(2)
// events; the items are the events. Linux 5.13.
type Polls struct {
	FD     int
	Events uint32
}

// Prepare implements Multishot.
func (o Polls) Prepare(r *Request) error {
	r.SQE.PrepPollAdd(o.FD, o.Events, uring.IORING_POLL_ADD_MULTI)
	return prepared(r)
}

// Item implements Multishot.
func (o Polls) Item(_ *Request, c driver.Completion) (uint32, error) { return uint32(c.Res), nil }

// Discard implements Multishot.
func (o Polls) Discard(uint32) {}

// Ticks completes again and again after the same time, by the kernel's
// monotonic clock; the items are the times at which that was noticed. Unlike a
// time.Ticker's, ticks are not dropped while the consumer is slow, but queued,
// and the timer is stopped when StreamConfig.Depth wait. Linux 6.4.
type Ticks struct{ Every time.Duration }

// Prepare implements Multishot.
func (o Ticks) Prepare(r *Request) error {
	if o.Every <= 0 {
		return os.ErrInvalid
	}
	ts := &uring.Timespec{Sec: int64(o.Every / time.Second), Nsec: int64(o.Every % time.Second)}
	r.Keep = ts
	r.Expected = uring.ETIME
	r.SQE.PrepTimeout(ts, 0, uring.IORING_TIMEOUT_MULTISHOT)
	return prepared(r)
}

// Item implements Multishot.
func (o Ticks) Item(*Request, driver.Completion) (time.Time, error) { return time.Now(), nil }

// Discard implements Multishot.
func (o Ticks) Discard(time.Time) {}
