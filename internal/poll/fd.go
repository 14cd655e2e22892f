// Package poll is what package net and file share: a file descriptor with
// operations on a ring, deadlines, and a Close that waits until nothing refers
// to it. It is to them what the standard library's internal/poll is to its net
// and os, and fails with the same errors.
package poll

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// FD is a descriptor that belongs to a shard of a runtime. Its operations may
// be called from any goroutine: those of one direction are done one after the
// other, those at an offset all at once.
//
// Closing: no new operation starts, those under way are cancelled, and when
// the last has ended the descriptor is closed. Closing earlier would let an
// operation in the kernel complete on whatever gets the number next.
type FD struct {
	sysfd  int
	driver *driver.Driver

	// refs counts the operations under way, plus closingBit once Close has
	// begun. Whoever brings it to closingBit alone closes handle.drained, which
	// Close has made before it set the bit.
	refs   atomic.Int64
	handle *handle

	rd, wr side

	// messages is there if the socket keeps messages, or has sent or received one.
	messages atomic.Pointer[messages]

	// behind is there once data may be sent after Send has returned, zero once
	// they may be sent without copying.
	behind atomic.Pointer[behind]
	zero   atomic.Pointer[zeroCopy]
}

const closingBit = 1 << 40

// New takes over a descriptor, which should be blocking, for the runtime,
// which must have a ring. It is closed by Close, or when the FD is garbage.
func New(rt *proactor.Runtime, sysfd int) *FD { return NewWatched(rt, sysfd, nil) }

// NewWatched is New with a function that is called when the descriptor has been
// closed because the FD was garbage. It must not wait, and if the FD can be
// reached from it, that never happens.
func NewWatched(rt *proactor.Runtime, sysfd int, forgotten func()) *FD {
	return &FD{sysfd: sysfd, driver: rt.Pick(), handle: owned(sysfd, forgotten)}
}

// Sysfd returns the descriptor's number. It is valid until Close returns.
func (fd *FD) Sysfd() int { return fd.sysfd }

// side is one direction of a descriptor.
type side struct {
	lock sync.Mutex // held by the operation that is at work

	// fate says why an operation must not go on, current is the one under way
	// in the ring. The operation publishes itself and then looks at fate; who
	// changes fate then looks at current: one sees the other.
	current atomic.Pointer[driver.Op]
	fate    atomic.Uint32

	// Used by the holder of lock.
	empty bool     // nothing is left to receive, as far as the last operation could tell
	req   *request // made when the ring is first needed

	deadline atomic.Pointer[deadline] // made when the first is set
}

// The bits of a side's fate.
const (
	fateExpired = 1 << iota
	fateClosed
	fateDraining // of an Acceptor: nothing may wait
)

// errDraining ends an Accept that waits when the socket is to be drained.
var errDraining = errors.New("draining")

// msgNoSignal is MSG_NOSIGNAL, the same on every Linux: a broken connection is
// an error, not a signal.
const msgNoSignal = 0x4000

// msgDontWait is MSG_DONTWAIT, likewise.
const msgDontWait = 0x40

// request is an operation of a goroutine that waits for it.
type request struct {
	driver.Op
	done chan struct{} // the operation has ended
}

func newRequest() *request {
	r := &request{done: make(chan struct{}, 1)}
	r.Sink = r
	return r
}

// Complete implements driver.Sink.
func (r *request) Complete(_ *driver.Op, c driver.Completion) {
	if c.Last {
		r.done <- struct{}{} // has room: an Op has one terminal completion
	}
}

// Ready implements driver.Target.
func (r *request) Ready() bool { return !r.Active() }

// await waits for the operation, which has been enqueued, and possibly drives
// the ring meanwhile.
func (r *request) await(d *driver.Driver) driver.Completion {
	d.Lead(r, false, nil)
	<-r.done
	return r.Result()
}

// incref starts an operation; it fails once Close has begun.
func (fd *FD) incref() error {
	for {
		refs := fd.refs.Load()
		if refs&closingBit != 0 {
			return net.ErrClosed
		}
		if fd.refs.CompareAndSwap(refs, refs+1) {
			return nil
		}
	}
}

// decref ends an operation.
func (fd *FD) decref() {
	if fd.refs.Dec() == closingBit {
		close(*fd.handle.drained.Load())
	}
}

// begin starts an operation of one direction.
func (fd *FD) begin(s *side) error {
	if err := fd.incref(); err != nil {
		return err
	}
	s.lock.Lock()
	if err := s.check(); err != nil {
		fd.end(s)
		return err
	}
	return nil
}

func (fd *FD) end(s *side) {
	s.lock.Unlock()
	fd.decref()
}

// check returns why an operation must not start.
func (s *side) check() error {
	switch fate := s.fate.Load(); {
	case fate&fateClosed != 0:
		return net.ErrClosed
	case fate&fateExpired != 0:
		return os.ErrDeadlineExceeded
	case fate&fateDraining != 0:
		return errDraining
	}
	return nil
}

