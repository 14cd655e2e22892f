package proactor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"sync"
	"syscall"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// Multishot is an operation that completes again and again, as a value: each
// completion brings an item of type T. Accepts, Receives, Reads, Datagrams,
// Polls and Ticks are the ready-made ones; any type with these methods is one
// too. One that receives into a BufferGroup embeds Receives, Reads or Datagrams
// and has the same items, so that the group knows who uses it.
type Multishot[T any] interface {
	// Prepare fills in what to submit and what memory it needs. It is called
	// again each time the operation has to be armed anew.
	Prepare(*Request) error

	// Item turns a completion that is not an error into an item; io.EOF says
	// that it is none and that the stream is at its end, another error that the
	// stream has failed. In both cases the operation is cancelled, what the
	// completion yielded is discarded as the Request says (OwnsFD, Discard), and
	// items that come all the same are let go of. Item is called on whichever
	// goroutine drives the ring, and must not block.
	Item(*Request, driver.Completion) (T, error)

	// Discard lets go of an item that nobody takes. It must not block either.
	Discard(T)
}

// buffered is a Multishot whose items are in buffers of a group.
type buffered[T any] interface {
	buffers() *BufferGroup
	// spill returns the item with its data copied out of their buffer.
	spill(T) T
}

// ErrStreamClosed is returned by Next once the stream has been closed.
var ErrStreamClosed = errors.New("proactor: stream is closed")

// DefaultDepth is how many items of a stream wait for their consumer before the
// kernel is told to stop, if StreamConfig does not say otherwise.
const DefaultDepth = 16

// StreamConfig says how a stream behaves. The zero value is a good default.
type StreamConfig struct {
	// Depth bounds the queue of items that the consumer has not taken. When it
	// is full, the operation is cancelled, and armed again when it is half
	// empty. What the kernel has done by then is queued nevertheless, nothing is
	// lost: an accept may take all that are waiting to be accepted, a receive 32
	// pieces of data. Default DefaultDepth.
	Depth int

	// Shard is the shard to run on; nil for the one of the group of buffers, or
	// else of the descriptor. An accept on every shard of the same listening
	// socket, or of one for each with SO_REUSEPORT, spreads its connections.
	Shard *Shard
}

// Stream is a Multishot under way: items arrive in a queue from which Next, or
// the loop over All, takes them. Whatever ends the operation and is not the end
// of the stream (a full queue, a lack of buffers, a thread of the process that
// ended, a kernel that wanted to stop) is followed by another one when the
// consumer asks for more.
//
// Close ends a stream; one that is forgotten is closed when the garbage
// collector finds it.
type Stream[T any] struct {
	core *stream[T]
}

// stream is what the driver knows of a Stream. Nothing in it refers to the
// Stream, so that a forgotten one can be found.
type stream[T any] struct {
	source Multishot[T]
	group  *BufferGroup // nil if the items are in no buffers
	shard  *Shard
	depth  int
	req    Request
	waiter *driver.Waiter
	turn   chan struct{} // holds a token while somebody is in Next

	mu       sync.Mutex
	queue    []item[T] // from head on
	head     int
	armed    bool  // an operation is under way, or about to be
	stopping bool  // and has been asked to stop because the queue is full
	starved  bool  // it ended for want of buffers
	ended    error // the stream has ended, with this, once the queue is empty
	closed   bool
	idle     chan struct{} // closed when the stream is closed and nothing is under way
}

type item[T any] struct {
	value T
	err   error
}

// OpenStream starts a stream; the operation is armed by the first call of Next. The
// error is that of Prepare, or ErrNoRing.
func OpenStream[T any](rt *Runtime, source Multishot[T], cfg StreamConfig) (*Stream[T], error) {
	if !rt.HasRing() {
		return nil, rt.reason
	}
	if cfg.Depth == 0 {
		cfg.Depth = DefaultDepth
	}
	if cfg.Depth < 0 {
		return nil, fmt.Errorf("proactor: stream with a queue of %d items: want at least 1", cfg.Depth)
	}
	s := &stream[T]{
		source: source, depth: cfg.Depth, waiter: driver.NewWaiter(),
		turn: make(chan struct{}, 1), idle: make(chan struct{}),
	}
	if err := source.Prepare(&s.req); err != nil {
		return nil, err
	}
	if s.req.On != nil && cfg.Shard != nil && s.req.On != cfg.Shard {
		return nil, fmt.Errorf("proactor: stream on shard %d with buffers of shard %d", cfg.Shard.index, s.req.On.index)
	}
	if cfg.Shard != nil {
		s.req.On = cfg.Shard
	}
	if err := rt.refusal(s.req.SQE.Opcode); err != nil {
		return nil, err
	}
	var err error
	if s.shard, err = rt.home(&s.req); err != nil {
		return nil, err
	}
	if b, ok := source.(buffered[T]); ok {
		s.group = b.buffers()
		if err := s.group.join(); err != nil {
			return nil, err
		}
	}
	handle := &Stream[T]{s}
	runtime.AddCleanup(handle, func(s *stream[T]) { s.shut() }, s)
	return handle, nil
}

