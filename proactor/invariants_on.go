//go:build yamanote_invariants

package proactor

// invariants makes misuse of buffers panic where it is found, at the price of
// time: see BufferGroup.
const invariants = true
