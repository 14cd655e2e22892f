package uring

import (
	"fmt"
	"syscall"
)

// SetupError says why a ring could not be created, with the most likely cause
// and what to do about it, both found out on the running system.
type SetupError struct {
	Entries uint32        // the submission entries asked for
	Flags   SetupFlags    // the flags asked for
	Errno   syscall.Errno // what io_uring_setup returned
	Cause   string        // the most likely cause, a clause without full stop
	Remedy  string        // what to do, a clause without full stop
}

// Error says what was asked for, what went wrong, why most likely, and what to
// do.
func (e *SetupError) Error() string {
	return fmt.Sprintf("io_uring_setup(%d entries, flags %v): %v: %s; %s",
		e.Entries, e.Flags, e.Errno, e.Cause, e.Remedy)
}

// Unwrap returns the errno, so that errors.Is works with syscall.EPERM and
// fs.ErrPermission alike.
func (e *SetupError) Unwrap() error { return e.Errno }

// Final reports whether asking for fewer features cannot help: the system has
// no io_uring, forbids it, or is out of memory or descriptors.
func (e *SetupError) Final() bool { return e.Errno != syscall.EINVAL && e.Errno != syscall.ENOTSUP }
