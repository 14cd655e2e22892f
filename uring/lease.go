package uring

import (
	"errors"
	"fmt"
)

// ErrNoBuffer is returned for a completion that brought no provided buffer, as
// one that has failed, with ENOBUFS in particular.
var ErrNoBuffer = errors.New("uring: the completion has no provided buffer")

// Lease is what one completion has put into one provided buffer. The bytes are
// the program's until the lease is returned, which counts once, however many
// copies of the Lease there are: a second return is refused and changes nothing,
// so that the kernel never has a buffer twice.
//
// A buffer goes back to the kernel when all leases of it have been returned and
// the kernel has finished with it. With incremental consumption
// (IOU_PBUF_RING_INC) there can be many leases of one buffer, each of other bytes.
//
// Like the group that it is of, a Lease is not safe for concurrent use.
type Lease struct {
	book *bufBook
	data []byte
	slot uint32
	gen  uint32
	bid  uint16
}

// Bytes returns the bytes that were put into the buffer. Their capacity ends with
// them where the kernel may go on to fill the buffer, and with the buffer
// otherwise. After the lease has been returned they are somebody else's.
func (l Lease) Bytes() []byte { return l.data }

// BufferID returns the number of the buffer in its group.
func (l Lease) BufferID() uint16 { return l.bid }

// Valid reports whether the lease can still be returned.
func (l Lease) Valid() bool { return l.book != nil && l.book.has(l) }

// Release returns the lease of a BufRing, and shows the buffer to the kernel at
// once if that was the last lease of it. It reports false, and does nothing,
// when the lease has been returned before or its group has been closed. To return
// many, BufRing.Return and one Commit are cheaper. Buffers of a BufGroup need an
// entry to go back: see BufGroup.Return.
func (l Lease) Release() bool {
	if l.book == nil || l.book.refill == nil || !l.book.giveBack(l) {
		return false
	}
	l.book.refill.Commit()
	return true
}

// refiller is a BufRing, which exists on Linux only.
type refiller interface {
	put(bid uint16)
	Commit()
}

// bufBook keeps account of the buffers of a group: who has them, and which
// leases there are.
type bufBook struct {
	mem    []byte
	size   int
	bufs   []bufState
	slots  []leaseSlot
	free   []uint32 // slots without a lease
	last   uint16   // the buffer that was provided last
	refill refiller // takes buffers that are free again, or nil
}

// bufState is the account of one buffer.
type bufState struct {
	filled  uint32 // bytes that completions have brought since it was provided
	leases  uint32 // not returned yet
	kernels bool   // the kernel may put something into it
	next    uint16 // the buffer that was provided after this one
}

// leaseSlot is the place of a lease. Returning one changes gen, so that its
// copies are of no use any more.
type leaseSlot struct {
	gen uint32
	bid uint16
}

// newBook returns the account of n buffers of size bytes, none of them provided.
// A lease takes a place, of which there are as many as buffers to begin with;
// only incremental consumption needs more.
func newBook(mem []byte, n, size int) bufBook {
	b := bufBook{mem: mem, size: size, bufs: make([]bufState, n), slots: make([]leaseSlot, n), free: make([]uint32, n)}
	for i := range b.free {
		b.free[i] = uint32(n - 1 - i)
	}
	return b
}

// provided records that the kernel gets a buffer, behind all that it has.
func (b *bufBook) provided(bid uint16) {
	b.bufs[b.last].next = bid
	b.last = bid
	st := &b.bufs[bid]
	st.filled, st.kernels = 0, true
}

// oneLease returns the lease of a completion that has put something into one
// buffer only.
func (b *bufBook) oneLease(cqe CQE) (Lease, error) {
	bid, ok := cqe.BufferID()
	if !ok {
		return Lease{}, ErrNoBuffer
	}
	n := int(max(cqe.Res, 0))
	if int(bid) < len(b.bufs) {
		if st := &b.bufs[bid]; st.kernels && n <= b.size-int(st.filled) {
			return b.lease(bid, n, cqe.BufMore()), nil
		}
	}
	if err := b.check(bid, cqe); err != nil {
		return Lease{}, err
	}
	return Lease{}, fmt.Errorf("uring: completion of %d bytes in several provided buffers of %d bytes: use AppendLeases",
		cqe.Res, b.size)
}

