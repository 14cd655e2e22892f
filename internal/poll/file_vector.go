package poll

import (
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// MaxVector is the number of buffers that the kernel takes at once.
const MaxVector = 1024

// ReadVec reads once at an offset, or with sys.CurrentPosition at the file's
// position, into 1 to MaxVector buffers, one after the other, with RWF_ flags. It
// returns 0 at the end of the file.
func (f *File) ReadVec(bufs [][]byte, off int64, flags int) (int, error) {
	return f.vector(&f.reads, uring.IORING_OP_READV, bufs, off, flags)
}

// WriteVec is ReadVec for writing; it can write less than all.
func (f *File) WriteVec(bufs [][]byte, off int64, flags int) (int, error) {
	return f.vector(&f.writes, uring.IORING_OP_WRITEV, bufs, off, flags)
}

func (f *File) vector(d *direction, op uring.Op, bufs [][]byte, off int64, flags int) (int, error) {
	if off == sys.CurrentPosition {
		if err := f.begin(&f.rd); err != nil {
			return 0, err
		}
		defer f.end(&f.rd)
	} else {
		if err := f.incref(); err != nil {
			return 0, err
		}
		defer f.decref()
	}
	call := sys.Preadv
	if op == uring.IORING_OP_WRITEV {
		call = sys.Pwritev
	}
	if n, done, err := f.vectorNow(d, call, bufs, off, flags); done {
		return n, err
	}
	iovs := sys.Iovecs(bufs)
	return f.positioned(off, func(off int64) (int, error) {
		c, err := f.once(func(r *request) {
			r.Keep, r.Waits = vectorMemory{iovs, bufs}, false
			r.SQE.PrepReadv(f.sysfd, &iovs[0], len(iovs), uint64(off), int32(flags))
			r.SQE.Opcode = op
		})
		if err != nil {
			return 0, err
		}
		return int(c.Res), nil
	})
}

// vectorMemory is what the kernel has of an operation on several buffers.
type vectorMemory struct {
	iovs []uring.Iovec
	bufs [][]byte
}

// vectorNow is inline for several buffers.
func (f *File) vectorNow(d *direction, call func(int, [][]byte, int64, int) (int, error),
	bufs [][]byte, off int64, flags int) (int, bool, error) {
	if flags&sys.RwfNowait != 0 {
		n, err := call(f.sysfd, bufs, off, flags)
		return n, true, err
	}
	if d.waits || flags != 0 {
		return 0, false, nil
	}
	if !d.cannotTell.Load() {
		n, err := call(f.sysfd, bufs, off, sys.RwfNowait)
		f.driver.NoteInline(err == nil)
		switch err {
		case nil:
			return n, true, nil
		case error(syscall.EAGAIN):
			return 0, false, nil
		case error(syscall.EOPNOTSUPP), error(syscall.ENOSYS):
			d.cannotTell.Store(true)
		default:
			return 0, true, err
		}
	}
	n, err := call(f.sysfd, bufs, off, 0)
	f.driver.NoteInline(true)
	return n, true, err
}
