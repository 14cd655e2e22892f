package faultring

import (
	"math/rand/v2"
	"time"
)

// Faults says how often what goes wrong. Rates are in a thousand.
type Faults struct {
	// Entering the ring.
	EnterInterrupted int // fails with EINTR
	EnterAgain       int // fails with EAGAIN: no memory for requests
	EnterBusy        int // fails with EBUSY while completions do not fit into the queue
	ShortSubmit      int // takes only some of the entries
	WaitInterrupted  int // ends with nothing to reap, by EINTR or ETIME

	// Completions.
	Deferred       int // seen only after an enter, or some time later
	Partial        int // reaping brings fewer than there are
	Repeated       int // comes a second time, when the first has been dealt with
	SpuriousSignal int // the signal comes for nothing

	// Requests.
	Inline        int           // carried out while they are submitted
	DelayMax      time.Duration // otherwise they take up to this long
	ShortTransfer int           // move fewer bytes than they could
	Refused       int           // fail with EINTR, EAGAIN or ENOBUFS
	Orphaned      int           // are cancelled by nobody, as when a thread ends
	Disarmed      int           // a multishot request ends early
	Scribble      int           // write nonsense into their buffer while they wait

	// Cancellations.
	CancelMisses int // do nothing and say ENOENT or EALREADY
	CancelLoses  int // succeed, but the request completes with what it could get
	CancelFirst  int // complete before the request that they cancel

	// Slow calls of the driver's take up to DelayMax, in which others can run: a
	// thread can be preempted anywhere.
	Slow int

	// CollectGarbage is how often an enter runs the garbage collector, so that
	// memory which is let go too early is noticed.
	CollectGarbage int
}

// Draw returns faults of which each is there or not, and more or less often.
func Draw(rng *rand.Rand) Faults {
	rate := func(most int) int {
		if rng.IntN(2) == 0 {
			return 0
		}
		return 1 + rng.IntN(most)
	}
	return Faults{
		EnterInterrupted: rate(400),
		EnterAgain:       rate(400),
		EnterBusy:        rate(800),
		ShortSubmit:      rate(600),
		WaitInterrupted:  rate(400),
		Deferred:         rate(600),
		Partial:          rate(500),
		Repeated:         rate(300),
		SpuriousSignal:   rate(200),
		Inline:           rate(1000),
		DelayMax:         time.Duration(1 + rng.Int64N(int64(2*time.Millisecond))),
		ShortTransfer:    rate(600),
		Refused:          rate(150),
		Orphaned:         rate(150),
		Disarmed:         rate(200),
		Scribble:         rate(500),
		CancelMisses:     rate(500),
		CancelLoses:      rate(500),
		CancelFirst:      rate(500),
		Slow:             rate(150),
		CollectGarbage:   rate(10),
	}
}

// roll reports true as often as the rate says.
func (r *Ring) roll(rate int) bool { return rate > 0 && r.rng.IntN(1000) < rate }

// dawdle is where a call may take its time. It must not be called with the ring
// in hand.
func (r *Ring) dawdle() {
	r.mu.Lock()
	var d time.Duration
	if r.roll(r.cfg.Faults.Slow) {
		d = r.delay()
	}
	r.mu.Unlock()
	if d > 0 {
		time.Sleep(d)
	}
}

// delay returns how long something takes. Where the ring lives in a bubble, what
// it does has an instant for itself, and goroutines that keep away from multiples
// of Grid will not do something at the same time.
func (r *Ring) delay() time.Duration {
	d := 1 + r.rng.Int64N(int64(max(r.cfg.Faults.DelayMax, 1)))
	now := time.Now().UnixNano()
	at := (now + d + Grid - 1) / Grid * Grid
	for at <= r.lastInstant && r.instants[at] {
		at += Grid
	}
	if now > r.lastInstant {
		clear(r.instants)
	}
	r.instants[at] = true
	r.lastInstant = max(r.lastInstant, at)
	return time.Duration(at - now)
}

// Grid is the distance in nanoseconds of the instants at which a ring does
// something. It is a prime, so that the driver's own pauses, which are round
// numbers, do not lead from one such instant to another.
const Grid = 1009

// after runs f in a while, with the ring in hand, unless it is closed by then.
func (r *Ring) after(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.closed {
			f()
		}
	})
}
