package uring

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is an io_uring instance: its descriptor, its two queues and the memory
// that is shared with the kernel.
//
// A Ring is not safe for concurrent use, with the exceptions that the package
// comment lists, and neither is a copy of it of any use. Which threads may
// enter and register depends on the setup flags.
type Ring struct {
	fd     int // -1 when closed, and with REGISTERED_FD_ONLY
	closed bool
	params Params
	sq     SubmissionQueue
	cq     CompletionQueue

	mem memory

	// enterFd is fd, or its index after RegisterRingFd with enterBase set to
	// ENTER_REGISTERED_RING. The index means this ring on the thread enterTid
	// only.
	enterFd   int
	enterBase EnterFlags
	enterTid  int

	waits int // how many arguments of waits are registered

	// arg and ts are what EnterTimeout passes to the kernel. They are fields
	// because the kernel follows arg.Ts: it must not point into a stack.
	arg GetEventsArg
	ts  Timespec

	// buffers is the table of registered buffers. It is here so that their
	// memory is not collected while the kernel has it.
	buffers *Buffers
}

// New creates a ring with room for entries submissions (rounded up to a power
// of two by the kernel, at most 32768). p carries the setup flags and sizes in
// and receives what the kernel reports; nil means no flags. Exactly the given
// flags are used.
//
// The descriptor is close-on-exec, and the shared memory is not inherited by
// fork. Whoever creates a ring closes it: there is no finalizer. A ring with
// IORING_SETUP_NO_MMAP is created by NewInMemory.
//
// A failure is a *SetupError that names the likely cause and the remedy. It
// unwraps to the errno, so that errors.Is finds fs.ErrPermission where io_uring
// is forbidden and errors.ErrUnsupported where it does not exist. See
// io_uring_setup(2).
func New(entries uint32, p *Params) (*Ring, error) {
	if p == nil {
		p = new(Params)
	}
	if p.Flags&unmappable != 0 {
		// Refused before the kernel sees it: it would write to memory that
		// the caller named, or return an index that is no descriptor.
		return nil, newSetupError(entries, *p, syscall.ENOTSUP)
	}
	r, err := setup(entries, p)
	if err != nil {
		return nil, err
	}
	if err := r.mapQueues(); err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("uring: mapping the rings: %w", err)
	}
	return r, nil
}

// unmappable are the flags that New cannot do: with the first two the queues
// are in memory of the caller, and with the last the kernel reads the same
// entries again at every enter, for which there is no queue here.
const unmappable = IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY | IORING_SETUP_SQ_REWIND

// setup is io_uring_setup(2): a ring whose queues are not mapped yet.
func setup(entries uint32, p *Params) (*Ring, error) {
	want := *p
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	if errno != 0 {
		return nil, newSetupError(entries, want, errno)
	}
	r := &Ring{fd: int(fd), enterFd: int(fd), params: *p}
	if p.Flags&IORING_SETUP_REGISTERED_FD_ONLY != 0 {
		// What was returned is an index, on this thread.
		r.fd, r.enterBase, r.enterTid = -1, IORING_ENTER_REGISTERED_RING, unix.Gettid()
	}
	return r, nil
}

// Close unmaps the queues and closes the ring's descriptor. The kernel cancels
// what is still in flight in the background and may write into its buffers
// until it has; whoever needs to reuse them waits for every completion first.
// Memory that was given to NewInMemory is let alone.
//
// After RegisterRingFd, and with IORING_SETUP_REGISTERED_FD_ONLY, Close must be
// called on the thread that registered: elsewhere the registration remains, and
// with it the ring in the kernel, until that thread ends. Entries that Next
// returned must not be touched any more. What is called on a closed ring fails
// with os.ErrClosed or EBADF, and its queues are empty. Closing twice is
// harmless.
func (r *Ring) Close() error {
	if r.closed {
		return nil
	}
	var errs []error
	if r.enterBase != 0 && r.enterTid == unix.Gettid() {
		errs = append(errs, r.dropRingFd())
	}
	errs = append(errs, r.mem.unmap())
	r.closeQueues()
	if r.fd >= 0 {
		errs = append(errs, os.NewSyscallError("close", unix.Close(r.fd)))
	}
	r.closed, r.fd, r.enterFd, r.enterBase = true, -1, -1, 0
	return errors.Join(errs...)
}

// closeQueues leaves a queue without room and one without completions.
func (r *Ring) closeQueues() {
	zero := new(uint32)
	r.sq = SubmissionQueue{khead: zero, ktail: zero, kflags: zero, kdropped: zero}
	r.cq = CompletionQueue{khead: zero, ktail: zero, koverflow: zero}
}

// SQ returns the ring's submission queue.
func (r *Ring) SQ() *SubmissionQueue { return &r.sq }

// SQ128 returns the ring's submission queue as one of 128-byte entries. It fails
// if the ring has none, because it was created with neither
// IORING_SETUP_SQE128 nor IORING_SETUP_SQE_MIXED.
func (r *Ring) SQ128() (SubmissionQueue128, error) {
	if r.params.Flags&(IORING_SETUP_SQE128|IORING_SETUP_SQE_MIXED) == 0 {
		return SubmissionQueue128{}, fmt.Errorf("uring: entries of 128 bytes: %w: the ring was not set up with SQE128 or SQE_MIXED",
			syscall.EINVAL)
	}
	return SubmissionQueue128{&r.sq}, nil
}

// CQ returns the ring's completion queue.
func (r *Ring) CQ() *CompletionQueue { return &r.cq }

// Fd returns the ring's file descriptor, which stays owned by the ring. It is
// -1 when the ring has none: closed, after CloseFd, and with
// IORING_SETUP_REGISTERED_FD_ONLY.
func (r *Ring) Fd() int { return r.fd }

// Params returns the parameters as the kernel filled them in: sizes, flags,
// features and offsets.
func (r *Ring) Params() Params { return r.params }

// Features returns what the kernel reports it can do.
func (r *Ring) Features() Features { return r.params.Features }

// Flags returns the flags the ring was created with.
func (r *Ring) Flags() SetupFlags { return r.params.Flags }

// String describes the ring for logs: its sizes, flags and features.
func (r *Ring) String() string {
	return fmt.Sprintf("io_uring{fd %d, sq %d, cq %d, flags %v, features %v}",
		r.fd, r.params.SqEntries, r.params.CqEntries, r.params.Flags, r.params.Features)
}
