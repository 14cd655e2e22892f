package uring

import (
	"fmt"
	"unsafe"
)

// MaxFixedBuf is the size of the largest buffer that can be registered, in
// bytes.
const MaxFixedBuf = 1 << 30

// FixedBuf is a registered buffer or a part of one: bytes, and the index under
// which the ring knows the buffer they lie in. Buffers.At returns it, and Slice
// takes parts of it. Given to Read, Write or SendZC it turns them into their
// fixed forms, which save the kernel from mapping the memory each time.
//
// The zero FixedBuf has no bytes. A FixedBuf keeps its memory alive, but not
// the registration.
type FixedBuf struct {
	b     []byte
	index uint16
}

// FixedBytes returns bytes that lie in the registered buffer with the given
// index, for programs that register by themselves. The kernel refuses bytes
// that lie elsewhere with EFAULT.
func FixedBytes(b []byte, index uint16) FixedBuf { return FixedBuf{b, index} }

// Bytes returns the memory. Its capacity ends where the registered buffer ends.
func (f FixedBuf) Bytes() []byte { return f.b }

// Len returns the number of bytes.
func (f FixedBuf) Len() int { return len(f.b) }

// Index returns the index of the registered buffer.
func (f FixedBuf) Index() uint16 { return f.index }

// Slice returns the part from i up to, but not including, j, as b[i:j] does:
// it may extend to the capacity, and panics beyond that.
func (f FixedBuf) Slice(i, j int) FixedBuf { return FixedBuf{f.b[i:j], f.index} }

// Slice3 is Slice for b[i:j:max]: the part cannot be extended beyond max, so
// that its owner cannot reach what lies behind it.
func (f FixedBuf) Slice3(i, j, max int) FixedBuf { return FixedBuf{f.b[i:j:max], f.index} }

// checkIndex panics as indexing a slice of n elements does.
func checkIndex(i, n int) {
	if i < 0 || i >= n {
		panic(fmt.Sprintf("uring: slot %d of a table of %d", i, n))
	}
}

// FixedVector is a vector whose pieces lie in one registered buffer.
type FixedVector struct {
	iov   []Iovec
	index uint16
}

// NewFixedVector puts the parts, which must be of the same registered buffer,
// into iov, which must have room for them and stay valid as long as the
// request.
func NewFixedVector(iov []Iovec, parts ...FixedBuf) (FixedVector, error) {
	if len(parts) == 0 || len(parts) > len(iov) {
		return FixedVector{}, fmt.Errorf("uring: vector of %d parts in room for %d", len(parts), len(iov))
	}
	v := FixedVector{iov[:len(parts)], parts[0].index}
	for i, p := range parts {
		if p.index != v.index {
			return FixedVector{}, fmt.Errorf("uring: part %d of a vector is of registered buffer %d, the first of buffer %d: "+
				"the kernel takes the parts of one", i, p.index, v.index)
		}
		v.iov[i].SetBytes(p.b)
	}
	return v, nil
}

// Selection, as a buffer, has the kernel pick one of a group of provided
// buffers when there is something to put into it, or to send from it. BufRing's
// Selection method returns it.
type Selection struct {
	Group uint16
	Max   uint32 // most bytes to put into the buffer, 0 for as many as it holds
}

// setSelection makes the entry use a provided buffer.
func (s *SQE) setSelection(sel Selection) {
	s.Len, s.BufIndex = sel.Max, sel.Group
	s.Flags |= IOSQE_BUFFER_SELECT
}

// setIovec puts a vector into Addr and Len.
func (s *SQE) setIovec(v []Iovec) {
	s.Addr, s.Len = address(unsafe.SliceData(v)), uint32(len(v))
}
