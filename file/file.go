package file

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/yamanote-go/yamanote/internal/poll"
)

// File is an open file. Its methods may be called from any goroutine; those at
// an offset work at the same time, those at the file's position one after the
// other.
//
// A File that is forgotten is closed when the garbage collector finds it, as
// those of package os are, but not while one of its operations is under way.
type File struct {
	std    *os.File   // owns the descriptor
	config OpenConfig // where files that are made of this one belong

	// At most one of these is set. Without either, the standard library does
	// everything.
	ring   *poll.File   // what has offsets
	stream *poll.Stream // what can be polled

	append    bool
	deadlines bool // stream supports them
	restore   bool // Fd makes the descriptor blocking, as we have got it
}

// closingError is what package os returns where a file is being closed and it
// does not wrap the error.
type closingError struct{}

func (closingError) Error() string        { return "use of closed file" }
func (closingError) Is(target error) bool { return target == os.ErrClosed }

// closing turns the error of a closed descriptor into that of package os.
func closing(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return closingError{}
	}
	return err
}

// pathError wraps an error as package os does.
func (f *File) pathError(op string, err error) error {
	switch {
	case err == nil, err == io.EOF:
		return err
	case err == net.ErrClosed: // that of a connection is wrapped
		err = os.ErrClosed
	}
	return &PathError{Op: op, Path: f.std.Name(), Err: err}
}

// Name returns the name of the file as presented to Open. It works after Close.
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

// Chmod changes the mode of the file.
func (f *File) Chmod(mode FileMode) error {
	if f == nil {
		return os.ErrInvalid
	}
	return f.std.Chmod(mode)
}

// Chown changes the user and the group of the file; -1 leaves one as it is.
func (f *File) Chown(uid, gid int) error {
	if f == nil {
		return os.ErrInvalid
	}
	return f.std.Chown(uid, gid)
}

// Chdir makes the file, which must be a directory, the working directory of the
// process.
func (f *File) Chdir() error {
	if f == nil {
		return os.ErrInvalid
	}
	return f.std.Chdir()
}

// Readdir returns up to n of the directory's entries that it has not returned
// yet, in the directory's order, each with its attributes. With n <= 0 it returns
// all of them, and otherwise io.EOF when there are none left.
func (f *File) Readdir(n int) ([]FileInfo, error) {
	if f == nil {
		return nil, os.ErrInvalid
	}
	return f.std.Readdir(n)
}

// ReadDir is Readdir without the attributes, which each entry finds when asked.
func (f *File) ReadDir(n int) ([]DirEntry, error) {
	if f == nil {
		return nil, os.ErrInvalid
	}
	return f.std.ReadDir(n)
}

// Readdirnames is Readdir for the names only.
func (f *File) Readdirnames(n int) ([]string, error) {
	if f == nil {
		return nil, os.ErrInvalid
	}
	return f.std.Readdirnames(n)
}

// SetDeadline sets the deadlines of Read and Write, for files that support
// them: pipes, FIFOs, terminals and other devices that can be polled, unless
// they came by NewFile or FromOS with a descriptor that is blocking. All others
// return os.ErrNoDeadline. The zero time means no deadline.
//
// A Read or Write that has not completed by then, also one that is under way,
// fails with os.ErrDeadlineExceeded.
func (f *File) SetDeadline(t time.Time) error {
	return f.setDeadline(t, (*poll.FD).SetDeadline, (*os.File).SetDeadline)
}

// SetReadDeadline is SetDeadline for Read only.
func (f *File) SetReadDeadline(t time.Time) error {
	return f.setDeadline(t, (*poll.FD).SetReadDeadline, (*os.File).SetReadDeadline)
}

// SetWriteDeadline is SetDeadline for Write only. A Write that fails may have
// written a part, which it returns.
func (f *File) SetWriteDeadline(t time.Time) error {
	return f.setDeadline(t, (*poll.FD).SetWriteDeadline, (*os.File).SetWriteDeadline)
}

func (f *File) setDeadline(t time.Time, stream func(*poll.FD, time.Time) error,
	std func(*os.File, time.Time) error) error {
	switch {
	case f == nil:
		return os.ErrInvalid
	case f.stream == nil || !f.deadlines:
		return std(f.std, t)
	}
	if stream(&f.stream.FD, t) == nil {
		return nil
	}
	// It is closed, which that of package os says, or soon will.
	if err := std(f.std, t); err != nil && err != os.ErrNoDeadline {
		return err
	}
	return closingError{}
}

// Fd returns the descriptor's number, which is valid until Close or until the
// File is garbage. It makes the descriptor of a pipe, FIFO or device that was
// opened by this package blocking, as that of package os does, because those who
// get it expect that; File goes on to work, Close included, but a Write that
// waits keeps its thread, and deadlines do not end it. SyscallConn has neither
// drawback.
func (f *File) Fd() uintptr {
	if f == nil {
		return ^uintptr(0)
	}
	fd := f.std.Fd()
	if f.stream != nil {
		f.stream.Exposed(f.restore)
	}
	return fd
}

// Close closes the file: what is called afterwards fails, and so does what waits
// for its turn. Reads and writes of streams that are under way end, and Close
// waits until they have. Those of other files go on to their end, as those of
// package os do (ReadFrom and WriteTo to the end of the piece that they are at), and
// the last one closes the descriptor: Close does not wait for the disk, nor for
// whoever the file is being sent to. A second Close returns an error.
func (f *File) Close() error {
	if f == nil {
		return os.ErrInvalid
	}
	var err error
	switch {
	case f.ring != nil:
		var drained <-chan struct{}
		if drained, err = f.ring.Refuse(); err == nil {
			f.keepUntil(drained)
		}
	case f.stream != nil:
		err = f.stream.Retire()
	}
	if err != nil {
		return f.pathError("close", err)
	}
	return f.std.Close()
}

// keepUntil keeps the descriptor open, also after the Close of the os.File, until
// the operations that use it have ended.
func (f *File) keepUntil(drained <-chan struct{}) {
	select {
	case <-drained:
		return
	default:
	}
	rc, err := f.std.SyscallConn()
	if err != nil {
		return
	}
	kept := make(chan struct{})
	go func() {
		once := sync.OnceFunc(func() { close(kept) })
		defer once() // where it is closed already
		_ = rc.Control(func(uintptr) {
			once()
			<-drained
		})
	}()
	<-kept
}
