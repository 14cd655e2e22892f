package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// CopyFile copies the content and the permissions of the file src to the file
// dst, which is created or overwritten, and returns the number of bytes. If ctx
// ends, it stops soon, and dst has only a part; see CopyConfig.Atomic.
func CopyFile(ctx context.Context, dst, src string) (int64, error) {
	return CopyConfig{}.CopyFile(ctx, dst, src)
}

// CopyConfig contains options for copying. The zero value is a good default.
type CopyConfig struct {
	// Runtime is what the files run on that CopyFile opens; nil means the
	// default runtime.
	Runtime *proactor.Runtime

	// Progress, if not nil, is told how many bytes have been copied, of how many.
	// It is called by one goroutine at a time, after each step, at the end with
	// done equal to total, and should be quick.
	Progress func(done, total int64)

	// Sparse leaves holes where src has them, instead of storing zeros. It needs
	// Linux and a file system that can tell.
	Sparse bool

	// NoClone copies the data even where the file system could have both files
	// share them until one is changed, which takes no time and no space.
	NoClone bool

	// Atomic makes CopyFile replace dst as AtomicReplace does: durably, and only
	// when the copy is complete.
	Atomic bool
}

// A step is what is copied between two looks at the context: long enough to be
// efficient, and at the speed of a slow disk a tenth of a second.
const copyStep = 8 << 20

// Blocks that are read and written when the kernel does not copy.
const (
	copyBlock   = 256 << 10
	copyWorkers = 8 // blocks under way
)

// CopyFile copies a file to another; see the function of that name.
func (c CopyConfig) CopyFile(ctx context.Context, dst, src string) (n int64, err error) {
	open := OpenConfig{Runtime: c.Runtime}
	from, err := open.OpenFile(src, os.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, &PathError{Op: "copy", Path: src, Err: fmt.Errorf("it is not a regular file: %w", os.ErrInvalid)}
	}
	// Truncating what is to be copied would leave nothing of it.
	if old, err := os.Stat(dst); err == nil && os.SameFile(old, info) {
		return 0, &PathError{Op: "copy", Path: dst, Err: fmt.Errorf("it is the same file as %s: %w", src, os.ErrInvalid)}
	}
	if c.Atomic {
		r, err := ReplaceConfig{Runtime: c.Runtime, Mode: info.Mode().Perm()}.Begin(dst)
		if err != nil {
			return 0, err
		}
		if n, err = c.Copy(ctx, r.File, from); err != nil {
			return n, errors.Join(err, r.Abort())
		}
		return n, r.Commit()
	}
	to, err := open.OpenFile(dst, os.O_RDWR|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return 0, err
	}
	n, err = c.Copy(ctx, to, from)
	return n, errors.Join(err, to.Close())
}

// Copy makes the content of src, which is a regular file, that of dst, whatever
// the positions of both, which it does not move, and returns the number of bytes.
// Bytes that are appended to src meanwhile may be left out. If ctx ends it stops
// soon, at the latest after 8 MiB, with an error that matches that of ctx.
func (c CopyConfig) Copy(ctx context.Context, dst, src *File) (int64, error) {
	if dst == nil || src == nil {
		return 0, os.ErrInvalid
	}
	info, err := src.Stat()
	if err != nil {
		return 0, err
	}
	if err := dst.Truncate(0); err != nil {
		return 0, err
	}
	k := &copying{ctx: ctx, cfg: c, dst: dst, src: src, total: info.Size()}
	if err := k.stopped(); err != nil {
		return 0, err
	}
	if !c.NoClone && k.clone() {
		return k.total, k.advance(k.total)
	}
	switch {
	case k.total == 0:
		err = k.unsized()
	case c.Sparse:
		err = k.extents()
	default:
		err = k.part(0, k.total)
	}
	if err != nil {
		return k.done, err
	}
	if k.done < k.total && k.shrunk.Load() {
		k.total = k.done
	}
	// The holes at the end have not been written.
	if err := dst.Truncate(k.total); err != nil {
		return k.done, err
	}
	return k.total, k.advance(0)
}

// copying is a copy under way.
type copying struct {
	ctx      context.Context
	cfg      CopyConfig
	dst, src *File
	total    int64
	byBlocks bool        // the kernel does not copy between these files
	shrunk   atomic.Bool // src has become shorter

	mu   sync.Mutex // of Progress, and:
	done int64      // bytes, holes counted
}

func (k *copying) stopped() error {
	if k.ctx.Err() == nil {
		return nil
	}
	return k.dst.pathError("copy", ended(k.ctx))
}

// advance notes that n more bytes are done, and returns why not to go on.
func (k *copying) advance(n int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.done += n
	if k.cfg.Progress != nil {
		k.cfg.Progress(k.done, k.total)
	}
	if k.done >= k.total {
		return nil // too late to stop
	}
	return k.stopped()
}

