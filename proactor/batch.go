package proactor

import (
	"context"
	"fmt"
	"iter"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
)

// Outcome is what became of one of several operations.
type Outcome[T any] struct {
	Value T
	Err   error
}

// DoAll submits several operations at once, on one ring and with one system
// call if they fit, and waits for all of them. The outcomes are in the order of
// the operations, and all of them are valid: that one operation fails does not
// stop the others, which the kernel carries out in any order. The error is that
// of the first operation, in their order, that failed, and says which it is.
//
// If ctx ends first, those under way are cancelled and those not yet submitted
// fail; DoAll returns when the kernel has let go of all their memory. If an
// operation cannot be prepared, none is submitted.
func DoAll[T any, O Operation[T]](ctx context.Context, rt *Runtime, operations ...O) ([]Outcome[T], error) {
	outcomes := make([]Outcome[T], len(operations))
	requests := make([]*pooled, len(operations))
	defer func() {
		for _, p := range requests {
			if p != nil {
				rt.free(p)
			}
		}
	}()
	for i, operation := range operations {
		requests[i] = rt.takeRequest()
		if err := operation.Prepare(&requests[i].Request); err != nil {
			return failAll(outcomes, nthError(i, len(operations), err))
		}
	}
	errs, err := runAll(ctx, rt, requests)
	if err != nil {
		return failAll(outcomes, err)
	}
	var first error
	for i, operation := range operations {
		o, p := &outcomes[i], requests[i]
		if o.Err = errs[i]; o.Err == nil {
			if o.Value, o.Err = operation.Result(&p.Request, p.final); o.Err != nil {
				p.discard(p.final)
			}
		}
		if o.Err != nil && first == nil {
			first = nthError(i, len(operations), o.Err)
		}
	}
	return outcomes, first
}

// nthError says of which operation an error is.
func nthError(i, n int, err error) error {
	return fmt.Errorf("proactor: operation %d of %d: %w", i+1, n, err)
}

// failAll is the outcome of operations none of which was submitted.
func failAll[T any](outcomes []Outcome[T], err error) ([]Outcome[T], error) {
	for i := range outcomes {
		outcomes[i].Err = err
	}
	return outcomes, err
}

// runAll submits the requests and waits for all of them. It returns what became
// of each; an error says that none was submitted.
func runAll(ctx context.Context, rt *Runtime, requests []*pooled) ([]error, error) {
	errs := make([]error, len(requests))
	if len(requests) == 0 {
		return errs, nil
	}
	g := newGroup(len(requests))
	ops := make([]*driver.Op, len(requests))
	all := make([]*Request, len(requests))
	for i, p := range requests {
		p.Sink, p.group, p.ctx = p, g, ctx
		ops[i], all[i] = &p.Op, &p.Request
	}
	d, err := rt.placeAll(ctx, all)
	if err != nil {
		return nil, err
	}
	n, err := d.EnqueueAll(ctx, ops)
	if n < len(ops) {
		g.left.Sub(int64(len(ops) - n))
	}
	g.await(ctx, d, ops[:n])
	for i, p := range requests {
		switch {
		case i >= n:
			errs[i] = submitError(ctx, err)
		default:
			if errs[i] = p.failure(p.final); errs[i] == errCancelled {
				errs[i] = whyCancelled(nil, ctx, d, &p.Request)
			}
		}
	}
	return errs, nil
}

// group is what a goroutine waits for that waits for several operations.
type group struct {
	left     atomic.Int64
	progress chan struct{} // has a token when an operation has completed
}

func newGroup(n int) *group {
	g := &group{progress: make(chan struct{}, 1)}
	g.left.Store(int64(n))
	return g
}

// completed is called for each operation. The token comes after left is
// lowered, so whoever takes it sees that.
func (g *group) completed() {
	g.left.Dec()
	select {
	case g.progress <- struct{}{}:
	default:
	}
}

// Ready implements driver.Target.
func (g *group) Ready() bool { return g.left.Load() <= 0 }

// await waits for all operations, and cancels them if ctx ends first.
func (g *group) await(ctx context.Context, d *driver.Driver, ops []*driver.Op) {
	cancel := func() {
		for _, op := range ops {
			d.Cancel(op)
		}
	}
	var w watch
	ended := ctx.Done()
	for eager := true; ; eager = false {
		d.Lead(g, eager, func() {
			if ctx.Done() != nil && w.stop == nil {
				w.start(ctx, cancel)
			}
		})
		if g.Ready() {
			break
		}
		select {
		case <-g.progress:
		case <-ended:
			cancel()
			ended = nil
		}
	}
	w.end()
}

