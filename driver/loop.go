package driver

import (
	"fmt"
	"syscall"
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/uring"
)

// batch is how many completions are handled in one turn before the goroutines
// that they wake get to run: enough to share the cost of a turn, few enough
// for their memory to be in the cache still when they run.
const batch = 64

// portion returns how many completions to handle in one turn. What finishes by
// itself is work for a device, which should have the next of it before it has
// done all that it has: so no more than an eighth of it at a time.
func (l *loop) portion() int {
	n := l.d.finite.used.Load()
	if n == 0 {
		return batch
	}
	return int(min(max(n/8, 4), batch))
}

// wakeData is the user data of completions that only wake a leader.
var wakeData = userData(kindWake, 0, 0)

// loop is what belongs to whoever drives the ring.
type loop struct {
	d    *Driver
	ring Ring

	table   table
	backlog fifo[*Op]    // taken from the queue, not in the kernel yet
	cancels fifo[uint64] // operations to cancel, by user data
	retries []retry      // cancellations that found nothing, to be repeated

	filled     uint64       // entries ever prepared
	unsent     fifo[*chain] // chains that are prepared and not known to be consumed
	chainWaits bool         // the chain at the front of the backlog waits for room
	chainsWait bool         // no chain may be prepared now; see conductor.sleep
	by         who          // who drives
	turns      int          // since stamp

	shutting  atomic.Bool   // all that was in flight has been cancelled
	congested bool          // the kernel has refused to take entries
	eager     bool          // entries are prepared that a device could be working at
	backoff   time.Duration // how long the last sleep was because of that
	failed    error         // the ring is unusable since failedAt
	failedAt  time.Time
	abandoned bool // what was under way has been given up, and the ring is not entered any more

	cqes [batch]uring.CQE
}

// finished reports whether the driver is shutting down and nothing is left.
func (l *loop) finished() bool {
	d := l.d
	// An admitted operation counts until its terminal completion, and a Submit
	// in progress from before it looks at closing.
	return d.closing.Load() && d.finite.used.Load() == 0 && d.waiting.used.Load() == 0
}

// queued reports whether producers have left anything to do. It touches nothing
// but what is shared.
func (l *loop) queued() bool {
	d := l.d
	return !d.submitted.empty() || !d.cancelled.empty() ||
		d.closing.Load() && !l.shutting.Load() || l.finished()
}

// turn does one round of work and reports whether there was any. If lazy, it
// leaves what it has prepared to the system call that will wait, unless there
// is more than fits.
func (l *loop) turn(lazy bool) bool {
	l.tick()
	filled := l.gather()
	left := l.backlog.len()+l.cancels.len() > 0
	if lazy && !left {
		return l.reap() > 0
	}
	l.enter()
	// What did not fit does now, unless the kernel refuses.
	more := left && !l.congested && l.failed == nil
	return l.reap()+filled > 0 || more
}

// gather takes over what is queued and prepares what fits. It returns how much
// that was.
func (l *loop) gather() int {
	l.d.submitted.take(l.accept)
	l.d.cancelled.take(l.acceptCancel)
	if l.d.closing.Load() && !l.shutting.Load() {
		l.cancelAll()
	}
	if len(l.retries) > 0 {
		l.retryCancels()
	}
	if l.failed != nil {
		l.abandonAll()
	}
	return l.fill()
}

// accept takes over an operation from its producer.
func (l *loop) accept(op *Op) {
	if op.calls {
		op.Late(op)
		l.d.waiting.used.Dec()
		return
	}
	l.backlog.push(op)
	if l.shutting.Load() {
		l.cancelQueued(op)
	}
}

// fill prepares submission entries, cancellations first, as many as fit, and
// returns how much progress it made.
func (l *loop) fill() int {
	progress := 0
	if l.chainWaits {
		// It needs more than one entry, which cancellations could take again
		// and again.
		progress += l.placeChain()
	}
	for l.cancels.len() > 0 {
		sqe := l.next()
		if sqe == nil {
			return progress
		}
		progress++
		ud := l.cancels.pop()
		sqe.PrepCancel(ud, 0)
		sqe.UserData = asKind(ud, kindCancel)
		l.d.stats.cancelEntries.Inc()
	}
	for l.backlog.len() > 0 {
		op := l.backlog.front()
		if op.chain != nil {
			n := l.placeChain()
			if n == 0 {
				l.d.stats.sqFull.Inc()
				return progress
			}
			progress += n
			continue
		}
		if op.state.Load() == stateCancelling {
			l.backlog.pop()
			progress++
			l.finish(op, Completion{Res: -int32(syscall.ECANCELED), Last: true})
			continue
		}
		if l.prepare(op) == nil {
			l.d.stats.sqFull.Inc()
			return progress
		}
		l.backlog.pop()
		progress++
	}
	return progress
}

