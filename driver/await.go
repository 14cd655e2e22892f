package driver

import "context"

// Target is what a goroutine that drives the ring waits for.
type Target interface {
	// Ready reports whether it has come, which the sink of some operation has
	// brought about. It is called often, by whoever has the ring and by who is
	// about to sleep, maybe at the same time, and must not block.
	Ready() bool
}

// Ready implements Target.
func (w *Waiter) Ready() bool { return len(w.done) > 0 }

// Lead drives the ring, if nobody else does, until the target is ready. It may
// return earlier, when somebody else is better placed to drive; the caller then
// waits for the target by its own means, and the ring is seen to. Like Await,
// it sees that what was enqueued before is submitted.
//
// eager says that it probably completes as soon as it is submitted, so that it
// is worth entering the kernel and looking before entering it to wait.
//
// sleepy, which may be nil, is called once, before Lead first sleeps in the
// kernel: the time to arrange for a cancellation when a context ends, which
// operations that complete at once do not need.
func (d *Driver) Lead(t Target, eager bool, sleepy func()) {
	if t.Ready() && d.submitted.empty() {
		return
	}
	d.conductor.await(d, t, eager, sleepy)
}

// Closing reports whether the driver is being shut down, by its owner or
// because its ring has failed. What is under way then is cancelled.
func (d *Driver) Closing() bool { return d.closing.Load() }

// SubmitAll is Submit for several operations, in order, with as few system
// calls as there is room for. It returns how many it has submitted, all if the
// error is nil.
func (d *Driver) SubmitAll(ctx context.Context, ops []*Op) (int, error) {
	n, err := d.EnqueueAll(ctx, ops)
	d.conductor.kick(d)
	return n, err
}

// EnqueueAll is Enqueue for several operations, in order, so that one system
// call can submit them all. It returns how many it has enqueued, all if the
// error is nil; Await or Lead must follow in any case.
func (d *Driver) EnqueueAll(ctx context.Context, ops []*Op) (int, error) {
	for i, op := range ops {
		var err error
		if a := d.class(op); !a.enter() {
			// What makes room may be among those enqueued so far: they must
			// not wait for this one.
			d.conductor.kick(d)
			err = d.acquire(ctx, a)
		}
		if err = d.push(op, err); err != nil {
			return i, err
		}
	}
	return len(ops), nil
}
