package driver

import (
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/uring"
)

// Ring is what a driver needs of a ring. The kernel's is behind it in
// production; tests put one there that injects faults.
//
// Only the goroutine that drives the ring calls its methods, except where one
// says otherwise.
type Ring interface {
	// Enable starts the ring. It is called first, on the driver goroutine and,
	// where the strategy locks it to a thread, on that thread.
	Enable() error

	// Next returns a free submission entry, or nil when there is none until
	// something has been submitted.
	Next() *uring.SQE

	// Pending returns the number of entries filled and not yet consumed.
	Pending() uint32

	// Flags returns the flags that the kernel has set for the submitter.
	Flags() uring.SQRingFlags

	// Submit hands all filled entries to the kernel, lets it post what is
	// complete, and does not wait. It returns how many it consumed.
	Submit() (int, syscall.Errno)

	// Flush shows the filled entries to the kernel without entering it, and
	// returns how many there are for Wait to submit.
	Flush() uint32

	// Wait enters the kernel, submits what Flush has shown it, and waits until
	// a completion can be reaped or Wake has been called. It fails with ETIME
	// after the timeout; a negative timeout means none. It touches nothing that
	// another goroutine uses in the meantime to submit more.
	Wait(pending uint32, timeout time.Duration) (int, syscall.Errno)

	// Reap copies out completions, up to len(dst), without a system call.
	Reap(dst []uring.CQE) int

	// Arm prepares what Wake needs, if it is not in place. It may use a
	// submission entry and reports whether it had what it needed.
	Arm(userData uint64) bool

	// Disarmed says that a completion with Arm's user data has arrived whose
	// flags tell whether more will come.
	Disarmed(flags uring.CQEFlags)

	// Wake ends a Wait that is under way, or else the next one, by a
	// completion with Arm's user data. Any goroutine may call it.
	Wake() error

	// Ready reports whether completions are there. Any goroutine may call it.
	Ready() bool

	// Signal says whether completions make AwaitSignal return. One that comes
	// after Signal(true), and that Ready does not see then, is signalled. Only
	// strategies that ask for signals use this and the next two.
	Signal(on bool)

	// AwaitSignal waits in Go's scheduler until a completion is signalled or
	// Poke has been called.
	AwaitSignal()

	// Poke makes AwaitSignal return, now or the next time. Any goroutine may
	// call it, even after Close.
	Poke()

	// Info describes the ring.
	Info() Info

	// Close gives up the ring and its memory. Nothing is in flight.
	Close() error
}

// Info describes a driver's ring.
type Info struct {
	SQEntries, CQEntries uint32
	Flags                uring.SetupFlags
	Features             uring.Features
	Waker                string // how a sleeping driver is woken: "msg_ring" or "eventfd"
	Restricted           bool   // whether the ring refuses operations the library does not use
}
