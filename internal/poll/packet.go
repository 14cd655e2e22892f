package poll

import (
	"net/netip"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
)

// Kind is what a socket transfers.
type Kind uint8

// The kinds of sockets.
const (
	Bytes     Kind = iota // a stream of them
	Packets               // messages of a connection, which an empty one ends
	Datagrams             // messages, each by itself
)

// messages is what an FD needs for messages. Those that are of streams, and have
// no use for it, are spared the memory.
type messages struct {
	kind  Kind        // set before the first operation
	ahead atomic.Bool // receives may read ahead; see ahead.go

	sends sys.Packet // used by the holder of the lock for sending

	// Used by the holder of the lock for receiving.
	recvs  sys.Packet
	aheads *sys.Ahead // what has been read ahead, nil if nothing
	hits   uint8      // how often in a row there was something at once, up to a bound
	misses uint8      // how often in a row there was nothing at once, up to a bound
	waits  uint8      // counts receives that had to wait, and overflows
}

// SetKind says what the socket transfers, before the first operation; it is
// one of Bytes otherwise.
func (fd *FD) SetKind(k Kind) { fd.messages.Store(&messages{kind: k}) }

// kindOf returns the kind of a socket; without messages, it is one of Bytes.
func (m *messages) kindOf() Kind {
	if m == nil {
		return Bytes
	}
	return m.kind
}

// message returns what a stream needs for messages as well, making it if need
// be.
func (fd *FD) message() *messages {
	if m := fd.messages.Load(); m != nil {
		return m
	}
	fd.messages.CompareAndSwap(nil, new(messages)) // pairs with the Loads: one wins
	return fd.messages.Load()
}

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
func (m *messages) hit() {
	m.misses = 0
	m.hits = min(m.hits+1, busyAfter)
}

// miss notes that a receive has to wait.
func (m *messages) miss(s *side) {
	m.calm()
	s.empty = true
	m.misses = min(m.misses+1, maxMisses)
}

// waited decides, after a receive that has waited, whether the next tries first.
func (m *messages) waited(s *side) {
	m.waits++
	s.empty = m.misses == maxMisses && m.waits%tryAgain != 0
}

// tried judges a receive that did not wait: whether it is done, and how.
func (fd *FD) tried(m *messages, errno syscall.Errno) (done bool, err error) {
	fd.driver.NoteInline(errno != syscall.EAGAIN)
	switch errno {
	case 0:
		m.hit()
		return true, nil
	case syscall.EAGAIN, syscall.EINTR:
		m.miss(&fd.rd)
		return false, nil
	}
	return true, errno
}

// recvMessageNow does Recv of a socket that keeps messages if that need not wait,
// and reports whether it is done. The caller has the direction's lock.
func (fd *FD) recvMessageNow(m *messages, b []byte) (n int, done bool, err error) {
	if r, ok := m.taken(b, nil); ok {
		return r.N, true, nil
	}
	var errno syscall.Errno
	switch {
	case m.readsAhead():
		var r Received
		r, errno = m.readAhead(fd.sysfd, b)
		n = r.N
	case !fd.rd.empty:
		n, errno = sys.RecvNow(fd.sysfd, b)
	default:
		return 0, false, nil
	}
	if done, err = fd.tried(m, errno); err != nil || !done {
		return 0, done, err
	}
	n, err = fd.eof(n)
	return n, true, err
}

// RecvFrom receives a message into b, and tells who has sent it. What does not
// fit is lost, except on a stream.
func (fd *FD) RecvFrom(b []byte) (Received, error) {
	r, err := fd.recvFromNow(b)
	if r.N != mustWait {
		return r, err
	}
	c, err := fd.runRecvMsg(0)
	return fd.receivedPacket(c, err)
}