// Complete implements driver.Sink.
func (s *side) Complete(op *driver.Op, c driver.Completion) { s.req.Complete(op, c) }

// Bound implements driver.Bounded.
func (s *side) Bound() driver.Deadliner { return s }

// request returns the direction's reusable operation.
func (s *side) request() *request {
	if s.req == nil {
		s.req = newRequest()
		s.req.Sink = s
	}
	return s.req
}

// run does the operation that r has been prepared for, on the ring, and returns
// its result or why it was ended. It is repeated if it was cancelled for a reason
// that does not hold any more.
//
// A goroutine that waits here may come to drive the ring, on its own stack, and
// ten thousand have a stack each: see Recv.
func (fd *FD) run(s *side, r *request) (driver.Completion, error) {
	r.Waits = true
	for {
		if err := fd.submit(s, &r.Op); err != nil {
			return driver.Completion{}, err
		}
		c := r.await(fd.driver)
		s.current.Store(nil)
		if err, again := s.outcome(c); !again {
			r.Buf = nil
			return c, err
		}
	}
}

// submit queues the operation and publishes it to those who may cancel it.
func (fd *FD) submit(s *side, op *driver.Op) error {
	if err := fd.driver.Enqueue(context.Background(), op); err != nil {
		return runtimeClosed(err)
	}
	s.current.Store(op)
	if s.fate.Load() != 0 {
		fd.driver.Cancel(op)
	}
	return nil
}

// outcome returns the error of a completed operation, or that it has to be
// repeated.
func (s *side) outcome(c driver.Completion) (err error, again bool) {
	switch errno := c.Err(); errno {
	case nil:
		return nil, false
	case error(syscall.ECANCELED):
		err := s.check()
		return err, err == nil
	case error(syscall.EINTR):
		return nil, true
	default:
		return errno, false
	}
}

// runtimeClosed turns the driver's error into what callers know.
func runtimeClosed(err error) error {
	if errors.Is(err, driver.ErrClosed) {
		return proactor.ErrClosed
	}
	return err
}

// Recv receives into b from a stream socket. It returns io.EOF at the end of
// the stream, and otherwise at least one byte or an error.
//
// It is in pieces so that a goroutine that waits has little on its stack: one
// that fits into the 2 KiB with which goroutines start, together with driving
// the ring, costs half of one that does not.
func (fd *FD) Recv(b []byte) (int, error) {
	n, err := fd.recvNow(b)
	if n != mustWait {
		return n, err
	}
	s := &fd.rd
	c, err := fd.run(s, s.req)
	return fd.received(c, err)
}

// mustWait is recvNow's result when only the ring can go on.
const mustWait = -1

// recvNow does Recv if that need not wait. Otherwise it returns mustWait, with
// the direction locked and its request prepared.
//
//go:noinline
func (fd *FD) recvNow(b []byte) (int, error) {
	s := &fd.rd
	if err := fd.begin(s); err != nil {
		if len(b) == 0 && err == os.ErrDeadlineExceeded {
			return 0, nil // nothing to wait for
		}
		return 0, err
	}
	if len(b) == 0 {
		fd.end(s)
		return 0, nil
	}
	m := fd.messages.Load()
	if m.kindOf() != Bytes {
		if n, done, err := fd.recvMessageNow(m, b); done {
			fd.end(s)
			return n, err
		}
	}
	if !s.empty {
		n, errno := sys.RecvNow(fd.sysfd, b)
		fd.driver.NoteInline(errno != syscall.EAGAIN)
		switch errno {
		case 0:
			s.empty = n < len(b)
			fd.end(s)
			return fd.eof(n)
		case syscall.EAGAIN, syscall.EINTR:
			s.empty = true
		default:
			fd.end(s)
			return 0, errno
		}
	}
	r := s.request()
	r.Buf = b
	// It will have to wait, so trying first would be for nothing.
	r.SQE.PrepRecv(fd.sysfd, b, 0, uring.IORING_RECVSEND_POLL_FIRST)
	return mustWait, nil
}

// received ends a Recv that has waited.
func (fd *FD) received(c driver.Completion, err error) (int, error) {
	s := &fd.rd
	if err != nil {
		fd.end(s)
		return 0, err
	}
	s.empty = c.Flags&uring.IORING_CQE_F_SOCK_NONEMPTY == 0
	if m := fd.messages.Load(); m.kindOf() != Bytes {
		m.waited(s)
	}
	fd.end(s)
	return fd.eof(int(c.Res))
}

// eof makes a receive of nothing the end of the stream, if there is a stream.
func (fd *FD) eof(n int) (int, error) {
	if n == 0 && fd.messages.Load().kindOf() != Datagrams {
		return 0, io.EOF
	}
	return n, nil
}

