package uring

import (
	"fmt"
	"math"
	"unsafe"
)

// BufRingConfig says what a BufRing is to be like.
type BufRingConfig struct {
	Group   uint16 // id of the group, for SQE.SetBufGroup
	Entries int    // number of buffers, a power of two, at most 32768
	Size    int    // size of each in bytes, at most 1<<30

	// Spare is how many of the buffers, the last ones, the kernel does not get in
	// the beginning. They cost no memory before they are used, and Add gives them
	// to it when they are wanted.
	Spare int

	// Flags are the kernel's. With IOU_PBUF_RING_INC (6.12) it fills a buffer bit
	// by bit, with CQE.BufMore as long as there is room, and large buffers are
	// not wasted on small messages. Completions must then be passed to Lease in the
	// order of their coming, because they do not tell where in the buffer they
	// are. With IOU_PBUF_RING_MMAP (6.4) the descriptors, not the buffers, are in
	// memory of the kernel, which changes nothing for the program, but that Group
	// must be less than 2048.
	Flags PbufFlags

	// MinLeft, with IOU_PBUF_RING_INC, is the room in bytes below which a buffer
	// is not filled further. 0 fills to the last byte. Newer than Linux 6.18,
	// some of which have it as well.
	MinLeft uint32
}

// BufGroup is a group of provided buffers of the older kind, which are given to
// the kernel by requests (IORING_OP_PROVIDE_BUFFERS) instead of through shared
// memory. It is for Linux before 5.19; a BufRing costs less.
//
// The memory belongs to the BufGroup, which must be kept for as long as the
// kernel has any of the buffers: until Remove, or the end of the ring, and the
// last completion of every request that selects from the group. A BufGroup is not
// safe for concurrent use. Linux 5.7.
type BufGroup struct {
	book  bufBook
	group uint16
}

// NewBufGroup makes n buffers, at most 65535, of size bytes each. The kernel has
// none of them until Provide.
func NewBufGroup(group uint16, n, size int) (*BufGroup, error) {
	if n < 1 || n > math.MaxUint16 || size < 1 || size > MaxFixedBuf || size > math.MaxInt/n {
		return nil, fmt.Errorf("uring: buffer group of %d buffers of %d bytes: want 1 to 65535 of 1 to 1<<30 bytes each", n, size)
	}
	return &BufGroup{book: newBook(make([]byte, n*size), n, size), group: group}, nil
}

// Selection returns the group as a buffer for Read, Recv and others.
func (g *BufGroup) Selection() Selection { return Selection{Group: g.group} }

// Provide prepares the request that gives the kernel all buffers, to be submitted
// once in the beginning, or after Remove has taken all of them back. Requests
// that select from the group come after its completion, or are linked to it.
//
// All means those that are leased as well: their leases end with this call, and
// cannot be returned any more.
func (g *BufGroup) Provide(s *SQE) {
	g.book.endAll()
	for i := range g.book.bufs {
		g.book.provided(uint16(i))
	}
	s.PrepProvideBuffers(unsafe.Pointer(&g.book.mem[0]), uint32(g.book.size), len(g.book.bufs), g.group, 0)
}

// Remove prepares the request that takes back all buffers that the kernel has.
// Its result is their number, or ENOENT if there was none. What is leased stays
// leased.
func (g *BufGroup) Remove(s *SQE) { s.PrepRemoveBuffers(len(g.book.bufs), g.group) }

// Lease returns what a completion has put into a buffer of the group, or
// ErrNoBuffer if there is none. Each completion must be passed once.
func (g *BufGroup) Lease(cqe CQE) (Lease, error) { return g.book.oneLease(cqe) }

// Return prepares the request that gives the buffer of a lease back to the
// kernel. It reports false when the lease has been returned before, or is none of
// the group; the entry then becomes a filler, see FillerUserData.
func (g *BufGroup) Return(s *SQE, l Lease) bool {
	was, free := g.book.end(l)
	if !was || !free {
		s.prepFiller(0)
		return was
	}
	g.book.provided(l.bid)
	s.PrepProvideBuffers(unsafe.Pointer(&g.book.mem[int(l.bid)*g.book.size]), uint32(g.book.size), 1, g.group, l.bid)
	return true
}
