package net

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// UDPMessage is one of several messages that UDPConn.ReadBatch and WriteBatch
// transfer.
type UDPMessage struct {
	// Buffers is where the message's data are, or go, one buffer after the
	// other. What does not fit is lost. It must have at least one buffer to
	// receive; a message to be sent can be empty.
	Buffers [][]byte

	// OOB is the out-of-band data to send, or room for those to receive; see
	// WriteMsgUDP and ReadMsgUDP. It can be nil.
	OOB []byte

	// Addr is where to send to: the zero AddrPort if the socket is connected.
	// ReadBatch sets it to the sender.
	Addr netip.AddrPort

	// Segment, if not 0, makes the message several datagrams: each has so many
	// bytes, and the last has the rest. WriteBatch sends them with one pass
	// through the kernel, at most 64 of them and 65,507 bytes; see CanSegment.
	// ReadBatch sets it to the size of the datagrams that the message consists
	// of, or to 0 if it is only one; see SetReceiveOffload.
	Segment int

	// N is how many bytes were received or sent, and NN how many of OOB.
	N, NN int

	// Flags is what the kernel says about a message that was received, for
	// instance syscall.MSG_TRUNC.
	Flags int
}

// maxBatch is how many messages are transferred by one system call.
const maxBatch = sys.MaxBatch

// ReadBatch receives into ms at least one message, and as many as there are, at
// most 64, with one system call once there is one. It returns how many, and sets
// Addr, Segment, N, NN and Flags of those. The flags are those of recvmmsg(2),
// usually 0; MSG_WAITFORONE goes without saying. The read deadline applies.
//
// Where there is no recvmmsg, it receives one message.
func (c *UDPConn) ReadBatch(ms []UDPMessage, flags int) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if len(ms) == 0 {
		return 0, nil
	}
	ms = ms[:min(len(ms), maxBatch)]
	if !sys.HasBatches {
		return c.readOne(&ms[0])
	}
	b := sys.NewBatch()
	defer b.Free()
	b.Grow(countBuffers(ms))
	for i := range ms {
		b.AddRecv(ms[i].Buffers, ms[i].OOB)
	}
	n, err := c.recvBatch(b, flags)
	if err != nil {
		return n, err
	}
	for i := range ms[:n] {
		m := &ms[i]
		m.N, m.NN, m.Flags, m.Segment, m.Addr = b.Received(i)
	}
	return n, nil
}

func countBuffers(ms []UDPMessage) (n int) {
	for i := range ms {
		n += len(ms[i].Buffers)
	}
	return n
}

// recvBatch receives into b, with or without a ring.
func (c *UDPConn) recvBatch(b *sys.Batch, flags int) (n int, err error) {
	if c.std != nil {
		return c.recvBatchStd(b, flags)
	}
	if n, err = c.conn.fd.RecvBatch(b, flags); err != nil {
		err = c.conn.opError("read", "recvmmsg", err)
	}
	return n, err
}

func (c *UDPConn) recvBatchStd(b *sys.Batch, flags int) (n int, err error) {
	var errno syscall.Errno
	err = c.raw(syscall.RawConn.Read, "read", func(fd uintptr) bool {
		n, errno = b.RecvNow(int(fd), flags)
		return errno != syscall.EAGAIN && errno != syscall.EINTR
	})
	if err == nil && errno != 0 {
		err = c.stdError("read", c.std.RemoteAddr(), "recvmmsg", errno)
	}
	return max(n, 0), err
}

// raw calls f with the descriptor of the standard library's socket.
func (c *UDPConn) raw(do func(syscall.RawConn, func(uintptr) bool) error, op string, f func(uintptr) bool) error {
	rc, err := c.std.SyscallConn()
	if err != nil {
		return err
	}
	err = do(rc, f)
	var oe *net.OpError
	if errors.As(err, &oe) {
		oe.Op = op // "raw-read" is not what the caller has asked for
	}
	return err
}

