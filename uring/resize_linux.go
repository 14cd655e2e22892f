package uring

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Resize gives the ring queues of other sizes, larger or smaller, while it
// works: requests that are in flight, entries that wait to be submitted and
// completions that wait to be reaped are all kept. Both sizes are rounded up to
// a power of two, and cqEntries of 0 means twice as many as entries. The ring
// must have IORING_SETUP_DEFER_TASKRUN. Linux 6.13.
//
// It fails with EOVERFLOW, and changes nothing, if what waits would not fit
// into the new queues. Entries that Next has returned must be filled before, as
// before a Flush, and their pointers are not valid any more afterwards. Nobody
// may use the queues meanwhile, not even Nonempty. A ring in memory of the
// caller is resized by ResizeInMemory.
//
// Should mapping the new queues fail after the kernel has made them, which it
// does for want of memory only, the ring is of no more use, and is closed.
func (r *Ring) Resize(entries, cqEntries uint32) error {
	if r.mem.lent {
		return fmt.Errorf("uring: resizing a ring in memory of the caller: %w: use ResizeInMemory", syscall.EINVAL)
	}
	return r.resize(entries, cqEntries, nil)
}

// ResizeInMemory is Resize for a ring that was made by NewInMemory. The memory
// must be other than what the ring has, and follow the rules there; the old can
// be unmapped afterwards.
func (r *Ring) ResizeInMemory(entries, cqEntries uint32, mem []byte) error {
	if !r.mem.lent {
		return fmt.Errorf("uring: resizing a ring in memory of the kernel: %w: use Resize", syscall.EINVAL)
	}
	p := r.resizeParams(entries, cqEntries)
	if need := sizeQueues(entries, p).total(); len(mem) < need {
		return fmt.Errorf("uring: resizing a ring in memory of %d bytes: %w: it needs %d, see RingMemorySize",
			len(mem), syscall.EINVAL, need)
	}
	return r.resize(entries, cqEntries, mem)
}

// resizeFlags are the setup flags that a ring keeps when it is resized and that
// decide about the layout of its memory.
const resizeFlags = IORING_SETUP_NO_SQARRAY | IORING_SETUP_SQE128 | IORING_SETUP_CQE32 |
	IORING_SETUP_CQE_MIXED | IORING_SETUP_SQE_MIXED | IORING_SETUP_NO_MMAP

// resizeParams returns the parameters that RingMemorySize needs for the new
// queues.
func (r *Ring) resizeParams(entries, cqEntries uint32) Params {
	p := Params{Flags: r.params.Flags & resizeFlags, SqEntries: entries, CqEntries: cqEntries}
	if cqEntries != 0 {
		p.Flags |= IORING_SETUP_CQSIZE
	}
	return p
}

func (r *Ring) resize(entries, cqEntries uint32, mem []byte) error {
	if r.closed {
		return errClosed
	}
	if r.sq.reserved.open {
		return fmt.Errorf("uring: resizing: %w", ErrReserved)
	}
	pending := r.sq.Flush()
	if sq := roundUp(entries); pending > sq {
		return fmt.Errorf("uring: resizing to %d entries: %w: %d wait to be submitted", sq, syscall.EOVERFLOW, pending)
	}
	layout := r.resizeParams(entries, cqEntries)
	p := &Params{SqEntries: entries, CqEntries: cqEntries, Flags: layout.Flags & IORING_SETUP_CQSIZE}
	var need queueSizes
	if mem != nil {
		need = sizeQueues(entries, layout)
		mem = mem[:need.total():need.total()]
		clear(mem)
		p.CqOff.UserAddr, p.SqOff.UserAddr = address(&mem[0]), address(&mem[need.rings])
	}
	if _, err := r.Register(IORING_REGISTER_RESIZE_RINGS, unsafe.Pointer(p), 1); err != nil {
		return err
	}
	old, sqBefore, cqBefore := r.mem, r.sq, r.cq
	r.adopt(p)
	var err error
	if mem != nil {
		r.mem = memory{rings: mem[:need.rings], sqes: mem[need.rings:], lent: true}
		r.initQueues()
	} else {
		r.mem = memory{}
		err = r.mapQueues()
	}
	if err != nil {
		_ = old.unmap()
		_ = r.Close()
		return fmt.Errorf("uring: mapping the resized rings, which are closed now: %w", err)
	}
	r.sq.takeOver(&sqBefore)
	r.cq.takeOver(&cqBefore)
	return old.unmap()
}

// adopt notes the sizes and the layout of the new queues.
func (r *Ring) adopt(p *Params) {
	r.params.SqEntries, r.params.CqEntries = p.SqEntries, p.CqEntries
	r.params.SqOff, r.params.CqOff = p.SqOff, p.CqOff
	if p.SqOff.Array == 0 && r.params.Flags&IORING_SETUP_NO_SQARRAY == 0 {
		// The kernel does not say where the array of indexes is now. It puts it
		// behind the completions, into the next cache line, as it puts those
		// behind the header, and doubles all of it for large completions.
		line := p.CqOff.Cqes
		end := line + p.CqEntries*uint32(unsafe.Sizeof(CQE{}))
		if r.params.Flags&IORING_SETUP_CQE32 != 0 {
			end *= 2
		}
		r.params.SqOff.Array = (end + line - 1) / line * line
	}
}

// takeOver copies the entries that wait to be submitted from the queue of
// before. The kernel has done so as well, but its first releases with resizing
// take all entries for small ones.
func (q *SubmissionQueue) takeOver(old *SubmissionQueue) {
	for i := q.tail - q.Pending(); i != q.tail; i++ {
		from, to := (i&old.mask)<<old.shift, (i&q.mask)<<q.shift
		copy(q.sqes[to:to+1<<q.shift], old.sqes[from:from+1<<q.shift])
	}
}

// takeOver copies the completions that wait to be reaped from the queue of
// before, for the same reason.
func (q *CompletionQueue) takeOver(old *CompletionQueue) {
	for i := q.head; i != q.head+q.slots(); i++ {
		from, to := (i&old.mask)<<old.shift, (i&q.mask)<<q.shift
		copy(q.cqes[to:to+1<<q.shift], old.cqes[from:from+1<<q.shift])
	}
}
