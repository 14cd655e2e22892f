package driver

import (
	"context"
	"sync"

	"go.uber.org/atomic"
)

// admission bounds how many operations of a class are under way. Over the
// bound, producers wait their turn; they neither spin nor fail.
type admission struct {
	limit int64
	used  atomic.Int64

	// waiting mirrors len(queue). A producer raises it before it looks at used
	// for the last time; release lowers used before it looks at waiting. One of
	// the two sees the other.
	waiting atomic.Int64
	mu      sync.Mutex
	queue   []chan struct{}
}

// tryAcquire takes a place if there is one.
func (a *admission) tryAcquire() bool {
	for {
		used := a.used.Load()
		if used >= a.limit {
			return false
		}
		if a.used.CompareAndSwap(used, used+1) {
			return true
		}
	}
}

// enter takes a place if there is one and nobody waits for his turn.
func (a *admission) enter() bool { return a.waiting.Load() == 0 && a.tryAcquire() }

// acquire takes a place, waiting for one until ctx (which may be nil) ends or
// closed is closed. It reports whether it had to wait.
func (a *admission) acquire(ctx context.Context, closed <-chan struct{}) (waited bool, err error) {
	if a.enter() {
		return false, nil
	}
	turn := make(chan struct{})
	a.mu.Lock()
	a.waiting.Inc()
	if len(a.queue) == 0 && a.tryAcquire() {
		a.waiting.Dec()
		a.mu.Unlock()
		return false, nil
	}
	a.queue = append(a.queue, turn)
	a.mu.Unlock()

	var done <-chan struct{}
	if ctx != nil {
		done = ctx.Done()
	}
	select {
	case <-turn:
		return true, nil
	case <-done:
		err = ctx.Err()
	case <-closed:
		err = ErrClosed
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, c := range a.queue {
		if c == turn {
			a.queue = append(a.queue[:i], a.queue[i+1:]...)
			a.waiting.Dec()
			return true, err
		}
	}
	// The turn came at the same time: pass it on.
	a.releaseLocked()
	return true, err
}

// release gives a place back, to the first in the queue if there is one.
func (a *admission) release() {
	a.used.Dec()
	if a.waiting.Load() == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.admitLocked()
}

func (a *admission) releaseLocked() {
	a.used.Dec()
	a.admitLocked()
}

func (a *admission) admitLocked() {
	for len(a.queue) > 0 && a.tryAcquire() {
		close(a.queue[0])
		a.queue = a.queue[1:]
		a.waiting.Dec()
	}
}
