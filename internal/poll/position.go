package poll

import (
	"io"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// positioned does an operation of the ring at an offset, or at the file's
// position, which it then advances. It does not leave that to the kernel: for
// what completes later, as O_DIRECT does, io_uring takes the position but does
// not move it. The caller has the direction that Read, Write and Seek share.
// What else uses the same open file description is not kept out, since the
// kernel's own lock on the position cannot be had for an operation of the ring.
func (f *File) positioned(off int64, do func(off int64) (int, error)) (int, error) {
	if off != sys.CurrentPosition {
		return do(off)
	}
	at, err := sys.Position(f.sysfd)
	if err != nil {
		return 0, err
	}
	n, err := do(at)
	if n <= 0 {
		return n, err
	}
	offset, whence := at+int64(n), io.SeekStart
	if f.append {
		offset, whence = 0, io.SeekEnd // it was written there, wherever the position was
	}
	if _, e := sys.Seek(f.sysfd, offset, whence); err == nil {
		err = e
	}
	return n, err
}
