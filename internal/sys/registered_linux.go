package sys

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/uring"
)

// CloseOnExec is the flag that makes a new descriptor close-on-exec; the kernel
// refuses it for one that goes into a slot of a ring.
const CloseOnExec = unix.O_CLOEXEC

// The tables that a ring can have registered, for packages that are also built
// where there is none.
type (
	Files   = uring.Files
	Buffers = uring.Buffers
)

// RegisterFiles gives the ring a table of n empty slots for files. Linux 5.19.
func RegisterFiles(r *uring.Ring, n int) (*Files, error) { return r.RegisterFilesSparse(n) }

// RegisterBuffers gives the ring a table of n empty slots for buffers. Linux
// 5.19.
func RegisterBuffers(r *uring.Ring, n int) (*Buffers, error) { return r.RegisterBuffersSparse(n) }

// RegisterPersonality registers the credentials of the calling thread with the
// ring.
func RegisterPersonality(r *uring.Ring) (uring.Personality, error) { return r.RegisterPersonality() }

// UnregisterPersonality undoes RegisterPersonality.
func UnregisterPersonality(r *uring.Ring, p uring.Personality) error {
	return r.UnregisterPersonality(p)
}

// MapAnonymous returns zeroed memory outside Go's heap, a multiple of the page
// size.
func MapAnonymous(size int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return mem, os.NewSyscallError("mmap", err)
}

// Unmap frees memory from MapAnonymous.
func Unmap(mem []byte) error { return os.NewSyscallError("munmap", unix.Munmap(mem)) }
