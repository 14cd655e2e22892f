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
	fd     int
	params Params
	sq     SubmissionQueue
	cq     CompletionQueue

	ringMem []byte // both rings (FEAT_SINGLE_MMAP) or the submission ring
	cqMem   []byte // the completion ring without FEAT_SINGLE_MMAP
	sqeMem  []byte

	// enterFd is fd, or its index after RegisterRingFd with enterBase set to
	// ENTER_REGISTERED_RING. The index means this ring on the thread enterTid
	// only.
	enterFd   int
	enterBase EnterFlags
	enterTid  int

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
// fork. Whoever creates a ring closes it: there is no finalizer.
//
// A failure is a *SetupError that names the likely cause and the remedy. It
// unwraps to the errno, so that errors.Is finds fs.ErrPermission where io_uring
// is forbidden and errors.ErrUnsupported where it does not exist. See
// io_uring_setup(2).
func New(entries uint32, p *Params) (*Ring, error) {
	if p == nil {
		p = new(Params)
	}
	want := *p
	if p.Flags&unmappable != 0 {
		// Refused before the kernel sees it: it would write to memory that
		// the caller named, or return an index that is no descriptor.
		return nil, newSetupError(entries, want, syscall.ENOTSUP)
	}
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	if errno != 0 {
		return nil, newSetupError(entries, want, errno)
	}
	r := &Ring{fd: int(fd), enterFd: int(fd), params: *p}
	if err := r.mmap(); err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("uring: mapping the rings: %w", err)
	}
	return r, nil
}

// unmappable are the flags with which rings have a form that the queues of this
// package do not know.
const unmappable = IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY | IORING_SETUP_SQE128 |
	IORING_SETUP_SQE_MIXED | IORING_SETUP_CQE_MIXED | IORING_SETUP_SQ_REWIND

func (r *Ring) mmap() error {
	p := &r.params
	cqeSize := uintptr(unsafe.Sizeof(CQE{}))
	if p.Flags&IORING_SETUP_CQE32 != 0 {
		r.cq.shift = 1
		cqeSize *= 2
	}
	sqSize := uintptr(p.SqOff.Array) + uintptr(p.SqEntries)*4
	cqSize := uintptr(p.CqOff.Cqes) + uintptr(p.CqEntries)*cqeSize
	if p.Features&IORING_FEAT_SINGLE_MMAP != 0 {
		sqSize = max(sqSize, cqSize)
	}
	var err error
	if r.ringMem, err = r.mapShared(IORING_OFF_SQ_RING, sqSize); err != nil {
		return err
	}
	cqMem := r.ringMem
	if p.Features&IORING_FEAT_SINGLE_MMAP == 0 {
		if r.cqMem, err = r.mapShared(IORING_OFF_CQ_RING, cqSize); err != nil {
			return err
		}
		cqMem = r.cqMem
	}
	sqeSize := uintptr(p.SqEntries) * unsafe.Sizeof(SQE{})
	if r.sqeMem, err = r.mapShared(IORING_OFF_SQES, sqeSize); err != nil {
		return err
	}
	r.initQueues(cqMem)
	return nil
}

func (r *Ring) initQueues(cqMem []byte) {
	p := &r.params
	sq, cq := &r.sq, &r.cq

	sq.khead = word(r.ringMem, p.SqOff.Head)
	sq.ktail = word(r.ringMem, p.SqOff.Tail)
	sq.kflags = word(r.ringMem, p.SqOff.Flags)
	sq.kdropped = word(r.ringMem, p.SqOff.Dropped)
	sq.mask = *word(r.ringMem, p.SqOff.RingMask)
	sq.sqes = unsafe.Slice((*SQE)(unsafe.Pointer(&r.sqeMem[0])), p.SqEntries)
	if p.Flags&IORING_SETUP_NO_SQARRAY == 0 {
		sq.array = unsafe.Slice(word(r.ringMem, p.SqOff.Array), p.SqEntries)
		for i := range sq.array {
			sq.array[i] = uint32(i)
		}
	}

	cq.khead = word(cqMem, p.CqOff.Head)
	cq.ktail = word(cqMem, p.CqOff.Tail)
	if p.CqOff.Flags != 0 { // Linux 5.8
		cq.kflags = word(cqMem, p.CqOff.Flags)
	}
	cq.koverflow = word(cqMem, p.CqOff.Overflow)
	cq.mask = *word(cqMem, p.CqOff.RingMask)
	slots := p.CqEntries << cq.shift
	cq.cqes = unsafe.Slice((*CQE)(unsafe.Pointer(&cqMem[p.CqOff.Cqes])), slots)
}

// word returns the 32-bit word at byte offset off of shared memory.
func word(mem []byte, off uint32) *uint32 {
	return (*uint32)(unsafe.Pointer(&mem[off]))
}

func (r *Ring) mapShared(off uint64, size uintptr) ([]byte, error) {
	mem, err := unix.Mmap(r.fd, int64(off), int(size), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	// A forked child must not share the queues: it could submit in our name.
	if err := unix.Madvise(mem, unix.MADV_DONTFORK); err != nil {
		_ = unix.Munmap(mem)
		return nil, os.NewSyscallError("madvise", err)
	}
	return mem, nil
}

// Close unmaps the queues and closes the ring's descriptor. The kernel cancels
// what is still in flight in the background and may write into its buffers
// until it has; whoever needs to reuse them waits for every completion first.
//
// After RegisterRingFd, Close must be called on the thread that registered:
// elsewhere the registration remains, and with it the ring in the kernel, until
// that thread ends. Entries that Next returned must not be touched any more.
// Closing twice is harmless.
func (r *Ring) Close() error {
	var errs []error
	if r.enterBase != 0 && r.enterTid == unix.Gettid() {
		errs = append(errs, r.UnregisterRingFd())
	}
	for _, mem := range [][]byte{r.ringMem, r.cqMem, r.sqeMem} {
		if mem != nil {
			errs = append(errs, os.NewSyscallError("munmap", unix.Munmap(mem)))
		}
	}
	r.ringMem, r.cqMem, r.sqeMem = nil, nil, nil
	// What is left is a queue without room and one without completions.
	zero := new(uint32)
	r.sq = SubmissionQueue{khead: zero, ktail: zero, kflags: zero, kdropped: zero}
	r.cq = CompletionQueue{khead: zero, ktail: zero, koverflow: zero}
	if r.fd >= 0 {
		errs = append(errs, os.NewSyscallError("close", unix.Close(r.fd)))
		r.fd, r.enterFd, r.enterBase = -1, -1, 0
	}
	return errors.Join(errs...)
}

// SQ returns the ring's submission queue.
func (r *Ring) SQ() *SubmissionQueue { return &r.sq }

// CQ returns the ring's completion queue.
func (r *Ring) CQ() *CompletionQueue { return &r.cq }

// Fd returns the ring's file descriptor. It stays owned by the ring.
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
