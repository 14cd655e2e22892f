package poll

import (
	"errors"
	"net/netip"
	"syscall"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
)

// Kind is what a socket transfers.
type Kind uint8

// The kinds of sockets.
const (
	Stream    Kind = iota // bytes
	Packets               // messages of a connection, which an empty one ends
	Datagrams             // messages, each by itself
)

func (k Kind) keepsMessages() bool { return k != Stream }

// SetKind says what the socket transfers, before the first operation; it is a
// Stream otherwise.
func (fd *FD) SetKind(k Kind) { fd.kind = k }

// Kind returns what the socket transfers.
func (fd *FD) Kind() Kind { return fd.kind }

// Received is a message that has been received.
type Received struct {
	N, Control, Flags int            // bytes of data and of control data, MSG_ flags
	From              netip.AddrPort // the sender, if it has an Internet address
	FromUnix          string         // the sender, if it has the address of a Unix socket
}

// The kernel does not tell whether a socket has more messages, so each receive
// tries before it waits. For a socket on which that has been in vain lately, it
// would cost a system call more: there it tries once in a while.
const (
	maxMisses = 2 // tries in vain, in a row, until it does not try any more
	tryAgain  = 8 // it tries all the same after so many receives that waited; a power of two
)

// hit notes that a receive need not have waited.
func (s *side) hit() { s.misses = 0 }

// miss notes that a receive has to wait.
func (s *side) miss() {
	s.empty = true
	s.misses = min(s.misses+1, maxMisses)
}

// waited decides, after a receive that has waited, whether the next tries first.
func (s *side) waited() {
	s.waits++
	s.empty = s.misses == maxMisses && s.waits%tryAgain != 0
}

// RecvFrom receives a message into b, and tells who has sent it. What does not
// fit is lost, except on a stream.
func (fd *FD) RecvFrom(b []byte) (Received, error) {
	m, err := fd.recvFromNow(b)
	if m.N != mustWait {
		return m, err
	}
	c, err := fd.runRecvMsg(0)
	return fd.receivedPacket(c, err)
}

// RecvMsg is RecvFrom with control data, which it puts into control, and with
// the flags of recvmsg(2). Descriptors in the control data are the caller's.
func (fd *FD) RecvMsg(b, control []byte, flags int) (Received, error) {
	m, err := fd.recvMsgNow(b, control, flags)
	if m.N != mustWait {
		return m, err
	}
	c, err := fd.runRecvMsg(flags)
	return fd.receivedPacket(c, err)
}

// runRecvMsg waits for a message.
func (fd *FD) runRecvMsg(flags int) (driver.Completion, error) {
	s := &fd.rd
	var wait patience
	for {
		c, err := fd.run(s, s.req)
		if err != syscall.EAGAIN {
			return c, err
		}
		// The descriptor is non-blocking, which matters once the kernel has given
		// the operation to a thread.
		if err := fd.ready(s, eventIn, &wait); err != nil {
			return c, err
		}
		s.packet.PrepRecvMsg(&s.req.SQE, fd.sysfd, flags)
	}
}

// recvFromNow does RecvFrom if that need not wait; see recvNow.
//
//go:noinline
func (fd *FD) recvFromNow(b []byte) (Received, error) {
	s := &fd.rd
	if err := fd.begin(s); err != nil {
		return Received{}, err
	}
	p := s.message()
	if !s.empty {
		n, errno := p.RecvFromNow(fd.sysfd, b)
		if done, err := fd.tried(s, errno); done {
			m := Received{}
			if err == nil {
				m.N, err = fd.eof(n)
				m.name(p.Name())
			}
			fd.end(s)
			return m, err
		}
	}
	p.SetBuffers(b, nil, true)
	fd.prepRecvMsg(s, b, 0)
	return Received{N: mustWait}, nil
}

// recvMsgNow does RecvMsg if that need not wait; see recvNow.
//
//go:noinline
func (fd *FD) recvMsgNow(b, control []byte, flags int) (Received, error) {
	s := &fd.rd
	if err := fd.begin(s); err != nil {
		return Received{}, err
	}
	p := s.message()
	p.SetBuffers(b, control, fd.kind == Datagrams)
	if !s.empty {
		n, errno := p.RecvMsgNow(fd.sysfd, flags)
		if done, err := fd.tried(s, errno); done {
			m := Received{}
			if err == nil {
				m, err = fd.message(p, n)
			}
			p.Forget()
			fd.end(s)
			return m, err
		}
		p.SetBuffers(b, control, fd.kind == Datagrams) // the kernel has written to it
	}
	fd.prepRecvMsg(s, b, flags)
	return Received{N: mustWait}, nil
}

