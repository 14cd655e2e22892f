package driver

import (
	"time"

	"github.com/yamanote-go/yamanote/uring"
)

// retry is a cancellation to be repeated: the kernel did not find the
// operation, or was just running it, and still it has not completed. It may
// have been between two states that can be cancelled.
type retry struct {
	ud uint64
	at time.Time
}

// The shortest and the longest pause before a cancellation is repeated, in
// milliseconds.
const (
	minRetry = 1
	maxRetry = 1000
)

// acceptCancel takes over a cancellation from its producer.
func (l *loop) acceptCancel(op *Op) {
	op.cancelSeen = true
	switch op.place {
	case placeQueued:
		// fill completes it when its turn comes, in this same turn of the
		// driver or as soon as entries are free.
	case placeKernel:
		l.cancel(op)
	case placeHeld:
		l.finish(op, op.final)
	}
}

// cancel asks the kernel to cancel an operation that is in the table.
func (l *loop) cancel(op *Op) {
	l.cancels.push(op.ud)
	l.d.stats.cancels.Inc()
}

// cancelCompleted handles the completion of a cancellation.
func (l *loop) cancelCompleted(c uring.CQE) {
	op := l.table.get(c.UserData)
	switch {
	case c.Res >= 0:
		l.d.stats.cancelled.Inc()
	case op == nil:
		l.d.stats.cancelsLate.Inc() // it has completed by itself
	default:
		op.cancelDelay = min(max(2*op.cancelDelay, minRetry), maxRetry)
		at := time.Now().Add(time.Duration(op.cancelDelay) * time.Millisecond)
		l.retries = append(l.retries, retry{ud: op.ud, at: at})
		l.d.stats.cancelsAgain.Inc()
	}
}

// retryCancels repeats the cancellations that are due, each less often than
// before, for as long as their operations are in the kernel.
func (l *loop) retryCancels() {
	now := time.Now()
	keep := l.retries[:0]
	for _, r := range l.retries {
		if l.table.get(r.ud) == nil {
			continue
		}
		if now.Before(r.at) {
			keep = append(keep, r)
			continue
		}
		l.cancels.push(r.ud)
	}
	l.retries = keep
}

func (l *loop) nextRetry() time.Time {
	next := l.retries[0].at
	for _, r := range l.retries[1:] {
		if r.at.Before(next) {
			next = r.at
		}
	}
	return next
}

// cancelAll cancels everything under way, for shutdown.
func (l *loop) cancelAll() {
	l.shutting.Store(true)
	l.table.each(func(op *Op) {
		if op.state.CompareAndSwap(stateActive, stateCancelling) {
			op.cancelSeen = true
			l.cancel(op)
		}
	})
	for i := range l.backlog.len() {
		l.cancelQueued(l.backlog.at(i))
	}
}

// cancelQueued marks an operation in the backlog as cancelled.
func (l *loop) cancelQueued(op *Op) {
	if op.state.CompareAndSwap(stateActive, stateCancelling) {
		op.cancelSeen = true
	}
}
