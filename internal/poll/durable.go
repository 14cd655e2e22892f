package poll

import (
	"context"
	"math"
	"sync"
	"syscall"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// SyncData makes what has been written durable, without the metadata that are
// not needed to read it.
func (f *File) SyncData() error {
	if err := f.incref(); err != nil {
		return err
	}
	defer f.decref()
	return f.syncData()
}

func (f *File) syncData() error {
	if done, err := f.solo(sys.Fdatasync); done {
		return err
	}
	_, err := f.once(func(r *request) {
		r.Waits = false
		r.SQE.PrepFsync(f.sysfd, uring.IORING_FSYNC_DATASYNC)
	})
	return err
}

// SyncRange starts or awaits writing a part of the file, as the flags of
// sync_file_range(2) say; n is 0 for all that follows off.
func (f *File) SyncRange(off, n int64, flags uint32) error {
	if err := f.incref(); err != nil {
		return err
	}
	defer f.decref()
	if n > math.MaxUint32 {
		n = 0 // more than an entry can say: all of it, then
	}
	_, err := f.once(func(r *request) {
		r.Waits = false
		r.SQE.PrepSyncFileRange(f.sysfd, uint64(off), uint32(n), flags)
	})
	return err
}

// WriteAtSync writes all of b, which is not empty, at an offset, and makes all
// that has been written to the file durable. It returns how much it wrote; what
// that is worth is known only if the error is nil.
func (f *File) WriteAtSync(b []byte, off int64) (int, error) {
	if err := f.incref(); err != nil {
		return 0, err
	}
	defer f.decref()
	return f.writeSync(b, off)
}

// WriteSync is WriteAtSync at the file's position, which it advances.
func (f *File) WriteSync(b []byte) (int, error) {
	if err := f.begin(&f.rd); err != nil {
		return 0, err
	}
	defer f.end(&f.rd)
	return f.writeSync(b, sys.CurrentPosition)
}

// WriteAtDurable writes all of b, which is not empty, at an offset, and makes it
// durable, but not what else has been written: one operation, of the caller who
// is alone or of a thread of the kernel. It returns how much is durable.
func (f *File) WriteAtDurable(b []byte, off int64) (n int, err error) {
	if err := f.incref(); err != nil {
		return 0, err
	}
	defer f.decref()
	for n < len(b) {
		m, err := f.writeDurable(b[n:min(len(b), n+maxDurable)], off+int64(n))
		if err != nil || m == 0 {
			return n, unexpected(err)
		}
		n += m
	}
	return n, nil
}

// writeDurable writes once, durably.
func (f *File) writeDurable(b []byte, off int64) (int, error) {
	if n, done, err := f.writeSolo(b, off, sys.RwfDsync); done {
		return n, err
	}
	c, err := f.once(func(r *request) {
		r.Buf, r.Waits = b, false
		r.SQE.PrepWrite(f.sysfd, b, uint64(off))
		r.SQE.OpFlags = sys.RwfDsync
	})
	return int(c.Res), err
}

// writeSync is the pair of operations of one that writes and syncs.
type writeSync struct {
	write, sync *request
	ops         [2]*driver.Op
}

var writeSyncs = sync.Pool{New: func() any {
	p := &writeSync{write: newRequest(), sync: newRequest()}
	p.ops = [2]*driver.Op{&p.write.Op, &p.sync.Op}
	return p
}}

// maxDurable is the most that one write is given, since the kernel writes less
// than 2 GiB at once.
const maxDurable = 1 << 30

// writeSync writes by a system call, if that does not wait, because a write that
// the ring hands to a thread of the kernel costs more, and then only syncs by the
// ring. Otherwise it does both in one submission.
func (f *File) writeSync(b []byte, off int64) (n int, err error) {
	for !f.writes.waits {
		m, done, err := f.inline(&f.writes, sys.PwriteNow, sys.Pwrite, b[n:], after(off, n))
		n += m
		switch {
		case err != nil || done && m == 0:
			return n, unexpected(err)
		case n == len(b):
			return n, f.syncData()
		}
		if !done {
			break
		}
	}
	m, err := f.chainSync(b[n:], after(off, n))
	return n + m, err
}

// after returns the offset n bytes on, which the current position is by itself.
func after(off int64, n int) int64 {
	if off == sys.CurrentPosition {
		return off
	}
	return off + int64(n)
}

func (f *File) chainSync(b []byte, off int64) (n int, err error) {
	if f.driver.MaxChain() < len(writeSync{}.ops) {
		for n < len(b) {
			m, err := f.write(b[n:], after(off, n))
			if n += m; err != nil || m == 0 {
				return n, unexpected(err)
			}
		}
		return n, f.syncData()
	}
	p := writeSyncs.Get().(*writeSync)
	defer writeSyncs.Put(p)
	for {
		m, err := f.positioned(after(off, n), func(off int64) (int, error) {
			return p.do(f, b[n:min(len(b), n+maxDurable)], off)
		})
		n += m
		switch {
		case err == syscall.EINTR && n < len(b): // once more
		case err == syscall.EINTR:
			return n, f.syncData() // it was interrupted before it did anything
		case err != nil:
			return n, err
		case n == len(b):
			return n, nil
		case m == 0:
			return n, unexpected(nil)
		}
		// A short write has broken the chain: the rest takes another.
	}
}

// do writes once and syncs, in one submission. There is no sync if the write is
// short.
func (p *writeSync) do(f *File, b []byte, off int64) (written int, err error) {
	p.write.Buf, p.write.Waits, p.sync.Waits = b, false, false
	p.write.SQE.PrepWrite(f.sysfd, b, uint64(off))
	p.write.SQE.Flags |= uring.IOSQE_IO_LINK
	p.sync.SQE.PrepFsync(f.sysfd, uring.IORING_FSYNC_DATASYNC)
	if err := f.driver.EnqueueChain(context.Background(), p.ops[:]...); err != nil {
		p.write.Buf = nil
		return 0, runtimeClosed(err)
	}
	w := p.write.await(f.driver)
	s := p.sync.await(f.driver)
	p.write.Buf = nil
	if w.Res >= 0 {
		written = int(w.Res)
		if written < len(b) {
			return written, nil
		}
		w = s
	}
	if w.Res == -int32(syscall.ECANCELED) {
		return written, proactor.ErrClosed // only a shutdown cancels these
	}
	return written, w.Err()
}
