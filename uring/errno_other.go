//go:build !linux

package uring

import "syscall"

// Errors with a meaning of their own in io_uring, by their numbers on Linux:
// nothing returns them elsewhere.
const (
	ETIME = syscall.Errno(62)
	EBADR = syscall.Errno(53)
)
