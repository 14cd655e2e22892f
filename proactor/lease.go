package proactor

import "fmt"

// Lease is data in a buffer of a BufferGroup, or a copy of it. Whoever holds it
// may read and write its Bytes until Release, which must be called once. Copies
// of a Lease are the same lease.
type Lease struct {
	b   *buffer
	gen uint32
	off uint32 // where the data begin
	n   int
}

// Bytes returns the data, and nothing beyond it: the slice cannot be extended
// into what others have received. It is nil after Release.
func (l Lease) Bytes() []byte {
	if l.b == nil {
		return nil
	}
	if l.b.gen.Load() != l.gen {
		if invariants {
			panic("proactor: use of a lease that was given back")
		}
		return nil
	}
	end := int(l.off) + l.n
	return l.b.mem[l.off:end:end]
}

// Slice returns the lease with only bytes i to j of its data. It is the same
// lease: one of the two is to be released. It panics as slicing does.
func (l Lease) Slice(i, j int) Lease {
	if i < 0 || j < i || j > l.n {
		panic(fmt.Sprintf("proactor: bytes %d to %d of a lease of %d", i, j, l.n))
	}
	l.off += uint32(i)
	l.n = j - i
	return l
}

// Len returns the number of bytes.
func (l Lease) Len() int { return l.n }

// Release gives the buffer back; its bytes must not be touched any more. It
// reports whether the buffer was the caller's: a second Release of the same
// lease changes nothing, is counted (BufferStats.Doubles) and returns false.
func (l Lease) Release() bool {
	if l.b == nil {
		return false
	}
	// Whoever changes the generation has ended the lease.
	if !l.b.gen.CompareAndSwap(l.gen, l.gen+1) {
		if l.b.group != nil {
			l.b.group.doubles.Inc()
		}
		return false
	}
	switch {
	case l.b.group != nil:
		l.b.group.back(l.b)
	case l.b.spare:
		spares.Put(l.b)
	}
	return true
}

// copyOut returns a lease of a copy of the data, and gives the buffer back.
func (l Lease) copyOut() Lease {
	if l.b.group == nil {
		return l
	}
	c := NewLease(l.n)
	copy(c.Bytes(), l.Bytes())
	l.b.group.copied.Inc()
	l.Release()
	return c
}

// poisonByte is what a build with invariants fills returned buffers with.
const poisonByte = 0xdb

func (b *buffer) poison() {
	for i := range b.mem {
		b.mem[i] = poisonByte
	}
	b.poisoned = true
}

// checkTail panics if something behind the first n bytes of a buffer was
// written since it was poisoned.
func (b *buffer) checkTail(n int) {
	if !b.poisoned {
		return
	}
	for i, v := range b.mem[n:] {
		if v != poisonByte {
			panic(fmt.Sprintf("proactor: byte %d of buffer %d was written after the buffer was given back", n+i, b.id))
		}
	}
}