func (c *UDPConn) stdError(op string, addr net.Addr, call string, err error) error {
	a := c.std.LocalAddr()
	return &net.OpError{Op: op, Net: a.Network(), Source: a, Addr: addr, Err: wrapErr(call, err)}
}

// WriteBatch sends the messages of ms in order, with one system call for each 64,
// and waits if there is no room. It returns how many it has sent, and why not
// all; the error is that of the next message, and of no other. It sets N and NN
// of those that were sent. The flags are those of sendmmsg(2), usually 0. The
// write deadline applies.
//
// Where there is no sendmmsg, each message takes a system call.
func (c *UDPConn) WriteBatch(ms []UDPMessage, flags int) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	for sent := 0; sent < len(ms); {
		part := ms[sent:min(len(ms), sent+maxBatch)]
		n, err := c.writeBatch(part, flags)
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return len(ms), nil
}

// writeBatch is WriteBatch of at most maxBatch messages.
func (c *UDPConn) writeBatch(ms []UDPMessage, flags int) (int, error) {
	if !sys.HasBatches {
		return c.writeEach(ms)
	}
	b := sys.NewBatch()
	defer b.Free()
	b.Grow(countBuffers(ms))
	var bad error // what is wrong with the message after those in b
	for i := range ms {
		m := &ms[i]
		if bad = c.checkMessage(m); bad != nil {
			break
		}
		if !b.AddSend(c.family, m.Buffers, m.OOB, m.Addr, m.Segment) {
			bad = notIPv4(m.Addr)
			break
		}
	}
	n, err := c.sendBatch(b, flags)
	for i := range ms[:n] {
		ms[i].N, ms[i].NN = b.Sent(i), len(ms[i].OOB)
	}
	if err == nil {
		err = bad
	}
	if err != nil {
		err = c.batchError(&ms[n], err)
	}
	return n, err
}

// maxSegment is the largest datagram.
const maxSegment = 65507

// checkMessage says what is wrong with a message to be sent.
func (c *UDPConn) checkMessage(m *UDPMessage) error {
	if err := c.checkReceiver(m.Addr.IsValid()); err != nil {
		return err
	}
	switch {
	case m.Segment == 0:
		return nil
	case m.Segment < 0 || m.Segment > maxSegment:
		return &net.AddrError{Err: "segment size out of range", Addr: m.Addr.String()}
	}
	return c.CanSegment()
}

// sendBatch sends b, with or without a ring. The error has no context yet.
func (c *UDPConn) sendBatch(b *sys.Batch, flags int) (sent int, err error) {
	if b.Len() == 0 {
		return 0, nil
	}
	if c.std == nil {
		return c.conn.fd.SendBatch(b, flags)
	}
	return c.sendBatchStd(b, flags)
}

func (c *UDPConn) sendBatchStd(b *sys.Batch, flags int) (sent int, err error) {
	var errno syscall.Errno
	err = c.raw(syscall.RawConn.Write, "write", func(fd uintptr) bool {
		for sent < b.Len() {
			n, e := b.SendNow(int(fd), sent, flags)
			switch errno = e; e {
			case 0:
				sent += n
			case syscall.EINTR:
			default:
				return e != syscall.EAGAIN
			}
		}
		return true
	})
	if err == nil && errno != 0 {
		err = errno
	}
	return sent, err
}

// batchError gives an error the context of the message that it is about.
func (c *UDPConn) batchError(m *UDPMessage, err error) error {
	var to net.Addr
	if m.Addr.IsValid() {
		to = udpAddrPort{m.Addr}
	}
	var oe *net.OpError
	switch {
	case errors.As(err, &oe):
		oe.Addr = to
		return err
	case c.std != nil:
		return c.stdError("write", to, "sendmmsg", err)
	}
	return c.sendError(to, "sendmmsg", err)
}

// What is known about UDP_SEGMENT.
const (
	segmentsUnknown = iota
	segmentsThere
	segmentsMissing
)

