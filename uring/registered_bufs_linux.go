package uring

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

// Buffers is a ring's table of registered buffers: memory that the kernel has
// looked up and pinned once, for all requests that use it. At returns a buffer
// to give to operations.
//
// The memory is the caller's, from Go's heap or elsewhere. As long as a buffer
// is in the table, the ring keeps the memory from being collected; memory that
// is not the heap's must stay mapped as long, and in both cases until the last
// completion of every request that uses it. After that, or when the ring itself
// is not referenced any more, it is an ordinary slice again.
//
// A ring has one table at a time. Buffers is not safe for concurrent use, and
// its methods are registration calls: which threads may make them depends on
// the setup flags.
type Buffers struct {
	ring *Ring
	bufs []FixedBuf // without bytes where the slot is empty
}

// RegisterBuffers makes a table of the given buffers, a slice without bytes for
// an empty slot. Of each slice the part up to its length is registered.
//
// It fails with EINVAL for no buffers, EFAULT for memory that is not there or is
// larger than MaxFixedBuf, EBUSY if the ring has a table already, and ENOMEM
// beyond the limit of locked memory. See io_uring_registered_buffers(7).
func (r *Ring) RegisterBuffers(bufs [][]byte) (*Buffers, error) {
	iov, err := iovecs(bufs)
	if err == nil {
		err = r.registerPlain(IORING_REGISTER_BUFFERS, unsafe.Pointer(unsafe.SliceData(iov)), len(iov))
		runtime.KeepAlive(iov)
	}
	if err != nil {
		return nil, buffersError(fmt.Sprintf("registering %d buffers", len(bufs)), err)
	}
	return r.newBuffers(bufs), nil
}

// RegisterBuffersTagged is RegisterBuffers with a tag for each buffer. When the
// kernel lets go of a buffer, because its slot was emptied or replaced and no
// request uses it any more, it posts a completion with the tag as user data,
// unless the tag is 0. An empty slot cannot have a tag (EINVAL). Linux 5.13,
// IORING_FEAT_RSRC_TAGS.
func (r *Ring) RegisterBuffersTagged(bufs [][]byte, tags []uint64) (*Buffers, error) {
	what := fmt.Sprintf("registering %d buffers", len(bufs))
	if len(tags) != len(bufs) {
		return nil, tagsError(what, len(tags))
	}
	iov, err := iovecs(bufs)
	if err == nil {
		err = r.registerTable(IORING_REGISTER_BUFFERS2, unsafe.Pointer(unsafe.SliceData(iov)), len(iov), tags)
		runtime.KeepAlive(iov)
	}
	if err != nil {
		return nil, buffersError(what, err)
	}
	return r.newBuffers(bufs), nil
}

// RegisterBuffersSparse makes a table of n empty slots, to be filled by Update.
// Linux 5.19.
func (r *Ring) RegisterBuffersSparse(n int) (*Buffers, error) {
	if err := r.registerSparse(IORING_REGISTER_BUFFERS2, n); err != nil {
		return nil, buffersError(fmt.Sprintf("registering %d empty slots for buffers", n), err)
	}
	return r.newBuffers(make([][]byte, n)), nil
}

// newBuffers returns the table that was registered, and makes the ring keep it.
func (r *Ring) newBuffers(bufs [][]byte) *Buffers {
	b := &Buffers{r, make([]FixedBuf, len(bufs))}
	b.set(0, bufs)
	r.buffers = b
	return b
}

// set records what is in the slots from at on.
func (b *Buffers) set(at int, bufs [][]byte) {
	for i, buf := range bufs {
		b.bufs[at+i] = FixedBuf{buf[:len(buf):len(buf)], uint16(at + i)}
	}
}

// Len returns the number of slots.
func (b *Buffers) Len() int { return len(b.bufs) }

// At returns the buffer in slot i, which has no bytes if the slot is empty. It
// panics if there is no such slot.
func (b *Buffers) At(i int) FixedBuf {
	checkIndex(i, len(b.bufs))
	return b.bufs[i]
}

// Update replaces the buffers in the slots from at on; a slice without bytes
// empties a slot. It returns how many slots it has replaced, which are fewer
// than asked for only with an error; the error is about the slot behind them.
// Linux 5.13.
//
// The ring does not keep the memory of a replaced buffer any longer, but
// requests that have been submitted for it go on to use it: as with every
// request, it must stay reachable until they have completed.
func (b *Buffers) Update(at int, bufs [][]byte) (int, error) {
	return b.update(at, bufs, nil)
}

