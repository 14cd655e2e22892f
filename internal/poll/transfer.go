package poll

import (
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// maxCopy is the most that one system call is asked to copy between files, in
// bytes: what Close may have to wait for.
const maxCopy = 64 << 20

// CopyFrom has the kernel copy up to limit bytes from src's position to f's, or
// all until the end of src. It returns how many, and reports false, having copied
// nothing, if the kernel cannot do that with these files. Waiting for the disk, it
// keeps its thread.
func (f *File) CopyFrom(src *File, limit int64) (n int64, handled bool, err error) {
	err = f.AloneWith(src, func() (err error) {
		n, handled, err = f.copyFrom(src.sysfd, limit, src.rd.check)
		return err
	})
	return n, handled || err != nil, err
}

// CopyFromDescriptor is CopyFrom for a file whose position is the caller's.
func (f *File) CopyFromDescriptor(src int, limit int64) (n int64, handled bool, err error) {
	err = f.Alone(func() (err error) {
		n, handled, err = f.copyFrom(src, limit, func() error { return nil })
		return err
	})
	return n, handled || err != nil, err
}

func (f *File) copyFrom(src int, limit int64, check func() error) (n int64, handled bool, err error) {
	for n < limit {
		if err := f.rd.check(); err != nil {
			return n, true, err
		}
		if err := check(); err != nil {
			return n, true, err
		}
		m, errno := sys.CopyAlong(f.sysfd, src, min(limit-n, maxCopy))
		switch errno {
		case 0:
		case syscall.EINTR:
			continue
		default:
			if n == 0 && cannotCopy(errno) {
				return 0, false, nil
			}
			return n, true, errno
		}
		if m == 0 {
			// Some file systems say of files without a size that they are
			// empty: who reads finds out.
			return n, n > 0, nil
		}
		n += m
	}
	return n, true, nil
}

// cannotCopy reports whether an error of the first call says that these files, or
// this kernel, are not for copy_file_range: between file systems, with O_APPEND,
// overlapping, on file systems that get it wrong.
func cannotCopy(errno syscall.Errno) bool {
	switch errno {
	case syscall.EXDEV, syscall.EIO, syscall.EBADF, syscall.ETXTBSY, syscall.EISDIR:
		// Reading and writing says what is wrong, if something is.
		return true
	}
	return cannot(errno)
}

// Cannot reports whether an error of a first call says that the kernel, or what
// restricts the process, does not allow it with these descriptors.
func Cannot(err error) bool { return cannot(err) }

// Drain moves the n bytes that a pipe holds to the file's position.
func (f *File) Drain(p *sys.Pipe, n int64) (moved int64, err error) {
	err = f.Alone(func() error {
		for moved < n {
			m, errno := p.ToFile(f.sysfd, n-moved)
			if errno == syscall.EINTR {
				continue
			}
			if errno != 0 {
				return errno
			}
			if m == 0 {
				return unexpected(nil)
			}
			moved += m
		}
		return nil
	})
	return moved, err
}