// Next returns the next item, waiting for one until ctx ends. The item, and a
// descriptor or Lease in it, is the caller's. The error is io.EOF at the end of
// the stream, ErrStreamClosed after Close, or what went wrong; if that may pass
// (too many open files), Next can be called again. Several goroutines may call
// it; they take turns.
func (s *Stream[T]) Next(ctx context.Context) (T, error) {
	defer runtime.KeepAlive(s)
	return s.core.next(ctx)
}

// All returns the items as a sequence, which ends without an error where the
// stream does, and with one if ctx ends or something goes wrong. The stream is
// closed when the loop is left, however.
func (s *Stream[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer func() { _ = s.Close() }()
		for {
			v, err := s.Next(ctx)
			if err == io.EOF || err == ErrStreamClosed {
				return
			}
			if !yield(v, err) || err != nil && (ctx.Err() != nil || s.core.over()) {
				return
			}
		}
	}
}

// Close ends the stream: the operation is cancelled, Close waits until the
// kernel has let go of it, and items that nobody has taken are let go of: their
// descriptors are closed and their buffers given back. A Next that waits returns
// ErrStreamClosed. Close may be called more than once, and always returns nil.
func (s *Stream[T]) Close() error {
	s.core.shut()
	<-s.core.idle
	runtime.KeepAlive(s)
	return nil
}

// shut is Close without waiting.
func (s *stream[T]) shut() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	left := s.queue[s.head:]
	s.queue, s.head = nil, 0
	armed := s.armed
	if !armed {
		s.settleLocked()
	}
	s.mu.Unlock()
	for _, it := range left {
		if it.err == nil {
			s.source.Discard(it.value)
		}
	}
	s.shard.driver.Interrupt(s.waiter)
	if armed {
		s.shard.driver.Cancel(&s.req.Op)
	}
}

// settleLocked notes that a closed stream has nothing under way any more.
func (s *stream[T]) settleLocked() {
	if s.group != nil {
		s.group.leave()
	}
	close(s.idle)
}

func (s *stream[T]) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended != nil || s.closed
}

func (s *stream[T]) next(ctx context.Context) (T, error) {
	var zero T
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return zero, contextError(ctx)
	}
	defer func() { <-s.turn }()
	for {
		it, todo := s.look()
		switch todo {
		case takeItem:
			return it.value, it.err
		case takeAndArm:
			_ = s.arm(ctx, s.shard.driver.Submit) // told after the items that are there
			return it.value, it.err
		case armFirst:
			if err := s.arm(ctx, s.shard.driver.Enqueue); err != nil {
				return zero, err
			}
		}
		switch {
		case ctx.Err() != nil && todo != armFirst:
			return zero, contextError(ctx)
		case todo == waitForBuffers:
			s.awaitBuffers(ctx)
		default:
			s.await(ctx)
		}
	}
}

// What the consumer has to do.
const (
	takeItem = iota
	takeAndArm
	armFirst
	waitForItem
	waitForBuffers
)

// look takes the next item if there is one, and says what to do.
func (s *stream[T]) look() (item[T], int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := !s.armed && !s.starved && s.ended == nil
	switch n := len(s.queue) - s.head; {
	case n > 0:
		it := s.queue[s.head]
		s.queue[s.head] = item[T]{}
		if s.head++; s.head == len(s.queue) {
			s.queue, s.head = s.queue[:0], 0
		}
		if idle && it.err == nil && 2*(n-1) <= s.depth {
			s.armed = true
			return it, takeAndArm
		}
		return it, takeItem
	case s.closed:
		return item[T]{err: ErrStreamClosed}, takeItem
	case s.ended != nil:
		return item[T]{err: s.ended}, takeItem
	case s.starved:
		return item[T]{}, waitForBuffers
	case idle:
		s.armed = true
		return item[T]{}, armFirst
	}
	return item[T]{}, waitForItem
}