// UpdateTagged is Update with a tag for each new buffer, see
// RegisterBuffersTagged. The completion of a tag is also the sign that the
// memory of the buffer is not used any more. Linux 5.13.
func (b *Buffers) UpdateTagged(at int, bufs [][]byte, tags []uint64) (int, error) {
	if len(tags) != len(bufs) {
		return 0, tagsError(b.updating(at, len(bufs)), len(tags))
	}
	return b.update(at, bufs, tags)
}

func (b *Buffers) updating(at, n int) string {
	return fmt.Sprintf("updating %d of %d slots for buffers from slot %d on", n, len(b.bufs), at)
}

func (b *Buffers) update(at int, bufs [][]byte, tags []uint64) (int, error) {
	iov, err := iovecs(bufs)
	if err != nil {
		return 0, buffersError(b.updating(at, len(bufs)), err)
	}
	n, err := b.ring.updateTable(IORING_REGISTER_BUFFERS_UPDATE, at, len(iov), func(i int) unsafe.Pointer {
		return unsafe.Pointer(&iov[i])
	}, tags)
	runtime.KeepAlive(iov)
	b.set(at, bufs[:n])
	if err != nil {
		return n, buffersError(b.updating(at, len(bufs)), err)
	}
	return n, nil
}

// Unregister removes the table, and the ring does not keep the memory any
// longer. Requests that have been submitted go on to use it. It fails with ENXIO
// if the ring has no table any more.
func (b *Buffers) Unregister() error {
	if _, err := b.ring.Register(IORING_UNREGISTER_BUFFERS, nil, 0); err != nil {
		return buffersError(fmt.Sprintf("unregistering %d buffers", len(b.bufs)), err)
	}
	if b.ring.buffers == b {
		b.ring.buffers = nil
	}
	return nil
}

// CloneBuffers makes a table of the buffers that another ring has registered, in
// the same slots, without pinning the memory again. Each ring keeps the memory
// for as long as it has the buffers. It fails with EBUSY if this ring has a
// table already, and with ENXIO if the other has none. Linux 6.12.
func (r *Ring) CloneBuffers(src *Buffers) (*Buffers, error) {
	if err := r.clone(src, CloneBuffers{}); err != nil {
		return nil, buffersError(fmt.Sprintf("cloning %d buffers", len(src.bufs)), err)
	}
	b := &Buffers{r, append([]FixedBuf(nil), src.bufs...)}
	r.buffers = b
	return b, nil
}

// Clone replaces the n buffers from at on by those that src, the table of
// another or the same ring, has from from on. It fails with EOVERFLOW or EINVAL
// if src has fewer. Linux 6.13.
func (b *Buffers) Clone(at int, src *Buffers, from, n int) error {
	what := fmt.Sprintf("cloning %d of %d buffers from slot %d on to %d slots from slot %d on",
		n, len(src.bufs), from, len(b.bufs), at)
	// The kernel would make the table larger, and takes 0 for all.
	if at < 0 || n < 1 || at > len(b.bufs) || n > len(b.bufs)-at || from < 0 || from > len(src.bufs) || n > len(src.bufs)-from {
		return buffersError(what, syscall.EINVAL)
	}
	arg := CloneBuffers{Flags: IORING_REGISTER_DST_REPLACE, SrcOff: uint32(from), DstOff: uint32(at), Nr: uint32(n)}
	if err := b.ring.clone(src, arg); err != nil {
		return buffersError(what, err)
	}
	for i, buf := range append([]FixedBuf(nil), src.bufs[from:from+n]...) {
		b.bufs[at+i] = FixedBuf{buf.b, uint16(at + i)}
	}
	return nil
}

// clone is the call, with the ring of src filled in.
func (r *Ring) clone(src *Buffers, arg CloneBuffers) error {
	arg.SrcFd = uint32(src.ring.fd)
	if src.ring.fd < 0 {
		arg.SrcFd = uint32(src.ring.enterFd)
		arg.Flags |= IORING_REGISTER_SRC_REGISTERED
	}
	_, err := r.Register(IORING_REGISTER_CLONE_BUFFERS, unsafe.Pointer(&arg), 1)
	return err
}

// iovecs describes buffers to the kernel.
func iovecs(bufs [][]byte) ([]Iovec, error) {
	iov := make([]Iovec, len(bufs))
	for i, buf := range bufs {
		if len(buf) > MaxFixedBuf {
			return nil, fmt.Errorf("%w: number %d of them has %d bytes, more than %d",
				syscall.EFAULT, i, len(buf), MaxFixedBuf)
		}
		iov[i].SetBytes(buf)
	}
	return iov, nil
}

// buffersError says what was asked for, and what the errno means of buffers.
func buffersError(what string, err error) error {
	if errors.Is(err, syscall.ENOMEM) {
		return fmt.Errorf("uring: %s: %w: more than the limit of locked memory (RLIMIT_MEMLOCK) or than there is", what, err)
	}
	return tableError(what, err)
}
