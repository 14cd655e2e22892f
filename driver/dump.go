package driver

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yamanote-go/yamanote/uring"
)

// State is how far an operation has come.
type State uint8

// The states of operations under way.
const (
	StateQueued     State = iota // waits for a free submission entry
	StateInKernel                // handed to the kernel
	StateCancelling              // its cancellation has been asked for
)

var stateNames = [...]string{"queued", "in kernel", "being cancelled"}

// String returns the state in words.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText returns what String does.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// InFlight describes an operation that is under way.
type InFlight struct {
	Shard  int      // the ring, from 0 on; set by package proactor
	Kind   uring.Op // what it does
	FD     int      // the descriptor, or -1 if there is none
	Direct bool     // FD is an index of the ring's registered files instead
	State  State

	// Age is for how long the driver has had the operation. It is too small by
	// up to the time that a busy driver takes for 64 turns, a few milliseconds
	// at most; one that sleeps knows it exactly. Waiting to be admitted does not
	// count.
	Age time.Duration

	// Deadline is when it will be cancelled, if its Sink knows that; zero
	// otherwise.
	Deadline time.Time

	Waits     bool // it may wait for a peer for any length of time
	Lingers   bool // Shutdown waits for it
	Resubmits int  // how often it was submitted again
}

// String describes the operation in a line.
func (f InFlight) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v", f.Kind)
	switch {
	case f.FD >= 0 && f.Direct:
		fmt.Fprintf(&b, " registered file %d", f.FD)
	case f.FD >= 0:
		fmt.Fprintf(&b, " fd %d", f.FD)
	}
	fmt.Fprintf(&b, " %v for %v", f.State, f.Age.Round(time.Microsecond))
	if !f.Deadline.IsZero() {
		fmt.Fprintf(&b, ", until %s", f.Deadline.Format(time.TimeOnly))
	}
	return b.String()
}

// Group is operations of one kind in one state.
type Group struct {
	Kind           uring.Op
	State          State
	Count          int
	Oldest, Median time.Duration // ages
}

// Dump is what is under way at one moment.
type Dump struct {
	Taken  time.Time
	Total  int        // operations under way
	Groups []Group    // all of them, the group with the oldest first
	Oldest []InFlight // the oldest of them, as many as were asked for, in order
}

// String lists the groups and then the operations, one on each line.
func (d Dump) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d operations under way\n", d.Total)
	for _, g := range d.Groups {
		fmt.Fprintf(&b, "%7d %v %v, the oldest for %v\n", g.Count, g.Kind, g.State, g.Oldest.Round(time.Microsecond))
	}
	for _, f := range d.Oldest {
		fmt.Fprintf(&b, "shard %d: %v\n", f.Shard, f)
	}
	if hidden := d.Total - len(d.Oldest); hidden > 0 && len(d.Oldest) > 0 {
		fmt.Fprintf(&b, "and %d younger ones\n", hidden)
	}
	return b.String()
}

// Bounded is a Sink that knows what will cancel its operation.
type Bounded interface {
	Sink

	// Bound returns who knows when, or nil. It is called while the operation is
	// under way, by who drives the ring, and must not block.
	Bound() Deadliner
}

// Deadliner knows when an operation will be cancelled. Contexts do.
type Deadliner interface {
	// Deadline returns that time, and whether there is one. It is called by
	// Dump, on its caller's goroutine, possibly when the operation has ended.
	Deadline() (deadline time.Time, ok bool)
}

// sighting is an operation as who drives sees it.
type sighting struct {
	InFlight
	bound Deadliner
}

// Dump describes what is under way, and lists up to limit of it, the oldest
// first. It may be called at any time: the ring is asked between two turns, or,
// if its leader sleeps, meanwhile. That takes whoever drives the time to look at
// each operation, about a millisecond for ten thousand. It fails if ctx ends
// before, because a Sink blocks, and with ErrClosed once the driver has ended.
func (d *Driver) Dump(ctx context.Context, limit int) (Dump, error) {
	seen, err := d.sightings(ctx)
	if err != nil {
		return Dump{}, err
	}
	return digest(seen, limit), nil
}

