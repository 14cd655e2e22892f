package proactor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// Operation is something the kernel can be asked to do, as a value, with a
// result of type T. The operations of this package are the ready-made ones;
// any type with these methods is one too.
//
// An Operation must be ready to be prepared again: nothing that Prepare does
// may change it.
type Operation[T any] interface {
	// Prepare fills in what to submit, by one of the Prep methods of
	// Request.SQE, and what memory it needs. It is called once for each
	// submission, with a Request that is all zero apart from that, and must not
	// keep the Request. An error refuses the operation and is returned as it is.
	Prepare(*Request) error

	// Result turns the completion into the operation's result. It is called at
	// most once for each submission, after the kernel has let go of the memory,
	// and only if the completion is a success (or Request.Expected). It must not
	// keep the Request, but may keep what Keep refers to. If it returns an
	// error, what the operation yielded is discarded; see Request.Discard.
	Result(*Request, driver.Completion) (T, error)
}

// Request is an operation as it is handed to the driver. Prepare sets the
// exported fields, also those of Op, apart from Sink. All memory that the
// kernel reads or writes for the operation must be reachable from Op.Buf or
// Op.Keep, because SQE holds addresses as mere numbers; the Request is kept
// until the terminal completion, whatever becomes of who submitted it.
type Request struct {
	driver.Op

	// Expected is an errno that is a success of this operation, such as ETIME
	// of a timeout; zero for none.
	Expected syscall.Errno

	// On is the shard that must do it, because it uses what is registered
	// there; nil for any.
	On *Shard

	// OwnsFD says that a success yields a new descriptor as its result. It is
	// closed if nobody takes it.
	OwnsFD bool

	// Discard, if not nil, gets rid of what a success yielded and nobody takes,
	// where closing the result as a descriptor is not the way: it replaces that.
	// It is called once, by the goroutine that drives the ring or by the one
	// that gave the operation up; it must not block.
	Discard func(*Request, driver.Completion)

	// Notifies says that the operation completes twice, as zero-copy sends do:
	// the first completion has the result, and the second says that the kernel
	// does not read the memory any more. Result gets the first; Notification
	// returns the second.
	Notifies bool

	// Interim, if not nil, is told of every completion but the terminal one of
	// an operation that has several. It is called by the goroutine that drives
	// the ring; it must neither block nor submit anything.
	Interim func(*Request, driver.Completion)

	first, notification driver.Completion
	notified            bool // first is set
	iovecs              []uring.Iovec
	lasting             []byte // memory that the kernel keeps when it is done
}

// Notification returns the second completion of an operation that Notifies, and
// whether there was one: a send that the kernel refuses has none.
func (r *Request) Notification() (driver.Completion, bool) {
	return r.notification, r.notified && r.notification.Last
}

// eager reports whether the operation probably completes as soon as it is
// submitted: it does not wait for anybody, or only until somebody takes what it
// sends.
func (r *Request) eager() bool {
	switch r.SQE.Opcode {
	case uring.IORING_OP_SEND, uring.IORING_OP_SENDMSG, uring.IORING_OP_WRITE, uring.IORING_OP_WRITEV:
		return true
	}
	return !r.Waits
}

// arrived takes note of a completion. When it is the terminal one, arrived
// returns the one that has the result, and true.
func (r *Request) arrived(c driver.Completion) (driver.Completion, bool) {
	switch {
	case !c.Last && r.Notifies:
		r.first, r.notified = c, true
		return c, false
	case !c.Last:
		if r.Interim != nil {
			r.Interim(r, c)
		}
		return c, false
	case r.notified:
		r.notification = c
		first := r.first
		first.Last = true
		return first, true
	}
	return c, true
}

// yields reports whether a success has to be discarded if nobody takes it.
func (r *Request) yields() bool { return r.OwnsFD || r.Discard != nil }

// discard gets rid of what a completion yielded.
func (r *Request) discard(c driver.Completion) {
	switch {
	case r.failed(c) != nil:
	case r.Discard != nil:
		r.Discard(r, c)
	case r.OwnsFD:
		_ = sys.Close(int(c.Res))
	}
}

// failed returns the errno of a completion that is not a success.
func (r *Request) failed(c driver.Completion) error {
	errno := c.Err()
	if errno == nil || r.Expected != 0 && errno == error(r.Expected) {
		return nil
	}
	return errno
}

// failure returns the error of a completion that is not a success. Why an
// operation was cancelled is the caller's to say.
func (r *Request) failure(c driver.Completion) error {
	switch errno := r.failed(c); errno {
	case nil:
		return nil
	case error(syscall.ECANCELED):
		return errCancelled
	default:
		return os.NewSyscallError(syscallName(r.SQE.Opcode), errno)
	}
}

