package uring

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

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

// EnterWait submits up to toSubmit entries, waits until minComplete completions
// are there or the wait ends otherwise, and returns the number of entries
// consumed. It adds IORING_ENTER_GETEVENTS and what w demands to the flags. A
// nil w has no bound.
//
// As with the other Enter methods the error is a bare number, among them ETIME
// when the time is up and nothing has completed, and EINTR when a signal came.
// Every thread that the ring's setup flags allow may wait, several at the same
// time; a completion ends the wait of each whose minComplete is reached, though
// only one of them will reap it.
func (r *Ring) EnterWait(toSubmit, minComplete uint32, flags EnterFlags, w *Wait) (int, syscall.Errno) {
	flags |= IORING_ENTER_GETEVENTS
	if w == nil {
		return r.Enter(toSubmit, minComplete, flags)
	}
	w.arg.Ts, w.arg.Sigmask, w.arg.SigmaskSz = 0, 0, 0
	if w.timed {
		w.arg.Ts = address(&w.ts)
	}
	if w.masked {
		w.arg.Sigmask, w.arg.SigmaskSz = address(&w.mask), uint32(unsafe.Sizeof(w.mask))
	}
	n, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(toSubmit),
		uintptr(minComplete), uintptr(flags|w.flags|r.enterBase|IORING_ENTER_EXT_ARG),
		uintptr(unsafe.Pointer(&w.arg)), unsafe.Sizeof(w.arg))
	runtime.KeepAlive(w)
	return consumed(n, errno), errno
}
