//go:build !linux

package uring

import "iter"

// Files is a ring's table of registered files. There are none on this operating
// system.
type Files struct{}

// Len returns 0.
func (f *Files) Len() int { return 0 }

// At panics: there are no slots.
func (f *Files) At(i int) File {
	checkIndex(i, 0)
	return File{}
}

// Slots yields nothing: there are no slots.
func (f *Files) Slots() iter.Seq2[int, File] { return func(func(int, File) bool) {} }

// Update fails: this operating system has no io_uring.
func (f *Files) Update(at int, fds []int32) (int, error) { return 0, errNoRing }

// UpdateTagged fails: this operating system has no io_uring.
func (f *Files) UpdateTagged(at int, fds []int32, tags []uint64) (int, error) { return 0, errNoRing }

// SetAllocRange fails: this operating system has no io_uring.
func (f *Files) SetAllocRange(at, n int) error { return errNoRing }

// Unregister fails: this operating system has no io_uring.
func (f *Files) Unregister() error { return errNoRing }

// Buffers is a ring's table of registered buffers. There are none on this
// operating system.
type Buffers struct{}

// Len returns 0.
func (b *Buffers) Len() int { return 0 }

// At panics: there are no slots.
func (b *Buffers) At(i int) FixedBuf {
	checkIndex(i, 0)
	return FixedBuf{}
}

// Update fails: this operating system has no io_uring.
func (b *Buffers) Update(at int, bufs [][]byte) (int, error) { return 0, errNoRing }

// UpdateTagged fails: this operating system has no io_uring.
func (b *Buffers) UpdateTagged(at int, bufs [][]byte, tags []uint64) (int, error) {
	return 0, errNoRing
}

// Unregister fails: this operating system has no io_uring.
func (b *Buffers) Unregister() error { return errNoRing }

// Clone fails: this operating system has no io_uring.
func (b *Buffers) Clone(at int, src *Buffers, from, n int) error { return errNoRing }

// BufRing is a ring of provided buffers. There are none on this operating system.
type BufRing struct{}

// Group returns 0.
func (b *BufRing) Group() uint16 { return 0 }

// Selection returns the zero Selection.
func (b *BufRing) Selection() Selection { return Selection{} }

// Entries returns 0.
func (b *BufRing) Entries() int { return 0 }

// Size returns 0.
func (b *BufRing) Size() int { return 0 }

// Bytes returns nil: there is no memory.
func (b *BufRing) Bytes(bid uint16, n int) []byte { return nil }

// Add does nothing: there are no buffers.
func (b *BufRing) Add(bid uint16) {}

// Commit does nothing: there are no buffers.
func (b *BufRing) Commit() {}

// Close fails: this operating system has no io_uring.
func (b *BufRing) Close() error { return errNoRing }

// Lease fails: this operating system has no io_uring.
func (b *BufRing) Lease(cqe CQE) (Lease, error) { return Lease{}, errNoRing }

// AppendLeases fails: this operating system has no io_uring.
func (b *BufRing) AppendLeases(dst []Lease, cqe CQE) ([]Lease, error) { return dst, errNoRing }

// Return reports false: there are no leases.
func (b *BufRing) Return(l Lease) bool { return false }

// Head fails: this operating system has no io_uring.
func (b *BufRing) Head() (uint16, error) { return 0, errNoRing }

// Available fails: this operating system has no io_uring.
func (b *BufRing) Available() (int, error) { return 0, errNoRing }

// Region is memory that a ring shares with the kernel. There are none on this
// operating system.
type Region struct{}

// Bytes returns nil: there is no memory.
func (g *Region) Bytes() []byte { return nil }

// Waits returns nil: there is no memory.
func (g *Region) Waits() []RegWait { return nil }

// Close fails: this operating system has no io_uring.
func (g *Region) Close() error { return errNoRing }
