package driver

import (
	"syscall"

	"github.com/yamanote-go/yamanote/uring"
)

// Ring is what a driver needs of a ring. The kernel's is behind it in
// production; tests put one there that injects faults.
//
// Only the goroutine that drives the ring calls its methods, except where one
// says otherwise.
type Ring interface {
	// Enable starts the ring. It is called first.
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
	// a completion can be reaped. It touches nothing that another goroutine
	// uses in the meantime to submit more.
	Wait(pending uint32) (int, syscall.Errno)

	// Reap copies out completions, up to len(dst), without a system call.
	Reap(dst []uring.CQE) int

	// Ready reports whether completions are there. Any goroutine may call it.
	Ready() bool

	// Signal says whether completions make AwaitSignal return. One that comes
	// after Signal(true), and that Ready does not see then, is signalled.
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
	Restricted           bool // whether the ring refuses operations the library does not use

	// Supported lists the operations that the kernel has, in ascending order;
	// it is nil if the kernel did not say.
	Supported []uring.Op
}
