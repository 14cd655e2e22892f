package sys

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Open opens a file, close-on-exec. mode has the permission bits of a file that
// it creates, as the kernel has them.
func Open(name string, flags int, mode uint32) (int, error) {
	for {
		// Not from x/sys, whose errors are the same but which adds flags that
		// some kernels show in F_GETFL.
		fd, err := syscall.Open(name, flags|syscall.O_CLOEXEC, mode)
		if err != syscall.EINTR {
			return fd, err
		}
	}
}

// FileType returns what an open file is, as the type bits of a FileMode.
func FileType(fd int) (fs.FileMode, error) {
	var st unix.Stat_t
	for {
		switch err := unix.Fstat(fd, &st); err {
		case nil:
			return fileTypes[st.Mode&unix.S_IFMT], nil
		case unix.EINTR:
		default:
			return 0, os.NewSyscallError("fstat", err)
		}
	}
}

var fileTypes = map[uint32]fs.FileMode{
	unix.S_IFREG:  0,
	unix.S_IFDIR:  fs.ModeDir,
	unix.S_IFLNK:  fs.ModeSymlink,
	unix.S_IFBLK:  fs.ModeDevice,
	unix.S_IFCHR:  fs.ModeDevice | fs.ModeCharDevice,
	unix.S_IFIFO:  fs.ModeNamedPipe,
	unix.S_IFSOCK: fs.ModeSocket,
	// What has no file system (eventfd, timerfd, inotify, …) has no type.
	0: fs.ModeIrregular,
}

// OpenFileFlags returns the flags that a descriptor's open file has now, as for
// Open.
func OpenFileFlags(fd int) (int, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return flags, os.NewSyscallError("fcntl", err)
}

// Pollable reports whether the kernel can tell when a descriptor is ready.
// It cannot for regular files, directories and many devices.
func Pollable(fd int) bool {
	// A poll would not tell: it says of what cannot be polled that it is ready.
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(epfd)
	return unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{}) == nil
}

// OpenPipe returns both ends of a new pipe, close-on-exec and blocking.
func OpenPipe() (r, w int, err error) {
	var fds [2]int
	err = unix.Pipe2(fds[:], unix.O_CLOEXEC)
	return fds[0], fds[1], os.NewSyscallError("pipe2", err)
}

// Read reads from a descriptor. It waits if the descriptor is blocking; the
// scheduler knows.
func Read(fd int, b []byte) (int, error) { return syscall.Read(fd, b) }

// Write writes to a descriptor, see Read.
func Write(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }

// NonblockFlag is the flag of a descriptor that does not wait.
const NonblockFlag = unix.O_NONBLOCK

// CopyAlong copies up to n bytes between the positions of two files, which move:
// 0 says that src has ended.
func CopyAlong(dst, src int, n int64) (int64, syscall.Errno) {
	copied, err := unix.CopyFileRange(src, nil, dst, nil, int(n), 0)
	return int64(copied), errnoOf(err)
}

// ToFile moves up to n bytes, which the pipe holds, to the position of a file, and
// waits for the disk if it has to.
func (p *Pipe) ToFile(file int, n int64) (int64, syscall.Errno) {
	moved, err := unix.Splice(p.r, nil, file, nil, int(n), unix.SPLICE_F_MOVE)
	return int64(moved), errnoOf(err)
}
