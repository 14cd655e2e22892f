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
// to the program until it is given back.
//
// Lease and AppendLeases return what a completion has put into buffers, as
// leases that Return takes back once each. Bytes and Add are the same by hand,
// for programs that keep their own account; a group is used in one way only.
//
// A BufRing is not safe for concurrent use. Linux 5.19, see
// io_uring_provided_buffers(7).
type BufRing struct {
	ring  *Ring
	group uint16
	flags PbufFlags
	mask  uint16

	mem  []byte // the shared ring of descriptors
	ents []Buf
	book bufBook // the buffers, and who has them
	// bidTail is the word that holds the buffer id of entry 0 and, in place of
	// its reserved field, the tail that the kernel reads.
	bidTail *uint32
	tail    uint16
	shown   uint16 // the tail as Commit has shown it
	bid0    uint16
}

// NewBufRing registers a group of entries buffers (a power of two, at most
// 32768) of size bytes each with the ring, all of them available to the
// kernel. The buffers are memory of their own, outside Go's heap.
func NewBufRing(r *Ring, group uint16, entries, size int) (*BufRing, error) {
	return r.NewBufRing(BufRingConfig{Group: group, Entries: entries, Size: size})
}

// NewBufRing is the function of that name for groups of all kinds.
func (r *Ring) NewBufRing(c BufRingConfig) (*BufRing, error) {
	if c.Entries < 1 || c.Entries > 1<<15 || bits.OnesCount(uint(c.Entries)) != 1 {
		return nil, fmt.Errorf("uring: buffer ring of %d entries: want a power of two up to 32768", c.Entries)
	}
	if c.Size < 1 || c.Size > 1<<30 || c.Size > math.MaxInt/c.Entries {
		return nil, fmt.Errorf("uring: buffer ring of %d buffers of %d bytes: want 1 to 1<<30 bytes each", c.Entries, c.Size)
	}
	if c.Spare < 0 || c.Spare > c.Entries {
		return nil, fmt.Errorf("uring: buffer ring of %d entries, %d of them spare: want 0 to all", c.Entries, c.Spare)
	}
	if c.Flags&IOU_PBUF_RING_MMAP != 0 && c.Group > maxMappedGroup {
		return nil, fmt.Errorf("uring: buffer group %d with IOU_PBUF_RING_MMAP: want at most %d, "+
			"the offsets at which the kernel lets rings be mapped have room for no more", c.Group, maxMappedGroup)
	}
	b := &BufRing{ring: r, group: c.Group, flags: c.Flags, mask: uint16(c.Entries - 1)}
	bufs, err := mapPrivate(c.Entries * c.Size)
	if err != nil {
		return nil, err
	}
	if err := b.register(c); err != nil {
		_ = unix.Munmap(bufs)
		return nil, fmt.Errorf("uring: registering buffer group %d: %w", c.Group, err)
	}
	b.book = newBook(bufs, c.Entries, c.Size)
	b.book.refill = b
	for bid := range c.Entries - c.Spare {
		b.put(uint16(bid))
	}
	b.Commit()
	return b, nil
}

// maxMappedGroup is the last group whose number does not reach into the bits of
// a mapping's offset that say what is to be mapped.
const maxMappedGroup = (1<<32 - 1) &^ IORING_OFF_MMAP_MASK >> IORING_OFF_PBUF_SHIFT