// DumpAll is Dump for several drivers, which are the shards 0, 1 and so on. Those
// that have ended have nothing under way.
func DumpAll(ctx context.Context, drivers []*Driver, limit int) (Dump, error) {
	var all []sighting
	for shard, d := range drivers {
		seen, err := d.sightings(ctx)
		if err != nil && err != ErrClosed {
			return Dump{}, err
		}
		for i := range seen {
			seen[i].Shard = shard
		}
		all = append(all, seen...)
	}
	return digest(all, limit), nil
}

// sightings lists what is under way, in no order.
func (d *Driver) sightings(ctx context.Context) ([]sighting, error) {
	// Not made by who drives, whom it would keep from his work.
	room := make([]sighting, 0, d.finite.used.Load()+d.waiting.used.Load()+64)
	var seen []sighting
	ran, err := d.callWithin(ctx, func() {
		l := &d.loop
		now := l.d.clock()
		l.stampAt(now)
		list := room
		l.table.each(func(op *Op) { list = append(list, sight(op, StateInKernel, now)) })
		for i := range l.backlog.len() {
			op := l.backlog.at(i)
			if op.chain == nil {
				list = append(list, sight(op, StateQueued, now))
				continue
			}
			for _, member := range op.chain.waiting() {
				list = append(list, sight(member, StateQueued, now))
			}
		}
		seen = list
	})
	switch {
	case err != nil: // it may be writing to seen now
		return nil, fmt.Errorf("driver: nobody at the ring has answered, so a Sink may be blocking it: %w", err)
	case !ran:
		return nil, ErrClosed
	}
	return seen, nil
}

// sight describes an operation that the driver has.
func sight(op *Op, state State, now int64) sighting {
	if op.state.Load() == stateCancelling {
		state = StateCancelling
	}
	s := sighting{
		InFlight: InFlight{
			Kind: op.SQE.Opcode, FD: fdOf(&op.SQE), Direct: op.SQE.Flags&uring.IOSQE_FIXED_FILE != 0,
			State: state, Age: time.Duration(now - op.since),
			Waits: op.Waits, Lingers: op.Lingers, Resubmits: int(op.resubmits),
		},
	}
	if sink, ok := op.Sink.(Bounded); ok {
		s.bound = sink.Bound()
	}
	return s
}

// fdOf returns the descriptor that an operation is about, or -1.
func fdOf(sqe *uring.SQE) int {
	switch sqe.Opcode {
	case uring.IORING_OP_NOP, uring.IORING_OP_TIMEOUT, uring.IORING_OP_LINK_TIMEOUT,
		uring.IORING_OP_SOCKET, uring.IORING_OP_PIPE, uring.IORING_OP_WAITID,
		uring.IORING_OP_FUTEX_WAIT, uring.IORING_OP_FUTEX_WAITV, uring.IORING_OP_FUTEX_WAKE,
		uring.IORING_OP_PROVIDE_BUFFERS, uring.IORING_OP_REMOVE_BUFFERS, uring.IORING_OP_MADVISE:
		return -1 // there is something else, or nothing, in its place
	}
	return int(max(sqe.Fd, -1)) // AT_FDCWD is none either
}

// digest sorts and groups what was seen.
func digest(seen []sighting, limit int) Dump {
	dump := Dump{Taken: time.Now(), Total: len(seen)}
	slices.SortStableFunc(seen, func(a, b sighting) int { return cmp.Compare(b.Age, a.Age) })
	type key struct {
		kind  uring.Op
		state State
	}
	ages := make(map[key][]time.Duration) // descending
	var order []key
	for i := range seen {
		s := &seen[i]
		k := key{s.Kind, s.State}
		if ages[k] == nil {
			order = append(order, k)
		}
		ages[k] = append(ages[k], s.Age)
	}
	for _, k := range order {
		a := ages[k]
		dump.Groups = append(dump.Groups, Group{k.kind, k.state, len(a), a[0], a[len(a)/2]})
	}
	for _, s := range seen[:min(max(limit, 0), len(seen))] {
		if s.bound != nil {
			if deadline, ok := s.bound.Deadline(); ok {
				s.Deadline = deadline
			}
		}
		dump.Oldest = append(dump.Oldest, s.InFlight)
	}
	return dump
}

// callWithin is call for who waits until ctx ends. If that gives an error, f may
// run all the same.
func (d *Driver) callWithin(ctx context.Context, f func()) (ran bool, err error) {
	if ctx.Done() == nil {
		return d.call(f), nil
	}
	done := make(chan bool, 1)
	go func() { done <- d.call(f) }()
	select {
	case ran := <-done:
		return ran, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
