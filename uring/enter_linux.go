package uring

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Enter submits up to toSubmit entries and, with ENTER_GETEVENTS, waits until
// minComplete completions are there. It returns the number of entries that the
// kernel consumed. Errors are a bare syscall.Errno, so that an event loop pays
// nothing for the ones it expects: EINTR, EAGAIN, EBUSY (reap, then retry),
// EBADR (completions were lost). An enter that submitted anything says so and
// hides what became of the wait. See io_uring_enter(2).
func (r *Ring) Enter(toSubmit, minComplete uint32, flags EnterFlags) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(toSubmit),
		uintptr(minComplete), uintptr(flags|r.enterBase), 0, 0)
	return consumed(n, errno), errno
}

// EnterNow is Enter without waiting and without telling Go's scheduler, which
// makes it cheaper. The calling thread keeps its processor during the call.
func (r *Ring) EnterNow(toSubmit uint32, flags EnterFlags) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(toSubmit),
		0, uintptr(flags|r.enterBase), 0, 0)
	return consumed(n, errno), errno
}

// EnterTimeout is Enter with a bound on the time that it waits; it fails with
// ETIME when that has passed and not one completion is there; with some, but
// fewer than minComplete, it returns without an error. A timeout that is not
// positive does not wait. Only one goroutine at a time may call it. It needs
// FEAT_EXT_ARG (Linux 5.11).
func (r *Ring) EnterTimeout(toSubmit, minComplete uint32, flags EnterFlags, timeout time.Duration) (int, syscall.Errno) {
	timeout = max(timeout, 0)
	r.ts = Timespec{Sec: int64(timeout / time.Second), Nsec: int64(timeout % time.Second)}
	r.arg = GetEventsArg{Ts: uint64(uintptr(unsafe.Pointer(&r.ts)))}
	n, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(toSubmit),
		uintptr(minComplete), uintptr(flags|r.enterBase|IORING_ENTER_EXT_ARG),
		uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg))
	return consumed(n, errno), errno
}

// consumed returns the count of a system call, which is -1 for a failed one.
func consumed(n uintptr, errno syscall.Errno) int {
	if errno != 0 {
		return 0
	}
	return int(n)
}

// Submit shows all prepared entries to the kernel and submits them without
// waiting. It returns how many the kernel consumed, which can be fewer: without
// SETUP_SUBMIT_ALL an entry that is refused ends the batch, and the rest
// remains for the next Submit.
func (r *Ring) Submit() (int, error) {
	return r.SubmitAndWait(0, -1)
}

// SubmitAndWait submits all prepared entries and waits until at least n
// completions can be reaped or the timeout has passed; a negative timeout
// means no bound. Completions that are already there count, and n is at most
// the size of the completion queue, as there can be no more at a time (half of
// it, less one, if completions have mixed sizes). It retries when a signal
// interrupts it, and reports a timeout as os.ErrDeadlineExceeded. On a closed
// ring it fails with os.ErrClosed.
//
// It returns how many entries the kernel consumed; with SETUP_SQPOLL, where the
// kernel takes them in its own time, how many were shown to it.
//
// With n of 0 it also lets completions arrive that wait for the ring to be
// entered: after an overflow, and with SETUP_DEFER_TASKRUN.
func (r *Ring) SubmitAndWait(n uint32, timeout time.Duration) (int, error) {
	if r.closed {
		return 0, errClosed
	}
	n = min(n, r.cq.most())
	var deadline time.Time
	if timeout >= 0 {
		deadline = time.Now().Add(timeout)
	}
	submitted := 0
	polled := r.params.Flags&IORING_SETUP_SQPOLL != 0
	if polled {
		submitted = int(r.sq.ready() - r.sq.published)
	}
	for {
		pending := r.sq.Flush()
		// In this order: what arrives in between makes the wait too short, and not
		// too long.
		there := r.cq.slots()
		missing := n - min(n, r.cq.Ready())
		flags := r.enterFlags(pending, n, missing)
		if polled {
			pending = 0 // the kernel takes them without being told
		}
		if pending == 0 && flags == 0 {
			return submitted, nil
		}
		var done int
		var errno syscall.Errno
		if missing > 0 && timeout >= 0 {
			done, errno = r.EnterTimeout(pending, r.slotsFor(n, missing, there), flags, time.Until(deadline))
		} else {
			done, errno = r.Enter(pending, r.slotsFor(n, missing, there), flags)
		}
		// An enter that submitted something says so, whatever became of the
		// wait, and so does one that ends with fewer completions than asked for
		// but not none: it hides ETIME. The next turn looks at the queue again.
		switch errno {
		case 0:
			submitted += done
			switch {
			case pending > 0 && done == 0:
				return submitted, r.enterError(syscall.EAGAIN)
			case missing == 0:
				return submitted, nil
			case pending == 0 && timeout >= 0 && r.cq.Ready() < n && !time.Now().Before(deadline):
				return submitted, os.ErrDeadlineExceeded
			}
		case syscall.EINTR:
		case syscall.ETIME:
			return submitted, os.ErrDeadlineExceeded
		default:
			return submitted, r.enterError(errno)
		}
	}
}

