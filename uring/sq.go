package uring

import (
	"sync/atomic"
	"unsafe"
)

// SubmissionQueue is the user side of a ring's submission queue. Entries are
// taken with Next, filled, and made visible to the kernel by Flush; the kernel
// consumes them when the ring is entered (or by itself with SQPOLL).
//
// It is not safe for concurrent use, and exactly one goroutine at a time may
// use it together with entering the ring.
type SubmissionQueue struct {
	// khead is written by the kernel as it consumes entries; ktail is ours.
	khead, ktail, kflags, kdropped *uint32

	// sqes are the 64-byte slots; an entry takes 1<<shift of them, or one or two
	// in a ring of mixed sizes.
	sqes    []SQE
	mask    uint32
	entries uint32 // 0 when the ring is closed
	shift   uint32
	mixed   bool

	// array maps ring positions to entries. It is filled once with the
	// identity and is nil with NO_SQARRAY.
	array []uint32

	// head is the last value of khead that was read, tail counts the entries
	// handed out by Next, published those that Flush has shown to the kernel.
	head, tail, published uint32

	// reserved is what a reservation has taken, if one is open: Flush shows
	// nothing of it.
	reserved reserved
}

// Entries returns the capacity of the queue, a power of two, and 0 once the
// ring is closed.
func (q *SubmissionQueue) Entries() uint32 { return q.entries }

// Space returns how many entries Next can hand out before the kernel has to
// consume some. A chain of linked entries must fit in it, because the entries
// of a chain are submitted together.
func (q *SubmissionQueue) Space() uint32 { return q.entries - q.Pending() }

// Next returns the next free entry, or nil when the queue is full. The entry
// holds whatever it held before: fill it with one of the Prep methods, which
// set every field. It belongs to the caller until the next Flush.
//
// In a ring of 128-byte entries this is the first half of one, and the second
// half is empty: see Ring.SQ128 for those that need it.
//
// With SETUP_SQPOLL the queue may be full for a moment although every request
// has completed: the kernel's thread gives entries back in batches. An enter with
// IORING_ENTER_SQ_WAIT waits for one.
func (q *SubmissionQueue) Next() *SQE {
	// The head that was read last is good enough unless the queue seems full.
	if q.tail-q.head == q.entries && q.Space() == 0 {
		return nil
	}
	sqe := &q.sqes[(q.tail&q.mask)<<q.shift]
	q.tail++
	if q.shift != 0 {
		q.clearExtra(sqe)
	}
	return sqe
}

// clearExtra empties the second half of a 128-byte entry: what an earlier
// command has left there would go to the driver of the next.
func (q *SubmissionQueue) clearExtra(sqe *SQE) {
	(*SQE128)(unsafe.Pointer(sqe)).Extra = [64]byte{}
}

// Flush makes the entries handed out so far visible to the kernel and returns
// how many it has not consumed yet: the number to submit when entering. What
// belongs to an open Reservation, or was taken after it, is held back.
func (q *SubmissionQueue) Flush() uint32 {
	ready := q.ready()
	if q.published != ready {
		// Pairs with the kernel's load-acquire of the tail: the entries are
		// written before they are announced.
		atomic.StoreUint32(q.ktail, ready)
		q.published = ready
	}
	return q.Pending() - (q.tail - ready)
}

// ready returns the position behind the last entry that may be shown.
func (q *SubmissionQueue) ready() uint32 {
	if q.reserved.open {
		return q.reserved.from
	}
	return q.tail
}

// Pending returns how many entries have been handed out and not yet been
// consumed by the kernel.
func (q *SubmissionQueue) Pending() uint32 {
	// Pairs with the kernel's store-release of the head: entries below it have
	// been read and may be overwritten.
	q.head = atomic.LoadUint32(q.khead)
	return q.tail - q.head
}

// Flags returns the flags that the kernel sets for the submitter: whether an
// SQPOLL thread must be woken, completions have overflowed, or task work is
// waiting for the ring to be entered.
//
// With SETUP_SQPOLL, ask after Flush and not before it: the thread sets
// IORING_SQ_NEED_WAKEUP and then looks at the queue once more, so that either it
// sees the entries, or Flags sees that it sleeps.
func (q *SubmissionQueue) Flags() SQRingFlags {
	// Pairs with the kernel's atomic or/and on the flags word, and, because
	// atomics of Go are sequentially consistent, stays behind the store of the
	// tail in Flush: the full barrier that waking an SQPOLL thread needs.
	return SQRingFlags(atomic.LoadUint32(q.kflags))
}

// Dropped returns how many invalid indexes the kernel found in the index
// array. It stays zero unless the array is tampered with.
func (q *SubmissionQueue) Dropped() uint32 {
	return atomic.LoadUint32(q.kdropped)
}
