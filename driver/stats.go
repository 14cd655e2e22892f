package driver

import (
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// inlineCounters are one part of the counters that many goroutines write at
// once, in a cache line of its own.
type inlineCounters struct {
	done, missed, behind atomic.Uint64
	_                    [40]byte
}

// counters are written by whoever drives the ring, except for the first group, and
// read by Stats.
type counters struct {
	// Written by producers.
	wakes          atomic.Uint64
	admissionWaits atomic.Uint64
	inline         [sys.Stripes]inlineCounters

	enters       atomic.Uint64
	sleeps       atomic.Uint64
	submitted    atomic.Uint64
	completions  atomic.Uint64
	reaps        atomic.Uint64
	finished     atomic.Uint64
	cancels      atomic.Uint64
	cancelled    atomic.Uint64
	cancelsLate  atomic.Uint64
	cancelsAgain atomic.Uint64
	resubmitted  atomic.Uint64
	stale        atomic.Uint64
	sqFull       atomic.Uint64
	busy         atomic.Uint64
	overflows    atomic.Uint64
}

// Stats counts what a driver has done since it was opened.
type Stats struct {
	Enters uint64 // system calls made to submit, reap or wait
	Wakes  uint64 // system calls made to have the ring attended to while nobody leads
	Sleeps uint64 // waits in the kernel, part of Enters

	Submitted   uint64 // operations handed to the kernel
	Completions uint64 // completions of every kind
	Reaps       uint64 // batches of completions: Completions/Reaps is their mean size
	Finished    uint64 // operations that ended

	Cancels      uint64 // cancellations asked of the kernel
	Cancelled    uint64 // of which it found the operation
	CancelsLate  uint64 // of which the operation had ended by itself
	CancelsAgain uint64 // of which had to be repeated later

	Resubmitted uint64 // operations submitted again after a thread of the process ended
	Stale       uint64 // completions that belong to no operation
	SQFull      uint64 // turns that ran out of submission entries
	Busy        uint64 // times the kernel refused entries with EAGAIN or EBUSY
	Overflows   uint64 // enters after which completions did not fit into the queue

	// Operations that their goroutines tried by a system call of their own
	// before, or instead of, handing them to the ring; see NoteInline.
	InlineTried uint64 // each is a system call
	InlineDone  uint64 // of which needed nothing more

	Behind uint64 // writes that returned when they were queued; see NoteBehind

	AdmissionWaits uint64 // operations that had to wait because MaxInFlight were under way
	InFlight       int64  // operations under way now
}

// Stats returns the counters. They are read one after the other, so that a
// busy driver's do not belong to exactly one moment.
func (d *Driver) Stats() Stats {
	c := &d.stats
	var done, missed, behind uint64
	for i := range c.inline {
		done += c.inline[i].done.Load()
		missed += c.inline[i].missed.Load()
		behind += c.inline[i].behind.Load()
	}
	return Stats{
		Enters:         c.enters.Load(),
		Wakes:          c.wakes.Load(),
		Sleeps:         c.sleeps.Load(),
		Submitted:      c.submitted.Load(),
		Completions:    c.completions.Load(),
		Reaps:          c.reaps.Load(),
		Finished:       c.finished.Load(),
		Cancels:        c.cancels.Load(),
		Cancelled:      c.cancelled.Load(),
		CancelsLate:    c.cancelsLate.Load(),
		CancelsAgain:   c.cancelsAgain.Load(),
		Resubmitted:    c.resubmitted.Load(),
		Stale:          c.stale.Load(),
		SQFull:         c.sqFull.Load(),
		Busy:           c.busy.Load(),
		Overflows:      c.overflows.Load(),
		InlineTried:    done + missed,
		InlineDone:     done,
		Behind:         behind,
		AdmissionWaits: c.admissionWaits.Load(),
		InFlight:       d.finite.used.Load() + d.waiting.used.Load(),
	}
}

// NoteInline counts an operation that its goroutine tried by a non-blocking
// system call, and whether that did it.
func (d *Driver) NoteInline(done bool) {
	c := &d.stats.inline[sys.Stripe()]
	if done {
		c.done.Inc()
	} else {
		c.missed.Inc()
	}
}

// NoteBehind counts a write that was queued for the ring and that its goroutine
// did not wait for.
func (d *Driver) NoteBehind() { d.stats.inline[sys.Stripe()].behind.Inc() }

// SystemCalls returns how many system calls all of this took: entering the
// ring, waking its driver, and trying inline.
func (s Stats) SystemCalls() uint64 { return s.Enters + s.Wakes + s.InlineTried }

// Add returns the sum of two drivers' counters.
func (s Stats) Add(o Stats) Stats {
	s.Enters += o.Enters
	s.Wakes += o.Wakes
	s.Sleeps += o.Sleeps
	s.Submitted += o.Submitted
	s.Completions += o.Completions
	s.Reaps += o.Reaps
	s.Finished += o.Finished
	s.Cancels += o.Cancels
	s.Cancelled += o.Cancelled
	s.CancelsLate += o.CancelsLate
	s.CancelsAgain += o.CancelsAgain
	s.Resubmitted += o.Resubmitted
	s.Stale += o.Stale
	s.SQFull += o.SQFull
	s.Busy += o.Busy
	s.Overflows += o.Overflows
	s.InlineTried += o.InlineTried
	s.InlineDone += o.InlineDone
	s.Behind += o.Behind
	s.AdmissionWaits += o.AdmissionWaits
	s.InFlight += o.InFlight
	return s
}