// next returns a free entry, or nil.
func (l *loop) next() *uring.SQE {
	sqe := l.ring.Next()
	if sqe != nil {
		l.filled++
	}
	return sqe
}

// prepare fills an entry with the operation and returns it, or nil if there is
// none free.
func (l *loop) prepare(op *Op) *uring.SQE {
	sqe := l.next()
	if sqe != nil {
		l.table.add(op)
		op.place = placeKernel
		l.eager = l.eager || !op.Waits
		if op.Late != nil {
			linked := op.SQE.Flags & linkFlags
			op.Late(op)
			op.SQE.Flags |= linked
		}
		if op.traced != nil {
			l.d.report(StageKernel, op, Completion{})
		}
		*sqe = op.SQE
		sqe.UserData = op.ud
	}
	return sqe
}

// enter hands prepared entries to the kernel. It also enters when the kernel
// has completions that only entering brings out.
func (l *loop) enter() {
	if l.abandoned {
		return // the memory of what is prepared is its owners' again
	}
	if l.ring.Pending() == 0 && l.ring.Flags()&(uring.IORING_SQ_CQ_OVERFLOW|uring.IORING_SQ_TASKRUN) == 0 {
		return
	}
	n, errno := l.ring.Submit()
	l.d.stats.enters[l.by].note(n)
	l.chainsSent()
	l.entered(errno)
}

// entered deals with what entering the kernel has returned.
func (l *loop) entered(errno syscall.Errno) {
	l.congested, l.eager = false, false
	switch errno {
	case 0, syscall.EINTR, uring.ETIME:
		// A signal (Go preempts by signals), or a ring that does not wait for
		// ever: look again. What was not submitted still is pending, and
		// nothing else would hand it over.
		l.congested = l.ring.Pending() > 0
	case syscall.EAGAIN, syscall.EBUSY:
		// Out of memory for requests, or completions have to be reaped first.
		l.congested = true
		l.d.stats.busy.Inc()
	case uring.EBADR:
		// Completions were dropped for lack of kernel memory: whose they were
		// is unknown, so nothing on this ring can be trusted any more.
		l.fail(fmt.Errorf("driver: the kernel has lost completions for lack of memory: %w", errno))
	default:
		l.fail(fmt.Errorf("driver: io_uring_enter: %w", errno))
	}
	if !l.congested {
		l.backoff = 0
	}
	if l.ring.Flags()&uring.IORING_SQ_CQ_OVERFLOW != 0 {
		l.d.stats.overflows.Inc()
	}
}

// slept deals with what a wait in the kernel, begun at the given time, has
// returned.
func (l *loop) slept(n int, errno syscall.Errno, since int64) {
	l.d.stats.noteSleep(time.Duration(l.d.clock() - since))
	l.d.stats.enters[bySleeper].note(n)
	l.entered(errno)
}

// backOff pauses if the kernel has refused to take anything, and so has not
// waited either, and there is nothing to reap that could change its mind.
func (l *loop) backOff() {
	if l.congested && !l.ring.Ready() {
		time.Sleep(l.nap())
	}
}

// needy reports whether there is something to do that no completion will
// announce, at the latest after nap.
func (l *loop) needy() bool {
	return l.congested || l.failed != nil || len(l.retries) > 0 ||
		l.backlog.len() > 0 || l.cancels.len() > 0 ||
		l.ring.Flags()&uring.IORING_SQ_CQ_OVERFLOW != 0
}

// nap returns how long what needy speaks of can wait.
func (l *loop) nap() time.Duration {
	nap := maxBackoff
	if len(l.retries) > 0 {
		nap = max(min(nap, time.Until(l.nextRetry())), minBackoff)
	}
	switch {
	case l.congested:
		l.backoff = min(max(2*l.backoff, minBackoff), maxBackoff)
		nap = min(nap, l.backoff)
	case l.failed == nil && len(l.retries) == 0:
		nap = minBackoff
	}
	return nap
}

const (
	minBackoff = 50 * time.Microsecond
	maxBackoff = 10 * time.Millisecond
)

// reap handles a batch of completions and returns how many there were.
func (l *loop) reap() int {
	n := l.ring.Reap(l.cqes[:l.portion()])
	for i := range n {
		l.dispatch(l.cqes[i])
	}
	if n > 0 {
		l.d.stats.reaps.note(n)
	}
	return n
}

