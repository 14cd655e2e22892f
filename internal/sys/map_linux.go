package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// MapAnonymous returns zeroed memory outside Go's heap, a multiple of the page
// size.
func MapAnonymous(size int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return mem, os.NewSyscallError("mmap", err)
}

// Unmap frees memory from MapAnonymous.
func Unmap(mem []byte) error { return os.NewSyscallError("munmap", unix.Munmap(mem)) }
