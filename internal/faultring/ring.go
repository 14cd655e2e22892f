package faultring

import (
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// Config says what ring to make.
type Config struct {
	Seed                 uint64
	SQEntries, CQEntries int // at least one each
	Faults               Faults

	// Apart lets a goroutine that is signalled or woken run later than the one
	// that does it, at an instant of its own.
	Apart bool

	// EnableError is what enabling the ring fails with, nil for success.
	EnableError error

	// Log, if it is not nil, is told of all that happens.
	Log func(format string, args ...any)
}

// Counts says what a ring has done.
type Counts struct {
	Enters    int // calls that stand for a system call
	Consumed  int // entries taken
	Cancels   int // of which cancellations
	Reaped    int // completions taken
	Repeated  int // completions of requests that had completed before
	Overflows int // completions that did not fit into the queue
	Faults    int // faults of all kinds
}

// Ring is a driver.Ring. Its further methods may be called from any goroutine.
type Ring struct {
	cfg Config
	log func(string, ...any)

	mu  sync.Mutex
	rng *rand.Rand

	// instants are taken by what is going to happen, the last at lastInstant.
	instants    map[int64]bool
	lastInstant int64

	// The submission queue: consumed up to head, shown to the kernel up to
	// shown, handed out up to tail.
	sq                []uring.SQE
	head, shown, tail uint32

	cq       []uring.CQE // at most cfg.CQEntries
	overflow []uring.CQE // did not fit
	deferred []uring.CQE // not seen yet

	ready       chan struct{} // has a token when a sleeper should look
	asleep      bool          // somebody is in Wait
	sleeps      int           // how often somebody has been
	interrupted syscall.Errno // why the sleeper should return

	signal  chan struct{} // has a token for AwaitSignal
	signals bool

	live   []*request // submitted and not completed, oldest first
	files  map[int]any
	nextFD int
	groups map[uint16]*group

	broken syscall.Errno // what every enter fails with
	closed bool

	script     script
	counts     Counts
	violations []string
	trace      hash.Hash64
}

var _ driver.Ring = (*Ring)(nil)

// firstFD is the first descriptor of a ring: none that a process has.
const firstFD = 1 << 24

// New makes a ring.
func New(cfg Config) *Ring {
	r := &Ring{
		cfg:    cfg,
		log:    cfg.Log,
		rng:    rand.New(rand.NewPCG(cfg.Seed, 0x9E3779B97F4A7C15)),
		sq:     make([]uring.SQE, max(cfg.SQEntries, 1)),
		ready:  make(chan struct{}, 1),
		signal: make(chan struct{}, 1),
		files:  make(map[int]any),
		nextFD: firstFD,
		groups: make(map[uint16]*group),

		instants: make(map[int64]bool),
		trace:    fnv.New64a(),
	}
	r.cfg.CQEntries = max(cfg.CQEntries, 1)
	return r
}

// Enable implements driver.Ring.
func (r *Ring) Enable() error { return r.cfg.EnableError }

// Info implements driver.Ring.
func (r *Ring) Info() driver.Info {
	return driver.Info{SQEntries: uint32(len(r.sq)), CQEntries: uint32(r.cfg.CQEntries)}
}

// Next implements driver.Ring.
func (r *Ring) Next() *uring.SQE {
	r.mu.Lock()
	defer r.mu.Unlock()
	if int(r.tail-r.head) == len(r.sq) {
		return nil
	}
	sqe := &r.sq[int(r.tail)%len(r.sq)]
	r.tail++
	return sqe
}

// Pending implements driver.Ring.
func (r *Ring) Pending() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tail - r.head
}

// Flags implements driver.Ring.
func (r *Ring) Flags() uring.SQRingFlags {
	r.dawdle()
	r.mu.Lock()
	defer r.mu.Unlock()
	var flags uring.SQRingFlags
	if len(r.overflow) > 0 {
		flags |= uring.IORING_SQ_CQ_OVERFLOW
	}
	if len(r.deferred) > 0 {
		flags |= uring.IORING_SQ_TASKRUN
	}
	return flags
}

// Flush implements driver.Ring.
func (r *Ring) Flush() uint32 {
	r.dawdle()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown = r.tail
	return r.shown - r.head
}

// Submit implements driver.Ring.
func (r *Ring) Submit() (int, syscall.Errno) {
	r.dawdle()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown = r.tail
	return r.enter(r.shown - r.head)
}

// enter takes up to n entries and brings out completions.
func (r *Ring) enter(n uint32) (int, syscall.Errno) {
	r.checkOpen("enter")
	r.counts.Enters++
	f := &r.cfg.Faults
	if r.roll(f.CollectGarbage) {
		runtime.GC()
	}
	if len(r.script.enters) > 0 {
		errno := r.script.enters[0]
		r.script.enters = r.script.enters[1:]
		if errno != 0 {
			return 0, r.fault(errno)
		}
	}
	if r.script.most > 0 {
		n = min(n, uint32(r.script.most))
	}
	switch {
	case r.broken != 0:
		return 0, r.broken
	case r.roll(f.EnterInterrupted):
		return 0, r.fault(syscall.EINTR)
	case n > 0 && r.roll(f.EnterAgain):
		return 0, r.fault(syscall.EAGAIN)
	case len(r.overflow) > 0 && len(r.cq) == r.cfg.CQEntries && r.roll(f.EnterBusy):
		return 0, r.fault(syscall.EBUSY)
	case n > 1 && r.roll(f.ShortSubmit):
		n = 1 + uint32(r.rng.IntN(int(n)))
		r.counts.Faults++
	}
	taken := r.consume(n)
	r.bringOut()
	return taken, 0
}

