package sys

import (
	"unsafe"
	"weak"
)

// Memory is what the kernel has of an operation's memory: an address and a
// length, which keep nothing alive. A ring in plain Go, for tests, reaches by it
// what a submission entry names, and notices if that was let go too early.
type Memory struct {
	first weak.Pointer[byte]
	size  int
}

// MemoryAt returns the size bytes at an address, which must lie on the heap and
// be reachable at the moment of the call: the runtime ends the process for an
// address elsewhere, such as on a goroutine's stack, which may move.
func MemoryAt(addr uint64, size int) Memory {
	if addr == 0 || size <= 0 {
		return Memory{}
	}
	// The number is read as the pointer it was, as the kernel would.
	word := uintptr(addr)
	first := *(**byte)(unsafe.Pointer(&word))
	return Memory{first: weak.Make(first), size: size}
}

// Size returns the number of bytes.
func (m Memory) Size() int { return m.size }

// Bytes returns the memory. It reports false if the garbage collector has
// reclaimed that, so that a kernel would now read or write somebody else's.
// Memory of no bytes is always there.
func (m Memory) Bytes() ([]byte, bool) {
	if m.size == 0 {
		return nil, true
	}
	first := m.first.Value()
	if first == nil {
		return nil, false
	}
	return unsafe.Slice(first, m.size), true
}

// BytesOf returns a string's bytes, which nobody must change, without a copy.
func BytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
