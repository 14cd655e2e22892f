package uring

import "syscall"

// Errors with a meaning of their own in io_uring.
const (
	// ETIME is what a wait fails with whose time is up, and the result of a
	// timeout that has expired.
	ETIME = syscall.ETIME

	// EBADR is what entering the ring says, once, after the kernel has dropped
	// completions for lack of memory.
	EBADR = syscall.EBADR
)
