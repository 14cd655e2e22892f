package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/uring"
)

// MaxVector is how many pieces one system call takes, IOV_MAX.
const MaxVector = 1024

// Vector is a list of pieces of memory in the kernel's form, for one system call
// after the other. It is no part of what a caller sees, so that it can be kept
// and used again.
type Vector struct {
	hdr  unix.Msghdr
	iovs []uring.Iovec
}

// Set makes the vector consist of the first pieces of bufs, at most MaxVector
// and max bytes, without those that are empty. It returns their length.
func (v *Vector) Set(bufs [][]byte, max int) int {
	v.iovs = v.iovs[:0]
	sum := 0
	for _, b := range bufs {
		if len(b) == 0 {
			continue
		}
		b = b[:min(len(b), max-sum)]
		var iov uring.Iovec
		iov.SetBytes(b)
		v.iovs = append(v.iovs, iov)
		if sum += len(b); sum == max || len(v.iovs) == MaxVector {
			break
		}
	}
	return sum
}

// Clear lets go of the memory.
func (v *Vector) Clear() {
	clear(v.iovs)
	v.hdr.Iov = nil
}

// SendNow sends of the vector, which is not empty, what a stream socket has room
// for, without waiting: EAGAIN says that it has none.
func (v *Vector) SendNow(fd int) (int, syscall.Errno) {
	v.hdr.Iov = (*unix.Iovec)(unsafe.Pointer(&v.iovs[0]))
	v.hdr.SetIovlen(len(v.iovs))
	n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd),
		uintptr(unsafe.Pointer(&v.hdr)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return int(n), errno
}
