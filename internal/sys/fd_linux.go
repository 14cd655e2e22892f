package sys

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Eventfd returns a new non-blocking, close-on-exec eventfd.
func Eventfd() (int, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return fd, os.NewSyscallError("eventfd2", err)
}

// EventfdSignal adds one to an eventfd's counter.
func EventfdSignal(fd int) error {
	one := uint64(1)
	_, _, errno := syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&one)), 8)
	if errno != 0 {
		return errno
	}
	return nil
}

// Close closes a descriptor. The descriptor is gone whatever it returns.
func Close(fd int) error {
	return os.NewSyscallError("close", unix.Close(fd))
}

// Dup returns another descriptor for the same open file, close-on-exec.
func Dup(fd int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return n, os.NewSyscallError("fcntl", err)
}

// RecvNow receives into b what a socket holds, without waiting: EAGAIN says
// that there is nothing. The calling thread does not tell Go's scheduler of
// the call, which is short.
func RecvNow(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// SendNow sends from b what a socket has room for, without waiting: EAGAIN
// says that it has none.
func SendNow(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// CurrentPosition as an offset means where the open file stands.
const CurrentPosition = -1

// maxRaw is the largest transfer made without telling Go's scheduler: copying
// this much takes some 10 µs.
const maxRaw = 64 << 10

// PreadNow reads from the page cache what is there at offset off, without
// waiting for a disk: EAGAIN says that the first byte is not there, EOPNOTSUPP
// that the file cannot tell. See preadv2(2), RWF_NOWAIT.
func PreadNow(fd int, b []byte, off int64) (int, syscall.Errno) {
	return now(unix.SYS_PREADV2, fd, b, off)
}

// PwriteNow writes to the page cache at offset off if that needs no waiting:
// EAGAIN says that it does, EOPNOTSUPP that the file system cannot tell.
func PwriteNow(fd int, b []byte, off int64) (int, syscall.Errno) {
	return now(unix.SYS_PWRITEV2, fd, b, off)
}

func now(trap uintptr, fd int, b []byte, off int64) (int, syscall.Errno) {
	iov := unix.Iovec{Base: unsafe.SliceData(b)}
	iov.SetLen(len(b))
	lo, hi := splitOffset(off)
	call := syscall.RawSyscall6
	if len(b) > maxRaw {
		call = syscall.Syscall6
	}
	n, _, errno := call(trap, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, lo, hi, unix.RWF_NOWAIT)
	return int(n), errno
}

// Pread reads at offset off, or at the current position, and waits as long as
// it takes.
func Pread(fd int, b []byte, off int64) (int, error) {
	if off == CurrentPosition {
		return syscall.Read(fd, b)
	}
	return syscall.Pread(fd, b, off)
}

// Pwrite writes at offset off, or at the current position, and waits as long
// as it takes.
func Pwrite(fd int, b []byte, off int64) (int, error) {
	if off == CurrentPosition {
		return syscall.Write(fd, b)
	}
	return syscall.Pwrite(fd, b, off)
}

// PwriteWith is Pwrite with RWF_ flags.
func PwriteWith(fd int, b []byte, off int64, flags int) (int, error) {
	if flags == 0 {
		n, err := Pwrite(fd, b, off)
		return max(n, 0), err
	}
	iov := unix.Iovec{Base: unsafe.SliceData(b)}
	iov.SetLen(len(b))
	lo, hi := splitOffset(off)
	n, _, errno := syscall.Syscall6(unix.SYS_PWRITEV2, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, lo, hi, uintptr(flags))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// splitOffset passes a file offset as the two longs that preadv2 takes.
func splitOffset(off int64) (lo, hi uintptr) {
	if unsafe.Sizeof(uintptr(0)) == 8 {
		return uintptr(off), 0
	}
	return uintptr(uint32(off)), uintptr(uint64(off) >> 32)
}

// Waits reports whether reads and writes of a file opened with these flags
// wait for the disk, rather than copy from and to the page cache.
func Waits(flag int) (reads, writes bool) {
	direct := flag&unix.O_DIRECT != 0
	return direct, direct || flag&(unix.O_SYNC|unix.O_DSYNC) != 0
}
