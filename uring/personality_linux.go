package uring

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// RegisterPersonality registers the credentials that the calling thread has now,
// and keeps them, whatever becomes of the thread's. It is for servers that act
// for several users: one ring, one thread with the rights to become them, and a
// personality for each.
//
// The goroutine is locked to its thread while it changes credentials. That
// changes those of the thread only if it is done by the system call itself;
// syscall.Setuid and its like change all threads of the process. Linux 5.6.
func (r *Ring) RegisterPersonality() (Personality, error) {
	id, err := r.Register(IORING_REGISTER_PERSONALITY, nil, 0)
	if err != nil {
		return 0, fmt.Errorf("uring: registering the credentials of thread %d: %w", unix.Gettid(), err)
	}
	return Personality(id), nil
}

// UnregisterPersonality removes registered credentials. Requests that have been
// submitted with them keep them. It fails with EINVAL for credentials that the
// ring does not have.
func (r *Ring) UnregisterPersonality(p Personality) error {
	err := os.NewSyscallError("io_uring_register", syscall.EINVAL)
	if p != 0 {
		_, err = r.Register(IORING_UNREGISTER_PERSONALITY, nil, uint32(p))
	}
	if err != nil {
		return fmt.Errorf("uring: unregistering personality %d: %w", p, err)
	}
	return nil
}
