package file

import (
	"io/fs"
	"os"

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

