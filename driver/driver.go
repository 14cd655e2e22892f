// Package driver runs one io_uring ring: one goroutine at a time gathers the
// operations which many goroutines ask for, hands them to the kernel in
// batches, and tells each of its completion.
//
// # The turn
//
// Whoever drives takes what is queued, fills submission entries, enters the
// kernel once, reaps all that is complete, and lets the goroutines run that
// were woken. Only when there is nothing to submit and nothing to reap is it
// time to sleep: in the kernel while operations are in flight, in Go's
// scheduler when there are none. An idle driver makes no system call and uses
// no processor time.
//
// # Who drives
//
// Whoever waits for an operation and finds nobody driving, until it has its
// result; while nobody waits, a goroutine that the kernel wakes when there is
// something to reap. A producer pushes its operation and then looks whether
// anybody drives, and who drives announces that it is about to sleep, or to
// leave, and then looks at the queue. Both accesses are sequentially
// consistent, so at least one of the two sees the other and no operation is
// left lying.
//
// # The life of an operation
//
// An Op is queued, then in the kernel under a slot and generation, then
// completed, exactly once. Cancelling is a request: the Op stays under way
// until its terminal completion, whose result may still be a success. See Op,
// Submit and Cancel.
//
// Package proactor builds typed operations on top; most programs want that.
package driver

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/uring"
)

// ErrClosed is returned by Submit once the driver is shutting down.
var ErrClosed = errors.New("driver: ring is shut down")

// Config says how to set up a driver. The zero value is a good default.
type Config struct {
	// SQEntries is the number of submission entries, the largest batch handed
	// over at once: 1 to 32768, default 256.
	SQEntries uint32

	// CQEntries is the number of completion entries: at least SQEntries,
	// default 4096 or four times SQEntries if that is more.
	CQEntries uint32

	// MaxInFlight bounds the operations under way that finish by themselves;
	// further ones wait in Submit. Default and useful maximum is half of
	// CQEntries, so that they and their cancellations fit into the completion
	// queue. Operations marked Op.Waits are not counted; the descriptors that a
	// process may have bound them, and the kernel sets completions aside when a
	// burst exceeds the queue.
	MaxInFlight int

	// Allow lists the operations that the ring shall accept, besides those the
	// driver itself needs; any other fails with EACCES. Nil allows all.
	Allow []uring.Op

	// AllowRegister lists registrations that the ring shall accept by way of
	// Driver.Use, besides probes and buffer rings. It matters only with Allow.
	AllowRegister []uring.RegisterOp

	// Without switches off features that the kernel may have, as if it had
	// not: for tests and emergencies.
	Without Features

	// Trace, if not nil, is told of every operation when it begins, when it is
	// handed to the kernel, and when it has ended. StageBegin comes on the
	// goroutine that submits; the others on the one that drives the ring, so
	// Trace must be quick and must neither block nor use the driver. It must
	// allow calls from several goroutines at once. Tracing costs an allocation
	// and three looks at the clock for each operation; without it, nothing.
	Trace func(Event)
}

// Features are parts of io_uring that a driver uses if they are there and can
// do without.
type Features uint32

// The features that can be switched off.
const (
	FeatureNoSQArray    Features = 1 << iota // submission queue without index array (6.6)
	FeatureTaskRun                           // completions that interrupt no thread (5.19)
	FeatureRestrictions                      // refuse operations that are not used (5.10)
)

var featureNames = []struct {
	bit  Features
	name string
}{
	{FeatureNoSQArray, "nosqarray"},
	{FeatureTaskRun, "taskrun"},
	{FeatureRestrictions, "restrictions"},
}

// ParseFeature returns the feature with the given name.
func ParseFeature(name string) (Features, error) {
	for _, f := range featureNames {
		if f.name == name {
			return f.bit, nil
		}
	}
	return 0, fmt.Errorf("driver: no feature %q: want nosqarray, taskrun or restrictions", name)
}

const (
	defaultSQEntries = 256
	defaultCQEntries = 4096
	// reservedCQEntries are kept for the driver's own completions.
	reservedCQEntries = 2
)