// unsized copies a file that is empty, or says so, as those in /proc do.
func (k *copying) unsized() error {
	buf := copyBuffers.Get()
	defer buf.Put()
	for {
		n, err := k.src.ReadAt(buf.Bytes, k.done)
		if err != nil && err != io.EOF {
			return err
		}
		if n == 0 {
			return nil
		}
		if _, err := k.dst.WriteAt(buf.Bytes[:n], k.done); err != nil {
			return err
		}
		k.total += int64(n)
		if err := k.advance(int64(n)); err != nil {
			return err
		}
	}
}

// clone has the files share their blocks, if the file system can.
func (k *copying) clone() bool {
	return k.total > 0 && k.dst.raw(func(dst int) error {
		return k.src.raw(func(src int) error { return sys.Clone(dst, src) })
	}) == nil
}

// extents copies what is not a hole.
func (k *copying) extents() error {
	// An open file of its own, because looking for holes moves the position.
	var scout *os.File
	err := k.src.raw(func(sysfd int) (err error) {
		scout, err = os.Open(fmt.Sprintf("/proc/self/fd/%d", sysfd))
		return err
	})
	if err != nil {
		return k.part(0, k.total) // nobody can tell
	}
	s := &File{std: scout}
	defer scout.Close()
	for off := int64(0); off < k.total; {
		var data, hole int64
		err := s.raw(func(sysfd int) (err error) {
			if data, err = sys.SeekData(sysfd, off); err == nil {
				hole, err = sys.SeekHole(sysfd, data)
			}
			return err
		})
		switch {
		case errors.Is(err, syscall.ENXIO): // nothing but a hole follows
			data, hole = k.total, k.total
		case err != nil:
			data, hole = off, k.total
		}
		data, hole = min(data, k.total), min(hole, k.total)
		if data > off {
			if err := k.advance(data - off); err != nil {
				return err
			}
		}
		if err := k.part(data, hole); err != nil {
			return err
		}
		off = hole
	}
	return nil
}

// part copies the bytes from one offset up to another.
func (k *copying) part(from, to int64) error {
	for from < to && !k.byBlocks {
		n, err := k.inKernel(from, min(to-from, copyStep))
		switch {
		case err != nil && cannotCopy(err):
			k.byBlocks = true
		case err != nil:
			return k.dst.pathError("copy", err)
		case n == 0:
			k.byBlocks = true // the end, most likely; reading tells
		default:
			from += int64(n)
			if err := k.advance(int64(n)); err != nil {
				return err
			}
		}
	}
	if from >= to {
		return nil
	}
	return k.blocks(from, to)
}

func (k *copying) inKernel(off, n int64) (moved int, err error) {
	err = k.dst.raw(func(dst int) error {
		return k.src.raw(func(src int) error {
			moved, err = sys.CopyRange(dst, off, src, off, int(n))
			return err
		})
	})
	return moved, err
}

// cannotCopy reports whether an error says that the kernel does not copy between
// the files, so that reading and writing has to do it.
func cannotCopy(err error) bool {
	for _, e := range []error{
		errors.ErrUnsupported,
		syscall.EXDEV,  // two file systems, before Linux 5.19 or of two kinds
		syscall.EINVAL, // a file system that does not implement it
		syscall.EPERM,  // a container that does not know the call
		syscall.EBADF,  // dst is open for appending
		syscall.EIO,    // a bug of CIFS; if it is one of the disk, reading tells
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// blocks copies by reading and writing several blocks at once.
func (k *copying) blocks(from, to int64) error {
	ctx, cancel := context.WithCancelCause(k.ctx)
	defer cancel(nil)
	var next atomic.Int64
	next.Store(from)
	var wg sync.WaitGroup
	for range min(copyWorkers, (to-from+copyBlock-1)/copyBlock) {
		wg.Go(func() {
			buf := copyBuffers.Get()
			defer buf.Put()
			for ctx.Err() == nil {
				off := next.Add(copyBlock) - copyBlock
				if off >= to {
					return
				}
				if err := k.block(buf.Bytes[:min(copyBlock, to-off)], off); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if k.ctx.Err() != nil {
		if k.done >= k.total {
			return nil
		}
		return k.stopped()
	}
	return context.Cause(ctx)
}

var copyBuffers = NewBufferPool(copyBlock, pageAlignment)

func (k *copying) block(b []byte, off int64) error {
	n, err := k.src.ReadAt(b, off)
	if err == io.EOF {
		k.shrunk.Store(true)
	} else if err != nil {
		return err
	}
	if n > 0 {
		if _, err := k.dst.WriteAt(b[:n], off); err != nil {
			return err
		}
	}
	return k.advance(int64(n))
}
