package poll

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// MaxBehind is how many bytes of a socket can be written and not yet sent.
const MaxBehind = 16 << 10

// Linger is how long a closed socket goes on sending what was written before,
// if its peer does not read.
const Linger = driver.Linger

// behind is what a stream socket has written and not sent yet, and its sending.
//
// While somebody gathers operations for the ring, Send copies small data into a
// buffer, queues the send, and returns: it is handed to the kernel in that
// goroutine's next turn, together with what others ask for, and nobody waits
// for its end. While nobody does, there is nothing to share the cost with, and
// Send sends by itself.
//
// One send at a time is under way, so bytes stay in order. What is written
// meanwhile is put behind it and goes with it if the kernel has not got it yet,
// and with the next otherwise. Whatever has been queued is looked at by
// whoever drives the ring, before he leaves or sleeps: so it is on its way
// when its writer goes on to wait for an answer.
type behind struct {
	fd *FD
	op driver.Op // the send under way

	// off and upto are the part of sending that op sends; they belong to whoever
	// has op: the holder of the guard while it is not under way, then the
	// driver.
	off, upto int

	// filled is the length of sending. It is stored, with the guard held, when
	// the bytes are there, and loaded by the driver.
	filled atomic.Int64

	// guard protects what follows. It is held for as long as it takes to copy
	// some bytes, and never waited for by a completion: one that finds it held
	// leaves itself to the holder, who deals with it before he gives the guard
	// back. There is at most one such, since only one send is under way.
	guard atomic.Uint32
	final driver.Completion // of a completion left to the holder
	fatal error             // why the driver has not taken the send, instead of final

	active  bool    // op is under way, or about to be submitted or dealt with
	blocked bool    // the kernel has no room for what is being sent
	shut    bool    // the sending direction is to be closed once all is sent, or has been
	orphan  bool    // the socket is to be closed once all is sent
	sending *buffer // what op sends, nil if not active
	next    *buffer // what is sent after that, or nil
	ahead   int     // length of next
	unsent  int     // bytes in both that have not been sent
	err     error   // a failure that no caller knows of yet, or what follows it
	lost    bool    // something was not sent that a Write had taken
	due     due     // what is to be done when the guard has been given back

	// waiting says that somebody waits for a token in nudge, and looks whether
	// what he waits for has happened. Who changes the direction's fate puts one
	// there, too.
	waiting bool
	nudge   chan struct{}

	enabled  atomic.Bool // new data may be sent behind
	dropping atomic.Bool // what is unsent is to be dropped; set before the send is cancelled
	linger   time.Duration
	timer    *time.Timer // ends an orphan
}

// The states of the guard.
const (
	guardFree = 0
	guardHeld = 1
	guardOwed = 2 // held, and a completion waits to be dealt with
)

// due is a set of things to do without the guard.
type due uint8

const (
	dueStart due = 1 << iota // submit the send
	dueNudge                 // wake who waits
	dueClose                 // close the orphan
)

// buffer holds bytes to be sent; how many is said elsewhere.
type buffer []byte

// smallBuffer is for a message or a few, so that those of many connections are
// in the processor's cache together; large ones are for what does not fit.
const smallBuffer = 1 << 10

