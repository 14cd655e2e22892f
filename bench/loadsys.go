package main

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The load generator's system calls on sockets that never block go past the Go
// scheduler: it has one thread and one goroutine, and its cost must not hide
// the server's.

func rawRecv(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func rawSend(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))),
		uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// epollWait waits at most d for events. It looks without blocking first.
func epollWait(ep int, events []unix.EpollEvent, d time.Duration) (int, syscall.Errno) {
	ptr := unsafe.Pointer(unsafe.SliceData(events))
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(ptr), uintptr(len(events)), 0, 0, 0)
	if n > 0 || errno != 0 && errno != syscall.EINTR || d <= 0 {
		return int(n), errno
	}
	ts := unix.NsecToTimespec(int64(d))
	n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(ep), uintptr(ptr), uintptr(len(events)),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
	return int(n), errno
}