// RecvMsg is RecvFrom with control data, which it puts into control, and with
// the flags of recvmsg(2). Descriptors in the control data are the caller's.
func (fd *FD) RecvMsg(b, control []byte, flags int) (Received, error) {
	r, err := fd.recvMsgNow(b, control, flags)
	if r.N != mustWait {
		return r, err
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
		fd.message().recvs.PrepRecvMsg(&s.req.SQE, fd.sysfd, flags)
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
	m := fd.message()
	if r, done, err := fd.recvFromDone(m, b); done {
		fd.end(s)
		return r, err
	}
	m.recvs.SetBuffers(b, nil, true)
	fd.prepRecvMsg(m, b, 0)
	return Received{N: mustWait}, nil
}

// recvFromDone does the work of recvFromNow, and reports whether that is all.
func (fd *FD) recvFromDone(m *messages, b []byte) (r Received, done bool, err error) {
	if r, ok := m.taken(b, nil); ok {
		return r, true, nil
	}
	var errno syscall.Errno
	switch {
	case m.readsAhead():
		r, errno = m.readAhead(fd.sysfd, b)
	case !fd.rd.empty:
		r.N, errno = m.recvs.RecvFromNow(fd.sysfd, b)
		r.name(m.recvs.Name())
	default:
		return r, false, nil
	}
	if done, err = fd.tried(m, errno); err != nil || !done {
		return Received{}, done, err
	}
	r.N, err = fd.eof(r.N)
	return r, true, err
}

// recvMsgNow does RecvMsg if that need not wait; see recvNow.
//
//go:noinline
func (fd *FD) recvMsgNow(b, control []byte, flags int) (Received, error) {
	s := &fd.rd
	if err := fd.begin(s); err != nil {
		return Received{}, err
	}
	m := fd.message()
	if r, ok := m.taken(b, control); ok {
		fd.end(s)
		return r, nil
	}
	p := &m.recvs
	p.SetBuffers(b, control, m.kind == Datagrams)
	if !s.empty {
		n, errno := p.RecvMsgNow(fd.sysfd, flags)
		if done, err := fd.tried(m, errno); done {
			r := Received{}
			if err == nil {
				r, err = fd.receive(p, n)
			}
			p.Forget()
			fd.end(s)
			return r, err
		}
		p.SetBuffers(b, control, m.kind == Datagrams) // the kernel has written to it
	}
	fd.prepRecvMsg(m, b, flags)
	return Received{N: mustWait}, nil
}

// receive returns the message in p, of n bytes.
func (fd *FD) receive(p *sys.Packet, n int) (r Received, err error) {
	r.Control, r.Flags = p.Received()
	r.N, err = fd.eof(n)
	r.name(p.Name())
	return r, err
}

// name sets the sender.
func (r *Received) name(from *sys.Sockaddr) {
	if r.From = from.Inet(); !r.From.IsValid() {
		r.FromUnix = from.UnixName()
	}
}

// prepRecvMsg prepares the direction's request for the message that m has room
// for.
func (fd *FD) prepRecvMsg(m *messages, b []byte, flags int) {
	r := fd.rd.request()
	r.Buf, r.Keep = b, &m.recvs
	m.recvs.PrepRecvMsg(&r.SQE, fd.sysfd, flags)
}

// receivedPacket ends a receive that has waited.
//
//go:noinline
func (fd *FD) receivedPacket(c driver.Completion, err error) (r Received, _ error) {
	s, m := &fd.rd, fd.message()
	if err == nil {
		m.waited(s)
		r, err = fd.receive(&m.recvs, int(c.Res))
	}
	s.req.Keep = nil
	m.recvs.Forget()
	fd.end(s)
	return r, err
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
func (fd *FD) sendPacket(s *side, b, control []byte, to *sys.Sockaddr) (int, error) {
	n, errno := fd.sendNow(b, control, to)
	fd.driver.NoteInline(errno == 0)
	switch errno {
	case 0:
		return n, nil
	case syscall.EAGAIN, syscall.EINTR:
		return fd.sendLater(s, b, control, to)
	}
	return 0, errno
}

// sendLater sends a message when there is room. It waits for that and then tries
// again, instead of leaving the message to the ring: a Unix socket of datagrams
// takes the data before it finds its peer's queue full, and the kernel, when it
// tries again by itself, goes on behind them and sends an empty message (seen on
// Linux 6.18). Nor does such a socket, unless it is connected, say when its peer
// has room, so that it is asked again after pauses; see patience.
func (fd *FD) sendLater(s *side, b, control []byte, to *sys.Sockaddr) (int, error) {
	var wait patience
	for {
		if err := fd.ready(s, eventOut, &wait); err != nil {
			return 0, err
		}
		n, errno := fd.sendNow(b, control, to)
		switch errno {
		case 0:
			return n, nil
		case syscall.EAGAIN, syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// sendNow sends a message without waiting.
func (fd *FD) sendNow(b, control []byte, to *sys.Sockaddr) (int, syscall.Errno) {
	if len(control) == 0 {
		return sys.SendToNow(fd.sysfd, b, to)
	}
	m := fd.message()
	p := &m.sends
	defer p.Forget()
	p.SetBuffers(b, control, m.kind == Datagrams)
	p.SetTo(to)
	return p.SendMsgNow(fd.sysfd)
}