// errCancelled stands for ECANCELED until it is known why.
var errCancelled = errors.New("cancelled")

// reset makes the Request ready for another operation, and lets the memory of
// the last one go.
func (r *Request) reset() {
	r.SQE, r.Buf, r.Keep, r.Waits = uring.SQE{}, nil, nil, false
	r.Lingers, r.Late = false, nil
	r.Expected, r.On, r.OwnsFD, r.Discard = 0, nil, false, nil
	r.Notifies, r.Interim = false, nil
	r.first, r.notification, r.notified = driver.Completion{}, driver.Completion{}, false
	r.lasting = nil
	clear(r.iovecs)
	r.iovecs = r.iovecs[:0]
}

// pooled is a Request for one goroutine that waits.
type pooled struct {
	Request
	waiter *driver.Waiter

	// group, if not nil, is told of the completion in waiter's stead, and final
	// is it.
	group *group
	final driver.Completion

	ctx context.Context // of the operation under way
}

// Bound implements driver.Bounded.
func (p *pooled) Bound() driver.Deadliner { return p.ctx }

// takeRequest returns a Request from the Runtime's pool. Each Runtime has its
// own, because a channel belongs to the bubble of testing/synctest that it was
// made in.
func (rt *Runtime) takeRequest() *pooled {
	if p, ok := rt.requests.Get().(*pooled); ok {
		return p
	}
	p := &pooled{waiter: driver.NewWaiter()}
	p.Sink = p
	return p
}

// free gives the Request back, which must not be under way.
func (rt *Runtime) free(p *pooled) {
	p.reset()
	p.Sink, p.group, p.ctx = p, nil, nil
	rt.requests.Put(p)
}

// Complete implements driver.Sink.
func (p *pooled) Complete(_ *driver.Op, c driver.Completion) {
	c, last := p.arrived(c)
	switch {
	case !last:
	case p.group != nil:
		p.final = c
		p.group.completed()
	default:
		p.waiter.Complete(&p.Op, c)
	}
}

// run submits the Request and returns its completion, which is a success, or an
// error. The kernel has let go of the memory in any case.
func (p *pooled) run(ctx context.Context, rt *Runtime) (driver.Completion, error) {
	d, err := rt.place(ctx, &p.Request)
	if err != nil {
		return driver.Completion{}, err
	}
	p.Sink, p.ctx = p, ctx
	if err := d.Enqueue(ctx, &p.Op); err != nil {
		return driver.Completion{}, submitError(ctx, err)
	}
	var w watch
	d.Lead(p.waiter, p.eager(), func() {
		if ctx.Done() != nil {
			w.start(ctx, func() { d.Cancel(&p.Op) })
		}
	})
	var c driver.Completion
	select {
	case c = <-p.waiter.Done():
	case <-ctx.Done():
		d.Cancel(&p.Op)
		c = <-p.waiter.Done()
	}
	w.end()
	err = p.failure(c)
	if err == errCancelled {
		err = whyCancelled(nil, ctx, d, &p.Request)
	}
	return c, err
}

// watch does something when a context ends.
type watch struct {
	stop func() bool
	did  chan struct{}
}

// start makes the watch call f if ctx ends before the watch does.
func (w *watch) start(ctx context.Context, f func()) {
	did := make(chan struct{})
	w.did = did
	w.stop = context.AfterFunc(ctx, func() {
		f()
		close(did)
	})
}

// end ends the watch. When it returns, f is not running and will not run.
func (w *watch) end() {
	if w.stop != nil && !w.stop() {
		<-w.did
	}
}

// whyCancelled returns the error of an operation that came back cancelled:
// cause if there is one, or the end of ctx, or of the driver.
func whyCancelled(cause error, ctx context.Context, d *driver.Driver, r *Request) error {
	switch {
	case cause != nil:
		return cause
	case ctx != nil && ctx.Err() != nil:
		return contextError(ctx)
	case d.Closing():
		return ErrClosed
	}
	// Nobody of ours: the kernel or a device means it.
	return os.NewSyscallError(syscallName(r.SQE.Opcode), syscall.ECANCELED)
}

// contextError returns the error of a context that has ended, which matches
// both its Err and its cause.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	switch {
	case cause == nil || cause == err:
		return err
	case errors.Is(cause, err):
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// submitError turns the error of a driver that did not take an operation into
// what callers know.
func submitError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, driver.ErrClosed):
		return ErrClosed
	case ctx.Err() != nil:
		return contextError(ctx)
	}
	return err
}
