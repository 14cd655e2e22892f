package uring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BufRing is a ring of provided buffers: memory that the kernel picks a buffer
// from when data has arrived, instead of holding one per waiting operation. A
// completion names the buffer it filled with CQE.BufferID; the buffer belongs
// to the program from then until Add gives it back.
//
// A BufRing is not safe for concurrent use. Linux 5.19, see
// io_uring_provided_buffers(7).
type BufRing struct {
	ring  *Ring
	group uint16
	size  int
	mask  uint16

	mem  []byte // the shared ring of descriptors
	bufs []byte // entries buffers of size bytes
	ents []Buf
	// bidTail is the word that holds the buffer id of entry 0 and, in place of
	// its reserved field, the tail that the kernel reads.
	bidTail *uint32
	tail    uint16
	bid0    uint16
}

// NewBufRing registers a group of entries buffers (a power of two, at most
// 32768) of size bytes each with the ring, all of them available to the
// kernel. The buffers are memory of their own, outside Go's heap.
func NewBufRing(r *Ring, group uint16, entries, size int) (*BufRing, error) {
	return NewBufRingPart(r, group, entries, size, entries)
}

// NewBufRingPart is NewBufRing with only the first filled buffers available to
// the kernel. The others, whose memory costs nothing before it is used, can be
// added later, with Add.
func NewBufRingPart(r *Ring, group uint16, entries, size, filled int) (*BufRing, error) {
	if entries < 1 || entries > 1<<15 || bits.OnesCount(uint(entries)) != 1 {
		return nil, fmt.Errorf("uring: buffer ring of %d entries: want a power of two up to 32768", entries)
	}
	if size < 1 || size > 1<<30 || size > math.MaxInt/entries {
		return nil, fmt.Errorf("uring: buffer ring of %d buffers of %d bytes: want 1 to 1<<30 bytes each", entries, size)
	}
	if filled < 0 || filled > entries {
		return nil, fmt.Errorf("uring: buffer ring with %d of %d buffers filled: want 0 to all", filled, entries)
	}
	b := &BufRing{ring: r, group: group, size: size, mask: uint16(entries - 1)}
	var err error
	if b.mem, err = mapPrivate(entries * int(unsafe.Sizeof(Buf{}))); err != nil {
		return nil, err
	}
	if b.bufs, err = mapPrivate(entries * size); err != nil {
		_ = unix.Munmap(b.mem)
		return nil, err
	}
	b.ents = unsafe.Slice((*Buf)(unsafe.Pointer(&b.mem[0])), entries)
	b.bidTail = word(b.mem, uint32(unsafe.Offsetof(Buf{}.Bid)))
	for bid := range filled {
		b.put(uint16(bid))
	}
	b.Commit()
	reg := BufReg{
		RingAddr:    uint64(uintptr(unsafe.Pointer(&b.mem[0]))),
		RingEntries: uint32(entries),
		Bgid:        group,
	}
	if _, err := r.Register(IORING_REGISTER_PBUF_RING, unsafe.Pointer(&reg), 1); err != nil {
		_ = unix.Munmap(b.mem)
		_ = unix.Munmap(b.bufs)
		return nil, fmt.Errorf("uring: registering buffer group %d: %w", group, err)
	}
	return b, nil
}

func mapPrivate(size int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return mem, os.NewSyscallError("mmap", err)
}

// Group returns the buffer group's id, for SQE.SetBufGroup.
func (b *BufRing) Group() uint16 { return b.group }

// Entries returns the number of buffers.
func (b *BufRing) Entries() int { return len(b.ents) }

// Size returns the size of a buffer in bytes.
func (b *BufRing) Size() int { return b.size }

// Bytes returns the first n bytes of a buffer. They are valid until Add gives
// the buffer back or the group is closed.
func (b *BufRing) Bytes(bid uint16, n int) []byte {
	off := int(bid) * b.size
	return b.bufs[off : off+n : off+b.size]
}

// put writes a descriptor at the tail; Commit shows it to the kernel.
func (b *BufRing) put(bid uint16) {
	e := &b.ents[b.tail&b.mask]
	e.Addr = uint64(uintptr(unsafe.Pointer(&b.bufs[int(bid)*b.size])))
	e.Len = uint32(b.size)
	if b.tail&b.mask == 0 {
		b.bid0 = bid // shares its word with the tail: written by Commit
	} else {
		e.Bid = bid
	}
	b.tail++
}

// Add queues a buffer to be given back to the kernel by the next Commit, after
// all that were added before. Only a buffer that a completion has named, or that
// was not filled in at first, may be added, and once: of one that the kernel still has it would believe that it has
// two, and fill the same memory for two requests.
func (b *BufRing) Add(bid uint16) { b.put(bid) }

// Commit makes all added buffers available to the kernel.
func (b *BufRing) Commit() {
	var w [4]byte
	binary.NativeEndian.PutUint16(w[0:], b.bid0)
	binary.NativeEndian.PutUint16(w[2:], b.tail)
	// Pairs with the kernel's load-acquire of the tail: descriptors are written
	// before they are announced. Entry 0's id rewritten along with it is the
	// value that it has.
	atomic.StoreUint32(b.bidTail, binary.NativeEndian.Uint32(w[:]))
}

// Close unregisters the group and frees its memory. No operation that selects
// from the group may be in flight, and no buffer may be in use any more: Bytes
// of it would be unmapped memory. A group that is closed before its ring is the
// rule; after the ring, Close only frees the memory.
func (b *BufRing) Close() error {
	if b.mem == nil {
		return nil
	}
	reg := BufReg{Bgid: b.group}
	_, err := b.ring.Register(IORING_UNREGISTER_PBUF_RING, unsafe.Pointer(&reg), 1)
	if err != nil && !errors.Is(err, syscall.EBADF) {
		// The kernel may still pick from the memory: better leak it.
		return fmt.Errorf("uring: unregistering buffer group %d: %w", b.group, err)
	}
	err = errors.Join(os.NewSyscallError("munmap", unix.Munmap(b.mem)),
		os.NewSyscallError("munmap", unix.Munmap(b.bufs)))
	b.mem, b.bufs, b.ents = nil, nil, nil
	return err
}
