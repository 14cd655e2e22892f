package file

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/internal/poll"
)

// File is an open file. Its methods may be called from any goroutine; those at
// an offset work at the same time, those at the file's position one after the
// other.
type File struct {
	std    *os.File   // owns the descriptor
	ring   *poll.File // nil where the standard library does everything
	append bool
}

// pathError wraps an error as package os does.
func (f *File) pathError(op string, err error) error {
	switch {
	case err == nil, err == io.EOF:
		return err
	case errors.Is(err, net.ErrClosed):
		err = os.ErrClosed
	}
	return &PathError{Op: op, Path: f.std.Name(), Err: err}
}

// Name returns the name of the file as presented to Open.
func (f *File) Name() string { return f.std.Name() }

// Stat returns the FileInfo that describes the file.
func (f *File) Stat() (FileInfo, error) {
	if f == nil {
		return nil, os.ErrInvalid
	}
	return f.std.Stat()
}

// Truncate changes the size of the file. It does not move its position.
func (f *File) Truncate(size int64) error {
	if f == nil {
		return os.ErrInvalid
	}
	return f.std.Truncate(size)
}

// SetDeadline sets the deadlines of Read and Write, for files that support
// them, which regular files do not: they return os.ErrNoDeadline.
func (f *File) SetDeadline(t time.Time) error {
	if f == nil {
		return os.ErrInvalid
	}
	return f.std.SetDeadline(t)
}

// Fd returns the descriptor's number, which is valid until Close.
func (f *File) Fd() uintptr {
	if f == nil {
		return ^uintptr(0)
	}
	return f.std.Fd()
}

// SyscallConn returns access to the descriptor.
func (f *File) SyscallConn() (syscall.RawConn, error) {
	if f == nil {
		return nil, os.ErrInvalid
	}
	return f.std.SyscallConn()
}

// Close waits for the operations under way and closes the file. A second Close
// returns an error.
func (f *File) Close() error {
	if f == nil {
		return os.ErrInvalid
	}
	if f.ring != nil {
		if err := f.ring.Retire(); err != nil {
			return f.pathError("close", err)
		}
	}
	return f.std.Close()
}
