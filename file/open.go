package file

import (
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// Open opens a file for reading, on the default runtime.
func Open(name string) (*File, error) { return OpenConfig{}.Open(name) }

// Create creates or truncates a file, with mode 0666 before umask, for reading
// and writing, on the default runtime.
func Create(name string) (*File, error) { return OpenConfig{}.Create(name) }

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

func (c OpenConfig) runtime() *proactor.Runtime {
	if c.Runtime != nil {
		return c.Runtime
	}
	return proactor.Default()
}

// Open opens a file for reading.
func (c OpenConfig) Open(name string) (*File, error) { return c.OpenFile(name, O_RDONLY, 0) }

// Create creates or truncates a file, with mode 0666 before umask, for reading
// and writing.
func (c OpenConfig) Create(name string) (*File, error) {
	return c.OpenFile(name, O_RDWR|O_CREATE|O_TRUNC, 0o666)
}

// OpenFile is the generalised open call; see os.OpenFile. Opening a FIFO keeps a
// thread until there is somebody at its other end, unless flag contains
// syscall.O_NONBLOCK.
func (c OpenConfig) OpenFile(name string, flag int, perm FileMode) (*File, error) {
	if !c.runtime().HasRing() {
		std, err := os.OpenFile(name, flag, perm)
		if err != nil {
			return nil, err
		}
		return &File{std: std, config: c, append: flag&O_APPEND != 0}, nil
	}
	// The ring would hand most opens to a thread of the kernel, at several
	// times the cost. Package os would try to register everything with Go's
	// poller, which nothing here is to use.
	tellTesting(name)
	sysfd, err := sys.Open(name, flag, modeBits(perm))
	if err != nil {
		return nil, &PathError{Op: "open", Path: name, Err: err}
	}
	f, err := c.own(sysfd, name, flag)
	if err != nil {
		_ = sys.Close(sysfd)
		return nil, &PathError{Op: "open", Path: name, Err: err}
	}
	return f, nil
}

// modeBits returns a mode as the kernel has it.
func modeBits(perm FileMode) uint32 {
	bits := uint32(perm.Perm())
	for _, b := range [...]struct {
		mode FileMode
		bit  uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if perm&b.mode != 0 {
			bits |= b.bit
		}
	}
	return bits
}

// tellTesting tells go test that a test depends on a file, which it wants to
// know to decide whether a result in its cache is still good. Package os notes
// that for its own functions.
func tellTesting(name string) {
	if underTest() {
		_, _ = os.Stat(name)
	}
}

var underTest = sync.OnceValue(func() bool {
	for _, arg := range os.Args {
		if strings.HasPrefix(arg, "-test.testlogfile=") {
			return true
		}
	}
	return false
})

// own makes a File of a new descriptor that nobody else has, opened with the
// given flags.
func (c OpenConfig) own(sysfd int, name string, flag int) (*File, error) {
	kind, err := sys.FileType(sysfd)
	if err != nil {
		return nil, err
	}
	nonblocking := flag&sys.NonblockFlag != 0
	stream := isStream(kind, sysfd)
	if stream && nonblocking {
		_ = sys.SetBlocking(sysfd) // or NewFile would register it with Go's poller
	}
	rt := c.runtime()
	f := &File{std: os.NewFile(uintptr(sysfd), name), config: c, append: flag&O_APPEND != 0}
	switch {
	case hasOffsets(kind):
		f.ring = poll.NewFile(rt, sysfd, flag, f.std)
	case stream:
		f.deadlines = sys.SetNonblocking(sysfd) == nil
		f.restore = !nonblocking
		f.stream = poll.NewStream(rt, sysfd, !f.deadlines, f.std)
	}
	return f, nil
}

// hasOffsets reports whether a file is one that is read and written at
// offsets: regular, or a block device.
func hasOffsets(kind fs.FileMode) bool { return kind == 0 || kind == fs.ModeDevice }

// isStream reports whether a file can be waited for.
func isStream(kind fs.FileMode, sysfd int) bool {
	switch kind {
	case fs.ModeNamedPipe, fs.ModeSocket:
		return true
	case fs.ModeDevice | fs.ModeCharDevice, fs.ModeIrregular:
		return sys.Pollable(sysfd)
	}
	return false
}

// NewFile returns a File with a descriptor, which is its own then, and the given
// name, on the default runtime. It returns nil if fd is not a valid descriptor
// number. See FromOS for what it does with a descriptor that is blocking.
func NewFile(fd uintptr, name string) *File { return OpenConfig{}.NewFile(fd, name) }

// NewFile is the function NewFile on c.Runtime.
func (c OpenConfig) NewFile(fd uintptr, name string) *File {
	std := os.NewFile(fd, name)
	if std == nil {
		return nil
	}
	f, err := c.FromOS(std)
	if err != nil {
		return &File{std: std, config: c} // not open, which every method will say
	}
	return f
}

// FromOS makes a file of package os one of this package, on the default runtime.
// It is not to be used any more; its deadlines are forgotten. If FromOS fails,
// which it does for a file that is closed, it stays the caller's.
//
// Reads of a pipe, terminal or socket whose descriptor is blocking, as the
// standard streams are, wait on the ring, and Close ends them, but like those of
// package os they have no deadlines.
func FromOS(std *os.File) (*File, error) { return OpenConfig{}.FromOS(std) }

// FromOS is the function FromOS on c.Runtime.
func (c OpenConfig) FromOS(std *os.File) (*File, error) {
	if std == nil {
		return nil, os.ErrInvalid
	}
	rc, err := std.SyscallConn()
	if err != nil {
		return nil, err
	}
	f := &File{std: std, config: c}
	var failed error
	if rc.Control(func(sysfd uintptr) { failed = f.attach(c.runtime(), int(sysfd)) }) != nil {
		failed = os.ErrClosed // the only reason
	}
	if failed != nil {
		return nil, &PathError{Op: "open", Path: std.Name(), Err: failed}
	}
	return f, nil
}

// attach has a runtime work on a descriptor that is in use already.
func (f *File) attach(rt *proactor.Runtime, sysfd int) error {
	if !rt.HasRing() {
		return nil
	}
	kind, err := sys.FileType(sysfd)
	if err != nil {
		return err
	}
	flag, err := sys.OpenFileFlags(sysfd)
	if err != nil {
		return err
	}
	f.append = flag&O_APPEND != 0
	switch {
	case hasOffsets(kind):
		f.ring = poll.NewFile(rt, sysfd, flag, f.std)
	case (sysfd == stdout || sysfd == stderr) && isStream(kind, sysfd):
		// A broken pipe there ends the process, which package os sees to.
	case isStream(kind, sysfd):
		nonblocking := flag&sys.NonblockFlag != 0
		f.stream = poll.NewStream(rt, sysfd, !nonblocking, f.std)
		f.deadlines = nonblocking
	}
	return nil
}

// The descriptors of a process that package os handles in its own way.
const stdout, stderr = 1, 2

// Pipe returns both ends of a pipe, on the default runtime: what is written to w
// can be read from r.
func Pipe() (r, w *File, err error) { return OpenConfig{}.Pipe() }

// Pipe is the function Pipe on c.Runtime.
func (c OpenConfig) Pipe() (r, w *File, err error) {
	if !c.runtime().HasRing() {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, nil, err
		}
		return &File{std: r, config: c}, &File{std: w, config: c}, nil
	}
	rfd, wfd, err := sys.OpenPipe()
	if err != nil {
		return nil, nil, err
	}
	if r, err = c.own(rfd, "|0", O_RDONLY); err == nil {
		if w, err = c.own(wfd, "|1", O_WRONLY); err == nil {
			return r, w, nil
		}
		_ = r.Close()
	} else {
		_ = sys.Close(rfd)
	}
	_ = sys.Close(wfd)
	return nil, nil, err
}
