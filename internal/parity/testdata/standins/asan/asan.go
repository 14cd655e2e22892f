// Package asan stands in for internal/asan of the toolchain.
package asan

// Enabled is false.
const Enabled = false
