package proactor

import (
	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// Sockets should be blocking, as those that Socket and Accept make are: the
// kernel waits for them without a thread, while an operation on a non-blocking
// one fails with EAGAIN instead of waiting.

// Recv receives from a connected socket, with the flags of recv(2). The result
// is the number of bytes, 0 at the end of the stream.
type Recv struct {
	count
	FD    int
	Buf   []byte
	Flags uint32
}

// Prepare implements Operation.
func (o Recv) Prepare(r *Request) error {
	r.Buf = o.Buf
	r.SQE.PrepRecv(o.FD, o.Buf, o.Flags, 0)
	return prepared(r)
}

// Send sends to a connected socket, with the flags of send(2) and
// MSG_NOSIGNAL. The result is the number of bytes sent, which can be less than
// all of them; with MSG_WAITALL (since 5.19) only if it fails later on.
type Send struct {
	count
	FD    int
	Buf   []byte
	Flags uint32
}

// msgNoSignal is MSG_NOSIGNAL, the same on every Linux.
const msgNoSignal = 0x4000

// Prepare implements Operation.
func (o Send) Prepare(r *Request) error {
	r.Buf = o.Buf
	r.SQE.PrepSend(o.FD, o.Buf, o.Flags|msgNoSignal, 0)
	return prepared(r)
}

// ZeroCopySent is the result of the zero-copy sends.
type ZeroCopySent struct {
	N      int  // bytes sent
	Copied bool // the kernel copied some of the data after all, as it must on the loopback
}

// zeroCopy turns the two completions of a zero-copy send into its result.
type zeroCopy struct{}

func (zeroCopy) Result(r *Request, c driver.Completion) (ZeroCopySent, error) {
	n, ok := r.Notification()
	return ZeroCopySent{N: int(c.Res), Copied: ok && uint32(n.Res)&uring.IORING_NOTIF_USAGE_ZC_COPIED != 0}, nil
}

// SendZC is Send without copying the data, which pays from some 4 KiB on. It
// completes only when the kernel does not need Buf any more, which on TCP is when
// the peer has acknowledged it: until then Buf must not change. Cancelling does
// not hasten that: what has gone out has to be acknowledged, or the connection
// to be reset. It needs Linux 6.2.
type SendZC struct {
	zeroCopy
	FD    int
	Buf   []byte
	Flags uint32
}

// Prepare implements Operation.
func (o SendZC) Prepare(r *Request) error {
	r.Buf = o.Buf
	r.SQE.PrepSendZC(o.FD, o.Buf, o.Flags|msgNoSignal, uring.IORING_SEND_ZC_REPORT_USAGE)
	return prepared(r)
}

// SendMsg sends one message, as sendmsg(2) does with its flags and
// MSG_NOSIGNAL. The result is the number of bytes sent.
//
// On a Unix datagram socket whose peer's queue is full, the kernel sends an empty
// message instead of this one once there is room (Linux 6.18). There use
// MSG_DONTWAIT, and on EAGAIN wait with a Poll before trying again; package net
// does likewise.
type SendMsg struct {
	count
	FD      int
	Bufs    [][]byte // the bytes of the message, one after the other; at most 1024
	Control []byte   // control messages, such as syscall.UnixRights makes
	To      Address  // zero for a connected socket
	Flags   uint32
}

// Prepare implements Operation.
func (o SendMsg) Prepare(r *Request) error {
	return o.prepare(r, false)
}

func (o SendMsg) prepare(r *Request, zeroCopy bool) error {
	if len(o.Bufs) > maxVector {
		return invalid("%d buffers at once: at most %d are possible", len(o.Bufs), maxVector)
	}
	m := new(sys.Message)
	r.Keep = m
	m.SetBuffers(o.Bufs, o.Control)
	if !o.To.IsZero() {
		if err := o.To.store(m.Name()); err != nil {
			return err
		}
		m.UseName()
	}
	m.PrepSendmsg(&r.SQE, o.FD, o.Flags|msgNoSignal, zeroCopy)
	return prepared(r)
}

// SendMsgZC is SendMsg without copying the data; see SendZC. It needs Linux 6.2.
type SendMsgZC struct {
	zeroCopy
	FD      int
	Bufs    [][]byte
	Control []byte
	To      Address
	Flags   uint32
}

// Prepare implements Operation.
func (o SendMsgZC) Prepare(r *Request) error {
	return SendMsg{FD: o.FD, Bufs: o.Bufs, Control: o.Control, To: o.To, Flags: o.Flags}.prepare(r, true)
}

// RecvMsg receives one message, as recvmsg(2) does with its flags. Descriptors
// in the control messages are close-on-exec and belong to whoever takes the
// result.
type RecvMsg struct {
	FD      int
	Bufs    [][]byte // where the message's bytes go, one after the other; at most 1024
	Control []byte   // room for control messages
	Flags   uint32
}

// Received is the result of RecvMsg.
type Received struct {
	N       int     // bytes of the message
	Control int     // bytes of control messages
	Flags   int     // MSG_ flags: what did not fit, and more
	From    Address // the sender; zero on a connected socket
}

// Prepare implements Operation.
func (o RecvMsg) Prepare(r *Request) error {
	if len(o.Bufs) > maxVector {
		return invalid("%d buffers at once: at most %d are possible", len(o.Bufs), maxVector)
	}
	m := new(sys.Message)
	r.Keep, r.Buf = m, o.Control
	m.SetBuffers(o.Bufs, o.Control)
	m.Name().Reset()
	m.UseName()
	m.PrepRecvmsg(&r.SQE, o.FD, o.Flags)
	if len(o.Control) > 0 {
		r.Discard = func(r *Request, _ driver.Completion) {
			n, _ := r.Keep.(*sys.Message).Received()
			sys.CloseRights(r.Buf[:n])
		}
	}
	return prepared(r)
}

// Result implements Operation.
func (o RecvMsg) Result(r *Request, c driver.Completion) (Received, error) {
	m := r.Keep.(*sys.Message)
	control, flags := m.Received()
	return Received{N: int(c.Res), Control: control, Flags: flags, From: addressOf(m.Name())}, nil
}

// Accept waits for a connection on a listening socket. The result's
// descriptor is close-on-exec and belongs to whoever takes the result.
type Accept struct{ FD int }

// Accepted is the result of Accept.
type Accepted struct {
	FD   int
	Peer Address
}

// Prepare implements Operation.
func (o Accept) Prepare(r *Request) error {
	sa := new(sys.Sockaddr)
	r.Keep = sa
	sys.PrepAccept(&r.SQE, o.FD, sa, 0)
	return prepared(r)
}

// Result implements Operation.
func (o Accept) Result(r *Request, c driver.Completion) (Accepted, error) {
	return Accepted{FD: int(c.Res), Peer: addressOf(r.Keep.(*sys.Sockaddr))}, nil
}

// Connect connects a socket to an address. A socket whose Connect has been
// cancelled is good for nothing but being closed.
type Connect struct {
	nothing
	FD int
	To Address
}

// Prepare implements Operation.
func (o Connect) Prepare(r *Request) error {
	sa := new(sys.Sockaddr)
	r.Keep = sa
	if err := o.To.store(sa); err != nil {
		return err
	}
	sys.PrepConnect(&r.SQE, o.FD, sa)
	return prepared(r)
}

// Socket makes a socket, close-on-exec, of a family, type and protocol as for
// socket(2). The result is its descriptor. It needs Linux 5.19.
type Socket struct {
	descriptor
	Family, Type, Protocol int
}

// Prepare implements Operation.
func (o Socket) Prepare(r *Request) error {
	r.SQE.PrepSocket(o.Family, o.Type|sys.SockCloexec, o.Protocol)
	return prepared(r)
}

// Bind gives a socket its own address. It needs Linux 6.11.
type Bind struct {
	nothing
	FD      int
	Address Address
}

// Prepare implements Operation.
func (o Bind) Prepare(r *Request) error {
	sa := new(sys.Sockaddr)
	r.Keep = sa
	if err := o.Address.store(sa); err != nil {
		return err
	}
	sys.PrepBind(&r.SQE, o.FD, sa)
	return prepared(r)
}

// Listen lets a socket accept connections, of which Backlog may wait. It needs
// Linux 6.11.
type Listen struct {
	nothing
	FD, Backlog int
}

// Prepare implements Operation.
func (o Listen) Prepare(r *Request) error {
	r.SQE.PrepListen(o.FD, o.Backlog)
	return prepared(r)
}

// Shutdown closes one or both directions of a connected socket: How is
// syscall.SHUT_RD, SHUT_WR or SHUT_RDWR.
type Shutdown struct {
	nothing
	FD, How int
}

// Prepare implements Operation.
func (o Shutdown) Prepare(r *Request) error {
	r.SQE.PrepShutdown(o.FD, o.How)
	return prepared(r)
}

// GetOption reads an option of a socket into Value, as getsockopt(2) does. The
// result is its size in bytes. The kernel offers this for the level SOL_SOCKET
// only. It needs Linux 6.7.
type GetOption struct {
	count
	FD, Level, Name int
	Value           []byte
}

// Prepare implements Operation.
func (o GetOption) Prepare(r *Request) error {
	r.Buf = o.Value
	sys.PrepSocketCmd(&r.SQE, o.FD, uring.SOCKET_URING_OP_GETSOCKOPT, o.Level, o.Name, o.Value)
	return nil
}

// SetOption sets an option of a socket to Value, as setsockopt(2) does. It needs
// Linux 6.7.
type SetOption struct {
	nothing
	FD, Level, Name int
	Value           []byte
}

// Prepare implements Operation.
func (o SetOption) Prepare(r *Request) error {
	r.Buf = o.Value
	sys.PrepSocketCmd(&r.SQE, o.FD, uring.SOCKET_URING_OP_SETSOCKOPT, o.Level, o.Name, o.Value)
	return nil
}

// Unread asks how many bytes a socket has received that nobody has read. It
// needs Linux 6.7.
type Unread struct {
	count
	FD int
}

// Prepare implements Operation.
func (o Unread) Prepare(r *Request) error {
	sys.PrepSocketCmd(&r.SQE, o.FD, uring.SOCKET_URING_OP_SIOCINQ, 0, 0, nil)
	return nil
}

// Unsent asks how many bytes a socket was given to send that its peer has not
// acknowledged. It needs Linux 6.7.
type Unsent struct {
	count
	FD int
}

// Prepare implements Operation.
func (o Unsent) Prepare(r *Request) error {
	sys.PrepSocketCmd(&r.SQE, o.FD, uring.SOCKET_URING_OP_SIOCOUTQ, 0, 0, nil)
	return nil
}
