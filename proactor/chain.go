package proactor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

var (
	// ErrChainBroken is matched by the error of a member of a Chain that was
	// not done because of another; see ChainError.
	ErrChainBroken = errors.New("proactor: chain is broken")

	// ErrChainTooLong is wrapped by the error of a Chain that does not fit into
	// the submission queue.
	ErrChainTooLong = driver.ErrChainTooLong
)

// Chain is operations that the kernel does one after the other, without the
// program having to wait in between. It is built with Then and Always,
// submitted once, by Do or Submit, and gives each member's result.
//
//	c := proactor.NewChain()
//	wrote := proactor.Then(c, proactor.WriteAt{FD: fd, Buf: record, Offset: end})
//	proactor.Then(c, proactor.Fsync{FD: fd})
//	err := c.Do(ctx, rt)
//	n, err := wrote.Result()
//
// A chain is submitted in one piece or not at all. It can have as many members
// as the submission queue has entries (Config.SQEntries), where each Within
// counts as one more. If one thread of the process ends while a member waits
// that it has submitted, the kernel cancels that member; the chain is then
// submitted again from there on, with the member's time limit starting anew.
//
// What members yield belongs to those who call Result. Unlike a Completion, a
// Chain that is forgotten lets go of nothing: where members yield descriptors,
// defer Abandon, which closes those that nobody has taken.
//
// A Chain is built by one goroutine; once it is submitted, all of its methods
// may be called from any.
type Chain struct {
	members []member
	ops     []*driver.Op // of the members and their time limits, in order
	err     error        // of building it

	driver *driver.Driver
	left   int // members not completed; belongs to whoever drives the ring
	done   chan struct{}

	reason    atomic.Error // why it has been cancelled, by the first to do so
	abandoned atomic.Bool
}

// member is a Member whatever its type.
type member interface {
	request() *Request
	base() *link
	prepare() error
	error() error
	discard()
}

// link is what a Member is apart from its type.
type link struct {
	req   Request
	chain *Chain
	index int
	final driver.Completion
	limit *limit

	// fate says who has what a member yields: the first of Result and Abandon
	// gets it.
	fate atomic.Uint32
}

// limit is the time limit of a member.
type limit struct {
	req   Request
	after time.Duration
	chain *Chain
	final driver.Completion
}

// Member is an operation in a Chain.
type Member[T any] struct {
	link
	operation Operation[T]

	once sync.Once // sets value and err, when the chain is done
	// What everybody gets who asks for the result.
	value T
	err   error
}

// NewChain returns an empty Chain.
func NewChain() *Chain {
	return &Chain{done: make(chan struct{})}
}

// Then appends an operation that is done if the one before it succeeds. One
// that fails, or transfers fewer bytes than it was asked to, ends the chain; so
// does a Timeout, whose expiry the kernel takes for a failure.
func Then[T any](c *Chain, operation Operation[T]) *Member[T] {
	return appendTo(c, operation, uring.IOSQE_IO_LINK)
}

// Always appends an operation that is done after the one before it, whatever
// became of that. Only a refusal of an entry, which the kernel finds before it
// does anything, or a cancellation of the chain keeps it from being done.
func Always[T any](c *Chain, operation Operation[T]) *Member[T] {
	return appendTo(c, operation, uring.IOSQE_IO_HARDLINK)
}

func appendTo[T any](c *Chain, operation Operation[T], how uring.SQEFlags) *Member[T] {
	m := &Member[T]{operation: operation}
	m.chain, m.index = c, len(c.members)
	if err := m.prepare(); err != nil && c.err == nil {
		c.err = fmt.Errorf("proactor: operation %d of the chain: %w", m.index, err)
	}
	if n := len(c.members); n > 0 {
		last := c.members[n-1].base()
		last.req.SQE.Flags |= how
		if last.limit != nil {
			last.limit.req.SQE.Flags |= uring.IOSQE_IO_LINK
		}
	}
	c.members = append(c.members, m)
	c.ops = append(c.ops, &m.req.Op)
	return m
}

// Within bounds the time of the operation that was appended last, counted from
// when it begins. One that takes longer is cancelled, and its error matches
// os.ErrDeadlineExceeded; the chain goes on as after any failure. It returns
// the chain.
func (c *Chain) Within(after time.Duration) *Chain {
	n := len(c.members)
	if n == 0 || c.members[n-1].base().limit != nil {
		if c.err == nil {
			c.err = fmt.Errorf("proactor: Within has no operation to bound: %w", os.ErrInvalid)
		}
		return c
	}
	last := c.members[n-1].base()
	after = max(after, 0)
	g := &limit{after: after, chain: c}
	ts := &uring.Timespec{Sec: int64(after / time.Second), Nsec: int64(after % time.Second)}
	g.req.Keep = ts
	g.req.SQE.PrepLinkTimeout(ts, 0)
	g.req.Waits = true
	g.req.Sink = g
	last.limit = g
	last.req.SQE.Flags |= uring.IOSQE_IO_LINK
	c.ops = append(c.ops, &g.req.Op)
	return c
}

