//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	yfile "github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// osFile is what the cells of files need of one, the standard library's or
// ours.
type osFile interface {
	io.ReadWriteCloser
	io.Seeker
	Sync() error
}

// fileSystemOf is the standard library or our package, which differ in types
// only.
type fileSystemOf struct {
	open     func(path string, flag int) (osFile, error)
	readFile func(path string) ([]byte, error)
	stat     func(path string) (fs.FileInfo, error)
}

// filesOf returns the files of a runtime, of the standard library for nil.
func filesOf(rt *proactor.Runtime) fileSystemOf {
	if rt == nil {
		return fileSystemOf{
			open:     func(path string, flag int) (osFile, error) { return os.OpenFile(path, flag, 0o644) },
			readFile: os.ReadFile,
			stat:     os.Stat,
		}
	}
	return ourFiles(rt)
}

// fileMain is the process that reads, writes, appends, walks or copies files.
func fileMain(w *workload) error {
	rt, err := w.flags.open()
	if err != nil {
		return err
	}
	switch w.spec.Kind {
	case kindSeqRead:
		return w.readThrough(rt)
	case kindSeqWrite:
		return w.writeOver(rt)
	case kindAppend:
		return w.appendRecords(rt)
	case kindTree, kindStat:
		return w.tree(rt)
	case kindCopy:
		return w.copyFile(rt)
	}
	return fmt.Errorf("no work for %q", w.spec.Kind)
}

// passes repeats a piece of work until its time is over, and counts whole
// pieces only: what pass returns, in its time. Before each piece it calls
// prepare, whose time does not count.
func (w *workload) passes(rt *proactor.Runtime, prepare func() error, pass func() (int64, error)) error {
	w.result.Backend = describe(rt)
	one := func() (n int64, u Usage, took time.Duration, err error) {
		if prepare != nil {
			if err = prepare(); err != nil {
				return
			}
		}
		before, err := ownUsage()
		if err != nil {
			return
		}
		start := time.Now()
		if n, err = pass(); err != nil {
			return
		}
		took = time.Since(start)
		after, err := ownUsage()
		return n, after.sub(before), took, err
	}
	var spent time.Duration
	for spent < w.spec.Warm {
		n, _, took, err := one()
		if err != nil {
			return err
		}
		spent += took
		w.result.All += n
	}
	calls := runtimeStats(rt).SystemCalls
	spent = 0
	for spent < w.spec.Measure {
		n, u, took, err := one()
		if err != nil {
			return err
		}
		spent += took
		w.result.Ops += n
		w.result.Usage.add(u)
	}
	w.result.All += w.result.Ops
	now, err := usageOf(os.Getpid())
	if err != nil {
		return err
	}
	w.result.Usage.Threads, w.result.Usage.RSS = now.Threads, now.RSS
	w.result.Seconds = spent.Seconds()
	w.result.Syscalls = -1
	if calls >= 0 {
		w.result.Syscalls = runtimeStats(rt).SystemCalls - calls
	}
	return nil
}

// ownUsage is what this process has used, without what would take many system
// calls to find out.
func ownUsage() (Usage, error) {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		return Usage{}, os.NewSyscallError("getrusage", err)
	}
	cpu, err := processCPU(os.Getpid())
	return Usage{CPU: cpu, User: time.Duration(ru.Utime.Nano()), System: time.Duration(ru.Stime.Nano()),
		Vol: ru.Nvcsw, Invol: ru.Nivcsw}, err
}

// add adds what was used later.
func (u *Usage) add(v Usage) {
	u.CPU += v.CPU
	u.User += v.User
	u.System += v.System
	u.Vol += v.Vol
	u.Invol += v.Invol
}

