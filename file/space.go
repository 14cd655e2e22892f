package file

import (
	"os"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// control calls do with the file's descriptor, which stays open meanwhile, and
// wraps its error as one of the operation op.
func (f *File) control(op string, do func(sysfd int) error) error {
	if f == nil {
		return os.ErrInvalid
	}
	if f.ring != nil {
		return f.pathError(op, f.ring.Control(do))
	}
	rc, err := f.std.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if rc.Control(func(sysfd uintptr) { failed = do(int(sysfd)) }) != nil {
		failed = os.ErrClosed // all that it can fail with
	}
	return f.pathError(op, failed)
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
