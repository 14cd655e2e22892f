package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/uring"
)

// AtFdcwd makes a relative path start at the current directory.
const AtFdcwd = unix.AT_FDCWD

// PrepOpenat prepares an open of the path, which must end in a zero byte (see
// PathBytes) and stay reachable.
func PrepOpenat(sqe *uring.SQE, dirfd int, path []byte, flags int, mode uint32) {
	sqe.PrepOpenat(dirfd, unsafe.SliceData(path), int32(flags|unix.O_CLOEXEC|unix.O_LARGEFILE), mode)
}

// PathBytes returns a path as the kernel wants it, or EINVAL if it contains a
// zero byte.
func PathBytes(path string) ([]byte, error) {
	return syscall.ByteSliceFromString(path)
}
