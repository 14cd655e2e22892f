package sys

import (
	"io"
	"syscall"
)

// Seek sets the position of a descriptor and returns it.
func Seek(fd int, offset int64, whence int) (int64, error) {
	return syscall.Seek(fd, offset, whence)
}

// Position returns the position of a descriptor.
func Position(fd int) (int64, error) { return Seek(fd, 0, io.SeekCurrent) }