// withDefaults fills in what was left zero and checks the rest.
func (c Config) withDefaults() (Config, error) {
	if c.SQEntries == 0 {
		c.SQEntries = defaultSQEntries
	}
	if c.CQEntries == 0 {
		c.CQEntries = max(defaultCQEntries, 4*c.SQEntries)
	}
	if c.CQEntries < c.SQEntries {
		return c, fmt.Errorf("driver: %d completion entries for %d submission entries: want at least as many", c.CQEntries, c.SQEntries)
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = max(1, (int(c.CQEntries)-reservedCQEntries)/2)
	}
	if c.MaxInFlight < 1 || c.MaxInFlight > maxSlots {
		return c, fmt.Errorf("driver: MaxInFlight is %d: want 1 to %d", c.MaxInFlight, maxSlots)
	}
	return c, nil
}

// Check returns what makes no sense in the configuration, whatever the system, or
// nil. Open does this, too.
func (c Config) Check() error {
	_, err := c.withDefaults()
	return err
}

// Driver owns a ring and the goroutine that drives it. Its methods may be
// called from any goroutine.
type Driver struct {
	cfg       Config
	ring      Ring
	conductor conductor
	info      Info
	owner     any

	submitted opStack // operations that the driver has not seen yet
	cancelled opStack // cancellations that the driver has not seen yet

	finite  admission // operations that finish by themselves
	waiting admission // operations that may wait for ever

	// visitors counts goroutines that may touch the ring although they do not
	// drive it (any more). It is closed when there are none.
	visitors atomic.Int32

	ending    atomic.Bool   // no new operations but those that linger
	closing   atomic.Bool   // no new operations
	closed    chan struct{} // closed with closing: ends waits for admission
	closeOnce sync.Once
	done      chan struct{} // closed when the driver has ended
	err       error         // why the ring failed or could not be closed; read after done

	// lingering counts the operations that Shutdown waits for. Who ends the
	// last lowers it and then looks at ending; Shutdown sets ending and then
	// looks at it: one sees the other.
	lingering atomic.Int64
	settled   chan struct{} // closed when none lingers, while ending
	settle    sync.Once

	opened time.Time // what times of operations count from
	stats  counters
	kept   keep

	loop loop // belongs to whoever drives the ring
}

// Open creates a ring as the running kernel allows and starts its driver. An
// error says why there is none; see uring.SetupError.
func Open(cfg Config) (*Driver, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	ring, err := openKernelRing(cfg)
	if err != nil {
		return nil, err
	}
	return start(cfg, ring, runtime.GOMAXPROCS(0) <= maxAsked)
}

// OpenWith starts a driver on a ring of the caller's making, for tests. The
// driver closes it. What it does depends on the ring alone, and not on how busy
// the process is.
func OpenWith(cfg Config, ring Ring) (*Driver, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return start(cfg, ring, false)
}

// OpenRing creates the ring that Open would, without a driver: for tests that
// put something around it and give that to OpenWith.
func OpenRing(cfg Config) (Ring, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return openKernelRing(cfg)
}

func start(cfg Config, ring Ring, asks bool) (*Driver, error) {
	d := &Driver{
		cfg:       cfg,
		ring:      ring,
		info:      ring.Info(),
		submitted: opStack{link: submitLink},
		cancelled: opStack{link: cancelLink},
		finite:    admission{limit: int64(cfg.MaxInFlight)},
		waiting:   admission{limit: maxSlots - int64(cfg.MaxInFlight)},
		closed:    make(chan struct{}),
		settled:   make(chan struct{}),
		done:      make(chan struct{}),
		opened:    time.Now(),
	}
	d.loop.d, d.loop.ring = d, ring
	if asks {
		d.conductor.asks()
	}
	started := make(chan error)
	go d.conductor.run(d, started)
	if err := <-started; err != nil {
		return nil, errors.Join(err, ring.Close())
	}
	return d, nil
}

// SetOwner says what the driver is part of, for those who know only the driver.
// It is called before anybody else uses the driver.
func (d *Driver) SetOwner(owner any) { d.owner = owner }

// Owner returns what SetOwner was given.
func (d *Driver) Owner() any { return d.owner }

// Info describes the driver's ring.
func (d *Driver) Info() Info { return d.info }

// class returns the admission that counts the operation.
func (d *Driver) class(op *Op) *admission {
	if op.Waits {
		return &d.waiting
	}
	return &d.finite
}