// forget takes a file out of the page cache, except pages that are still to be
// written.
func forget(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = os.NewSyscallError("fadvise64", unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
	return errors.Join(err, f.Close())
}

// alignedBuffer returns a buffer that starts on a page, which O_DIRECT wants:
// large allocations do.
func alignedBuffer(size int) []byte { return make([]byte, max(size, 64*kib))[:size:size] }

func (w *workload) directFlag(flag int) int {
	if w.spec.Direct {
		flag |= syscall.O_DIRECT
	}
	return flag
}

// readThrough reads a file from its beginning to its end, again and again.
func (w *workload) readThrough(rt *proactor.Runtime) error {
	f, err := filesOf(rt).open(w.spec.File, w.directFlag(os.O_RDONLY))
	if err != nil {
		return err
	}
	defer f.Close()
	buf := alignedBuffer(w.spec.Block)
	pass := func() (int64, error) {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		for off := int64(0); off < w.spec.Size; off += int64(len(buf)) {
			if _, err := io.ReadFull(f, buf); err != nil {
				return 0, err
			}
			if err := errors.Join(checkBlock(buf[:readSize], off),
				checkBlock(buf[len(buf)-readSize:], off+int64(len(buf)-readSize))); err != nil {
				return 0, err
			}
		}
		return w.spec.Size / mib, nil
	}
	var prepare func() error
	switch {
	case w.spec.Cold:
		prepare = func() error { return forget(w.spec.File) }
	case !w.spec.Direct:
		if _, err := pass(); err != nil { // brings it into the page cache
			return err
		}
	}
	return w.passes(rt, prepare, pass)
}

// writeOver writes a file over from its beginning to its end, again and again,
// without waiting for the disk unless it is O_DIRECT. What is in the file then
// is looked at.
func (w *workload) writeOver(rt *proactor.Runtime) error {
	f, err := filesOf(rt).open(w.spec.File, w.directFlag(os.O_WRONLY))
	if err != nil {
		return err
	}
	buf := alignedBuffer(w.spec.Block)
	turn := int64(0)
	err = w.passes(rt, nil, func() (int64, error) {
		turn++
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		for off := int64(0); off < w.spec.Size; off += int64(len(buf)) {
			fillBlocks(buf[:readSize], off+turn)
			if _, err := f.Write(buf); err != nil {
				return 0, err
			}
		}
		return w.spec.Size / mib, nil
	})
	// What is left to be written must not disturb who is measured next.
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	written, err := os.Open(w.spec.File)
	if err != nil {
		return err
	}
	defer written.Close()
	for off := int64(0); off < w.spec.Size; off += int64(len(buf)) {
		if _, err := written.ReadAt(buf[:readSize], off); err != nil {
			return err
		}
		if err := checkBlock(buf[:readSize], off+turn); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file by io.Copy, which lets the files do it in the kernel.
func (w *workload) copyFile(rt *proactor.Runtime) error {
	files := filesOf(rt)
	to := w.spec.File + ".copy"
	defer os.Remove(to)
	prepare := func() error {
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if w.spec.Cold {
			return forget(w.spec.File)
		}
		return nil
	}
	pass := func() (int64, error) {
		src, err := files.open(w.spec.File, os.O_RDONLY)
		if err != nil {
			return 0, err
		}
		defer src.Close()
		dst, err := files.open(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(dst, io.LimitReader(src, w.spec.Size))
		return w.spec.Size / mib, errors.Join(err, dst.Close())
	}
	if !w.spec.Cold {
		if _, err := pass(); err != nil { // brings it into the page cache
			return err
		}
	}
	if err := w.passes(rt, prepare, pass); err != nil {
		return err
	}
	return checkCopy(to, w.spec.Size)
}

// checkCopy looks at the copy of the beginning of the file that is read.
func checkCopy(path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != size {
		return fmt.Errorf("%w: the copy has %d bytes, not %d", errWrong, info.Size(), size)
	}
	buf := make([]byte, readSize)
	for off := int64(0); off < size; off += readSize {
		if _, err := f.ReadAt(buf, off); err != nil {
			return err
		}
		if err := checkBlock(buf, off); err != nil {
			return err
		}
	}
	return nil
}

// ourFiles are the files of our package on a runtime.
func ourFiles(rt *proactor.Runtime) fileSystemOf {
	config := yfile.OpenConfig{Runtime: rt}
	s := fileSystemOf{
		open: func(path string, flag int) (osFile, error) { return config.OpenFile(path, flag, 0o644) },
		stat: os.Stat,
	}
	if c, ok := any(config).(interface{ ReadFile(string) ([]byte, error) }); ok {
		s.readFile = c.ReadFile
		return s
	}
	s.readFile = func(path string) ([]byte, error) {
		f, err := config.OpenFile(path, os.O_RDONLY, 0)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		buf := make([]byte, info.Size())
		_, err = io.ReadFull(f, buf)
		return buf, err
	}
	return s
}