var (
	smallBuffers = sync.Pool{New: func() any { b := make(buffer, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make(buffer, MaxBehind); return &b }}
)

func newBuffer(size int) *buffer {
	if size <= smallBuffer {
		return smallBuffers.Get().(*buffer)
	}
	return largeBuffers.Get().(*buffer)
}

// free gives a buffer back. Nil is none.
func (b *buffer) free() {
	switch {
	case b == nil:
	case len(*b) == smallBuffer:
		smallBuffers.Put(b)
	default:
		largeBuffers.Put(b)
	}
}

func newBehind(fd *FD) *behind {
	w := &behind{fd: fd, nudge: make(chan struct{}, 1), linger: Linger}
	w.op.Sink = w
	w.op.Waits, w.op.Lingers = true, true
	w.op.Late = w.prepare
	w.op.SQE.PrepSend(fd.sysfd, nil, 0, 0)
	return w
}

// SetBehind says whether small sends may return before they are done. Switched
// off, what has been written stays in order with what follows.
func (fd *FD) SetBehind(on bool) error {
	if err := fd.incref(); err != nil {
		return err
	}
	defer fd.decref()
	w := fd.behind.Load()
	if w == nil {
		if !on {
			return nil
		}
		w = newBehind(fd)
		if !fd.behind.CompareAndSwap(nil, w) {
			w = fd.behind.Load()
		}
	}
	w.enabled.Store(on)
	return nil
}

// hold takes the guard.
func (w *behind) hold() {
	for !w.guard.CompareAndSwap(guardFree, guardHeld) {
		runtime.Gosched() // held for as long as a copy takes
	}
}

// release gives the guard back and does what is due.
func (w *behind) release() {
	for {
		due := w.due
		w.due = 0
		if w.guard.CompareAndSwap(guardHeld, guardFree) {
			w.do(due)
			return
		}
		// A completion was left, and no other comes before the next send.
		w.guard.Store(guardHeld)
		w.due = due
		w.settle()
	}
}

func (w *behind) do(due due) {
	if due&dueNudge != 0 {
		w.poke()
	}
	if due&dueStart != 0 {
		w.start()
	}
	if due&dueClose != 0 {
		// Closing can take a while, and this may be whoever drives the ring.
		go w.closeOrphan()
	}
}

// poke makes who waits look again.
func (w *behind) poke() {
	select {
	case w.nudge <- struct{}{}:
	default:
	}
}

// start submits the send, for which active has been set.
func (w *behind) start() {
	err := w.fd.driver.TrySubmit(&w.op)
	switch {
	case err == nil:
		if w.dropping.Load() {
			w.fd.driver.Cancel(&w.op)
		}
	case errors.Is(err, driver.ErrFull):
		go func() { // this may be whoever drives the ring, who must not wait
			if err := w.fd.driver.Submit(context.Background(), &w.op); err != nil {
				w.deliver(driver.Completion{}, err)
			} else if w.dropping.Load() {
				w.fd.driver.Cancel(&w.op)
			}
		}()
	default:
		w.deliver(driver.Completion{}, err)
	}
}

// prepare fills in all that there is to send by now. It is called by the
// driver, just before the kernel gets it.
func (w *behind) prepare(op *driver.Op) {
	w.upto = int(w.filled.Load()) // pairs with the store in put
	op.Buf = (*w.sending)[w.off:w.upto]
	flags := uint32(msgNoSignal)
	if !w.blocked {
		flags |= msgDontWait // so that it is known soon whether there is room
	}
	op.SQE.PrepSend(w.fd.sysfd, op.Buf, flags, 0)
}

// Complete implements driver.Sink.
func (w *behind) Complete(_ *driver.Op, c driver.Completion) { w.deliver(c, nil) }

// deliver deals with the end of a send, or with why it was not taken, or leaves
// that to who has the guard.
func (w *behind) deliver(c driver.Completion, err error) {
	w.final, w.fatal = c, err
	for {
		switch {
		case w.guard.CompareAndSwap(guardFree, guardHeld):
			w.settle()
			w.release()
			return
		case w.guard.CompareAndSwap(guardHeld, guardOwed):
			return
		}
	}
}

// settle deals with the end of a send. The guard is held.
func (w *behind) settle() {
	w.active, w.op.Buf = false, nil
	res := int(w.final.Res)
	errno := syscall.Errno(max(-res, 0))
	switch {
	case w.fatal != nil:
		w.fail(runtimeClosed(w.fatal))
	case res > 0:
		w.off += res
		w.unsent -= res
		w.blocked = w.off < w.upto
	case errno == syscall.EAGAIN && !w.blocked:
		w.blocked = true
	case errno == syscall.EINTR, errno == syscall.ECANCELED:
		// Again, unless it is cancelled by drop, or the driver takes no more.
	case res == 0:
		w.fail(io.ErrUnexpectedEOF)
	default:
		w.fail(errno)
	}
	if w.unsent > 0 && w.dropping.Load() {
		w.fail(net.ErrClosed)
	}
	w.goOn()
}

// fail gives up what is unsent.
func (w *behind) fail(err error) {
	w.err, w.lost = err, true
	w.unsent = 0
	// If the connection is forgotten now, it is reset; see closeSocket.
	_ = sys.SetLinger(w.fd.sysfd, 0)
}

// report returns why something was lost, once. After that the connection is
// broken, as a socket is that has said why.
func (w *behind) report() error {
	err := w.err
	if w.lost && !errors.Is(err, proactor.ErrClosed) {
		w.err = syscall.EPIPE
	}
	return err
}

// goOn starts the next send, or does what waits for the end of the last. The
// guard is held and nothing is under way.
func (w *behind) goOn() {
	if w.unsent > 0 {
		if w.off == int(w.filled.Load()) {
			w.sending.free()
			w.sending, w.next = w.next, nil
			w.off = 0
			w.filled.Store(int64(w.ahead))
			w.ahead = 0
		}
		w.active = true
		w.due |= dueStart
		if !w.blocked {
			return
		}
	} else {
		w.sending.free()
		w.next.free()
		w.sending, w.next = nil, nil
		w.off, w.ahead, w.blocked = 0, 0, false
		w.filled.Store(0)
		if w.shut && !w.lost {
			_ = sys.ShutdownWrite(w.fd.sysfd)
		}
		if w.orphan {
			w.due |= dueClose
		}
	}
	if w.waiting {
		w.waiting = false
		w.due |= dueNudge
	}
}

// put adds data to what is unsent, for which there is room. The guard is held.
func (w *behind) put(b []byte) {
	w.unsent += len(b)
	if w.sending == nil {
		w.sending = newBuffer(len(b))
		w.active = true
		w.due |= dueStart
	}
	if filled := int(w.filled.Load()); w.next == nil && len(*w.sending)-filled >= len(b) {
		copy((*w.sending)[filled:], b)
		w.filled.Store(int64(filled + len(b))) // pairs with the load in prepare
		return
	}
	if w.next == nil {
		w.next = newBuffer(len(b))
	} else if len(*w.next)-w.ahead < len(b) {
		small := w.next
		w.next = newBuffer(MaxBehind)
		copy(*w.next, (*small)[:w.ahead])
		small.free()
	}
	w.ahead += copy((*w.next)[w.ahead:], b)
}

// take takes data to be sent behind. It reports false if they are to be sent
// the ordinary way: then nothing is unsent. The caller has the direction's
// lock.
func (w *behind) take(b []byte) (bool, error) {
	taken, err := w.admit(len(b))
	if taken {
		w.put(b)
		w.release()
	}
	return taken, err
}

// admit decides whether n bytes are sent behind, and returns with the guard held
// if so: the caller puts them. Otherwise it is like take.
func (w *behind) admit(n int) (bool, error) {
	for {
		w.hold()
		switch {
		case w.err != nil:
			err := w.report()
			w.release()
			return false, err
		case w.shut:
			w.release()
			return false, syscall.EPIPE
		case !w.active:
			if w.enabled.Load() && n > 0 && n <= MaxBehind && w.fd.driver.Gathering() {
				return true, nil
			}
			w.release()
			return false, nil
		case w.enabled.Load() && w.unsent+n <= MaxBehind:
			return true, nil
		}
		w.release()
		if err := w.await(false, w.fd.wr.check); err != nil {
			return false, err
		}
		w.release()
	}
}

// await waits until nothing is unsent, or, if blocked is enough, until there is
// no room for it in the kernel, and returns with the guard held. It fails
// without the guard when stop, asked whenever somebody pokes, says so. One
// goroutine at a time may wait: who has the direction's lock, or closes.
func (w *behind) await(blocked bool, stop func() error) error {
	for {
		w.hold()
		if !w.active || blocked && w.blocked {
			return nil
		}
		w.waiting = true
		w.release()
		if err := stop(); err != nil {
			return err
		}
		<-w.nudge
	}
}