// Submit hands an operation to the driver. It returns at once, except when
// MaxInFlight operations are under way: then it waits its turn, until ctx
// (which may be nil) ends. After a nil error the Op belongs to the driver until
// its terminal completion; after any other it was not submitted.
func (d *Driver) Submit(ctx context.Context, op *Op) error {
	if err := d.Enqueue(ctx, op); err != nil {
		return err
	}
	d.conductor.kick(d)
	return nil
}

// Enqueue is the first half of Submit: it puts the operation into the queue
// and leaves it to Await or Lead to see that it is submitted, one of which must
// follow. In between, the operation can be cancelled.
func (d *Driver) Enqueue(ctx context.Context, op *Op) error {
	return d.push(op, d.acquire(ctx, d.class(op)))
}

// acquire takes a place in a class, and waits for one if it must.
func (d *Driver) acquire(ctx context.Context, class *admission) error {
	waited, err := class.acquire(ctx, d.closed)
	if waited {
		d.stats.admissionWaits.Inc()
	}
	return err
}

// push queues an operation that has been admitted, or, if err says why it has
// no place, returns that.
func (d *Driver) push(op *Op, err error) error {
	if err := d.admit(d.class(op), op.Lingers, err); err != nil {
		return err
	}
	d.begin(op, nil)
	d.submitted.push(op)
	return nil
}

// admit sees to it that what has a place in a class may be queued, unless err
// says why it has none.
func (d *Driver) admit(class *admission, lingers bool, err error) error {
	if err != nil {
		// The place given up may be what a closing driver waits for.
		d.conductor.kick(d)
		return err
	}
	if lingers {
		d.lingering.Inc()
	}
	// The driver ends only when it sees closing and then no admitted
	// operation: either it waits for this one or this sees closing.
	if d.ending.Load() && (!lingers || d.closing.Load()) {
		if lingers {
			d.lingered()
		}
		class.release()
		d.conductor.kick(d)
		return ErrClosed
	}
	return nil
}

// ErrFull is returned by TrySubmit when the operation would have to wait to be
// admitted.
var ErrFull = errors.New("driver: too many operations under way")

// TrySubmit is Submit that fails with ErrFull rather than wait. It is the only
// way to submit something from a Sink, to the driver that has called it. Such
// an operation is not forgotten: a Sink is called by who has the ring, and who
// gives that up, to leave or to sleep, looks at the queue afterwards.
func (d *Driver) TrySubmit(op *Op) error {
	if !d.class(op).enter() {
		return ErrFull
	}
	if err := d.push(op, nil); err != nil {
		return err
	}
	d.conductor.kick(d) // nothing for a Sink, whose caller is who would be kicked
	return nil
}

// Gathering reports whether some goroutine has the ring just now, and gathers
// what others submit: then TrySubmit makes no system call, and what it queues
// is handed to the kernel in that goroutine's next turn. It is a hint, which
// can be wrong by the time it is used; TrySubmit is right in any case.
func (d *Driver) Gathering() bool {
	return d.conductor.role.Load() == leading && !d.ending.Load()
}

// Await waits for the completion of an operation that was enqueued and has w
// as its sink. The caller may find itself driving the ring meanwhile.
func (d *Driver) Await(w *Waiter) Completion {
	d.conductor.await(d, w, false, nil)
	return <-w.done
}

// Interrupt is w.Wake for an Await that is under way, or will be: its caller may
// be asleep in the kernel. Sinks need only w.Wake.
func (d *Driver) Interrupt(w *Waiter) {
	w.Wake()
	d.conductor.kick(d)
}

// InFlight returns the number of operations under way.
func (d *Driver) InFlight() int64 { return d.finite.used.Load() + d.waiting.used.Load() }

// Use calls f with the ring, for registering something with it: that may be
// done while it is driven. It fails with ErrClosed once the driver has ended,
// and with errors.ErrUnsupported on a ring that is not the kernel's.
func (d *Driver) Use(f func(*uring.Ring) error) error {
	k, ok := d.ring.(interface{ kernel() *uring.Ring })
	if !ok {
		return fmt.Errorf("driver: registering with a ring that is not the kernel's: %w", errors.ErrUnsupported)
	}
	// Pairs with the end of the driver, which stores over and then waits for
	// visitors.
	d.visitors.Inc()
	defer d.visitors.Dec()
	if d.conductor.role.Load() == over {
		return ErrClosed
	}
	return f(k.kernel())
}

