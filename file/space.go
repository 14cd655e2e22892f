package file

import (
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// control calls do with the file's descriptor, which stays open meanwhile, and
// wraps its error as one of the operation op.
func (f *File) control(op string, do func(sysfd int) error) error {
	if f == nil {
		return os.ErrInvalid
	}
	return f.pathError(op, f.raw(do))
}

// raw is control without wrapping the error.
func (f *File) raw(do func(sysfd int) error) error {
	if f.ring != nil {
		return f.ring.Control(do)
	}
	rc, err := f.std.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if rc.Control(func(sysfd uintptr) { failed = do(int(sysfd)) }) != nil {
		return os.ErrClosed // all that it can fail with
	}
	return failed
}

// SyncData commits the file's content to stable storage, and of its metadata
// what is needed to read that, such as its size, but not its times: what
// fdatasync(2) does. As with Sync, a failure means that data may be lost, and is
// reported once; a later SyncData that succeeds does not bring them back. Systems
// other than Linux do Sync.
func (f *File) SyncData() error {
	switch {
	case f == nil:
		return os.ErrInvalid
	case f.ring != nil:
		return f.pathError("sync", f.ring.SyncData())
	case !onLinux:
		return f.std.Sync()
	}
	return f.control("sync", sys.Fdatasync)
}

// WriteSync writes all of b at the file's position, or at its end if it was
// opened with O_APPEND, and then does SyncData. On a ring, a write that has to
// wait and the sync are one linked submission, so nobody has to run in between.
// If it fails, the error is that of the first of the two that failed, and nothing
// is known to be durable, whatever n says: n is how many bytes were written.
func (f *File) WriteSync(b []byte) (n int, err error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.ring == nil || len(b) == 0:
		if n, err = f.Write(b); err != nil {
			return n, err
		}
		return n, f.SyncData()
	}
	n, err = f.ring.WriteSync(b)
	return n, f.pathError("write", err)
}

// WriteAtSync is WriteSync at offset off, in bytes.
func (f *File) WriteAtSync(b []byte, off int64) (n int, err error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.ring == nil || f.append || off < 0 || len(b) == 0:
		if n, err = f.WriteAt(b, off); err != nil {
			return n, err
		}
		return n, f.SyncData()
	}
	n, err = f.ring.WriteAtSync(b, off)
	return n, f.pathError("write", err)
}

// Fallocate allocates storage for n bytes at offset off, so that writing there
// does not fail for want of room, and extends the file to off+n bytes if it is
// shorter. What is new reads as zeros, what was there is not changed. It needs
// Linux and a file system that has it; otherwise the error matches
// errors.ErrUnsupported.
func (f *File) Fallocate(off, n int64) error { return f.allocate("fallocate", 0, off, n) }

// Reserve is Fallocate without changing the size of the file.
func (f *File) Reserve(off, n int64) error {
	return f.allocate("reserve", sys.AllocKeepSize, off, n)
}

// PunchHole gives the storage of n bytes at offset off back to the file system.
// They read as zeros, and the size of the file does not change. Only whole blocks
// are given back; what is left of the others is overwritten with zeros. It needs
// what Fallocate does.
func (f *File) PunchHole(off, n int64) error {
	return f.allocate("punch hole", sys.AllocPunch|sys.AllocKeepSize, off, n)
}

// ZeroRange makes n bytes at offset off zeros, and extends the file to off+n
// bytes if it is shorter. Where the file system can, it allocates storage without
// writing to it; otherwise ZeroRange writes zeros.
func (f *File) ZeroRange(off, n int64) error {
	err := f.allocate("zero range", sys.AllocZero, off, n)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	zeros := make([]byte, min(n, 256<<10))
	for n > 0 {
		m, err := f.WriteAt(zeros[:min(n, int64(len(zeros)))], off)
		if err != nil {
			return err
		}
		off, n = off+int64(m), n-int64(m)
	}
	return nil
}

// CollapseRange removes n bytes at offset off from the file: what follows moves to
// off, and the file becomes shorter. Both have to be multiples of the file
// system's block size, often 4096, and the range has to end before the end of the
// file. It needs Linux and a file system that has it, as ext4 and XFS do;
// otherwise the error matches errors.ErrUnsupported.
func (f *File) CollapseRange(off, n int64) error {
	return f.allocate("collapse range", sys.AllocCollapse, off, n)
}