// arm submits the operation for a caller who has set armed. Where it fails, the
// stream is at its end, unless it is because of ctx.
func (s *stream[T]) arm(ctx context.Context, submit func(context.Context, *driver.Op) error) error {
	err := s.submit(ctx, submit)
	s.mu.Lock()
	closed := s.closed
	if err != nil {
		s.armed = false
		if s.ended == nil && ctx.Err() == nil {
			s.ended = err
		}
		if closed {
			s.settleLocked()
		}
	}
	s.mu.Unlock()
	if err == nil && closed {
		// Close may have come before there was something to cancel.
		s.shard.driver.Cancel(&s.req.Op)
	}
	return err
}

func (s *stream[T]) submit(ctx context.Context, submit func(context.Context, *driver.Op) error) error {
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	s.req.reset()
	if err := s.source.Prepare(&s.req); err != nil {
		return err
	}
	s.req.Sink, s.req.Waits = s, true
	if err := submit(ctx, &s.req.Op); err != nil {
		return submitError(ctx, err)
	}
	return nil
}

func (s *stream[T]) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = err
	}
}

// await waits until something has happened, or ctx ends.
func (s *stream[T]) await(ctx context.Context) {
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { s.shard.driver.Interrupt(s.waiter) })
		defer stop()
	}
	s.shard.driver.Await(s.waiter)
}

// awaitBuffers waits until it may be worth asking for buffers again.
func (s *stream[T]) awaitBuffers(ctx context.Context) {
	if !s.group.exhausted(s.waiter) {
		select {
		case <-s.waiter.Done():
		case <-ctx.Done():
		}
		s.group.forget(s.waiter)
		if ctx.Err() != nil {
			return
		}
	}
	s.mu.Lock()
	s.starved = false
	s.mu.Unlock()
}

// Complete implements driver.Sink; it is not for others to call.
func (s *stream[T]) Complete(op *driver.Op, c driver.Completion) {
	it, some := s.turnInto(c)
	s.mu.Lock()
	drop := s.closed || s.ended != nil
	if some && !drop {
		s.queue = append(s.queue, it)
	}
	stop := false
	if c.Last {
		s.armed, s.stopping = false, false
		if s.closed {
			s.settleLocked()
		}
	} else if (len(s.queue)-s.head >= s.depth || s.ended != nil) && !s.stopping && !s.closed {
		s.stopping, stop = true, true
	}
	s.mu.Unlock()
	if some && drop && it.err == nil {
		s.source.Discard(it.value)
	}
	if stop {
		s.shard.driver.Cancel(op)
	}
	s.waiter.Wake()
}

// turnInto turns a completion into an item, if it is one.
func (s *stream[T]) turnInto(c driver.Completion) (it item[T], some bool) {
	errno := c.Err()
	if errno == nil || s.req.Expected != 0 && errno == error(s.req.Expected) {
		v, err := s.source.Item(&s.req, c)
		if err != nil {
			s.fail(err)
			s.req.discard(c)
			return it, false
		}
		if b, ok := s.source.(buffered[T]); ok && s.group.short() {
			v = b.spill(v)
		}
		return item[T]{value: v}, true
	}
	err := os.NewSyscallError(syscallName(s.req.SQE.Opcode), errno)
	switch errno {
	case error(syscall.ECANCELED), error(syscall.EINTR), error(syscall.ECONNABORTED):
		// Asked for, or nothing to do with what is to come.
	case error(syscall.ENOBUFS):
		if s.group == nil {
			return item[T]{err: err}, true
		}
		s.mu.Lock()
		s.starved = true
		s.mu.Unlock()
	case error(syscall.EMFILE), error(syscall.ENFILE), error(syscall.ENOMEM):
		return item[T]{err: err}, true // may pass
	default:
		s.fail(err)
	}
	return it, false
}

// leaseOf returns the data of a completion that has filled a buffer; a receive
// that found the end of a stream may have taken one, too.
func leaseOf(g *BufferGroup, c driver.Completion) (Lease, error) {
	cqe := uring.CQE{Res: c.Res, Flags: c.Flags}
	id, ok := cqe.BufferID()
	switch {
	case ok && int(id) >= len(g.buffers):
		return Lease{}, fmt.Errorf("proactor: the kernel names buffer %d of %d", id, len(g.buffers))
	case ok && c.Res > 0:
		return g.take(id, int(c.Res)), nil
	case ok:
		g.take(id, 0).Release()
	case c.Res > 0:
		return Lease{}, fmt.Errorf("proactor: %d bytes arrived in no buffer", c.Res)
	}
	return Lease{}, io.EOF
}
