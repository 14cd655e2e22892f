package proactor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
)

// Operation is something the kernel can be asked to do, as a value, with a
// result of type T. The operations of this package are the ready-made ones;
// any type with these methods is one too.
type Operation[T any] interface {
	// Prepare fills in what to submit and what memory it needs.
	Prepare(*Request) error

	// Result turns the terminal completion, which is not an error, into the
	// operation's result.
	Result(*Request, driver.Completion) (T, error)
}

// Request is an operation as it is handed to the driver.
type Request struct {
	driver.Op

	// Expected is an errno that is a success of this operation, such as ETIME
	// of a timeout; zero for none.
	Expected syscall.Errno

	// OwnsFD says that a successful result is a new descriptor. It is closed
	// if nobody takes it.
	OwnsFD bool

	// On is the shard that must do it, because it uses what is registered
	// there; nil for any.
	On *Shard
}

// Completion is an operation under way, and then its result.
type Completion[T any] struct {
	req       Request
	operation Operation[T]
	driver    *driver.Driver
	done      chan struct{} // closed after final is set
	final     driver.Completion

	// fate decides what becomes of a descriptor: the first of a taker, which
	// sets it to taken, and Abandon together with the completion wins.
	fate      atomic.Uint32
	cancelled atomic.Bool // Cancel was called
}

const (
	fateOpen      = 0
	fateTaken     = 1 // somebody has the result
	fateAbandoned = 2 // nobody wants the result
	fateDiscarded = 3 // nor is there one any more
)

// Submit hands an operation to the Runtime and returns without waiting for its
// result. It waits only if too many operations are under way, until ctx ends.
// An error says that nothing was submitted.
func Submit[T any](ctx context.Context, rt *Runtime, operation Operation[T]) (*Completion[T], error) {
	if !rt.HasRing() {
		return nil, rt.reason
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &Completion[T]{operation: operation, done: make(chan struct{})}
	if err := operation.Prepare(&c.req); err != nil {
		return nil, err
	}
	shard, err := rt.home(&c.req)
	if err != nil {
		return nil, err
	}
	c.driver = shard.driver
	c.req.Sink = c
	if err := c.driver.Submit(ctx, &c.req.Op); err != nil {
		if errors.Is(err, driver.ErrClosed) {
			err = ErrClosed
		}
		return nil, err
	}
	return c, nil
}

// Do submits an operation and waits for its result. If ctx ends first, the
// operation is cancelled; see Completion.Wait.
func Do[T any](ctx context.Context, rt *Runtime, operation Operation[T]) (T, error) {
	c, err := Submit(ctx, rt, operation)
	if err != nil {
		var zero T
		return zero, err
	}
	return c.Wait(ctx)
}

// Complete implements driver.Sink; it is not for others to call.
func (c *Completion[T]) Complete(_ *driver.Op, final driver.Completion) {
	if !final.Last {
		return
	}
	c.final = final
	close(c.done)
	if c.fate.Load() == fateAbandoned {
		c.discard()
	}
}

// Done returns a channel that is closed when the operation has completed.
func (c *Completion[T]) Done() <-chan struct{} { return c.done }

// Wait waits for the operation and returns its result. If ctx ends first, Wait
// asks the kernel to cancel, and still waits until it has let go of the
// operation's memory: that is at once for operations that wait for a peer, and
// the time of the transfer for I/O on regular files, which cannot be
// interrupted. A result that came before the cancellation is returned as such,
// so that nothing is lost; otherwise the error is that of ctx.
//
// Several goroutines may wait; all get the same result. A descriptor in it
// belongs to them together.
func (c *Completion[T]) Wait(ctx context.Context) (T, error) {
	select {
	case <-c.done:
	case <-ctx.Done():
		c.driver.Cancel(&c.req.Op)
		<-c.done
	}
	v, err := c.take()
	if err != nil && errors.Is(err, errCancelled) {
		err = c.why(ctx)
	}
	return v, err
}

// Result is Wait without a bound.
func (c *Completion[T]) Result() (T, error) { return c.Wait(context.Background()) }

// Cancel asks the kernel to end the operation. It reports whether the request
// was made; the result is known when Done is closed.
func (c *Completion[T]) Cancel() bool {
	c.cancelled.Store(true)
	return c.driver.Cancel(&c.req.Op)
}

// Abandon gives the operation up: it is cancelled, nobody needs to wait for
// it, its memory stays reachable until the kernel has let go of it, and a
// descriptor that it yields all the same is closed. The buffers that it was
// given must not be used again.
func (c *Completion[T]) Abandon() {
	if !c.fate.CompareAndSwap(fateOpen, fateAbandoned) {
		return
	}
	c.driver.Cancel(&c.req.Op)
	select {
	case <-c.done:
		// Complete may have looked at fate before it was set.
		c.discard()
	default:
		// Complete, which closes done before it looks at fate, will see it.
	}
}

// discard closes a descriptor that nobody wants.
func (c *Completion[T]) discard() {
	if c.req.OwnsFD && c.final.Res >= 0 && c.fate.CompareAndSwap(fateAbandoned, fateDiscarded) {
		_ = sys.Close(int(c.final.Res))
	}
}

// errCancelled stands for ECANCELED until it is known why.
var errCancelled = errors.New("cancelled")

// take returns the result of a completed operation.
func (c *Completion[T]) take() (T, error) {
	var zero T
	if !c.fate.CompareAndSwap(fateOpen, fateTaken) && c.fate.Load() != fateTaken {
		return zero, fmt.Errorf("proactor: result of an abandoned operation: %w", os.ErrInvalid)
	}
	switch errno := c.final.Err(); {
	case errno == nil, c.req.Expected != 0 && errno == error(c.req.Expected):
		return c.operation.Result(&c.req, c.final)
	case errno == error(syscall.ECANCELED):
		return zero, errCancelled
	default:
		return zero, os.NewSyscallError(syscallName(c.req.SQE.Opcode), errno)
	}
}

// why returns the error of an operation that was cancelled.
func (c *Completion[T]) why(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case c.cancelled.Load():
		return ErrCanceled
	default:
		return ErrClosed
	}
}
