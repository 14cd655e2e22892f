package file

import (
	"errors"
	"io"
	"os"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// Read reads up to len(b) bytes from the file's position, or from a stream as
// many as there are, and waits until there is one. At the end it returns 0 and
// io.EOF. One Read reads at most 1 GiB.
func (f *File) Read(b []byte) (n int, err error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.stream != nil:
		n, err = f.stream.Read(b)
	case f.ring == nil || len(b) == 0:
		return f.std.Read(b)
	default:
		n, err = f.ring.Read(b)
	}
	if n == 0 && err == nil && len(b) > 0 {
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
// with O_APPEND, or to a stream.
func (f *File) Write(b []byte) (n int, err error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.stream != nil:
		n, err = f.stream.Write(b)
	case f.ring == nil || len(b) == 0:
		return f.std.Write(b)
	default:
		n, err = f.ring.Write(b)
	}
	return n, f.pathError("write", err)
}

// WriteString is like Write, but writes a string.
func (f *File) WriteString(s string) (int, error) { return f.Write(sys.BytesOf(s)) }

// WriteAt writes all of b at offset off.
func (f *File) WriteAt(b []byte, off int64) (int, error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.ring == nil, f.append: // which WriteAt refuses
		return f.std.WriteAt(b, off)
	case off < 0:
		return 0, &PathError{Op: "writeat", Path: f.Name(), Err: errNegativeOffset}
	}
	n, err := f.ring.WriteAt(b, off)
	return n, f.pathError("write", err)
}

// Seek sets the position for the next Read or Write and returns it. whence is
// io.SeekStart, io.SeekCurrent or io.SeekEnd. A stream has no position.
func (f *File) Seek(offset int64, whence int) (pos int64, err error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.ring == nil:
		return f.std.Seek(offset, whence)
	}
	var failed error
	err = f.ring.Alone(func() error {
		pos, failed = f.std.Seek(offset, whence)
		return nil
	})
	if err != nil {
		return 0, f.pathError("seek", err)
	}
	return pos, failed
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