// CanSegment returns nil if WriteBatch can send messages with a Segment, which
// needs Linux 4.18, and otherwise an error that is errors.ErrUnsupported. The
// kernel can still refuse a message (EINVAL if a segment with its headers is
// larger than the network's packets, EIO if the network interface computes no
// checksums): then send the datagrams as messages of their own.
func (c *UDPConn) CanSegment() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	// Nobody waits for what is stored here, and all store the same.
	switch c.segments.Load() {
	case segmentsThere:
		return nil
	case segmentsMissing:
		return errNoSegments
	}
	if err := c.control(sys.UDPSegments); err != nil {
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		c.segments.Store(segmentsMissing)
		return errNoSegments
	}
	c.segments.Store(segmentsThere)
	return nil
}

// errNoSegments is errors.ErrUnsupported with what is to be done.
var errNoSegments = segmentError{}

type segmentError struct{}

func (segmentError) Error() string {
	return "this system does not split messages into segments (UDP_SEGMENT, Linux 4.18): set no Segment"
}

func (segmentError) Is(err error) bool { return err == errors.ErrUnsupported }

// SetReceiveOffload says whether datagrams of the same size, from the same sender,
// that come together may be received as one message (UDP_GRO), which costs less.
// ReadBatch tells the size in Segment; its OOB, if any, needs room for 24 bytes
// more. Other methods do not tell it, and cannot be used meanwhile without
// taking several datagrams for one. It needs Linux 5.0; the error elsewhere is
// ENOPROTOOPT or errors.ErrUnsupported.
func (c *UDPConn) SetReceiveOffload(on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std == nil {
		c.conn.fd.StopAhead() // it would not keep the size of segments
	}
	err := c.control(func(fd int) error { return sys.SetUDPGRO(fd, on) })
	if err == nil {
		return nil
	}
	a := c.LocalAddr()
	return &net.OpError{Op: "set", Net: a.Network(), Addr: a, Err: wrapErr("setsockopt", err)}
}

// control calls f with the descriptor.
func (c *UDPConn) control(f func(fd int) error) error {
	if c.std == nil {
		return c.conn.fd.Control(f)
	}
	rc, err := c.std.SyscallConn()
	if err != nil {
		return err
	}
	var inside error
	if err := rc.Control(func(fd uintptr) { inside = f(int(fd)) }); err != nil {
		return inner(err)
	}
	return inside
}

// readOne is ReadBatch where there is no recvmmsg.
func (c *UDPConn) readOne(m *UDPMessage) (int, error) {
	buf := m.Buffers[0]
	if len(m.Buffers) > 1 {
		buf = make([]byte, sizeOf(m.Buffers))
	}
	n, oobn, flags, from, err := c.ReadMsgUDPAddrPort(buf, m.OOB)
	if err != nil {
		return 0, err
	}
	m.N, m.NN, m.Flags, m.Segment, m.Addr = n, oobn, flags, 0, from
	if len(m.Buffers) > 1 {
		for _, to := range m.Buffers {
			buf = buf[copy(to, buf):]
		}
	}
	return 1, nil
}

func sizeOf(bufs [][]byte) (n int) {
	for _, b := range bufs {
		n += len(b)
	}
	return n
}

// writeEach is WriteBatch where there is no sendmmsg.
func (c *UDPConn) writeEach(ms []UDPMessage) (int, error) {
	for i := range ms {
		m := &ms[i]
		if m.Segment != 0 {
			return i, c.batchError(m, errNoSegments)
		}
		var buf []byte
		if len(m.Buffers) == 1 {
			buf = m.Buffers[0]
		} else {
			for _, b := range m.Buffers {
				buf = append(buf, b...)
			}
		}
		var err error
		if m.N, m.NN, err = c.WriteMsgUDPAddrPort(buf, m.OOB, m.Addr); err != nil {
			return i, err
		}
	}
	return len(ms), nil
}