// fault notes a fault and returns its errno.
func (r *Ring) fault(errno syscall.Errno) syscall.Errno {
	r.counts.Faults++
	r.event("enter fails", 0, int32(errno))
	return errno
}

// Wait implements driver.Ring.
func (r *Ring) Wait(pending uint32) (int, syscall.Errno) {
	r.dawdle()
	r.mu.Lock()
	defer r.mu.Unlock()
	pending = min(pending, r.shown-r.head)
	n, errno := r.enter(pending)
	if errno != 0 || n < int(pending) {
		return n, errno
	}
	if r.asleep {
		r.violate("two goroutines wait in the ring at once")
	}
	r.asleep, r.interrupted = true, 0
	r.sleeps++
	if r.roll(r.cfg.Faults.WaitInterrupted) {
		r.counts.Faults++
		r.interrupt(r.delay(), []syscall.Errno{syscall.EINTR, uring.ETIME}[r.rng.IntN(2)])
	}
	for len(r.cq) == 0 && r.interrupted == 0 {
		r.mu.Unlock()
		<-r.ready
		r.mu.Lock()
		r.bringOut()
	}
	r.asleep = false
	if len(r.cq) > 0 || n > 0 {
		return n, 0
	}
	return 0, r.interrupted
}

// interrupt ends the present sleep, if it still lasts then.
func (r *Ring) interrupt(in time.Duration, errno syscall.Errno) {
	sleep := r.sleeps
	r.after(in, func() {
		if r.asleep && r.sleeps == sleep {
			r.interrupted = errno
			r.event("sleep interrupted", 0, int32(errno))
			token(r.ready)
		}
	})
}

// Reap implements driver.Ring.
func (r *Ring) Reap(dst []uring.CQE) int {
	r.dawdle()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checkOpen("reap")
	n := copy(dst, r.cq)
	if n > 1 && r.roll(r.cfg.Faults.Partial) {
		n = 1 + r.rng.IntN(n)
	}
	r.cq = slices.Delete(r.cq, 0, n)
	r.counts.Reaped += n
	return n
}

// Ready implements driver.Ring.
func (r *Ring) Ready() bool {
	r.dawdle()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checkOpen("look")
	return len(r.cq) > 0
}

// Signal implements driver.Ring.
func (r *Ring) Signal(on bool) {
	r.dawdle()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signals = on
	if on && r.roll(r.cfg.Faults.SpuriousSignal) {
		r.after(r.delay(), func() { token(r.signal) })
	}
}

// raise makes AwaitSignal return.
func (r *Ring) raise() {
	if r.cfg.Apart {
		r.after(r.delay(), func() { token(r.signal) })
		return
	}
	token(r.signal)
}

// wakeSleeper makes whoever is in Wait look for completions.
func (r *Ring) wakeSleeper() {
	if r.cfg.Apart && r.asleep {
		r.after(r.delay(), func() { token(r.ready) })
		return
	}
	token(r.ready)
}

// AwaitSignal implements driver.Ring.
func (r *Ring) AwaitSignal() { <-r.signal }

// Poke implements driver.Ring.
func (r *Ring) Poke() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raise()
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close implements driver.Ring. Requests that are still in flight are a
// violation, unless the ring was broken: their memory was to stay until they
// complete.
func (r *Ring) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checkOpen("close")
	r.closed = true
	for _, q := range r.live {
		if r.broken == 0 && !q.ownsNothing() {
			r.violate("closed with %v in flight", q)
		}
	}
	return nil
}

// Break makes every enter fail from now on.
func (r *Ring) Break(errno syscall.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = errno
	r.event("ring breaks", 0, int32(errno))
	r.interrupted = errno
	token(r.ready)
}

// Counts returns what the ring has done.
func (r *Ring) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}

// InFlight returns how many requests have been taken and not completed.
func (r *Ring) InFlight() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.live)
}

// Trace returns a number that depends on all that has happened, and when.
func (r *Ring) Trace() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trace.Sum64()
}

// Err returns an error that names all that happened and must not, or nil.
func (r *Ring) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, v := range r.violations {
		errs = append(errs, errors.New("faultring: "+v))
	}
	return errors.Join(errs...)
}

func (r *Ring) violate(format string, args ...any) {
	v := fmt.Sprintf(format, args...)
	r.event("VIOLATION: "+v, 0, 0)
	r.violations = append(r.violations, v)
}

func (r *Ring) checkOpen(what string) {
	if r.closed {
		r.violate("%s of a ring that is closed", what)
	}
}

// event adds to the trace and the log.
func (r *Ring) event(what string, userData uint64, res int32) {
	fmt.Fprintf(r.trace, "%d %s %x %d\n", time.Now().UnixNano(), what, userData, res)
	if r.log != nil {
		r.log("%s ud=%x res=%d", what, userData, res)
	}
}
