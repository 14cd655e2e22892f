package driver

import (
	"runtime"
	"runtime/metrics"
	"time"

	"go.uber.org/atomic"
)

// conductor decides which goroutine drives the ring, and how that waits. Driving
// is a role that goroutines take in turn: who waits for an operation, and finds
// nobody driving, leads until it has its result. One that is alone submits and
// waits in a single system call, and no other goroutine or thread has to run
// for it to go on. The loop belongs to whoever has the role.
//
// While nobody leads, completions are signalled to a goroutine that waits in
// Go's scheduler, on an eventfd that is muted whenever somebody leads.
//
// A leader that sleeps in the kernel does not touch the loop. Who has something
// to submit then borrows the loop, submits by itself, and gives it back: that
// is one system call, as waking the leader would be, and spares the leader's
// thread. It does not reap: what the leader's wait looks at stays as it was.
type conductor struct {
	// role says who has the loop. Who gives it up stores the new state and
	// then looks at the queues once more; who has pushed something looks at
	// the state afterwards: one sees the other.
	role atomic.Uint32

	// target is what the leader waits for, and roused says that he has been
	// sent a completion of no operation. They belong to who has the loop.
	target Target
	roused bool

	// runnable is read to know whether yielding makes sense; without a name it
	// is not. It belongs to who has the loop.
	runnable [1]metrics.Sample

	// late says that the sleeping leader may be yet to submit: he has counted
	// the entries before he went to sleep, and the count would cut a chain that
	// has been prepared since. helped says that somebody else has submitted
	// meanwhile. They belong to who has the loop, too.
	late, helped bool
}

// maxAsked is up to how many processors Go is asked whether any goroutine can
// run: it looks at all of them, under the scheduler's lock.
const maxAsked = 16

// The states of the role.
const (
	vacant   = 0 // nobody leads; anybody may take it
	leading  = 1 // somebody has the loop, and looks at the queues before he gives it up
	sleeping = 2 // the leader sleeps, or is about to; the loop can be borrowed
	borrowed = 3 // somebody has the loop while the leader sleeps
	over     = 4 // the ring is gone
)

// poke makes the goroutine that attends to the ring look at it.
func (c *conductor) poke(d *Driver) {
	d.stats.wakes.Inc()
	d.ring.Poke()
}

// take makes the caller the leader if there is none.
func (c *conductor) take(d *Driver) bool {
	if c.role.Load() != vacant || !c.role.CompareAndSwap(vacant, leading) {
		return false
	}
	d.loop.by = byLeader
	d.ring.Signal(false)
	return true
}

// borrow gives the caller the loop if its leader sleeps.
func (c *conductor) borrow() bool { return c.role.CompareAndSwap(sleeping, borrowed) }

// kick makes sure that somebody looks at the queues after this call began.
func (c *conductor) kick(d *Driver) {
	l := &d.loop
	for {
		switch c.role.Load() {
		case vacant:
			if c.take(d) {
				l.turn(false)
				c.leave(d)
				return
			}
		case sleeping:
			if c.borrow() {
				if c.submit(d) {
					return
				}
			}
		default:
			d.stats.noteWakeSaved()
			return // whoever has the loop will look
		}
	}
}

// submit submits what is queued, with a borrowed loop, and gives that back. It
// reports whether nothing has come in the meantime.
func (c *conductor) submit(d *Driver) bool {
	needy := c.submitBorrowed(d) || d.closing.Load()
	c.role.Store(sleeping)
	if needy {
		c.poke(d)
		return true
	}
	return !d.loop.queued()
}

// submitBorrowed does the work of submit, and reports whether some is left for
// later.
func (c *conductor) submitBorrowed(d *Driver) (needy bool) {
	l := &d.loop
	if c.late && !c.helped && l.ring.Pending() == 0 {
		c.late = false // he has submitted: nobody else can have
	}
	l.chainsWait = c.late
	l.gather()
	unaware := !c.rouse(d)
	l.by = byBorrower
	l.enter()
	c.helped = true
	l.stamp()
	return l.needy() || unaware
}

// rouse makes sure that the sleeping leader learns of his completion. One that
// the kernel has posted wakes him by itself, but gathering can complete an
// operation, too: one whose cancellation had been decided but not queued when
// the kernel completed it, or one that was cancelled before it was submitted. A
// chain that only he can prepare wakes him as well.
// It reports false if there was no entry free for what it takes.
func (c *conductor) rouse(d *Driver) bool {
	wanted := c.target != nil && c.target.Ready() || d.loop.chainWaits && c.late
	if !wanted || c.roused {
		return true
	}
	sqe := d.loop.next()
	if sqe == nil {
		return false
	}
	sqe.PrepNop()
	sqe.UserData = wakeData
	d.stats.wakeEntries.Inc()
	c.roused = true
	return true
}

// await leads until t is ready, if nobody else leads and as long as nobody is
// better placed to; otherwise it makes sure that somebody looks at the queues.
// See Driver.Lead.
func (c *conductor) await(d *Driver, t Target, eager bool, sleepy func()) {
	if c.take(d) {
		c.lead(d, t, eager, sleepy)
		return
	}
	c.kick(d)
}

