package driver

import (
	"fmt"

	"github.com/yamanote-go/yamanote/uring"
)

// Strategy names a way to drive a ring: which goroutine does it, and how it
// waits.
type Strategy uint8

const (
	// StrategyDefault is the strategy that measured best, at present
	// StrategyGoroutine.
	StrategyDefault Strategy = iota

	// StrategyGoroutine drives the ring from an ordinary goroutine, with
	// COOP_TASKRUN. The thread that reaps completions goes on to run the
	// goroutines that wait for them.
	StrategyGoroutine

	// StrategyThread drives the ring from a goroutine locked to its thread,
	// with SINGLE_ISSUER and DEFER_TASKRUN (Linux 6.1), the kernel's preferred
	// mode. Waking another goroutine costs a thread switch.
	StrategyThread

	// StrategyShared has no goroutine that drives the ring: whoever waits for
	// an operation does, if nobody else does, with COOP_TASKRUN. A goroutine
	// that is alone needs no other to get its result.
	StrategyShared
)

// Strategies lists the strategies that can be chosen.
func Strategies() []Strategy {
	return []Strategy{StrategyGoroutine, StrategyThread, StrategyShared}
}

// String returns the name that ParseStrategy takes.
func (s Strategy) String() string {
	switch s {
	case StrategyDefault:
		return "default"
	case StrategyGoroutine:
		return "goroutine"
	case StrategyThread:
		return "thread"
	case StrategyShared:
		return "shared"
	}
	return fmt.Sprintf("Strategy(%d)", uint8(s))
}

// ParseStrategy is the inverse of String.
func ParseStrategy(name string) (Strategy, error) {
	for _, s := range append(Strategies(), StrategyDefault) {
		if s.String() == name {
			return s, nil
		}
	}
	return 0, fmt.Errorf("driver: no strategy %q: want goroutine, thread, shared or default", name)
}

// conductor is a strategy at work: it decides which goroutine drives the ring
// and how that waits. The loop belongs to whoever drives.
type conductor interface {
	// flags returns the setup flags the ring should have, newest last: what
	// the kernel does not know is left out from the end.
	flags() []uring.SetupFlags

	// signals says that the ring's completions must be able to wake a
	// goroutine that waits in Go's scheduler; see Ring.AwaitSignal.
	signals() bool

	// run is a goroutine as long as the driver lives. It sends once on
	// started, when the ring has been enabled, and returns when nothing is
	// left to do; if it has sent an error, at once.
	run(d *Driver, started chan<- error)

	// kick makes sure that somebody looks at the queues after this call began.
	kick(d *Driver)

	// await waits for an operation that has been queued and reports to w.
	await(d *Driver, w *Waiter) Completion
}

func newConductor(s Strategy) (conductor, error) {
	switch s {
	case StrategyDefault, StrategyGoroutine:
		return newDedicated(goroutinePacer{}), nil
	case StrategyThread:
		return newDedicated(threadPacer{}), nil
	case StrategyShared:
		return new(shared), nil
	}
	return nil, fmt.Errorf("driver: unknown strategy %v", s)
}
