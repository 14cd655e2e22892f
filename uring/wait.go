package uring

import "time"

// Wait says for how long EnterWait waits, and what may interrupt it. The zero
// Wait has no bound. It can be used again and again, by one enter at a time:
// threads that wait on the same ring at the same time have one each.
type Wait struct {
	arg    GetEventsArg
	ts     Timespec
	mask   uint64
	flags  EnterFlags
	timed  bool
	masked bool
}

// SetTimeout bounds the wait by a time from its beginning. One that is not
// positive does not wait. Linux 5.11.
func (w *Wait) SetTimeout(d time.Duration) {
	d = max(d, 0)
	w.ts = Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
	w.flags &^= IORING_ENTER_ABS_TIMER
	w.timed = true
}

// SetDeadline bounds the wait by a point in time of the ring's clock, which is
// CLOCK_MONOTONIC unless SetClock has chosen another. Unlike a timeout it need
// not be computed anew when a signal has interrupted the wait. Linux 6.12.
func (w *Wait) SetDeadline(at Timespec) {
	w.ts = at
	w.flags |= IORING_ENTER_ABS_TIMER
	w.timed = true
}

// SetMinWait makes the wait end after d, rounded down to microseconds, with
// whatever has arrived by then, if it is anything at all; if it is nothing, the
// wait goes on until the first completion or the timeout. It trades latency for
// larger batches: ask for many completions and wait for them a little. Zero
// turns it off. Linux 6.12, IORING_FEAT_MIN_TIMEOUT; before, the enter fails
// with EINVAL.
func (w *Wait) SetMinWait(d time.Duration) {
	us := max(d, 0).Microseconds()
	w.arg.MinWaitUsec = uint32(min(us, int64(^uint32(0))))
}

// SetSigmask makes the signals in the set be blocked while the enter waits, in
// place of those that the thread blocks otherwise: bit n-1 stands for signal n.
// With SIGURG, Go's scheduler no longer interrupts the wait, which then lasts as
// long as it was asked to. It does not exist on MIPS, where signal sets have
// another size.
func (w *Wait) SetSigmask(mask uint64) {
	w.mask, w.masked = mask, true
}

// Reset makes it the zero Wait again.
func (w *Wait) Reset() { *w = Wait{} }

// Clocks that the waits of a ring can be measured by, as in clock_gettime(2).
const (
	CLOCK_MONOTONIC = 1 // stands still while the machine is suspended
	CLOCK_BOOTTIME  = 7 // goes on
)

// SetTimeout bounds the wait by a time from its beginning, or until a point in
// time of the ring's clock for an enter with IORING_ENTER_ABS_TIMER.
func (w *RegWait) SetTimeout(d time.Duration) {
	d = max(d, 0)
	w.Ts = Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
	w.Flags |= IORING_REG_WAIT_TS
}