// Batch is several operations that were submitted together.
type Batch[T any] struct {
	completions []*Completion[T]
	driver      *driver.Driver
	arrivals    arrivals
	unclaimed   atomic.Int64 // arrivals that no loop waits for
}

// arrivals has the index of each operation that has completed.
type arrivals chan int

// Ready implements driver.Target.
func (a arrivals) Ready() bool { return len(a) > 0 }

// SubmitAll hands several operations to one ring, with one system call if they
// fit, and returns without waiting for their results. It waits only if too many
// operations are under way, until ctx ends. An error says that none is under
// way; where it is that of ctx, or ErrClosed, some may have been carried out
// before.
func SubmitAll[T any, O Operation[T]](ctx context.Context, rt *Runtime, operations ...O) (*Batch[T], error) {
	b := &Batch[T]{
		completions: make([]*Completion[T], len(operations)),
		arrivals:    make(arrivals, len(operations)),
	}
	b.unclaimed.Store(int64(len(operations)))
	if len(operations) == 0 {
		return b, nil
	}
	ops := make([]*driver.Op, len(operations))
	all := make([]*Request, len(operations))
	for i, operation := range operations {
		p, err := newPending[T](operation)
		if err != nil {
			return nil, nthError(i, len(operations), err)
		}
		p.arrivals, p.index = b.arrivals, i
		ops[i], all[i] = &p.Op, &p.Request
		b.completions[i] = newCompletion[T](operation, p)
	}
	var err error
	if b.driver, err = rt.placeAll(ctx, all); err != nil {
		b.forget(0)
		return nil, err
	}
	for _, c := range b.completions {
		c.p.driver = b.driver
	}
	n, err := b.driver.SubmitAll(ctx, ops)
	if err != nil {
		for _, c := range b.completions[:n] {
			c.Abandon()
			<-c.Done()
		}
		b.forget(n)
		return nil, submitError(ctx, err)
	}
	return b, nil
}

// forget gives up the operations from n on, which were not submitted: there is
// nothing to abandon.
func (b *Batch[T]) forget(n int) {
	for _, c := range b.completions[n:] {
		c.cleanup.Stop()
	}
}

// Len returns the number of operations.
func (b *Batch[T]) Len() int { return len(b.completions) }

// At returns the operation that was given to SubmitAll in the i-th place, from 0
// on.
func (b *Batch[T]) At(i int) *Completion[T] { return b.completions[i] }

// Wait waits for all operations and returns what became of them, and an error,
// as DoAll does. If ctx ends first, those under way are cancelled.
func (b *Batch[T]) Wait(ctx context.Context) ([]Outcome[T], error) {
	outcomes := make([]Outcome[T], len(b.completions))
	var first error
	for i, c := range b.completions {
		v, err := c.Wait(ctx)
		outcomes[i] = Outcome[T]{v, err}
		if err != nil && first == nil {
			first = nthError(i, len(b.completions), err)
		}
	}
	return outcomes, first
}

// Completed yields the operations as they complete, with their indexes, each
// of them once: what one loop has had, the next does not get. If ctx ends, those
// under way are cancelled, and the loop goes on until it has yielded all. A loop
// that is left early leaves the others under way.
func (b *Batch[T]) Completed(ctx context.Context) iter.Seq2[int, *Completion[T]] {
	return func(yield func(int, *Completion[T]) bool) {
		cancel := func() {
			err := contextError(ctx)
			for _, c := range b.completions {
				c.p.cancel(err)
			}
		}
		ended := ctx.Done()
		for range b.completions {
			i, ok := b.next(ctx, cancel, &ended)
			if !ok || !yield(i, b.completions[i]) {
				return
			}
		}
	}
}

// next returns the next operation to complete. It reports false if other loops
// have had the rest.
func (b *Batch[T]) next(ctx context.Context, cancel func(), ended *<-chan struct{}) (int, bool) {
	if b.unclaimed.Dec() < 0 {
		b.unclaimed.Inc()
		return 0, false
	}
	var w watch
	defer w.end()
	b.driver.Lead(b.arrivals, false, func() {
		if ctx.Done() != nil {
			w.start(ctx, cancel)
		}
	})
	for {
		select {
		case i := <-b.arrivals:
			return i, true
		case <-*ended:
			cancel()
			*ended = nil
		}
	}
}

// Cancel asks the kernel to end all operations that are under way.
func (b *Batch[T]) Cancel() {
	for _, c := range b.completions {
		c.Cancel()
	}
}

// Abandon gives all operations up whose results nobody has had; see
// Completion.Abandon.
func (b *Batch[T]) Abandon() {
	for _, c := range b.completions {
		c.Abandon()
	}
}
