package proactor

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
)

// Do submits an operation and waits for its result. If ctx ends first, Do asks
// the kernel to cancel and still waits until it has let go of the operation's
// memory, as Completion.Wait does and with the same errors.
//
// The calling goroutine may find itself driving the ring meanwhile. Do
// allocates nothing for an operation that needs no memory besides what it is
// given, unless it has to wait and ctx can end.
func Do[T any, O Operation[T]](ctx context.Context, rt *Runtime, operation O) (T, error) {
	var zero T
	p := rt.takeRequest()
	defer rt.free(p)
	if err := operation.Prepare(&p.Request); err != nil {
		return zero, err
	}
	c, err := p.run(ctx, rt)
	if err != nil {
		return zero, err
	}
	v, err := operation.Result(&p.Request, c)
	if err != nil {
		p.discard(c)
		return zero, err
	}
	return v, nil
}

// Completion is an operation under way, and then its result. Its methods may
// be called from any goroutine.
//
// A Completion that its owner forgets does not leak: an operation that yields a
// descriptor is then abandoned when the garbage collector finds out; any other
// goes on to its end, so that one may submit a write and not wait for it.
type Completion[T any] struct {
	p         *pending
	operation Operation[T]
	cleanup   runtime.Cleanup // abandons p when this is forgotten

	once sync.Once // sets value and err, when p is done
	// What everybody who waits gets.
	value T
	err   error
}

// pending is the part of a Completion that the driver holds. It does not refer
// to the Completion, so that one can be found forgotten while its operation is
// under way.
type pending struct {
	Request
	driver *driver.Driver
	done   chan struct{} // closed after final is set
	final  driver.Completion

	// fate decides what becomes of what the operation yields: the first of a
	// taker, which sets it to taken, and of abandon together with Complete
	// wins.
	fate  atomic.Uint32
	cause atomic.Error // why the operation has been cancelled, by the first to do so

	arrivals chan<- int // told index when the operation has completed, if not nil
	index    int
}

const (
	fateOpen      = 0
	fateTaken     = 1 // somebody has the result
	fateAbandoned = 2 // nobody wants the result
	fateDiscarded = 3 // nor is there one any more
)

// newPending prepares an operation for submission.
func newPending[T any](operation Operation[T]) (*pending, error) {
	p := &pending{done: make(chan struct{})}
	if err := operation.Prepare(&p.Request); err != nil {
		return nil, err
	}
	p.Sink = p
	return p, nil
}

// newCompletion returns the handle of an operation.
func newCompletion[T any](operation Operation[T], p *pending) *Completion[T] {
	c := &Completion[T]{p: p, operation: operation}
	if p.yields() {
		c.cleanup = runtime.AddCleanup(c, (*pending).abandon, p)
	}
	return c
}

// Submit hands an operation to the Runtime and returns without waiting for its
// result. It waits only if too many operations are under way, until ctx ends.
// An error says that nothing was submitted.
func Submit[T any](ctx context.Context, rt *Runtime, operation Operation[T]) (*Completion[T], error) {
	p, err := newPending(operation)
	if err != nil {
		return nil, err
	}
	if p.driver, err = rt.place(ctx, &p.Request); err != nil {
		return nil, err
	}
	if err := p.driver.Submit(ctx, &p.Op); err != nil {
		return nil, submitError(ctx, err)
	}
	return newCompletion(operation, p), nil
}

// Complete implements driver.Sink.
func (p *pending) Complete(_ *driver.Op, c driver.Completion) {
	c, last := p.arrived(c)
	if !last {
		return
	}
	p.final = c
	close(p.done)
	if p.fate.Load() == fateAbandoned {
		p.discardOnce()
	}
	if p.arrivals != nil {
		p.arrivals <- p.index // has room for every operation
	}
}

// Ready implements driver.Target.
func (p *pending) Ready() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// await waits for the completion, and cancels the operation if ctx ends first.
func (p *pending) await(ctx context.Context) {
	if p.Ready() {
		return
	}
	var w watch
	p.driver.Lead(p, false, func() {
		if ctx.Done() != nil {
			w.start(ctx, func() { p.cancel(contextError(ctx)) })
		}
	})
	select {
	case <-p.done:
	case <-ctx.Done():
		p.cancel(contextError(ctx))
		<-p.done
	}
	w.end()
}

// cancel asks the kernel to end the operation. If it does, cause is the error.
func (p *pending) cancel(cause error) bool {
	p.cause.CompareAndSwap(nil, cause) // before anybody can see ECANCELED
	return p.driver.Cancel(&p.Op)
}

// abandon gives the result up, if nobody has taken it.
func (p *pending) abandon() {
	if !p.fate.CompareAndSwap(fateOpen, fateAbandoned) {
		return
	}
	p.cancel(errAbandoned)
	if p.Ready() {
		// Complete may have looked at fate before it was set.
		p.discardOnce()
	}
	// Otherwise Complete, which closes done before it looks at fate, will see it.
}

// discardOnce gets rid of what the operation yielded and nobody wants.
func (p *pending) discardOnce() {
	if p.fate.CompareAndSwap(fateAbandoned, fateDiscarded) {
		p.discard(p.final)
	}
}

// errAbandoned is the result of an operation that has been abandoned.
var errAbandoned = fmt.Errorf("proactor: result of an abandoned operation: %w", os.ErrInvalid)

// Done returns a channel that is closed when the operation has completed.
func (c *Completion[T]) Done() <-chan struct{} { return c.p.done }

// Wait waits for the operation and returns its result. If ctx ends first, Wait
// asks the kernel to cancel, and still waits until it has let go of the
// operation's memory; the package's documentation says how long that may take.
// A result that came before the cancellation is returned as such, so that
// nothing is lost. Otherwise the error is that of ctx, and matches also the
// context's cause.
//
// Several goroutines may wait, and one may wait several times: all get the same
// result or error, also if it was the context of only one that ended. A
// descriptor in the result belongs to them together.
func (c *Completion[T]) Wait(ctx context.Context) (T, error) {
	c.p.await(ctx)
	c.once.Do(c.take)
	return c.value, c.err
}

// Result is Wait without a bound.
func (c *Completion[T]) Result() (T, error) { return c.Wait(context.Background()) }

// Cancel asks the kernel to end the operation, and does not wait for that. It
// reports whether the operation was still under way and nobody had cancelled it
// before; the result is known when Done is closed. An operation that Cancel has
// ended fails with ErrCanceled.
func (c *Completion[T]) Cancel() bool { return c.p.cancel(ErrCanceled) }

// Abandon gives the operation up: it is cancelled, nobody needs to wait for
// it, its memory stays reachable until the kernel has let go of it, and a
// descriptor, a connection or the two ends of a pipe that it yields all the
// same are closed. The buffers that it was given must not be used again. Wait
// fails with an error that matches os.ErrInvalid, unless somebody has had the
// result before; then Abandon does nothing.
func (c *Completion[T]) Abandon() { c.p.abandon() }

// take makes the result of an operation that has completed.
func (c *Completion[T]) take() {
	p := c.p
	if !p.fate.CompareAndSwap(fateOpen, fateTaken) {
		c.err = errAbandoned
		return
	}
	c.cleanup.Stop()
	c.err = p.failure(p.final)
	if c.err == errCancelled {
		c.err = whyCancelled(p.cause.Load(), nil, p.driver, &p.Request)
	}
	if c.err != nil {
		return
	}
	if c.value, c.err = c.operation.Result(&p.Request, p.final); c.err != nil {
		p.discard(p.final)
	}
}
