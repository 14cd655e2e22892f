package file

import (
	"os"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// Dup returns another File, on the same runtime, for the same open file: they
// share position, flags and locks, but closing one does not close the other.
func (f *File) Dup() (*File, error) {
	std, err := f.OS()
	if err != nil {
		return nil, err
	}
	return f.config.fromNew(std, nil)
}

// OS returns a file of package os for the same open file, with a descriptor of
// its own, for functions that want one. They share position, flags and locks;
// closing one does not close the other. Reads and writes at the position of one
// while the other does the same may overlap.
func (f *File) OS() (*os.File, error) {
	if f == nil {
		return nil, os.ErrInvalid
	}
	rc, err := f.std.SyscallConn()
	if err != nil {
		return nil, err
	}
	dup := -1
	var failed error
	if err = rc.Control(func(sysfd uintptr) { dup, failed = sys.Dup(int(sysfd)) }); err != nil {
		return nil, f.pathError("dup", os.ErrClosed) // the only reason
	}
	if failed != nil {
		return nil, f.pathError("dup", failed)
	}
	return os.NewFile(uintptr(dup), f.Name()), nil
}

// Stdin, Stdout and Stderr are the standard streams. They are those of package
// os underneath, so that it does not matter whether a program uses these or
// those; a read from Stdin that has to wait keeps a thread. FromOS(os.Stdin) makes
// one that waits on the ring.
var (
	Stdin  = &File{std: os.Stdin}
	Stdout = &File{std: os.Stdout}
	Stderr = &File{std: os.Stderr}
)
