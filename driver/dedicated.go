package driver

import (
	"fmt"
	"runtime"
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/uring"
)

// dedicated drives the ring from one goroutine for all its life.
type dedicated struct {
	pacer  pacer
	state  atomic.Uint32 // see the wake protocol in the package's comment
	unpark chan struct{} // one token for each parked → awake by a producer
}

// The states of a dedicated driver, for producers.
const (
	awake    = 0 // will look at the queues before it sleeps
	inKernel = 1 // sleeps, or is about to, until a completion comes: needs a Wake
	parked   = 2 // sleeps, or is about to, in Go's scheduler: needs a token
	ended    = 3 // the ring is gone
)

// pacer is what its goroutine is, what it does between turns, and how long it
// looks for work before it sleeps in the kernel.
type pacer interface {
	flags() []uring.SetupFlags

	// begin and end bracket the goroutine's life.
	begin()
	end()

	// pause lets the goroutines run that were just woken. looks counts the
	// turns since the last one that found work; pause returns false when it is
	// time to sleep instead.
	pause(looks int) bool

	// lazy says that submitting is best left to the system call that waits,
	// because pause never finds more to do.
	lazy() bool
}

// coopFlags are for rings whose completions are reaped by whatever thread.
func coopFlags() []uring.SetupFlags {
	return []uring.SetupFlags{uring.IORING_SETUP_COOP_TASKRUN | uring.IORING_SETUP_TASKRUN_FLAG}
}

type goroutinePacer struct{}

func (goroutinePacer) flags() []uring.SetupFlags { return coopFlags() }
func (goroutinePacer) begin()                    {}
func (goroutinePacer) end()                      {}
func (goroutinePacer) lazy() bool                { return false }

// looksBeforeSleep is how often a driver yields and looks again before it
// sleeps: with two, the goroutines that a batch has woken have run and asked
// for their next operation.
const looksBeforeSleep = 2

func (goroutinePacer) pause(looks int) bool {
	if looks >= looksBeforeSleep {
		return false
	}
	runtime.Gosched()
	return true
}

type threadPacer struct{}

func (threadPacer) flags() []uring.SetupFlags {
	return []uring.SetupFlags{
		uring.IORING_SETUP_COOP_TASKRUN,
		uring.IORING_SETUP_SINGLE_ISSUER,
		uring.IORING_SETUP_DEFER_TASKRUN | uring.IORING_SETUP_TASKRUN_FLAG,
	}
}

func (threadPacer) begin()     { runtime.LockOSThread() }
func (threadPacer) end()       { runtime.UnlockOSThread() }
func (threadPacer) lazy() bool { return true }

// pause never yields: for a locked goroutine that costs two thread switches,
// and the goroutines that it has woken run on other threads anyway.
func (threadPacer) pause(int) bool { return false }

func newDedicated(p pacer) *dedicated {
	return &dedicated{pacer: p, unpark: make(chan struct{}, 1)}
}

func (c *dedicated) flags() []uring.SetupFlags { return c.pacer.flags() }
func (c *dedicated) signals() bool             { return false }

// run drives the ring.
func (c *dedicated) run(d *Driver, started chan<- error) {
	c.pacer.begin()
	defer c.pacer.end()
	err := d.ring.Enable()
	started <- err
	if err != nil {
		return
	}
	l := &d.loop
	looks := 0
	for !l.finished() {
		if l.turn(c.pacer.lazy()) {
			looks = 0
		} else {
			looks++
		}
		if !c.pacer.pause(looks) && looks > 0 {
			c.sleep(l)
			looks = 0
		}
	}
	c.state.Store(ended)
	d.stop()
}

func (c *dedicated) kick(d *Driver) {
	// Pairs with the driver's store of the state before it looks at the queues
	// for the last time: what the caller has pushed is seen there, or the
	// driver's sleep is seen here.
	state := c.state.Load()
	if state != inKernel && state != parked {
		return
	}
	// stop waits for visitors to be zero before it closes the ring.
	d.visitors.Inc()
	defer d.visitors.Dec()
	if !c.state.CompareAndSwap(state, awake) {
		return // somebody else wakes it, or it woke by itself
	}
	if state == parked {
		c.unpark <- struct{}{}
		return
	}
	d.stats.wakes.Inc()
	if err := d.ring.Wake(); err != nil {
		// Without the wake, callers would hang for ever.
		panic(fmt.Sprintf("driver: cannot wake the ring: %v", err))
	}
}

func (c *dedicated) await(d *Driver, w *Waiter) Completion {
	c.kick(d)
	return <-w.done
}

// sleep waits until there is something to do.
func (c *dedicated) sleep(l *loop) {
	switch {
	case l.failed != nil:
		// The ring may not even be able to wait.
		time.Sleep(maxBackoff)
		return
	case l.table.len() == 0 && l.ring.Pending() == 0 && l.backlog.len() == 0 && l.cancels.len() == 0:
		c.park(l)
		return
	}
	timeout := time.Duration(-1)
	if l.needy() {
		timeout = l.nap()
	}
	if !l.ring.Arm(wakeData) {
		// No entry free for what Wake needs, because the kernel refuses what
		// is prepared: look again soon.
		timeout = time.Millisecond
	}
	pending := l.ring.Flush()
	c.state.Store(inKernel)
	if l.queued() {
		// If a producer has won the race to wake us, its completion comes
		// late, and is ignored.
		c.state.Store(awake)
		return
	}
	_, errno := l.ring.Wait(pending, timeout)
	c.state.Store(awake)
	l.slept(errno)
	l.backOff()
}

// park sleeps without the kernel: nothing is in flight.
func (c *dedicated) park(l *loop) {
	c.state.Store(parked)
	if l.queued() && c.state.CompareAndSwap(parked, awake) {
		return
	}
	// Either nothing was queued, or a producer has taken it on itself to wake
	// us and its token is on the way.
	<-c.unpark
}