// InsertRange inserts n bytes, which read as zeros, at offset off: what was there
// moves behind them. It asks for what CollapseRange does.
func (f *File) InsertRange(off, n int64) error {
	return f.allocate("insert range", sys.AllocInsert, off, n)
}

func (f *File) allocate(op string, mode uint32, off, n int64) error {
	if f == nil {
		return os.ErrInvalid
	}
	if off < 0 || n <= 0 || off > math.MaxInt64-n {
		return f.pathError(op, fmt.Errorf("%d bytes at offset %d: want at least one, and nothing negative: %w", n, off, os.ErrInvalid))
	}
	return f.control(op, func(sysfd int) error {
		err := sys.Fallocate(sysfd, mode, off, n)
		if err == error(syscall.EINVAL) && mode&(sys.AllocCollapse|sys.AllocInsert) != 0 {
			block := int64(512)
			if l, err := sys.Limits(sysfd); err == nil {
				block = int64(l.BlockSize)
			}
			return fmt.Errorf("%d bytes at offset %d (both have to be multiples of the block size, which is %d or a part of that, and lie before the end of the file): %w",
				n, off, block, err)
		}
		return err
	})
}

// Advice says how a part of a file will be used.
type Advice int

// The advice that Advise takes.
const (
	AdviceNormal     Advice = 0 // nothing special
	AdviceRandom     Advice = 1 // here and there: do not read ahead
	AdviceSequential Advice = 2 // from lower to higher offsets: read ahead more
	AdviceWillNeed   Advice = 3 // soon: begin to read it
	AdviceDontNeed   Advice = 4 // not soon: forget what is in the page cache and on the disk
	AdviceNoReuse    Advice = 5 // once only
)

// String returns the name of the advice.
func (a Advice) String() string {
	names := [...]string{"normal", "random", "sequential", "will need", "don't need", "no reuse"}
	if a < 0 || int(a) >= len(names) {
		return fmt.Sprintf("Advice(%d)", int(a))
	}
	return names[a]
}

// Advise announces how n bytes at offset off will be used, n 0 for all that
// follows. It is a hint. AdviceDontNeed leaves in the page cache what has not
// been written to the disk yet: Sync before. On systems other than Linux the
// error matches errors.ErrUnsupported.
func (f *File) Advise(off, n int64, advice Advice) error {
	if f == nil {
		return os.ErrInvalid
	}
	if off < 0 || n < 0 || advice < AdviceNormal || advice > AdviceNoReuse {
		return f.pathError("advise", fmt.Errorf("%v for %d bytes at offset %d: %w", advice, n, off, os.ErrInvalid))
	}
	return f.control("advise", func(sysfd int) error { return sys.Fadvise(sysfd, off, n, int(advice)) })
}

// SyncRangeFlags says what SyncRange does; they can be combined.
type SyncRangeFlags int

// What SyncRange does, in this order.
const (
	SyncRangeWaitBefore SyncRangeFlags = 1 << iota // wait until what is being written has been
	SyncRangeWrite                                 // begin to write what has to be
	SyncRangeWaitAfter                             // wait until that has been written
)

// SyncRange starts or awaits writing n bytes at offset off to the disk, n 0 for
// all that follows. It makes nothing durable, since it leaves out metadata and
// the cache of the disk: it is there to spread writing evenly over time, so that
// a Sync later has little left to do. On systems other than Linux the error
// matches errors.ErrUnsupported.
func (f *File) SyncRange(off, n int64, flags SyncRangeFlags) error {
	if f == nil {
		return os.ErrInvalid
	}
	const all = SyncRangeWaitBefore | SyncRangeWrite | SyncRangeWaitAfter
	if off < 0 || n < 0 || flags&^all != 0 {
		return f.pathError("sync range", fmt.Errorf("flags %#x for %d bytes at offset %d: %w", int(flags), n, off, os.ErrInvalid))
	}
	if f.ring != nil && flags&^SyncRangeWrite != 0 {
		return f.pathError("sync range", f.ring.SyncRange(off, n, uint32(flags)))
	}
	return f.control("sync range", func(sysfd int) error { return sys.SyncRange(sysfd, off, n, int(flags)) })
}