// enterFlags returns the flags for an enter with the given number of pending
// entries, when missing of n completions are not there yet. Without any flag
// there is no reason to enter but the pending entries.
func (r *Ring) enterFlags(pending, n, missing uint32) EnterFlags {
	const (
		blind  = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG
		direct = IORING_SETUP_IOPOLL | IORING_SETUP_SQPOLL
	)
	setup, status := r.params.Flags, r.sq.Flags()
	var flags EnterFlags
	switch {
	case missing > 0, status&(IORING_SQ_CQ_OVERFLOW|IORING_SQ_TASKRUN) != 0:
		flags |= IORING_ENTER_GETEVENTS
	case n == 0 && (setup&blind == IORING_SETUP_DEFER_TASKRUN || setup&direct == IORING_SETUP_IOPOLL):
		// Completions arrive in an enter only and no flag announces them.
		flags |= IORING_ENTER_GETEVENTS
	}
	if pending > 0 && status&IORING_SQ_NEED_WAKEUP != 0 {
		flags |= IORING_ENTER_SQ_WAKEUP
	}
	return flags
}

// slotsFor returns what the kernel must be told to wait for so that the missing
// ones of n completions arrive, when so many entries of the queue were taken
// before they were found missing. It counts entries, of which a large completion
// among small ones takes two: to ask for one more entry for each is too little at
// worst, and then the wait begins again.
func (r *Ring) slotsFor(n, missing, there uint32) uint32 {
	if !r.cq.mixed || missing == 0 {
		return n
	}
	return min(there+missing, r.cq.entries)
}

// errClosed is the error of a ring that Close was called on.
var errClosed = fmt.Errorf("uring: the ring is closed: %w", os.ErrClosed)

// enterError adds to an error what it means that is not in its name.
func (r *Ring) enterError(errno syscall.Errno) error {
	err := os.NewSyscallError("io_uring_enter", errno)
	switch {
	case errno == syscall.EEXIST && r.params.Flags&IORING_SETUP_SINGLE_ISSUER != 0:
		return fmt.Errorf("%w: the ring belongs to another thread (SINGLE_ISSUER; lock the goroutine to its thread)", err)
	case errno == syscall.EBADFD:
		return fmt.Errorf("%w: the ring is not enabled yet (R_DISABLED; call Enable)", err)
	case errno == EBADR:
		return fmt.Errorf("%w: memory was short and completions were lost", err)
	case errno == syscall.EOWNERDEAD:
		return fmt.Errorf("%w: the kernel's thread that polls the queue has ended, with the thread that created the ring", err)
	case r.enterBase != 0 && r.enterTid != unix.Gettid() && (errno == syscall.EBADF || errno == syscall.EINVAL || errno == syscall.EOPNOTSUPP):
		return fmt.Errorf("%w: the ring's descriptor is registered with thread %d, and can be used on that one only", err, r.enterTid)
	}
	return err
}
