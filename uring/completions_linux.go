package uring

import (
	"errors"
	"iter"
	"os"
	"syscall"
	"time"
)

// Completions yields the completions that are there, without waiting, and ends
// when there are none. Each is consumed before it is yielded, so that the loop
// can be left and resumed.
//
// Other than CompletionQueue.All it enters the ring for those that do not appear
// by themselves: after an overflow of the queue, and with task work that waits
// for the ring to be entered (IORING_SQ_TASKRUN, and always with DEFER_TASKRUN
// without TASKRUN_FLAG, and with IOPOLL). It submits nothing. Fillers, see
// FillerUserData, are left out.
//
// An error is that of entering the ring, the last of the sequence, and comes
// without a completion.
func (r *Ring) Completions() iter.Seq2[CQE, error] {
	return func(yield func(CQE, error) bool) {
		for r.yieldReady(yield) {
			more, err := r.fetch()
			if err != nil {
				yield(CQE{}, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

// WaitCompletions yields completions without end. Whenever there are none left,
// it submits what was prepared and waits until n are there, as SubmitAndWait
// does; n of 0 is taken for 1. It may be left at any time, and nothing is lost.
//
// If the timeout passes without any completion it yields os.ErrDeadlineExceeded,
// and waits again if the loop goes on; a negative timeout means no bound. Every
// other error is the last of the sequence. Errors come without a completion.
// Fillers, see FillerUserData, are left out, but count for n.
func (r *Ring) WaitCompletions(n uint32, timeout time.Duration) iter.Seq2[CQE, error] {
	return func(yield func(CQE, error) bool) {
		for r.yieldReady(yield) {
			if err := r.await(max(n, 1), timeout); err != nil {
				if !yield(CQE{}, err) || !errors.Is(err, os.ErrDeadlineExceeded) {
					return
				}
			}
		}
	}
}

// yieldReady yields the completions that are in the queue, but for fillers, and
// reports whether the loop goes on.
func (r *Ring) yieldReady(yield func(CQE, error) bool) bool {
	for cqe := range r.cq.All() {
		if cqe.UserData != FillerUserData && !yield(cqe, nil) {
			return false
		}
	}
	return true
}

// await submits and waits for the next completions. It returns without an error
// whenever there are any.
func (r *Ring) await(n uint32, timeout time.Duration) error {
	_, err := r.SubmitAndWait(n, timeout)
	switch {
	case r.cq.Ready() > 0:
		return nil
	case err == nil:
		// There is nothing that it could have waited for.
		return os.ErrClosed
	}
	if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EAGAIN) {
		// The kernel wants completions to be reaped before it takes more.
		more, fetchErr := r.fetch()
		if more && fetchErr == nil {
			return nil
		}
	}
	return err
}

// fetch enters the ring for completions that do not appear by themselves, if it
// may have such, and reports whether there are any now.
func (r *Ring) fetch() (bool, error) {
	flags := r.enterFlags(0, 0, 0)
	if flags == 0 {
		return false, nil
	}
	for {
		_, errno := r.Enter(0, 0, flags)
		switch errno {
		case 0:
			return r.cq.Ready() > 0, nil
		case syscall.EINTR:
		default:
			return false, r.enterError(errno)
		}
	}
}
