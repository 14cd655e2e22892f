package uring

import (
	"errors"
	"fmt"
	"iter"
)

// ErrQueueFull is returned by a reservation for which the submission queue has
// no room at present. Submitting what is in it makes room.
var ErrQueueFull = errors.New("uring: the submission queue has not enough room")

// ErrReserved is returned by a reservation while another one is open.
var ErrReserved = errors.New("uring: another reservation of the submission queue is open: call its Done first")

// Reservation is a number of entries that lie one behind the other in the order
// of submission, as links demand. Ring.Reserve makes one. Its entries are NOPs
// until they are filled, and what was not filled in the end stays that, see
// FillerUserData: nothing that an entry held before is ever submitted.
//
// All, Linked and HardLinked iterate over the entries that are left. A loop that
// runs to the end ends the reservation; one that is left early does not, so that
// what is left can be another chain. Done ends a reservation in any case.
//
// Until then it is open, and Flush, and so Submit, shows the kernel nothing of
// it nor of what was taken after it: it cannot be submitted half filled. A queue
// has one open reservation at a time. One that has ended has no entries, and
// ending it again does nothing, also while another is open.
type Reservation struct {
	q  *SubmissionQueue
	id uint32
}

// reserved is the part of a queue that is reserved.
type reserved struct {
	from uint32 // position of the first entry
	next uint32 // position of the first that was not handed out
	end  uint32 // position behind the last
	id   uint32 // of the reservation that is open or was the last, from 1 on
	open bool
}

// reserve takes n entries and makes them fillers with the given flags.
func (q *SubmissionQueue) reserve(n int, flags SQEFlags) (Reservation, error) {
	s := &q.reserved
	switch {
	case n < 1 || n > int(q.Entries()):
		return Reservation{}, fmt.Errorf("uring: reservation of %d entries in a submission queue of %d", n, q.Entries())
	case s.open:
		return Reservation{}, ErrReserved
	case n > int(q.Space()):
		return Reservation{}, ErrQueueFull
	}
	*s = reserved{from: q.tail, next: q.tail, end: q.tail + uint32(n), id: max(s.id+1, 1), open: true}
	for range n {
		q.Next().prepFiller(flags)
	}
	return Reservation{q, s.id}, nil
}

// left reports whether there are entries left.
func (v Reservation) left() bool { return v.Len() > 0 }

// take returns the next entry, which there is.
func (v Reservation) take() *SQE {
	s := &v.q.reserved
	sqe := &v.q.sqes[(s.next&v.q.mask)<<v.q.shift]
	s.next++
	return sqe
}

// Len returns how many entries are left.
func (v Reservation) Len() int {
	if v.q == nil || v.q.reserved.id != v.id {
		return 0
	}
	return int(v.q.reserved.end - v.q.reserved.next)
}

// Next returns the next entry, or nil when there is none left. Taking the last
// one does not end the reservation: fill it, and call Done.
func (v Reservation) Next() *SQE {
	if !v.left() {
		return nil
	}
	return v.take()
}

// All yields the entries that are left, not linked to each other.
func (v Reservation) All() iter.Seq[*SQE] { return v.chain(0) }

// Linked yields the entries that are left and links them: each starts after the
// success of the one before, and is cancelled with ECANCELED if that fails.
// The last is not linked to what comes after it, and neither is the one at which
// the loop is left. An entry that the body does not fill is a link that always
// succeeds.
//
// IOSQE_IO_LINK is set after the body, because preparing an entry clears it.
func (v Reservation) Linked() iter.Seq[*SQE] { return v.chain(IOSQE_IO_LINK) }

// HardLinked is Linked with IOSQE_IO_HARDLINK: each entry starts after the end of
// the one before, whatever became of it. Linux 5.5.
func (v Reservation) HardLinked() iter.Seq[*SQE] { return v.chain(IOSQE_IO_HARDLINK) }

// chain yields the entries that are left and gives all but the last the flag.
func (v Reservation) chain(link SQEFlags) iter.Seq[*SQE] {
	return func(yield func(*SQE) bool) {
		for v.left() {
			sqe := v.take()
			if !yield(sqe) {
				return
			}
			if v.left() {
				sqe.Flags |= link
			}
		}
		v.Done()
	}
}

// Done ends the reservation: the next Flush shows all of it, and the entries that
// are left do nothing. Calling it again changes nothing.
func (v Reservation) Done() {
	if v.q != nil && v.q.reserved.id == v.id {
		v.q.reserved = reserved{id: v.id}
	}
}
