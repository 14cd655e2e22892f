package driver

import (
	"fmt"
	"runtime"

	"github.com/yamanote-go/yamanote/uring"
)

// Strategy names a way for a driver to wait.
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
)

// Strategies lists the strategies that can be chosen.
func Strategies() []Strategy { return []Strategy{StrategyGoroutine, StrategyThread} }

// String returns the name that ParseStrategy takes.
func (s Strategy) String() string {
	switch s {
	case StrategyDefault:
		return "default"
	case StrategyGoroutine:
		return "goroutine"
	case StrategyThread:
		return "thread"
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
	return 0, fmt.Errorf("driver: no strategy %q: want goroutine, thread or default", name)
}

// pacer is how a driver waits: what its goroutine is, what it does between
// turns, and how long it looks for work before it sleeps in the kernel.
type pacer interface {
	// flags returns the setup flags the ring needs, newest last: what the
	// kernel does not know is left out from the end.
	flags() []uring.SetupFlags

	// begin and end bracket the driver goroutine's life.
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

func newPacer(s Strategy) (pacer, error) {
	switch s {
	case StrategyDefault, StrategyGoroutine:
		return goroutinePacer{}, nil
	case StrategyThread:
		return threadPacer{}, nil
	}
	return nil, fmt.Errorf("driver: unknown strategy %v", s)
}

type goroutinePacer struct{}

func (goroutinePacer) flags() []uring.SetupFlags {
	return []uring.SetupFlags{uring.IORING_SETUP_COOP_TASKRUN | uring.IORING_SETUP_TASKRUN_FLAG}
}

func (goroutinePacer) begin() {}
func (goroutinePacer) end()   {}

// looksBeforeSleep is how often the driver yields and looks again before it
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

func (goroutinePacer) lazy() bool { return false }

type threadPacer struct{}

func (threadPacer) flags() []uring.SetupFlags {
	return []uring.SetupFlags{
		uring.IORING_SETUP_COOP_TASKRUN,
		uring.IORING_SETUP_SINGLE_ISSUER,
		uring.IORING_SETUP_DEFER_TASKRUN | uring.IORING_SETUP_TASKRUN_FLAG,
	}
}

func (threadPacer) begin() { runtime.LockOSThread() }
func (threadPacer) end()   { runtime.UnlockOSThread() }

// pause never yields: for a locked goroutine that costs two thread switches,
// and the goroutines that it has woken run on other threads anyway.
func (threadPacer) pause(int) bool { return false }

func (threadPacer) lazy() bool { return true }
