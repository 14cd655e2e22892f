package driver

import (
	"fmt"
	"runtime"
	"time"
)

// The driver's state for producers.
const (
	awake    = 0 // will look at the queues before it sleeps
	inKernel = 1 // sleeps, or is about to, until a completion comes: needs a Wake
	parked   = 2 // sleeps, or is about to, in Go's scheduler: needs a token
	ended    = 3 // the ring is gone
)

// kick makes sure that the driver looks at its queues after this call began.
func (d *Driver) kick() {
	// Pairs with the driver's store of the state before it looks at the queues
	// for the last time: what the caller has pushed is seen there, or the
	// driver's sleep is seen here.
	state := d.sleep.Load()
	if state != inKernel && state != parked {
		return
	}
	// stop waits for wakers to be zero before it closes the ring.
	d.wakers.Inc()
	defer d.wakers.Dec()
	if !d.sleep.CompareAndSwap(state, awake) {
		return // somebody else wakes it, or it woke by itself
	}
	if state == parked {
		d.unpark <- struct{}{}
		return
	}
	d.stats.wakes.Inc()
	if err := d.ring.Wake(); err != nil {
		// Without the wake, callers would hang for ever.
		panic(fmt.Sprintf("driver: cannot wake the ring: %v", err))
	}
}

// queued reports whether producers have left anything to do.
func (l *loop) queued() bool {
	d := l.d
	return !d.submitted.empty() || !d.cancelled.empty() ||
		d.closing.Load() && !l.shutting || l.finished()
}

// sleep waits until there is something to do.
func (l *loop) sleep() {
	if l.table.len() == 0 && l.ring.Pending() == 0 && l.backlog.len() == 0 && l.cancels.len() == 0 {
		l.park()
		return
	}
	d := l.d
	if l.failed != nil {
		// The ring may not even be able to wait.
		time.Sleep(maxBackoff)
		return
	}
	timeout := l.timeout()
	if !l.ring.Arm(wakeData) {
		// No entry free for what Wake needs, because the kernel refuses what
		// is prepared: look again soon.
		timeout = soonest(timeout, time.Millisecond)
	}
	d.sleep.Store(inKernel)
	if l.queued() {
		// If a producer has won the race to wake us, its completion comes
		// late, and is ignored.
		d.sleep.Store(awake)
		return
	}
	d.stats.sleeps.Inc()
	_, errno := l.ring.Wait(timeout)
	d.sleep.Store(awake)
	d.stats.enters.Inc()
	l.entered(errno)
}

// park sleeps without the kernel: nothing is in flight.
func (l *loop) park() {
	d := l.d
	d.sleep.Store(parked)
	if l.queued() && d.sleep.CompareAndSwap(parked, awake) {
		return
	}
	// Either nothing was queued, or a producer has taken it on itself to wake
	// us and its token is on the way.
	<-d.unpark
}

// timeout returns how long the kernel may let us sleep, negative for ever.
func (l *loop) timeout() time.Duration {
	timeout := time.Duration(-1)
	if l.congested {
		l.backoff = min(max(2*l.backoff, minBackoff), maxBackoff)
		timeout = l.backoff
	}
	if len(l.retries) > 0 {
		timeout = soonest(timeout, time.Until(l.nextRetry()))
	}
	return timeout
}

func soonest(a, b time.Duration) time.Duration {
	b = max(b, 0)
	if a < 0 {
		return b
	}
	return min(a, b)
}

const (
	minBackoff = 50 * time.Microsecond
	maxBackoff = 10 * time.Millisecond
)

// stop ends the driver: nothing is in flight and nothing will be submitted.
func (d *Driver) stop() {
	d.sleep.Store(ended)
	for d.wakers.Load() != 0 {
		runtime.Gosched()
	}
	if err := d.ring.Close(); err != nil && d.err == nil {
		d.err = fmt.Errorf("driver: closing the ring: %w", err)
	}
	d.pacer.end()
	close(d.done)
}