// Send sends all of b to a stream socket, or returns how much it sent and why
// not more. If SetBehind allows it, b is only copied to be sent soon; an error
// is then that of a later call.
func (fd *FD) Send(b []byte) (int, error) {
	s := &fd.wr
	if err := fd.begin(s); err != nil {
		return 0, err
	}
	defer fd.end(s)
	if fd.messages.Load().kindOf() != Bytes {
		return fd.sendPacket(s, b, nil, nil)
	}
	if z := fd.zero.Load(); z != nil && z.wants(len(b)) {
		return fd.sendZero(s, z, b, nil)
	}
	if w := fd.behind.Load(); w != nil {
		if taken, err := w.take(b); err != nil {
			return 0, err
		} else if taken {
			fd.driver.NoteBehind()
			return len(b), nil
		}
	}
	return fd.send(s, b)
}

// send does the work of Send.
func (fd *FD) send(s *side, b []byte) (int, error) {
	n, errno := sys.SendNow(fd.sysfd, b)
	fd.driver.NoteInline(errno == 0 && n == len(b))
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		n = 0
	case errno != 0:
		return 0, errno
	case n == len(b):
		return n, nil
	}
	r := s.request()
	for n < len(b) {
		r.Buf = b[n:]
		r.SQE.PrepSend(fd.sysfd, b[n:], msgNoSignal, 0)
		c, err := fd.run(s, r)
		if err != nil {
			return n, err
		}
		if c.Res == 0 {
			return n, io.ErrUnexpectedEOF
		}
		n += int(c.Res)
	}
	return n, nil
}

// Connect connects a socket to an address. If ctx ends first, the attempt is
// given up and the error is that of ctx.
func (fd *FD) Connect(ctx context.Context, addr *sys.Sockaddr) error {
	if err := ctx.Err(); err != nil {
		return err // a connect that needs no time would succeed
	}
	s := &fd.wr
	if err := fd.begin(s); err != nil {
		return err
	}
	defer fd.end(s)
	expired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		fd.expire(s)
		close(expired)
	})
	defer func() {
		if !stop() {
			<-expired
			s.spare(fateExpired) // it was for this attempt only
		}
	}()
	r := s.request()
	r.Keep = addr
	sys.PrepConnect(&r.SQE, fd.sysfd, addr)
	_, err := fd.run(s, r)
	r.Keep = nil
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, syscall.EISCONN) {
		// It was connected by an attempt that a signal interrupted.
		return nil
	}
	return err
}

// Control calls f with the descriptor, which stays open meanwhile.
func (fd *FD) Control(f func(sysfd int) error) error {
	if err := fd.incref(); err != nil {
		return err
	}
	defer fd.decref()
	return f(fd.sysfd)
}

// Close cancels what is under way, waits for it to end, and closes the
// descriptor. A second Close fails with net.ErrClosed. What Send has only
// copied is sent; if the peer does not read, in the background.
func (fd *FD) Close() error {
	if err := fd.Retire(); err != nil {
		return err
	}
	if w := fd.behind.Load(); w != nil {
		return w.close()
	}
	return sys.Close(fd.sysfd)
}

// Retire is Close without closing the descriptor, which is the caller's again.
func (fd *FD) Retire() error {
	drained, err := fd.Refuse()
	if err != nil {
		return err
	}
	<-drained
	fd.rd.stopTimer() // only now can nobody start it any more
	fd.wr.stopTimer()
	if m := fd.messages.Load(); m != nil {
		m.calm()
	}
	return nil
}

// Refuse begins a Close: no operation starts any more, and those that can be
// cancelled are. The channel is closed when the last has ended.
func (fd *FD) Refuse() (drained <-chan struct{}, err error) {
	ch := make(chan struct{})
	if !fd.handle.drained.CompareAndSwap(nil, &ch) {
		return nil, net.ErrClosed
	}
	fd.handle.disown()
	if fd.refs.Add(closingBit) == closingBit {
		close(ch)
	}
	for _, s := range []*side{&fd.rd, &fd.wr} {
		s.doom(fateClosed)
		fd.cancelCurrent(s)
	}
	return ch, nil
}

// doom adds a reason for operations not to go on.
func (s *side) doom(bit uint32) {
	for {
		fate := s.fate.Load()
		if s.fate.CompareAndSwap(fate, fate|bit) {
			return
		}
	}
}

// spare takes a reason away.
func (s *side) spare(bit uint32) {
	for {
		fate := s.fate.Load()
		if s.fate.CompareAndSwap(fate, fate&^bit) {
			return
		}
	}
}

// cancelCurrent cancels the operation that is under way in the ring. It may
// hit the next one instead, which run repeats if nothing speaks against it.
func (fd *FD) cancelCurrent(s *side) {
	if op := s.current.Load(); op != nil {
		fd.driver.Cancel(op)
	}
	if s != &fd.wr {
		return
	}
	if w := fd.behind.Load(); w != nil {
		w.poke()
	}
	if z := fd.zero.Load(); z != nil {
		z.giveUp(fd)
	}
}
