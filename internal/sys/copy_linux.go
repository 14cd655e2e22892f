package sys

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Pipe is room in the kernel for data on their way between two sockets.
type Pipe struct{ r, w int }

// pipeSize is how much a Pipe shall hold, in bytes.
const pipeSize = 256 << 10

// NewPipe returns an empty Pipe.
func NewPipe() (*Pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	// A user has so much memory for pipes and not more. Less room is slower, no
	// worse.
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize)
	return &Pipe{fds[0], fds[1]}, nil
}

// Close closes the pipe; what is in it is lost.
func (p *Pipe) Close() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// FromSocket moves up to n bytes from a non-blocking socket into the empty pipe,
// without waiting: EAGAIN says that there are none, 0 that the stream has ended.
func (p *Pipe) FromSocket(socket int, n int64) (int64, syscall.Errno) {
	return splice(socket, p.w, n)
}

// ToSocket moves up to n bytes, which the pipe holds, to a non-blocking socket,
// without waiting: EAGAIN says that it has no room.
func (p *Pipe) ToSocket(socket int, n int64) (int64, syscall.Errno) {
	return splice(p.r, socket, n)
}

func splice(from, to int, n int64) (int64, syscall.Errno) {
	moved, err := unix.Splice(from, nil, to, nil, int(n), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	return int64(moved), errnoOf(err)
}

// SendFile sends up to n bytes of a file, from its position on, to a
// non-blocking socket, for whose room it does not wait: EAGAIN says that there is
// none, 0 that the file has ended.
func SendFile(socket, file int, n int64) (int64, syscall.Errno) {
	sent, err := unix.Sendfile(socket, file, nil, int(n))
	return int64(sent), errnoOf(err)
}

// errnoOf returns the number in an error of a system call.
func errnoOf(err error) syscall.Errno {
	errno, _ := err.(syscall.Errno)
	return errno
}