// appendLeases takes a completion apart: it appends one lease for each buffer
// that it has put bytes into. It is all or none: after an error nothing has
// changed.
func (b *bufBook) appendLeases(dst []Lease, cqe CQE) ([]Lease, error) {
	bid, ok := cqe.BufferID()
	if !ok {
		return dst, ErrNoBuffer
	}
	if err := b.check(bid, cqe); err != nil {
		return dst, err
	}
	for left := int(max(cqe.Res, 0)); ; {
		st := &b.bufs[bid]
		n := min(left, b.size-int(st.filled))
		left -= n
		more := left == 0 && cqe.BufMore()
		dst = append(dst, b.lease(bid, n, more))
		if left == 0 {
			return dst, nil
		}
		bid = st.next
	}
}

// check reports a completion that cannot be one of this group: of a buffer that
// the kernel has not got, or of more bytes than there is room for.
func (b *bufBook) check(bid uint16, cqe CQE) error {
	for left := int(max(cqe.Res, 0)); ; {
		if int(bid) >= len(b.bufs) {
			return fmt.Errorf("uring: completion of provided buffer %d: the group has %d", bid, len(b.bufs))
		}
		st := &b.bufs[bid]
		if !st.kernels {
			return fmt.Errorf("uring: completion of provided buffer %d, which the kernel has not got: "+
				"another group's, or seen before", bid)
		}
		left -= b.size - int(st.filled)
		if left <= 0 {
			return nil
		}
		if bid == b.last { // nothing was provided after it, and its next is an old one
			return fmt.Errorf("uring: completion of %d bytes, %d more than the provided buffers hold", cqe.Res, left)
		}
		bid = st.next
	}
}

// lease makes the lease of the next n bytes of a buffer; more says whether the
// kernel keeps the buffer for further ones.
func (b *bufBook) lease(bid uint16, n int, more bool) Lease {
	st := &b.bufs[bid]
	from := int(bid)*b.size + int(st.filled)
	end := (int(bid) + 1) * b.size
	if more {
		end = from + n
	}
	st.filled += uint32(n)
	st.leases++
	st.kernels = more

	if len(b.free) == 0 {
		b.slots = append(b.slots, leaseSlot{})
		b.free = append(b.free, uint32(len(b.slots)-1))
	}
	slot := b.free[len(b.free)-1]
	b.free = b.free[:len(b.free)-1]
	s := &b.slots[slot]
	s.bid = bid
	return Lease{book: b, data: b.mem[from : from+n : end], slot: slot, gen: s.gen, bid: bid}
}

// has reports whether a lease of the group has not been returned. A group that
// was closed has none.
func (b *bufBook) has(l Lease) bool {
	return l.slot < uint32(len(b.slots)) && b.slots[l.slot].gen == l.gen
}

// end takes a lease out of the account. It reports whether it was there, and
// whether the buffer is free now.
func (b *bufBook) end(l Lease) (was, free bool) {
	if l.book != b || !b.has(l) {
		return false, false
	}
	b.slots[l.slot].gen++
	b.free = append(b.free, l.slot)
	st := &b.bufs[l.bid]
	st.leases--
	return true, st.leases == 0 && !st.kernels
}

// endAll ends all leases there are.
func (b *bufBook) endAll() {
	b.free = b.free[:0]
	for slot := range b.slots {
		b.slots[slot].gen++
		b.free = append(b.free, uint32(slot))
	}
	for bid := range b.bufs {
		b.bufs[bid].leases = 0
	}
}

// giveBack ends a lease and has a buffer provided again that is free by that.
func (b *bufBook) giveBack(l Lease) bool {
	was, free := b.end(l)
	if free {
		b.refill.put(l.bid)
	}
	return was
}

// close makes all leases invalid.
func (b *bufBook) close() { *b = bufBook{} }