// message returns the message in p, of n bytes.
func (fd *FD) message(p *sys.Packet, n int) (m Received, err error) {
	m.Control, m.Flags = p.Received()
	m.N, err = fd.eof(n)
	m.name(p.Name())
	return m, err
}

// message returns the direction's message.
func (s *side) message() *sys.Packet {
	if s.packet == nil {
		s.packet = new(sys.Packet)
	}
	return s.packet
}

// name sets the sender.
func (m *Received) name(from *sys.Sockaddr) {
	if m.From = from.Inet(); !m.From.IsValid() {
		m.FromUnix = from.UnixName()
	}
}

// tried judges a receive that did not wait: whether it is done, and how.
func (fd *FD) tried(s *side, errno syscall.Errno) (done bool, err error) {
	fd.driver.NoteInline(errno != syscall.EAGAIN)
	switch errno {
	case 0:
		s.hit()
		return true, nil
	case syscall.EAGAIN, syscall.EINTR:
		s.miss()
		return false, nil
	}
	return true, errno
}

// prepRecvMsg prepares the direction's request for the message it has room for.
func (fd *FD) prepRecvMsg(s *side, b []byte, flags int) {
	r := s.request()
	r.Buf, r.Keep = b, s.packet
	s.packet.PrepRecvMsg(&r.SQE, fd.sysfd, flags)
}

// receivedPacket ends a receive that has waited.
//
//go:noinline
func (fd *FD) receivedPacket(c driver.Completion, err error) (m Received, _ error) {
	s := &fd.rd
	if err == nil {
		s.waited()
		m, err = fd.message(s.packet, int(c.Res))
	}
	s.req.Keep = nil
	s.packet.Forget()
	fd.end(s)
	return m, err
}

// SendTo sends b as a message to an address, nil on a connected socket. It is
// sent whole or not at all, except on a stream.
func (fd *FD) SendTo(b []byte, to *sys.Sockaddr) (int, error) {
	return fd.SendMsg(b, nil, to)
}

// SendMsg is SendTo with control data.
func (fd *FD) SendMsg(b, control []byte, to *sys.Sockaddr) (int, error) {
	s := &fd.wr
	if err := fd.begin(s); err != nil {
		return 0, err
	}
	defer fd.end(s)
	if err := fd.sendUnsent(s); err != nil {
		return 0, err
	}
	n, err := fd.sendPacket(s, b, control, to)
	if len(b) == 0 {
		n = 0
	}
	return n, err
}

// sendPacket does the work of SendMsg.
func (fd *FD) sendPacket(s *side, b, control []byte, to *sys.Sockaddr) (n int, err error) {
	var errno syscall.Errno
	if len(control) == 0 {
		n, errno = sys.SendToNow(fd.sysfd, b, to)
	} else {
		p := s.message()
		p.SetBuffers(b, control, fd.kind == Datagrams)
		p.SetTo(to)
		n, errno = p.SendMsgNow(fd.sysfd)
		p.Forget()
	}
	fd.driver.NoteInline(errno == 0)
	switch errno {
	case 0:
		return n, nil
	case syscall.EAGAIN, syscall.EINTR:
		return fd.sendLater(s, b, control, to)
	}
	return 0, errno
}

// sendLater sends a message when there is room.
func (fd *FD) sendLater(s *side, b, control []byte, to *sys.Sockaddr) (int, error) {
	p, r := s.message(), s.request()
	defer func() {
		p.Forget()
		r.Keep = nil
	}()
	var wait patience
	for {
		p.SetBuffers(b, control, fd.kind == Datagrams)
		p.SetTo(to)
		r.Buf, r.Keep = b, p
		p.PrepSendMsg(&r.SQE, fd.sysfd)
		c, err := fd.run(s, r)
		if err == nil {
			return int(c.Res), nil
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return 0, err
		}
		// The descriptor is non-blocking, which matters once the kernel has given
		// the message to a thread.
		if err := fd.ready(s, eventOut, &wait); err != nil {
			return 0, err
		}
	}
}