// Cancel asks for an operation to end early. It reports whether the operation
// was still under way and not yet being cancelled. Whatever it returns, the
// terminal completion is the truth: ECANCELED, or the result if that won.
//
// A Cancel that is late may find its Op in use for the next operation, and
// cancel that: the owner of an Op that is used again must either exclude this
// or submit again what was cancelled without a reason.
func (d *Driver) Cancel(op *Op) bool {
	if !op.state.CompareAndSwap(stateActive, stateCancelling) {
		return false
	}
	d.cancelled.push(op)
	d.conductor.kick(d)
	return true
}

// call runs f on the goroutine that drives the ring and waits for it. It reports false if
// the driver has ended.
func (d *Driver) call(f func()) bool {
	ran := make(chan struct{})
	op := &Op{Waits: true, calls: true, Late: func(*Op) { f(); close(ran) }}
	d.waiting.used.Inc() // keeps the driver alive, however full
	select {
	case <-d.done:
		d.waiting.used.Dec()
		return false
	default:
	}
	d.submitted.push(op)
	d.conductor.kick(d)
	select {
	case <-ran:
		return true
	case <-d.done:
	}
	select {
	case <-ran:
		return true
	default:
		d.waiting.used.Dec() // it came too late: nobody drives any more
		return false
	}
}

// ShutdownError says that a Shutdown's context ended before all operations
// had. They stay under way, their memory stays reachable, and the ring is
// closed once the last has completed.
type ShutdownError struct {
	Left map[uring.Op]int // how many of which kind
	Err  error            // the context's error
}

// Error says what is left.
func (e *ShutdownError) Error() string {
	return fmt.Sprintf("driver: shutdown: %v with operations still in flight: %v", e.Err, e.Left)
}

// Unwrap returns the context's error.
func (e *ShutdownError) Unwrap() error { return e.Err }

// Linger is the longest that Shutdown waits for operations that linger before
// it cancels them.
const Linger = 10 * time.Second

// Shutdown stops the driver: new operations are refused; those that linger get
// the time to end by themselves, until ctx ends but not longer than Linger;
// those under way are cancelled, and when the last of them has completed the
// ring is closed. If ctx ends first, the error is a *ShutdownError.
func (d *Driver) Shutdown(ctx context.Context) error {
	d.awaitLingering(ctx)
	d.close()
	// Not in close: the ring can fail meanwhile, which closes, too.
	d.conductor.kick(d)
	select {
	case <-d.done:
		return d.err
	case <-ctx.Done():
	}
	left := make(map[uring.Op]int)
	if !d.call(func() { d.loop.count(left) }) {
		<-d.done
		return d.err
	}
	return &ShutdownError{Left: left, Err: ctx.Err()}
}

// close refuses new operations.
func (d *Driver) close() {
	d.closeOnce.Do(func() {
		d.ending.Store(true)
		d.closing.Store(true)
		close(d.closed)
	})
}

// awaitLingering refuses operations that do not linger and waits for those that
// do.
func (d *Driver) awaitLingering(ctx context.Context) {
	d.ending.Store(true)
	if d.lingering.Load() == 0 {
		return
	}
	t := time.NewTimer(Linger)
	defer t.Stop()
	select {
	case <-d.settled:
	case <-d.closed: // the ring has failed, or another Shutdown waits no longer
	case <-ctx.Done():
	case <-t.C:
	}
}

// lingered notes that an operation that lingers has ended.
func (d *Driver) lingered() {
	if d.lingering.Dec() == 0 && d.ending.Load() {
		d.settle.Do(func() { close(d.settled) })
	}
}

// Close is Shutdown without a bound on the time.
func (d *Driver) Close() error { return d.Shutdown(context.Background()) }

// Done is closed when the driver has ended.
func (d *Driver) Done() <-chan struct{} { return d.done }

// stop ends the driver: nothing is in flight and nothing will be submitted.
func (d *Driver) stop() {
	for tries := 0; d.visitors.Load() != 0; tries++ {
		if tries < 100 {
			runtime.Gosched()
		} else {
			time.Sleep(20 * time.Microsecond) // the visitor's thread has been preempted
		}
	}
	if err := d.ring.Close(); err != nil && d.err == nil {
		d.err = fmt.Errorf("driver: closing the ring: %w", err)
	}
	close(d.done)
}
