package uring

import (
	"math/bits"
	"os"
	"unsafe"
)

// RingMemorySize returns how many bytes of memory NewInMemory needs for a ring:
// whole pages, and the same for every kernel. It does not say whether the kernel
// takes the parameters.
func RingMemorySize(entries uint32, p Params) int { return sizeQueues(entries, p).total() }

// queueSizes are the two parts of a ring's memory, in whole pages.
type queueSizes struct{ rings, sqes int }

func (s queueSizes) total() int { return s.rings + s.sqes }

// ringHeader bounds what lies before the completions: heads, tails, masks and
// flags, up to the end of a cache line. It is 64 bytes on most machines.
const ringHeader = 256

func sizeQueues(entries uint32, p Params) queueSizes {
	sq := int(roundUp(min(max(entries, 1), MaxSQEntries)))
	cq := 2 * sq
	if p.Flags&IORING_SETUP_CQSIZE != 0 {
		cq = int(roundUp(min(max(p.CqEntries, 1), MaxCQEntries)))
	}
	return queueSizes{
		rings: wholePages(ringHeader + cq*int(p.cqeSize()) + sq*4),
		sqes:  wholePages(sq * int(p.sqeSize())),
	}
}

// sqeSize and cqeSize return the size of one entry of each queue.
func (p *Params) sqeSize() uintptr {
	if p.Flags&IORING_SETUP_SQE128 != 0 {
		return unsafe.Sizeof(SQE128{})
	}
	return unsafe.Sizeof(SQE{})
}

func (p *Params) cqeSize() uintptr {
	if p.Flags&IORING_SETUP_CQE32 != 0 {
		return unsafe.Sizeof(CQE32{})
	}
	return unsafe.Sizeof(CQE{})
}

func wholePages(n int) int {
	page := os.Getpagesize()
	return (n + page - 1) / page * page
}

// roundUp returns the power of two that the kernel makes of a size.
func roundUp(n uint32) uint32 {
	if n == 0 {
		return 0
	}
	return 1 << bits.Len32(n-1)
}
