// Package file is the standard library's os.File on io_uring: the same
// methods, flags and errors, and no thread of the operating system for each
// goroutine that waits for a disk.
//
// Regular files and block devices are read, written and synced by the ring of
// a runtime (see package proactor) wherever they have to wait; what the page
// cache holds is copied without a detour. Everything else (pipes, terminals,
// directories, and all files where there is no ring) is an os.File underneath.
//
//	f, err := file.Open("data")
//	...
//	n, err := f.ReadAt(buf, offset)
package file

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/proactor"
)

// The flags of OpenFile and the whence values of Seek, as in package os.
const (
	O_RDONLY = os.O_RDONLY
	O_WRONLY = os.O_WRONLY
	O_RDWR   = os.O_RDWR
	O_APPEND = os.O_APPEND
	O_CREATE = os.O_CREATE
	O_EXCL   = os.O_EXCL
	O_SYNC   = os.O_SYNC
	O_TRUNC  = os.O_TRUNC
)

// These are the standard library's own types.
type (
	FileInfo  = fs.FileInfo
	FileMode  = fs.FileMode
	PathError = fs.PathError
)

// File is an open file. Its methods may be called from any goroutine; those at
// an offset work at the same time, those at the file's position one after the
// other.
type File struct {
	std    *os.File   // owns the descriptor
	ring   *poll.File // nil where the standard library does everything
	append bool
}

// Open opens a file for reading, on the default runtime.
func Open(name string) (*File, error) {
	return OpenFile(name, os.O_RDONLY, 0)
}

// Create creates or truncates a file, with mode 0666 before umask, for reading
// and writing, on the default runtime.
func Create(name string) (*File, error) {
	return OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
}

// OpenFile is the generalised open call, on the default runtime; see
// os.OpenFile.
func OpenFile(name string, flag int, perm FileMode) (*File, error) {
	return OpenConfig{}.OpenFile(name, flag, perm)
}

// OpenConfig contains options for opening files. The zero value is that of the
// functions of the package.
type OpenConfig struct {
	// Runtime is what the file runs on; nil means the default runtime.
	Runtime *proactor.Runtime
}

// OpenFile is the generalised open call; see os.OpenFile.
func (c OpenConfig) OpenFile(name string, flag int, perm FileMode) (*File, error) {
	// The ring would hand most opens to a thread of the kernel, at several
	// times the cost.
	std, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	rt := c.Runtime
	if rt == nil {
		rt = proactor.Default()
	}
	f := &File{std: std, append: flag&os.O_APPEND != 0}
	if rt.HasRing() && hasOffsets(std) {
		if f.ring, err = onRing(rt, std, flag); err != nil {
			_ = std.Close()
			return nil, &PathError{Op: "open", Path: name, Err: err}
		}
	}
	return f, nil
}

// hasOffsets reports whether a file is one that is read and written at
// offsets: regular, or a block device.
func hasOffsets(std *os.File) bool {
	info, err := std.Stat()
	if err != nil {
		return false
	}
	mode := info.Mode()
	return mode.IsRegular() || mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0
}

func onRing(rt *proactor.Runtime, std *os.File, flag int) (*poll.File, error) {
	rc, err := std.SyscallConn()
	if err != nil {
		return nil, err
	}
	var ring *poll.File
	err = rc.Control(func(sysfd uintptr) { ring = poll.NewFile(rt, int(sysfd), flag) })
	return ring, err
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

// Read reads up to len(b) bytes from the file's position. At the end of the
// file it returns 0 and io.EOF.
func (f *File) Read(b []byte) (int, error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.ring == nil || len(b) == 0:
		return f.std.Read(b)
	}
	n, err := f.ring.Read(b)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, f.pathError("read", err)
}

var errNegativeOffset = errors.New("negative offset")

// ReadAt reads len(b) bytes at offset off. It returns an error if there are
// fewer, at the end of the file io.EOF.
func (f *File) ReadAt(b []byte, off int64) (n int, err error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.ring == nil:
		return f.std.ReadAt(b, off)
	case off < 0:
		return 0, &PathError{Op: "readat", Path: f.Name(), Err: errNegativeOffset}
	}
	for n < len(b) {
		m, err := f.ring.ReadAt(b[n:], off+int64(n))
		if err != nil {
			return n, f.pathError("read", err)
		}
		if m == 0 {
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}

// Write writes all of b at the file's position, or at its end if it was opened
// with O_APPEND.
func (f *File) Write(b []byte) (int, error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.ring == nil || len(b) == 0:
		return f.std.Write(b)
	}
	n, err := f.ring.Write(b)
	return n, f.pathError("write", err)
}

// WriteString is like Write, but writes a string.
func (f *File) WriteString(s string) (int, error) { return f.Write([]byte(s)) }

var errWriteAtInAppendMode = errors.New("os: invalid use of WriteAt on file opened with O_APPEND")

// WriteAt writes all of b at offset off.
func (f *File) WriteAt(b []byte, off int64) (int, error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.ring == nil:
		return f.std.WriteAt(b, off)
	case f.append:
		return 0, errWriteAtInAppendMode
	case off < 0:
		return 0, &PathError{Op: "writeat", Path: f.Name(), Err: errNegativeOffset}
	}
	n, err := f.ring.WriteAt(b, off)
	return n, f.pathError("write", err)
}

// Seek sets the position for the next Read or Write and returns it. whence is
// io.SeekStart, io.SeekCurrent or io.SeekEnd.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.ring == nil:
		return f.std.Seek(offset, whence)
	}
	pos, err := f.ring.Seek(func() (int64, error) { return f.std.Seek(offset, whence) })
	if isPathError(err) {
		return pos, err
	}
	return pos, f.pathError("seek", err)
}

func isPathError(err error) bool {
	var pe *PathError
	return errors.As(err, &pe)
}

// Sync commits the file's contents to stable storage. A failed Sync means that
// data may be lost; a later one that succeeds does not bring it back.
func (f *File) Sync() error {
	switch {
	case f == nil:
		return os.ErrInvalid
	case f.ring == nil:
		return f.std.Sync()
	}
	return f.pathError("sync", f.ring.Sync())
}

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