// register makes the ring of descriptors, in memory of ours or of the kernel. It
// is empty until Commit.
func (b *BufRing) register(c BufRingConfig) error {
	size := c.Entries * int(unsafe.Sizeof(Buf{}))
	reg := BufReg{RingEntries: uint32(c.Entries), Bgid: c.Group, Flags: c.Flags, MinLeft: c.MinLeft}
	ours := c.Flags&IOU_PBUF_RING_MMAP == 0
	var err error
	if ours {
		if b.mem, err = mapPrivate(size); err != nil {
			return err
		}
		reg.RingAddr = uint64(uintptr(unsafe.Pointer(&b.mem[0])))
	}
	if _, err = b.ring.Register(IORING_REGISTER_PBUF_RING, unsafe.Pointer(&reg), 1); err != nil {
		if ours {
			_ = unix.Munmap(b.mem)
		}
		return err
	}
	if !ours {
		off := int64(IORING_OFF_PBUF_RING) | int64(c.Group)<<IORING_OFF_PBUF_SHIFT
		b.mem, err = unix.Mmap(b.ring.fd, off, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		if err != nil {
			_ = b.unregister()
			return os.NewSyscallError("mmap", err)
		}
	}
	b.ents = unsafe.Slice((*Buf)(unsafe.Pointer(&b.mem[0])), c.Entries)
	b.bidTail = word(b.mem, uint32(unsafe.Offsetof(Buf{}.Bid)))
	return nil
}

func (b *BufRing) unregister() error {
	reg := BufReg{Bgid: b.group}
	_, err := b.ring.Register(IORING_UNREGISTER_PBUF_RING, unsafe.Pointer(&reg), 1)
	return err
}

func mapPrivate(size int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return mem, os.NewSyscallError("mmap", err)
}

// Group returns the buffer group's id, for SQE.SetBufGroup.
func (b *BufRing) Group() uint16 { return b.group }

// Selection returns the group as a buffer for Read, Recv and others.
func (b *BufRing) Selection() Selection { return Selection{Group: b.group} }

// Entries returns the number of buffers.
func (b *BufRing) Entries() int { return len(b.ents) }

// Size returns the size of a buffer in bytes.
func (b *BufRing) Size() int { return b.book.size }

// Bytes returns the first n bytes of a buffer. They are valid until Add gives
// the buffer back or the group is closed.
func (b *BufRing) Bytes(bid uint16, n int) []byte {
	off := int(bid) * b.book.size
	return b.book.mem[off : off+n : off+b.book.size]
}

// put writes a descriptor at the tail; Commit shows it to the kernel.
func (b *BufRing) put(bid uint16) {
	e := &b.ents[b.tail&b.mask]
	e.Addr = uint64(uintptr(unsafe.Pointer(&b.book.mem[int(bid)*b.book.size])))
	e.Len = uint32(b.book.size)
	if b.tail&b.mask == 0 {
		b.bid0 = bid // shares its word with the tail: written by Commit
	} else {
		e.Bid = bid
	}
	b.tail++
	b.book.provided(bid)
}

// Add queues a buffer to be given back to the kernel by the next Commit, after
// all that were added before. Only a buffer that a completion has named, or a
// spare one, may be added, and once: of one that the kernel still has it would
// believe that it has two, and fill the same memory for two requests.
func (b *BufRing) Add(bid uint16) { b.put(bid) }

// Commit makes all added buffers available to the kernel.
func (b *BufRing) Commit() {
	var w [4]byte
	binary.NativeEndian.PutUint16(w[0:], b.bid0)
	binary.NativeEndian.PutUint16(w[2:], b.tail)
	b.shown = b.tail
	// Pairs with the kernel's load-acquire of the tail: descriptors are written
	// before they are announced. Entry 0's id rewritten along with it is the
	// value that it has.
	atomic.StoreUint32(b.bidTail, binary.NativeEndian.Uint32(w[:]))
}

// Close unregisters the group and frees its memory. No operation that selects
// from the group may be in flight, and no buffer may be in use any more: Bytes
// and leases of it would be unmapped memory. A group that is closed before its ring is the
// rule; after the ring, Close only frees the memory.
func (b *BufRing) Close() error {
	if b.mem == nil {
		return nil
	}
	err := b.unregister()
	if err != nil && !errors.Is(err, syscall.EBADF) {
		// The kernel may still pick from the memory: better leak it.
		return fmt.Errorf("uring: unregistering buffer group %d: %w", b.group, err)
	}
	err = errors.Join(os.NewSyscallError("munmap", unix.Munmap(b.mem)),
		os.NewSyscallError("munmap", unix.Munmap(b.book.mem)))
	b.mem, b.ents = nil, nil
	b.book.close()
	return err
}

// Lease returns what a completion has put into a buffer of the group, or
// ErrNoBuffer if there is none. Each completion must be passed once, because its
// buffer has to be returned; a completion of several buffers (a bundle) is an
// error, and goes to AppendLeases.
func (b *BufRing) Lease(cqe CQE) (Lease, error) { return b.book.oneLease(cqe) }

// AppendLeases appends to dst what a completion has put into buffers of the
// group, one lease for each, in the order of the bytes. It is for requests with
// IORING_RECVSEND_BUNDLE, of which a completion names the first buffer and the
// number of bytes only, and works for all others. After an error nothing has been
// leased. It allocates nothing if dst has room.
func (b *BufRing) AppendLeases(dst []Lease, cqe CQE) ([]Lease, error) {
	return b.book.appendLeases(dst, cqe)
}

// Return takes a lease back. A buffer of which it was the last lease is given to
// the kernel by the next Commit. It reports false, and does nothing, when the
// lease has been returned before, or is none of the group.
func (b *BufRing) Return(l Lease) bool { return b.book.giveBack(l) }

// Head returns how many buffers the kernel has used up since the beginning, as
// far as 16 bits tell. Linux 6.8.
func (b *BufRing) Head() (uint16, error) {
	arg := BufStatus{BufGroup: uint32(b.group)}
	if _, err := b.ring.Register(IORING_REGISTER_PBUF_STATUS, unsafe.Pointer(&arg), 1); err != nil {
		return 0, fmt.Errorf("uring: status of buffer group %d: %w", b.group, err)
	}
	return uint16(arg.Head), nil
}

// Available returns how many buffers the kernel has left, with one that it has
// begun to fill. It is a system call. Linux 6.8.
func (b *BufRing) Available() (int, error) {
	head, err := b.Head()
	if err != nil {
		return 0, err
	}
	return int(b.shown - head), nil
}
