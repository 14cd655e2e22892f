package driver

import "go.uber.org/atomic"

// opStack is a multi-producer queue of Ops: any goroutine pushes, the driver
// takes everything at once. Producers never wait for each other or for the
// driver, and nothing is allocated.
type opStack struct {
	head atomic.Pointer[Op]
	// link gives the field that links this stack's Ops.
	link func(*Op) **Op
}

func submitLink(op *Op) **Op { return &op.next }
func cancelLink(op *Op) **Op { return &op.cancelNext }

// push adds an Op. The compare-and-swap publishes the Op's fields to the
// driver (pairs with the swap in take) and precedes the producer's look at the
// driver's state (see Driver.kick).
func (s *opStack) push(op *Op) {
	link := s.link(op)
	for {
		head := s.head.Load()
		*link = head
		if s.head.CompareAndSwap(head, op) {
			return
		}
	}
}

// empty reports whether there is nothing to take.
func (s *opStack) empty() bool { return s.head.Load() == nil }

// take removes all Ops and calls f for each, in the order they were pushed.
func (s *opStack) take(f func(*Op)) {
	if s.empty() {
		return
	}
	var first *Op
	for op := s.head.Swap(nil); op != nil; {
		link := s.link(op)
		next := *link
		*link = first
		first, op = op, next
	}
	for op := first; op != nil; {
		link := s.link(op)
		next := *link
		*link = nil
		f(op)
		op = next
	}
}

// fifo is a queue for whoever drives the ring alone, a ring buffer that grows.
type fifo[T any] struct {
	buf        []T
	head, size int
}

func (q *fifo[T]) len() int { return q.size }

// at returns the i-th element from the front.
func (q *fifo[T]) at(i int) T { return q.buf[(q.head+i)%len(q.buf)] }

func (q *fifo[T]) front() T { return q.at(0) }

func (q *fifo[T]) push(v T) {
	if q.size == len(q.buf) {
		grown := make([]T, max(16, 2*len(q.buf)))
		for i := range q.size {
			grown[i] = q.at(i)
		}
		q.buf, q.head = grown, 0
	}
	q.buf[(q.head+q.size)%len(q.buf)] = v
	q.size++
}

func (q *fifo[T]) pop() T {
	var zero T
	v := q.buf[q.head]
	q.buf[q.head] = zero
	q.head = (q.head + 1) % len(q.buf)
	q.size--
	return v
}
