package driver

import (
	"syscall"
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// stripedCounters are one part of the counters that many goroutines write at
// once, in a cache line of its own.
type stripedCounters struct {
	done, missed, behind, wakesSaved atomic.Uint64
	_                                [32]byte
}

// who says on whose behalf the kernel is entered.
type who uint8

const (
	byLeader who = iota
	byBorrower
	byAttendant
	bySleeper // a leader that waits
	whoKinds
)

// sizes counts things by how large they were: exactly up to a batch, so that the
// sum needs no addition of its own, which most of them would spend more time
// on than on anything else here.
type sizes struct {
	small    [batch + 1]atomic.Uint64
	large    [histogramBuckets]atomic.Uint64
	largeSum atomic.Uint64
}

// note counts one of size n.
func (z *sizes) note(n int) {
	if n <= batch {
		z.small[n].Inc()
	} else {
		z.noteLarge(uint64(n))
	}
}

func (z *sizes) noteLarge(n uint64) {
	z.large[bucketOf(n)].Inc()
	z.largeSum.Add(n)
}

// addTo adds to a histogram what was counted, and returns how much that was and
// the sum of the sizes.
func (z *sizes) addTo(h *Histogram) (count, sum uint64) {
	for n := range z.small {
		c := z.small[n].Load()
		h[bucketOf(uint64(n))] += c
		count += c
		sum += c * uint64(n)
	}
	for i := range z.large {
		c := z.large[i].Load()
		h[i] += c
		count += c
	}
	return count, sum + z.largeSum.Load()
}

// counters are written by whoever drives the ring, except for the first group,
// and read by Stats. Each stands for itself: nothing is published by them.
type counters struct {
	// Written by producers.
	wakes          atomic.Uint64
	admissionWaits atomic.Uint64
	zeroCopy       atomic.Uint64
	zeroCopyCopied atomic.Uint64
	zeroCopyOff    atomic.Uint64
	striped        [sys.Stripes]stripedCounters

	enters [whoKinds]sizes
	reaps  sizes
	sleeps [histogramBuckets]atomic.Uint64

	// Entries that are not operations.
	cancelEntries atomic.Uint64
	wakeEntries   atomic.Uint64

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

	endedCancelled atomic.Uint64
	endedNoBuffers atomic.Uint64
	endedFailed    atomic.Uint64
}

// noteSleep counts a wait in the kernel.
func (c *counters) noteSleep(took time.Duration) {
	c.sleeps[bucketOf(uint64(max(took, 0).Microseconds()))].Inc()
}

// noteError counts an operation that ended without a result.
func (c *counters) noteError(res int32) {
	switch syscall.Errno(-res) {
	case syscall.ECANCELED:
		c.endedCancelled.Inc()
	case syscall.ENOBUFS:
		c.endedNoBuffers.Inc()
	case uring.ETIME: // what a timeout is for
	default:
		c.endedFailed.Inc()
	}
}

// noteWakeSaved counts an operation or a cancellation that somebody takes who is
// at the ring anyway.
func (c *counters) noteWakeSaved() { c.striped[sys.Stripe()].wakesSaved.Inc() }

// histograms fills in the histograms and what they add up to.
func (c *counters) histograms(s *Stats) {
	totals := [whoKinds]*uint64{
		byLeader: &s.LeaderEnters, byBorrower: &s.BorrowerEnters, byAttendant: &s.AttendantEnters, bySleeper: &s.Sleeps,
	}
	// Before the system calls that take them, so that there are no more.
	s.WakeEntries = c.wakeEntries.Load()
	notOps := c.cancelEntries.Load() + s.WakeEntries
	var entries uint64
	for by := range c.enters {
		n, sum := c.enters[by].addTo(&s.SubmittedPerEnter)
		*totals[by] = n
		s.Enters += n
		entries += sum
	}
	s.Submitted = entries - min(notOps, entries)
	s.Reaps, s.Completions = c.reaps.addTo(&s.CompletionsPerReap)
	for i := range c.sleeps {
		s.SleepMicroseconds[i] = c.sleeps[i].Load()
	}
}

// NoteInline counts an operation that its goroutine tried by a non-blocking
// system call, and whether that did it.
func (d *Driver) NoteInline(done bool) {
	c := &d.stats.striped[sys.Stripe()]
	if done {
		c.done.Inc()
	} else {
		c.missed.Inc()
	}
}

// NoteBehind counts a write that was queued for the ring and that its goroutine
// did not wait for.
func (d *Driver) NoteBehind() { d.stats.striped[sys.Stripe()].behind.Inc() }

// NoteZeroCopy counts a send of packages above that was not to copy and whose
// memory the kernel has given back, and whether it has copied after all.
func (d *Driver) NoteZeroCopy(copied bool) {
	d.stats.zeroCopy.Inc()
	if copied {
		d.stats.zeroCopyCopied.Inc()
	}
}

// NoteZeroCopyOff counts a connection that goes on by copying.
func (d *Driver) NoteZeroCopyOff() { d.stats.zeroCopyOff.Inc() }
