package uring

import (
	"iter"
	"sync/atomic"
)

// CompletionQueue is the user side of a ring's completion queue. Completions
// are copied out as small values; nothing refers to the shared memory after a
// method has returned.
//
// It is not safe for concurrent use. It can be used by another goroutine than
// the SubmissionQueue of the same ring.
type CompletionQueue struct {
	// ktail is written by the kernel as it posts completions; khead is ours.
	// kflags is nil before Linux 5.8.
	khead, ktail, kflags, koverflow *uint32

	// cqes are the 16-byte slots; an entry takes 1<<shift of them, or one or two
	// in a ring of mixed sizes.
	cqes    []CQE
	mask    uint32
	entries uint32 // 0 when the ring is closed
	shift   uint32
	mixed   bool

	// head is our position; the shared head trails it inside Reap only.
	head uint32
}

// Entries returns the capacity of the queue, a power of two, and 0 once the
// ring is closed. In a ring of mixed sizes a completion of 32 bytes takes two
// of them.
func (q *CompletionQueue) Entries() uint32 { return q.entries }

// Ready returns the number of completions that can be reaped now, not counting
// those that the kernel keeps aside after an overflow.
func (q *CompletionQueue) Ready() uint32 {
	if q.mixed {
		return q.readyMixed()
	}
	return q.slots()
}

// slots returns the number of entries between head and tail.
func (q *CompletionQueue) slots() uint32 {
	// Pairs with the kernel's store-release of the tail: the entries below it
	// are complete.
	return atomic.LoadUint32(q.ktail) - q.head
}

// worthCopy is the number of completions from which copying memory is faster
// than copying one after the other.
const worthCopy = 8

// Reap copies up to len(dst) completions into dst, gives their slots back to
// the kernel with a single store, and returns how many there were. It makes no
// system call. Of completions of 32 bytes it copies the first half: see Reap32.
func (q *CompletionQueue) Reap(dst []CQE) int {
	if q.mixed {
		return q.reapMixed(dst)
	}
	n := min(q.slots(), uint32(len(dst)))
	if n == 0 {
		return 0
	}
	if n >= worthCopy && q.shift == 0 {
		first := copy(dst[:n], q.cqes[q.head&q.mask:])
		copy(dst[first:n], q.cqes) // what lies behind the end of the queue
	} else {
		for i := range n {
			dst[i] = q.cqes[((q.head+i)&q.mask)<<q.shift]
		}
	}
	q.advance(n)
	return int(n)
}

// Peek returns the next completion without consuming it, and whether there is
// one.
func (q *CompletionQueue) Peek() (CQE, bool) {
	if q.Ready() == 0 {
		return CQE{}, false
	}
	return q.cqes[(q.head&q.mask)<<q.shift], true
}

// All iterates over the completions that are ready, consuming each before it
// is yielded, and ends when there are none left. It makes no system call. The
// body of the loop may consume completions by itself, and close the ring.
func (q *CompletionQueue) All() iter.Seq[CQE] {
	// One closure, with nothing in it that keeps it from being inlined: an
	// iterator that is not inlined is on the heap.
	return func(yield func(CQE) bool) {
		for n := q.Ready(); n > 0; {
			cqe := q.cqes[(q.head&q.mask)<<q.shift]
			if q.mixed {
				cqe = q.take32().CQE
			} else {
				q.advance(1)
			}
			after := q.head
			if !yield(cqe) {
				return
			}
			if n--; n == 0 || q.head != after {
				n = q.Ready()
			}
		}
	}
}

// advance consumes n entries.
func (q *CompletionQueue) advance(n uint32) {
	q.head += n
	// Pairs with the kernel's load-acquire of the head: the slots below it
	// have been read and may be overwritten.
	atomic.StoreUint32(q.khead, q.head)
}

// Overflow returns how many completions the kernel has dropped because neither
// the queue nor kernel memory had room for them. With FEAT_NODROP anything but
// zero means that kernel memory was exhausted.
func (q *CompletionQueue) Overflow() uint32 {
	return atomic.LoadUint32(q.koverflow)
}

// EventfdEnabled reports whether a registered eventfd is signalled for new
// completions.
func (q *CompletionQueue) EventfdEnabled() bool {
	return q.kflags == nil || CQRingFlags(atomic.LoadUint32(q.kflags))&IORING_CQ_EVENTFD_DISABLED == 0
}

// SetEventfd says whether a registered eventfd is signalled for completions
// that are posted from now on. Unlike unregistering it, this costs no system
// call. Linux 5.8; before, it changes nothing.
func (q *CompletionQueue) SetEventfd(on bool) {
	if q.kflags == nil {
		return
	}
	var flags CQRingFlags
	if !on {
		flags = IORING_CQ_EVENTFD_DISABLED
	}
	// Pairs with the kernel's look at the flags after it has posted: either
	// that sees the new flags, or Nonempty afterwards sees the completion.
	atomic.StoreUint32(q.kflags, uint32(flags))
}

// Nonempty reports whether there are completions to reap or, in a ring of mixed
// sizes, a filler. Unlike the other methods it may be called by any goroutine,
// while the ring is open and nobody resizes it.
func (q *CompletionQueue) Nonempty() bool {
	return atomic.LoadUint32(q.khead) != atomic.LoadUint32(q.ktail)
}
