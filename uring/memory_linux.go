package uring

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memory is what a ring shares with the kernel.
type memory struct {
	rings []byte // both rings (FEAT_SINGLE_MMAP, NO_MMAP) or the submission ring
	cq    []byte // the completion ring without FEAT_SINGLE_MMAP
	sqes  []byte
	lent  bool // by the caller, who unmaps it
}

// unmap gives the memory back, if it is ours.
func (m *memory) unmap() error {
	var errs []error
	if !m.lent {
		for _, mem := range [][]byte{m.rings, m.cq, m.sqes} {
			if mem != nil {
				errs = append(errs, os.NewSyscallError("munmap", unix.Munmap(mem)))
			}
		}
	}
	*m = memory{}
	return errors.Join(errs...)
}

// mapQueues maps the queues that the kernel has allocated.
func (r *Ring) mapQueues() error {
	p := &r.params
	sqSize := uintptr(p.SqOff.Array) + uintptr(p.SqEntries)*4
	cqSize := uintptr(p.CqOff.Cqes) + uintptr(p.CqEntries)*p.cqeSize()
	single := p.Features&IORING_FEAT_SINGLE_MMAP != 0
	if single {
		sqSize = max(sqSize, cqSize)
	}
	var err error
	if r.mem.rings, err = r.mapShared(IORING_OFF_SQ_RING, sqSize); err != nil {
		return err
	}
	if !single {
		if r.mem.cq, err = r.mapShared(IORING_OFF_CQ_RING, cqSize); err != nil {
			return err
		}
	}
	if r.mem.sqes, err = r.mapShared(IORING_OFF_SQES, uintptr(p.SqEntries)*p.sqeSize()); err != nil {
		return err
	}
	r.initQueues()
	return nil
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

// initQueues points the queues into the memory. What they have counted so far
// stays: a ring that was resized goes on where it was.
func (r *Ring) initQueues() {
	p := &r.params
	sq, cq := &r.sq, &r.cq
	cqMem := r.mem.cq
	if cqMem == nil {
		cqMem = r.mem.rings
	}

	sq.khead = word(r.mem.rings, p.SqOff.Head)
	sq.ktail = word(r.mem.rings, p.SqOff.Tail)
	sq.kflags = word(r.mem.rings, p.SqOff.Flags)
	sq.kdropped = word(r.mem.rings, p.SqOff.Dropped)
	sq.mask = *word(r.mem.rings, p.SqOff.RingMask)
	sq.entries = p.SqEntries
	sq.mixed = p.Flags&IORING_SETUP_SQE_MIXED != 0
	sq.shift = uint32(bits.TrailingZeros(uint(p.sqeSize() / unsafe.Sizeof(SQE{}))))
	sq.sqes = unsafe.Slice((*SQE)(unsafe.Pointer(&r.mem.sqes[0])), p.SqEntries<<sq.shift)
	if p.Flags&IORING_SETUP_NO_SQARRAY == 0 {
		sq.array = unsafe.Slice(word(r.mem.rings, p.SqOff.Array), p.SqEntries)
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
	cq.entries = p.CqEntries
	cq.mixed = p.Flags&IORING_SETUP_CQE_MIXED != 0
	cq.shift = uint32(bits.TrailingZeros(uint(p.cqeSize() / unsafe.Sizeof(CQE{}))))
	cq.cqes = unsafe.Slice((*CQE)(unsafe.Pointer(&cqMem[p.CqOff.Cqes])), p.CqEntries<<cq.shift)
	if cq.mixed {
		// All but what the kernel has taken over from a ring that was resized.
		cq.markFillers(cq.head+cq.slots(), cq.head+cq.entries)
	}
}

// word returns the 32-bit word at byte offset off of shared memory.
func word(mem []byte, off uint32) *uint32 {
	return (*uint32)(unsafe.Pointer(&mem[off]))
}

// NewInMemory is New for a ring whose queues lie in memory of the caller
// (IORING_SETUP_NO_MMAP, which it sets): many rings on one huge page, or a ring
// that is only a registered index (IORING_SETUP_REGISTERED_FD_ONLY). mem begins
// at a page boundary, has at least the size that RingMemorySize returns, and is
// overwritten. Linux 6.5.
//
// The kernel writes into mem for as long as the ring exists, which is a little
// longer than until Close: it must therefore not be memory of Go's heap, which
// would be given to somebody else, but come from mmap. It may be unmapped after
// Close, because the kernel holds its pages by itself, but not be used for
// anything else. Whether a forked child inherits it is up to the caller.
//
// Before Linux 6.14 the kernel wants each of the two parts, the rings and the
// entries, in one page; larger rings need memory of a huge page
// (MAP_HUGETLB) there, and otherwise fail with EINVAL.
//
// With IORING_SETUP_REGISTERED_FD_ONLY the ring has no descriptor. It can be
// used on the thread that has created it only, and ends with it.
func NewInMemory(entries uint32, p *Params, mem []byte) (*Ring, error) {
	if p == nil {
		p = new(Params)
	}
	p.Flags |= IORING_SETUP_NO_MMAP
	if p.Flags&IORING_SETUP_SQ_REWIND != 0 {
		return nil, newSetupError(entries, *p, unix.ENOTSUP)
	}
	need := sizeQueues(entries, *p)
	switch addr := uintptr(unsafe.Pointer(unsafe.SliceData(mem))); {
	case len(mem) < need.total():
		return nil, fmt.Errorf("uring: a ring in memory of %d bytes: %w: it needs %d, see RingMemorySize",
			len(mem), unix.EINVAL, need.total())
	case addr%uintptr(os.Getpagesize()) != 0:
		return nil, fmt.Errorf("uring: a ring in memory at %#x: %w: it must begin at a page boundary of %d bytes",
			addr, unix.EINVAL, os.Getpagesize())
	}
	mem = mem[:need.total():need.total()]
	clear(mem) // the kernel takes over what stands there for heads and tails
	p.CqOff.UserAddr = address(&mem[0])
	p.SqOff.UserAddr = address(&mem[need.rings])
	r, err := setup(entries, p)
	if err != nil {
		return nil, err
	}
	r.mem = memory{rings: mem[:need.rings], sqes: mem[need.rings:], lent: true}
	if got := r.usedSizes(); got.rings > need.rings || got.sqes > need.sqes {
		_ = r.Close()
		return nil, fmt.Errorf("uring: a ring in memory: the kernel uses %d and %d bytes, more than the %d and %d expected",
			got.rings, got.sqes, need.rings, need.sqes)
	}
	r.initQueues()
	return r, nil
}

// usedSizes returns the sizes as the kernel has laid out the queues.
func (r *Ring) usedSizes() queueSizes {
	p := &r.params
	rings := int(p.CqOff.Cqes) + int(p.CqEntries)*int(p.cqeSize())
	if p.Flags&IORING_SETUP_NO_SQARRAY == 0 {
		rings = max(rings, int(p.SqOff.Array)+int(p.SqEntries)*4)
	}
	return queueSizes{rings: wholePages(rings), sqes: wholePages(int(p.SqEntries) * int(p.sqeSize()))}
}
