package uring

import (
	"iter"
	"unsafe"
)

// A ring has completions of 16 bytes, of 32 bytes (IORING_SETUP_CQE32), or of
// both (IORING_SETUP_CQE_MIXED). In the last, a completion of 32 bytes takes two
// slots that lie next to each other, and is marked; where only one slot is left
// at the end of the queue, the kernel puts a marked filler there. Fillers are
// never delivered.
//
// In such a ring, slots that were consumed are marked as fillers, as are all of a
// new one. When a large completion finds no room after its filler, Linux (6.18
// and later ones) moves the tail on for the filler but puts the next small
// completion into its slot, so that the one behind shows what stood there an age
// ago: without the mark, a completion a second time. The large one comes later,
// from the overflow list, overtaken by small ones.
//
// What the other methods deliver is a CQE in every kind of ring. Those of this
// file deliver the rest of a large completion with it.

// Reap32 is Reap with all 32 bytes of a completion. In a ring of small ones
// Extra is zero, as it is for the small ones in a ring of mixed sizes.
func (q *CompletionQueue) Reap32(dst []CQE32) int {
	n := min(q.Ready(), uint32(len(dst)))
	if n == 0 {
		return 0
	}
	head := q.head
	for i := range n {
		dst[i], head = q.read32(head)
	}
	q.consume(head)
	return int(n)
}

// Peek32 is Peek with all 32 bytes of a completion.
func (q *CompletionQueue) Peek32() (CQE32, bool) {
	if q.Ready() == 0 {
		return CQE32{}, false
	}
	cqe, _ := q.read32(q.head)
	return cqe, true
}

// All32 is All with all 32 bytes of a completion.
func (q *CompletionQueue) All32() iter.Seq[CQE32] {
	return func(yield func(CQE32) bool) {
		for n := q.Ready(); n > 0; {
			cqe := q.take32()
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

// read32 returns the first completion at or behind position head, which there
// is, and the position behind it.
func (q *CompletionQueue) read32(head uint32) (CQE32, uint32) {
	if !q.mixed {
		at := (head & q.mask) << q.shift
		cqe := CQE32{CQE: q.cqes[at]}
		if q.shift != 0 {
			cqe.Extra = extra(&q.cqes[at+1])
		}
		return cqe, head + 1
	}
	for q.cqes[head&q.mask].Skip() {
		head++
	}
	cqe := CQE32{CQE: q.cqes[head&q.mask]}
	if !cqe.Is32() {
		return cqe, head + 1
	}
	cqe.Extra = extra(&q.cqes[(head+1)&q.mask])
	return cqe, head + 2
}

// extra returns a slot that holds the second half of a completion.
func extra(slot *CQE) [2]uint64 { return *(*[2]uint64)(unsafe.Pointer(slot)) }

// readyMixed is Ready in a ring of mixed sizes. It consumes the fillers before
// the first completion: one could be all that keeps the kernel from posting.
func (q *CompletionQueue) readyMixed() uint32 {
	// A slot for which the tail has moved on twice, see above, is one that is to
	// be consumed before it is a filler.
	slots := min(q.slots(), q.entries)
	skipped := uint32(0)
	for skipped < slots && q.cqes[(q.head+skipped)&q.mask].Skip() {
		skipped++
	}
	if skipped > 0 {
		q.advance(skipped)
		slots -= skipped
	}
	n := uint32(0)
	for i := uint32(0); i < slots; i++ {
		switch cqe := &q.cqes[(q.head+i)&q.mask]; {
		case cqe.Skip():
			continue
		case cqe.Is32():
			if i++; i == slots {
				return n // half of a completion, which no kernel shows
			}
		}
		n++
	}
	return n
}

// reapMixed is Reap in a ring of mixed sizes.
func (q *CompletionQueue) reapMixed(dst []CQE) int {
	n := min(q.readyMixed(), uint32(len(dst)))
	if n == 0 {
		return 0
	}
	head := q.head
	for i := range n {
		var cqe CQE32
		cqe, head = q.read32(head)
		dst[i] = cqe.CQE
	}
	q.consume(head)
	return int(n)
}

// take32 consumes the next completion, which there is.
func (q *CompletionQueue) take32() CQE32 {
	cqe, head := q.read32(q.head)
	q.consume(head)
	return cqe
}

// consume gives back all slots before position head.
func (q *CompletionQueue) consume(head uint32) {
	if q.mixed {
		q.markFillers(q.head, head)
	}
	q.advance(head - q.head)
}

// markFillers makes fillers of the slots of positions from to to, which the
// kernel has not written to or not been given back yet.
func (q *CompletionQueue) markFillers(from, to uint32) {
	for i := from; i != to; i++ {
		q.cqes[i&q.mask].Flags = IORING_CQE_F_SKIP
	}
}

// most returns how many completions there can be for certain at the same time,
// whatever their size. In a ring of mixed sizes, large ones may leave a slot
// unused at the end of the queue and another at its beginning.
func (q *CompletionQueue) most() uint32 {
	if q.mixed {
		return max(q.entries/2, 2) - 1
	}
	return q.entries
}