func (l *loop) dispatch(c uring.CQE) {
	switch kindOf(c.UserData) {
	case kindOp:
		l.completed(c)
	case kindCancel:
		l.cancelCompleted(c)
	case kindWake: // has done its work by arriving
	default:
		l.d.stats.stale.Inc()
	}
}

// completed handles a completion of an operation.
func (l *loop) completed(c uring.CQE) {
	op := l.table.get(c.UserData)
	if op == nil {
		l.d.stats.stale.Inc()
		return
	}
	if c.Flags&uring.IORING_CQE_F_MORE != 0 {
		if op.chain != nil {
			op.twice, op.first = true, c.Res
		}
		op.Sink.Complete(op, Completion{Res: c.Res, Flags: c.Flags})
		return
	}
	l.table.remove(op)
	if op.chain != nil {
		l.record(op, Completion{Res: c.Res, Flags: c.Flags, Last: true})
		return
	}
	if c.Res == -int32(syscall.ECANCELED) && l.orphaned(op) {
		op.place = placeQueued
		op.resubmits++
		l.backlog.push(op)
		l.d.stats.resubmitted.Inc()
		return
	}
	l.finish(op, Completion{Res: c.Res, Flags: c.Flags, Last: true})
}

// maxResubmits is how often an operation may come back cancelled by nobody
// before that is taken for its result: some device may mean it.
const maxResubmits = 1000

// orphaned reports whether an operation was cancelled by nobody: the kernel
// cancels what a thread has submitted when the thread ends. Go ends threads
// whose locked goroutine returns, and the driver may have run on such a thread
// before. The operation has not been done, so it can be submitted again.
func (l *loop) orphaned(op *Op) bool {
	return op.state.Load() == stateActive && op.SQE.Flags&linkFlags == 0 &&
		op.resubmits < maxResubmits && !l.shutting.Load()
}

// finish ends an operation and tells its sink, unless a canceller is about to
// queue it: then acceptCancel does that.
func (l *loop) finish(op *Op, c Completion) {
	op.final = c
	if !op.state.CompareAndSwap(stateActive, stateIdle) {
		if !op.cancelSeen {
			op.place = placeHeld
			return
		}
		op.state.Store(stateIdle)
	}
	if op.traced != nil {
		l.d.report(StageEnd, op, c)
	}
	lingers := op.Lingers
	if ch := op.chain; ch == nil {
		l.d.class(op).release()
	} else {
		op.chain = nil
		if lingers = ch.done() && ch.lingers; ch.left == 0 {
			ch.class.release()
		}
	}
	l.d.stats.finished.Inc()
	if c.Res < 0 && c.Flags&uring.IORING_CQE_F_NOTIF == 0 { // whose result is bits
		l.d.stats.noteError(c.Res)
	}
	// From here on the Op is its owner's, who may submit it again at once.
	op.Sink.Complete(op, c)
	if lingers {
		// Only now, so that one which its Sink submits again is counted
		// without a gap.
		l.d.lingered()
	}
}

// fail gives the ring up: nothing new is accepted, and what is in flight and
// does not end in time is completed with EIO.
func (l *loop) fail(err error) {
	if l.failed != nil {
		return
	}
	l.failed, l.failedAt = err, time.Now()
	l.d.err = err
	l.d.close()
}

// failGrace is how long operations of a failed ring may still end by
// themselves.
const failGrace = time.Second

// abandonAll completes everything with EIO once the grace is over. Better a
// wrong error than a caller that hangs for ever.
func (l *loop) abandonAll() {
	if time.Since(l.failedAt) < failGrace {
		return
	}
	l.abandoned = true
	eio := Completion{Res: -int32(syscall.EIO), Last: true}
	l.table.each(func(op *Op) {
		l.table.remove(op)
		if op.chain != nil {
			l.record(op, eio)
		} else {
			l.finish(op, eio)
		}
	})
	l.chainWaits, l.unsent = false, fifo[*chain]{}
	for l.backlog.len() > 0 {
		if op := l.backlog.pop(); op.chain != nil {
			l.dissolve(op.chain, eio)
		} else {
			l.finish(op, eio)
		}
	}
}

// count adds up the operations under way by kind.
func (l *loop) count(by map[uring.Op]int) {
	l.table.each(func(op *Op) { by[op.SQE.Opcode]++ })
	for i := range l.backlog.len() {
		op := l.backlog.at(i)
		if op.chain == nil {
			by[op.SQE.Opcode]++
			continue
		}
		for _, member := range op.chain.waiting() {
			by[member.SQE.Opcode]++
		}
	}
}