// Len returns the number of entries that the chain takes: one for each
// operation and each Within.
func (c *Chain) Len() int { return len(c.ops) }

// Submit hands the chain to the Runtime and returns without waiting for it. An
// error says that nothing was submitted; ErrChainTooLong is one.
func (c *Chain) Submit(ctx context.Context, rt *Runtime) error {
	d, err := c.place(ctx, rt)
	if err != nil {
		return err
	}
	c.driver, c.left = d, len(c.ops)
	if err := d.SubmitChain(ctx, c.ops...); err != nil {
		c.driver = nil
		return submitError(ctx, err)
	}
	return nil
}

// Do submits the chain and waits for it; see Wait.
func (c *Chain) Do(ctx context.Context, rt *Runtime) error {
	d, err := c.place(ctx, rt)
	if err != nil {
		return err
	}
	c.driver, c.left = d, len(c.ops)
	if err := d.EnqueueChain(ctx, c.ops...); err != nil {
		c.driver = nil
		return submitError(ctx, err)
	}
	return c.Wait(ctx)
}

// place finds the driver for a chain that has not been submitted.
func (c *Chain) place(ctx context.Context, rt *Runtime) (*driver.Driver, error) {
	switch {
	case !rt.HasRing():
		return nil, rt.reason
	case c.err != nil:
		return nil, c.err
	case len(c.members) == 0:
		return nil, fmt.Errorf("proactor: empty chain: %w", os.ErrInvalid)
	case c.driver != nil:
		return nil, fmt.Errorf("proactor: chain was submitted before: %w", os.ErrInvalid)
	}
	if longest := rt.drivers[0].MaxChain(); len(c.ops) > longest {
		return nil, fmt.Errorf("%w: it takes %d entries, at most %d fit (Config.SQEntries)", ErrChainTooLong, len(c.ops), longest)
	}
	requests := make([]*Request, len(c.members))
	for i, m := range c.members {
		requests[i] = m.request()
		if l := m.base(); l.limit != nil {
			if err := rt.refusal(l.limit.req.SQE.Opcode); err != nil {
				return nil, err
			}
		}
	}
	return rt.placeAll(ctx, requests)
}

// Done returns a channel that is closed when all of the chain has completed.
func (c *Chain) Done() <-chan struct{} { return c.done }

// Wait waits until all of the chain has completed, and returns the error of the
// first member that has one. If ctx ends before, the chain is cancelled: the
// member that is being done as Completion.Wait has it, with the same error, and
// those behind it are not begun. Results of members that were done before that
// can still be had.
func (c *Chain) Wait(ctx context.Context) error {
	if c.driver == nil {
		return fmt.Errorf("proactor: waiting for a chain that was not submitted: %w", os.ErrInvalid)
	}
	c.await(ctx)
	for _, m := range c.members {
		if err := m.error(); err != nil {
			return err
		}
	}
	return nil
}

// await waits for the completion, and cancels the chain if ctx ends first.
func (c *Chain) await(ctx context.Context) {
	if closing(c.done).Ready() {
		return
	}
	var w watch
	c.driver.Lead(closing(c.done), false, func() {
		if ctx.Done() != nil {
			w.start(ctx, func() { c.cancel(contextError(ctx)) })
		}
	})
	select {
	case <-c.done:
	case <-ctx.Done():
		c.cancel(contextError(ctx))
		<-c.done
	}
	w.end()
}

// closing is a driver.Target that is ready when the channel is closed.
type closing <-chan struct{}

// Ready implements driver.Target.
func (c closing) Ready() bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Cancel asks the kernel to end a submitted chain: the member that is being done
// and those behind it. One behind a hard link begins all the same, and is
// cancelled then.
func (c *Chain) Cancel() { c.cancel(ErrCanceled) }

// cancel is Cancel; if it does anything, why is the error.
func (c *Chain) cancel(why error) {
	if c.driver == nil {
		return // it was not submitted
	}
	c.reason.CompareAndSwap(nil, why) // before anybody can see ECANCELED
	for _, op := range c.ops {
		// The kernel does not find those that it has not begun; the driver
		// asks again until it does.
		c.driver.Cancel(op)
	}
}

// Abandon gives a submitted chain up, as Completion.Abandon does an operation:
// it is cancelled, and what its members yield is let go of, descriptors in
// particular, unless their results have been taken.
func (c *Chain) Abandon() {
	if !c.abandoned.CompareAndSwap(false, true) {
		return
	}
	c.cancel(ErrCanceled)
	if closing(c.done).Ready() {
		// The last completion may have looked at abandoned before it was set.
		c.discard()
	}
}

func (c *Chain) discard() {
	for _, m := range c.members {
		m.discard()
	}
}