// lead drives the ring until t is ready, or somebody else is better placed to.
func (c *conductor) lead(d *Driver, t Target, eager bool, sleepy func()) {
	l := &d.loop
	c.yield() // others may be about to ask for something, too
	worked := false
	for looks := 0; ; eager = false {
		// What is prepared can wait for the system call that sleeps. While
		// there is enough else to do that it may not come soon, what a device
		// could be working at cannot.
		worked = l.turn(!eager && !(worked && l.eager))
		if t.Ready() || l.failed != nil && !worked {
			c.leave(d)
			return
		}
		if worked {
			looks = 0
			runtime.Gosched()
			continue
		}
		if looks++; looks < looksBeforeSleep && c.yield() {
			continue
		}
		looks = 0
		if sleepy != nil {
			sleepy()
			sleepy = nil
		}
		c.sleep(d, t)
		if l.reap() == 1 && !t.Ready() {
			// One other goroutine is busy, and will be back: next time it had
			// better lead itself than be led by this one, which is not.
			c.leave(d)
			return
		}
	}
}

// sleep submits what is prepared and waits in the kernel for a completion, on
// behalf of the goroutine that waits for t.
func (c *conductor) sleep(d *Driver, t Target) {
	l := &d.loop
	if l.unsent.len() > 0 {
		// Chains are submitted by who has the loop, so that it is seen how
		// much of them the kernel has taken before anybody submits more.
		l.enter()
		if l.unsent.len() > 0 {
			l.backOff()
			return
		}
		if l.ring.Ready() {
			return // nothing of it had to wait
		}
	}
	pending := l.ring.Flush()
	needy := l.needy()
	since := l.d.clock()
	l.stampAt(since)
	c.target, c.roused = t, false
	c.late, c.helped = pending > 0, false
	c.role.Store(sleeping)
	if needy {
		c.poke(d) // what takes time is not the leader's business
	}
	if l.queued() || t.Ready() {
		c.wake(d)
		return
	}
	n, errno := l.ring.Wait(pending)
	c.wake(d)
	l.slept(n, errno, since)
	l.backOff()
}

// wake makes a leader that has slept have the loop again.
func (c *conductor) wake(d *Driver) {
	for tries := 0; !c.role.CompareAndSwap(sleeping, leading); tries++ {
		// Borrowed for as long as a submission takes.
		if tries < 100 {
			runtime.Gosched()
		} else {
			time.Sleep(20 * time.Microsecond)
		}
	}
	c.target = nil
	c.late, d.loop.chainsWait = false, false
	d.loop.by = byLeader
}

// leave gives up the lead.
func (c *conductor) leave(d *Driver) {
	// The ring must not be closed before the last look at it.
	d.visitors.Inc()
	defer d.visitors.Dec()
	l := &d.loop
	for again := false; ; again = true {
		l.enter()
		needy := l.needy() || d.closing.Load()
		c.vacate(d)
		if needy {
			c.poke(d)
			return
		}
		if !l.queued() && !d.ring.Ready() {
			return
		}
		if again {
			// Enough done for others.
			c.poke(d)
			return
		}
		if !c.take(d) {
			return
		}
		l.turn(false)
	}
}

// vacate lets completions be signalled, and anybody take the lead.
func (c *conductor) vacate(d *Driver) {
	d.loop.stamp()
	d.ring.Signal(true)
	c.role.Store(vacant)
}

// looksBeforeSleep is how often a leader looks before it sleeps, with a yield in
// between: with two, and a yield before the first, the goroutines that a batch
// has woken have run and asked for their next operation.
const looksBeforeSleep = 2

// asks makes yield ask first.
func (c *conductor) asks() { c.runnable[0].Name = "/sched/goroutines/runnable:goroutines" }

// yield lets other goroutines run, if there are any to run, and reports whether
// there were. Goroutines that are ready on the leader's processor must not wait
// for Go to take it away from the thread that sleeps in the kernel, which takes
// up to 10 ms. But to yield for nothing makes Go's scheduler wake a thread that
// looks for work in vain, which costs more than a message; to ask first costs
// 55 ns.
func (c *conductor) yield() bool {
	if c.runnable[0].Name != "" {
		metrics.Read(c.runnable[:])
		// Go before 1.26 does not know it: any other kind.
		if v := c.runnable[0].Value; v.Kind() == metrics.KindUint64 && v.Uint64() == 0 {
			return false
		}
	}
	runtime.Gosched()
	return true
}

// run attends to the ring while nobody leads, and ends it. It is a goroutine as
// long as the driver lives, and sends once on started, when the ring has been
// enabled; if that is an error, it returns.
func (c *conductor) run(d *Driver, started chan<- error) {
	c.role.Store(leading)
	err := d.ring.Enable()
	if err == nil {
		c.vacate(d)
	}
	started <- err
	if err != nil {
		return
	}
	for {
		d.ring.AwaitSignal()
		if c.attend(d) {
			break
		}
	}
	c.role.Store(over)
	d.stop()
}

// attend does what there is to do for nobody in particular: completions that
// came while nobody led, and what has to be done at a certain time. It returns
// with the lead, and true, when the driver is finished.
func (c *conductor) attend(d *Driver) bool {
	l := &d.loop
	for {
		var needy bool
		nap := time.Duration(0)
		switch {
		case c.take(d):
			for l.by = byAttendant; l.turn(false); {
				runtime.Gosched()
			}
			if l.finished() {
				return true
			}
			if needy = l.needy(); needy {
				nap = l.nap()
			}
			c.vacate(d)
			needy = needy || l.queued() || d.ring.Ready()
		case c.borrow():
			if needy = c.submitBorrowed(d); needy {
				nap = l.nap()
			}
			c.role.Store(sleeping)
			needy = needy || l.queued()
		default:
			return false // whoever has the loop pokes if he leaves something
		}
		if !needy {
			return false
		}
		if nap > 0 {
			time.Sleep(nap)
		}
	}
}
