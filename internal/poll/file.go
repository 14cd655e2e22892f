package poll

import (
	"context"
	"io"
	"sync"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// File is an FD of a regular file or a block device.
//
// What the page cache has is read by the calling goroutine, since that costs
// less than asking anybody; what has to come from the disk is read by the
// ring. Writes go to the page cache the same way. A file system that cannot
// say beforehand whether it would wait (ext4 for writes; tmpfs, which never
// does) makes the ring hand the operation to a thread of the kernel, which
// costs far more than it gains: there the caller reads and writes as it would
// without a ring.
type File struct {
	FD
	owner         any // who has the FD has this, too
	reads, writes direction
	append        bool // opened with O_APPEND: writes go to the end
}

// direction is what is known about a file's reads or writes.
type direction struct {
	waits      bool        // for the disk, always
	cannotTell atomic.Bool // RWF_NOWAIT is not supported
}

// NewFile makes a File of a descriptor that was opened with the given flags.
// As long as an operation is under way, owner stays reachable: it may be what
// closes the descriptor when it is garbage.
func NewFile(rt *proactor.Runtime, sysfd, flag int, owner any) *File {
	f := &File{FD: FD{sysfd: sysfd, driver: rt.Pick(), handle: borrowed()}, owner: owner}
	f.reads.waits, f.writes.waits = sys.Waits(flag)
	f.append = flag&syscall.O_APPEND != 0
	return f
}

// requests are for operations that many goroutines do at once.
var requests = sync.Pool{New: func() any { return newRequest() }}

// once does one operation that needs no direction: it finishes by itself, so
// it is neither cancelled nor has a deadline.
func (fd *FD) once(prep func(*request)) (driver.Completion, error) {
	r := requests.Get().(*request)
	defer requests.Put(r)
	for {
		prep(r)
		if err := fd.driver.Enqueue(context.Background(), &r.Op); err != nil {
			r.Buf, r.Keep = nil, nil
			return driver.Completion{}, runtimeClosed(err)
		}
		c := r.await(fd.driver)
		r.Buf, r.Keep = nil, nil
		switch errno := c.Err(); errno {
		case nil:
			return c, nil
		case error(syscall.EINTR):
		case error(syscall.ECANCELED):
			return c, proactor.ErrClosed // only a shutdown cancels these
		default:
			return c, errno
		}
	}
}

// ReadAt reads once at an offset, into b which is not empty. It returns 0 at
// the end of the file.
func (f *File) ReadAt(b []byte, off int64) (int, error) {
	if err := f.incref(); err != nil {
		return 0, err
	}
	defer f.decref()
	return f.read(capped(b), off)
}

// Read is ReadAt at the file's position, which it advances.
func (f *File) Read(b []byte) (int, error) {
	if err := f.begin(&f.rd); err != nil {
		return 0, err
	}
	defer f.end(&f.rd)
	return f.read(capped(b), sys.CurrentPosition)
}

func (f *File) read(b []byte, off int64) (int, error) {
	if n, done, err := f.inline(&f.reads, sys.PreadNow, sys.Pread, b, off); done {
		return n, err
	}
	return f.positioned(off, func(off int64) (int, error) {
		c, err := f.once(func(r *request) {
			r.Buf, r.Waits = b, false
			r.SQE.PrepRead(f.sysfd, b, uint64(off))
		})
		if err != nil {
			return 0, err
		}
		return int(c.Res), nil
	})
}

// inline reads or writes by a system call of the calling goroutine, if that
// does not wait or if the file cannot tell. It reports whether it is done.
func (f *File) inline(d *direction, now func(int, []byte, int64) (int, syscall.Errno),
	waiting func(int, []byte, int64) (int, error), b []byte, off int64) (int, bool, error) {
	if d.waits {
		return 0, false, nil
	}
	if !d.cannotTell.Load() {
		n, errno := now(f.sysfd, b, off)
		f.driver.NoteInline(errno == 0)
		switch errno {
		case 0:
			return n, true, nil
		case syscall.EAGAIN, syscall.EINTR:
			return 0, false, nil
		case syscall.EOPNOTSUPP, syscall.ENOSYS:
			d.cannotTell.Store(true)
		default:
			return 0, true, errno
		}
	}
	for {
		n, err := waiting(f.sysfd, b, off)
		if err != syscall.EINTR {
			f.driver.NoteInline(true)
			return max(n, 0), true, err
		}
	}
}

// WriteAt writes all of b at an offset, or returns how much it wrote and why
// not more.
func (f *File) WriteAt(b []byte, off int64) (n int, err error) {
	if err := f.incref(); err != nil {
		return 0, err
	}
	defer f.decref()
	for n < len(b) {
		m, err := f.write(capped(b[n:]), off+int64(n))
		if n += m; err != nil || m == 0 {
			return n, unexpected(err)
		}
	}
	return n, nil
}

// Write is WriteAt at the file's position, which it advances.
func (f *File) Write(b []byte) (n int, err error) {
	// The position is shared with Read, so they share a lock.
	if err := f.begin(&f.rd); err != nil {
		return 0, err
	}
	defer f.end(&f.rd)
	for n < len(b) {
		m, err := f.write(capped(b[n:]), sys.CurrentPosition)
		if n += m; err != nil || m == 0 {
			return n, unexpected(err)
		}
	}
	return n, nil
}

// unexpected is the error of a write that failed or wrote nothing.
func unexpected(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// write writes once; it can write less than all of b.
func (f *File) write(b []byte, off int64) (int, error) {
	if n, done, err := f.inline(&f.writes, sys.PwriteNow, sys.Pwrite, b, off); done {
		return n, err
	}
	if n, done, err := f.writeSolo(b, off, 0); done {
		return n, err
	}
	return f.positioned(off, func(off int64) (int, error) {
		c, err := f.once(func(r *request) {
			r.Buf, r.Waits = b, false
			r.SQE.PrepWrite(f.sysfd, b, uint64(off))
		})
		if err != nil {
			return 0, err
		}
		return int(c.Res), nil
	})
}

// Alone runs f, which depends on the file's position or changes it, when no
// Read or Write does.
func (f *File) Alone(do func() error) error {
	if err := f.begin(&f.rd); err != nil {
		return err
	}
	defer f.end(&f.rd)
	return do()
}

// AloneWith is Alone for two files, which may be the same. Whoever wants two
// files gets them in the same order, so that nobody waits for ever.
func (f *File) AloneWith(other *File, do func() error) error {
	if f == other {
		return f.Alone(do)
	}
	first, second := f, other
	if first.sysfd > second.sysfd {
		first, second = second, first
	}
	return first.Alone(func() error { return second.Alone(do) })
}

// Sync makes what has been written durable.
func (f *File) Sync() error {
	if err := f.incref(); err != nil {
		return err
	}
	defer f.decref()
	if done, err := f.solo(sys.Fsync); done {
		return err
	}
	_, err := f.once(func(r *request) {
		r.Waits = false
		r.SQE.PrepFsync(f.sysfd, uring.FsyncFlags(0))
	})
	return err
}