// completed notes a terminal completion. Whoever drives the ring calls it.
func (c *Chain) completed() {
	if c.left--; c.left > 0 {
		return
	}
	close(c.done)
	if c.abandoned.Load() {
		c.discard()
	}
}

// Complete implements driver.Sink; it is not for others to call.
func (g *limit) Complete(_ *driver.Op, c driver.Completion) {
	g.final = c
	g.chain.completed()
}

// Complete implements driver.Sink; it is not for others to call.
func (l *link) Complete(_ *driver.Op, c driver.Completion) {
	c, last := l.req.arrived(c)
	if !last {
		return
	}
	l.final = c
	l.chain.completed()
}

func (l *link) base() *link       { return l }
func (l *link) request() *Request { return &l.req }

func (m *Member[T]) prepare() error {
	err := m.operation.Prepare(&m.req)
	m.req.Sink = &m.link
	return err
}

// Result returns the member's result. Before the chain has completed it is an
// error. If the member was not done because of another, the error is a
// *ChainError. A descriptor in the result belongs to those who call Result; if
// nobody does, Abandon closes it.
func (m *Member[T]) Result() (T, error) {
	var zero T
	select {
	case <-m.chain.done:
	default:
		return zero, fmt.Errorf("proactor: result of a chain that has not completed: %w", os.ErrInvalid)
	}
	m.once.Do(m.take)
	return m.value, m.err
}

// take makes the result of a member whose chain has completed.
func (m *Member[T]) take() {
	if m.err = m.error(); m.err != nil {
		return
	}
	if m.req.yields() && !m.fate.CompareAndSwap(fateOpen, fateTaken) {
		m.err = errAbandoned
		return
	}
	if m.value, m.err = m.operation.Result(&m.req, m.final); m.err != nil {
		m.req.discard(m.final)
	}
}

// discard gets rid of what nobody has taken.
func (l *link) discard() {
	if l.req.yields() && l.fate.CompareAndSwap(fateOpen, fateDiscarded) {
		l.req.discard(l.final)
	}
}

// error returns why a completed member has no result, or nil.
func (l *link) error() error {
	if err := l.req.failure(l.final); err != errCancelled {
		return err
	}
	if l.expired() {
		return fmt.Errorf("proactor: operation %d of the chain (%v) took longer than %v: %w",
			l.index, l.req.SQE.Opcode, l.limit.after, os.ErrDeadlineExceeded)
	}
	if cause := l.chain.cause(); cause != nil && cause != l {
		return &ChainError{
			Member: l.index, Op: l.req.SQE.Opcode,
			Cause: cause.index, CauseOp: cause.req.SQE.Opcode,
			Err: cause.broke(),
		}
	}
	return whyCancelled(l.chain.reason.Load(), nil, l.chain.driver, &l.req)
}

// expired reports whether the member's time limit has ended it.
func (l *link) expired() bool {
	return l.limit != nil && l.limit.final.Res == -int32(uring.ETIME) && l.final.Err() == error(syscall.ECANCELED)
}

// cause returns the member because of which others were not done, or nil if
// none is to blame.
func (c *Chain) cause() *link {
	for i, m := range c.members {
		l := m.base()
		last := i == len(c.members)-1
		switch errno := l.final.Err(); {
		case l.expired():
			return l
		case errno == error(syscall.ECANCELED):
		case errno != nil && !(last && l.req.failed(l.final) == nil):
			return l
		case errno == nil && !last && driver.Breaks(&l.req.Op, l.final) &&
			c.members[i+1].base().final.Err() == error(syscall.ECANCELED):
			return l
		}
	}
	return nil
}

// broke returns what was wrong with a member that broke its chain.
func (l *link) broke() error {
	if l.final.Res >= 0 {
		return fmt.Errorf("proactor: %v moved only %d bytes: %w", l.req.SQE.Opcode, l.final.Res, io.ErrUnexpectedEOF)
	}
	if l.expired() {
		return l.error()
	}
	return os.NewSyscallError(syscallName(l.req.SQE.Opcode), l.final.Err())
}

// ChainError says that a member of a Chain was not done because of another. It
// matches ErrChainBroken, and wraps what became of the other.
type ChainError struct {
	Member  int      // which was not done; the first is 0
	Op      uring.Op // and what it was
	Cause   int      // which is the reason
	CauseOp uring.Op
	Err     error // what was wrong with that
}

// Error says which was not done, and why.
func (e *ChainError) Error() string {
	return fmt.Sprintf("proactor: operation %d of the chain (%v) was not done because of operation %d (%v): %v",
		e.Member, e.Op, e.Cause, e.CauseOp, e.Err)
}

// Unwrap returns what was wrong with the other.
func (e *ChainError) Unwrap() error { return e.Err }

// Is reports whether target is ErrChainBroken.
func (e *ChainError) Is(target error) bool { return target == ErrChainBroken }

func closedError(err error) error {
	if errors.Is(err, driver.ErrClosed) {
		return ErrClosed
	}
	return err
}
