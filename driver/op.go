package driver

import (
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/uring"
)

// Op is one operation on its way through a driver: what to submit, the memory
// that the kernel may touch meanwhile, and who is told. It is made for reuse:
// an owner that does one operation after the other needs only one Op.
//
// An Op must be on the heap. The exported fields are set before Submit and
// must not be touched until the terminal completion; then the Op is its
// owner's again.
type Op struct {
	// SQE is the submission, filled by one of its Prep methods. The driver
	// sets UserData.
	SQE uring.SQE

	// Buf and Keep refer to everything that the kernel reads or writes for
	// this operation, so that it is on the heap and stays reachable until the
	// terminal completion: SQE holds addresses as mere numbers.
	Buf  []byte
	Keep any

	// Sink receives the completions. If it is Bounded, Dump can tell when the
	// operation will be cancelled.
	Sink Sink

	// Late, if not nil, is called when the operation is about to be handed to
	// the kernel, and fills SQE in: what has been added since it was submitted
	// goes with it. SQE.Opcode must be set before. Late runs on the goroutine
	// that drives the ring and must not block. It can be called again for the
	// same operation, if that comes back without having been done.
	Late func(*Op)

	// next links the submission queue, cancelNext the cancellation queue.
	// Each belongs to its queue while the Op is in it.
	next, cancelNext *Op

	// state says who may do what; see the constants.
	state atomic.Uint32

	// Waits says that the operation may wait for a peer for any length of time
	// (a receive, an accept, a poll), rather than finish by itself (a read of
	// a file). Only operations of the second kind count against
	// Config.MaxInFlight: otherwise idle connections would use it up and block
	// the very writes that their peers wait for.
	Waits bool

	// Lingers says that Shutdown waits for the operation, for as long as it may,
	// instead of cancelling it at once: somebody relies on it being done and
	// does not wait for it.
	Lingers bool

	// What follows belongs to whoever drives the ring. There is one Op for each
	// connection that waits, so its size counts: small fields are together.
	place      place
	cancelSeen bool    // the cancellation has been taken from its queue
	ud         uint64  // user data while in the table
	since      int64   // when it was first stamped, zero for not yet; see loop.stamp
	chain      *chain  // which it is a member of
	traced     *traced // if Config.Trace is set

	final       Completion // the terminal completion, once there is one
	first       int32      // the result of a completion before that, if twice; only in a chain
	twice       bool
	calls       bool   // it is no operation: Late is called instead of submitting anything
	resubmits   uint16 // how often it came back cancelled by nobody
	cancelDelay uint16 // before the cancellation was last repeated, in milliseconds
}

// The states of an Op. A canceller may only act on an Op that is active and
// not yet cancelling, which one compare-and-swap decides; the driver ends both
// with a swap to idle.
const (
	stateIdle       = 0
	stateActive     = 1
	stateCancelling = 3
)

// place is where the driver has put an Op.
type place uint8

const (
	placeQueued place = iota // not seen by the driver yet, or waiting for a free entry
	placeKernel              // in the table, a completion will come
	placeHeld                // completed, but a canceller is about to queue it
	placeDone                // completed, but not all of its chain is
)

// begin makes the Op one that is under way; ch may be nil.
func (d *Driver) begin(op *Op, ch *chain) {
	if op.state.Load() != stateIdle {
		panic("driver: Submit of an Op that is already under way")
	}
	op.place, op.cancelSeen, op.cancelDelay, op.resubmits = placeQueued, false, 0, 0
	op.chain, op.twice, op.since = ch, false, 0
	if d.cfg.Trace != nil {
		d.traceBegin(op)
	}
	// From here on it can be cancelled, even before the driver has seen it.
	op.state.Store(stateActive)
}

// Active reports whether the operation is under way: submitted, and its
// terminal completion not yet delivered.
func (op *Op) Active() bool { return op.state.Load() != stateIdle }

// Result returns the terminal completion of the last operation. It is there when
// the Sink is told, until the Op is submitted again.
func (op *Op) Result() Completion { return op.final }

// Completion is what the kernel says about an operation.
type Completion struct {
	Res   int32          // the result, or minus an errno
	Flags uring.CQEFlags // buffer id, more to come, socket not empty, ...
	Last  bool           // terminal: nothing more will come, memory and Op are free
}

// Err returns the error that the result stands for, or nil.
func (c Completion) Err() error {
	if c.Res >= 0 {
		return nil
	}
	return syscall.Errno(-c.Res)
}

// Sink is told of completions, on the goroutine that drives the ring, which can
// be anybody's: it must not block. All that it may ask of a driver is TrySubmit
// and Cancel, of the driver that calls it.
type Sink interface {
	Complete(op *Op, c Completion)
}

// Waiter is a Sink for one goroutine that waits for operations with a single
// completion each, one after the other.
type Waiter struct {
	done chan Completion
}

// NewWaiter returns a Waiter.
func NewWaiter() *Waiter { return &Waiter{done: make(chan Completion, 1)} }

// Complete implements Sink.
func (w *Waiter) Complete(_ *Op, c Completion) {
	if c.Last {
		w.done <- c // has room: an Op has one terminal completion
	}
}

// Wake makes the wait for the next completion, or the one under way, return a
// Completion that is zero, unless there is something to return already. A sink
// that passes completions on in another way uses it.
func (w *Waiter) Wake() {
	select {
	case w.done <- Completion{}:
	default:
	}
}

// Done returns the channel on which the terminal completion arrives, once for
// each operation.
func (w *Waiter) Done() <-chan Completion { return w.done }
