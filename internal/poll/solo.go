package poll

import (
	"runtime"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// Waiting for the disk in a system call keeps a thread, and for a while a
// processor of Go's scheduler, which is what the ring is there to spare. But who
// is the only one to wait gains nothing by the ring and loses by it: the kernel
// hands a sync, and a write that extends a file, to a thread of its own, and the
// completion of a write that bypasses the cache to another, which wakes the
// caller. So one goroutine at a time, of the whole process, may do without, if
// nobody else wants anything of the disk.

// soloing says that a goroutine waits for the disk in a system call, or is about
// to; refused counts those to whom it was not allowed because of that.
var (
	soloing atomic.Bool
	refused atomic.Uint32
)

// solo does an operation that waits for the disk by a system call, if nobody else
// waits for it, and reports whether it has.
func (f *File) solo(call func(sysfd int) error) (done bool, err error) {
	if !f.driver.Solo() {
		return false, nil
	}
	// These order nothing but each other.
	if !soloing.CompareAndSwap(false, true) {
		refused.Inc()
		return false, nil
	}
	defer soloing.Store(false)
	// Those who are about to want something, too, cannot while this goroutine has
	// the only processor, so let them run first.
	before := refused.Load()
	runtime.Gosched()
	if refused.Load() != before || !f.driver.Solo() {
		return false, nil
	}
	for {
		if err = call(f.sysfd); err != syscall.EINTR {
			f.driver.NoteInline(true)
			return true, err
		}
	}
}

// writeSolo is one write by solo, with RWF_ flags.
func (f *File) writeSolo(b []byte, off int64, flags int) (n int, done bool, err error) {
	done, err = f.solo(func(sysfd int) (err error) {
		n, err = sys.PwriteWith(sysfd, b, off, flags)
		return err
	})
	return n, done, err
}
