package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// Direct is a file whose reads and writes go past the page cache, between the
// disk and the caller's buffers: for those who have a cache of their own, or
// whose data would only drive others out. On a ring any number of them are under
// way at once, which is what disks are fast at.
//
// Buffers, offsets and lengths have to be multiples of what Alignment says; what
// is not is refused with an *AlignmentError before anything is read or written.
// AlignedBuffer and BufferPool make buffers that are.
type Direct struct {
	f     *File
	align Alignment
}

// Alignment is what direct reads and writes have to be multiples of, in bytes:
// the addresses of buffers of Memory, offsets and lengths of Offset.
type Alignment struct{ Memory, Offset int }

// pageAlignment suits every disk; it is used where the kernel does not tell.
const pageAlignment = 4096

// OpenDirect opens a file for direct reads and writes, on the default runtime,
// with the flags of OpenFile. If the file, its file system or the operating system
// cannot do that, the error matches errors.ErrUnsupported.
func OpenDirect(name string, flag int, perm FileMode) (*Direct, error) {
	return OpenConfig{}.OpenDirect(name, flag, perm)
}

// OpenDirect opens a file for direct reads and writes; see the function of that
// name.
func (c OpenConfig) OpenDirect(name string, flag int, perm FileMode) (*Direct, error) {
	unsupported := func(err error) (*Direct, error) {
		return nil, &PathError{Op: "open", Path: name, Err: fmt.Errorf("direct I/O: %w", err)}
	}
	if sys.ODirect == 0 {
		return unsupported(errors.ErrUnsupported)
	}
	f, err := c.OpenFile(name, flag|sys.ODirect, perm)
	if errors.Is(err, syscall.EINVAL) {
		return unsupported(fmt.Errorf("the file system has none: %w", errors.ErrUnsupported))
	}
	if err != nil {
		return nil, err
	}
	align, err := f.alignment()
	if err != nil {
		_ = f.Close()
		return unsupported(err)
	}
	return &Direct{f: f, align: align}, nil
}

// alignment asks the kernel, which knows since Linux 6.1 and for some file
// systems.
func (f *File) alignment() (Alignment, error) {
	if !f.offsets() {
		return Alignment{}, fmt.Errorf("it is neither a regular file nor a block device: %w", errors.ErrUnsupported)
	}
	var l sys.FileLimits
	err := f.raw(func(sysfd int) (err error) {
		l, err = sys.Limits(sysfd)
		return err
	})
	switch {
	case err != nil || !l.DirectKnown:
		return Alignment{pageAlignment, pageAlignment}, nil
	case l.OffsetAlign == 0:
		return Alignment{}, fmt.Errorf("the file cannot be read directly, for example because it is encrypted or its data are in a journal: %w", errors.ErrUnsupported)
	}
	return Alignment{int(l.MemoryAlign), int(l.OffsetAlign)}, nil
}

// AlignmentError says that a direct read or write was refused because something
// is no multiple of what it has to be. It matches syscall.EINVAL.
type AlignmentError struct {
	What string // "buffer", "offset" or "length"
	Want int    // of which it has to be a multiple, in bytes
	Got  int64  // what it is; of a buffer, by how many bytes it is beyond a multiple
}

// Error says what was given and what is needed.
func (e *AlignmentError) Error() string {
	if e.What == "buffer" {
		return fmt.Sprintf("direct I/O with a buffer that begins %d bytes beyond a multiple of %d (see AlignedBuffer)", e.Got, e.Want)
	}
	return fmt.Sprintf("direct I/O with the %s %d, which is no multiple of %d", e.What, e.Got, e.Want)
}

// Is reports whether target is syscall.EINVAL.
func (e *AlignmentError) Is(target error) bool { return target == error(syscall.EINVAL) }

// check refuses what the kernel would, or a disk.
func (d *Direct) check(op string, b []byte, off int64) error {
	var err error
	if m := sys.Misalignment(b, d.align.Memory); m != 0 && len(b) > 0 {
		err = &AlignmentError{"buffer", d.align.Memory, int64(m)}
	}
	if m := len(b) % d.align.Offset; m != 0 {
		err = &AlignmentError{"length", d.align.Offset, int64(len(b))}
	}
	if off%int64(d.align.Offset) != 0 {
		err = &AlignmentError{"offset", d.align.Offset, off}
	}
	return d.f.pathError(op, err)
}

// Alignment returns what buffers, offsets and lengths have to be multiples of.
func (d *Direct) Alignment() Alignment { return d.align }

// ReadAt reads len(b) bytes at offset off, in bytes. At the end of the file, which
// need not be a multiple of anything, it returns what there is, and io.EOF.
func (d *Direct) ReadAt(b []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, d.f.pathError("readat", errNegativeOffset)
	}
	if err := d.check("read", b, off); err != nil {
		return 0, err
	}
	for n < len(b) {
		m, err := d.readOnce(b[n:], off+int64(n))
		if err != nil {
			return n, d.f.pathError("read", err)
		}
		n += m
		if m == 0 || n%d.align.Offset != 0 { // only the end is no multiple
			return n, eofIfShort(n, len(b))
		}
	}
	return n, nil
}

func eofIfShort(n, want int) error {
	if n < want {
		return io.EOF
	}
	return nil
}

// readOnce reads once at an offset.
func (d *Direct) readOnce(b []byte, off int64) (n int, err error) {
	if d.f.ring != nil {
		return d.f.ring.ReadAt(b, off)
	}
	err = d.f.raw(func(sysfd int) error {
		n, err = sys.Pread(sysfd, b, off)
		return err
	})
	return max(n, 0), err
}

// WriteAt writes all of b at offset off, in bytes.
func (d *Direct) WriteAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, d.f.pathError("writeat", errNegativeOffset)
	}
	if err := d.check("write", b, off); err != nil {
		return 0, err
	}
	return d.f.WriteAt(b, off)
}

// WriteEnd writes b, of any length and anywhere in memory, at offset off, and
// makes the file end behind it: the way to write the last part of a file that is
// no multiple of anything. For a moment the file is longer, by zeros.
func (d *Direct) WriteEnd(b []byte, off int64) (int, error) {
	end := off + int64(len(b))
	size := (len(b) + d.align.Offset - 1) / d.align.Offset * d.align.Offset
	padded := AlignedBuffer(size, d.align.Memory)
	copy(padded, b)
	if n, err := d.WriteAt(padded, off); err != nil {
		return min(n, len(b)), err
	}
	return len(b), d.f.Truncate(end)
}

// WriteAtSync is WriteAt and SyncData, as one linked submission on a ring.
func (d *Direct) WriteAtSync(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, d.f.pathError("writeat", errNegativeOffset)
	}
	if err := d.check("write", b, off); err != nil {
		return 0, err
	}
	return d.f.WriteAtSync(b, off)
}

// WriteAtWith is WriteAt with flags; see File.WriteAtWith. With IOAtomic what is
// written is not torn even if the power fails.
func (d *Direct) WriteAtWith(b []byte, off int64, flags IOFlags) (int, error) {
	if err := d.check("write", b, off); err != nil {
		return 0, err
	}
	return d.f.WriteAtWith(b, off, flags)
}

// File returns the file underneath, for everything else: its name and size,
// Truncate, Sync, Fallocate and so on. Its own reads and writes are direct, too,
// and fail with EINVAL where they are not aligned.
func (d *Direct) File() *File { return d.f }

// Close waits for the operations under way and closes the file.
func (d *Direct) Close() error { return d.f.Close() }

// AlignedBuffer returns zeroed memory of size bytes that begins at a multiple of
// align, which has to be a power of two; 0 means 4096, which suits every disk. The
// memory is on Go's heap and belongs to the caller.
func AlignedBuffer(size, align int) []byte {
	if align == 0 {
		align = pageAlignment
	}
	if align < 0 || align&(align-1) != 0 {
		panic(fmt.Sprintf("file: AlignedBuffer at a multiple of %d: want a power of two", align))
	}
	mem := make([]byte, size+align-1)
	from := 0
	if m := sys.Misalignment(mem, align); m != 0 {
		from = align - m
	}
	return mem[from : from+size : from+size]
}

// BufferPool is buffers of one size to take and give back, aligned for direct
// reads and writes. Those that are not in use are garbage that the collector may
// take. Its methods may be called from any goroutine.
type BufferPool struct {
	size, align int
	pool        sync.Pool
}

// Buffer is memory from a BufferPool. Whoever holds it may use Bytes until Put.
type Buffer struct {
	Bytes []byte
	pool  *BufferPool
}

// NewBufferPool returns a pool of buffers of size bytes, aligned as AlignedBuffer
// does it.
func NewBufferPool(size, align int) *BufferPool {
	p := &BufferPool{size: size, align: align}
	p.pool.New = func() any { return &Buffer{Bytes: AlignedBuffer(size, align), pool: p} }
	return p
}

// Get takes a buffer. It contains what it did when it was put back.
func (p *BufferPool) Get() *Buffer { return p.pool.Get().(*Buffer) }

// Put gives the buffer back, whose Bytes must not be used any more, by an
// operation either. A slice of them that Bytes has been set to is made whole
// again.
func (b *Buffer) Put() {
	if cap(b.Bytes) != b.pool.size {
		return // it is another buffer by now
	}
	b.Bytes = b.Bytes[:b.pool.size]
	b.pool.pool.Put(b)
}

// ReadBlockAt reads from offset off into a block of memory that is registered with
// a ring of rt, which spares the kernel to look its pages up each time: it fits
// Direct files. It returns the number of bytes, 0 and io.EOF at the end of the
// file; it can be less than asked for. If ctx ends first, it waits until the kernel
// has let go of the block.
func (f *File) ReadBlockAt(ctx context.Context, rt *proactor.Runtime, b proactor.Block, off int64) (n int, err error) {
	err = f.control("read", func(sysfd int) error {
		n, err = proactor.Do(ctx, rt, proactor.ReadBlock{FD: sysfd, Block: b, Offset: off})
		return unwrapSyscall(err)
	})
	if n == 0 && err == nil && b.Len() > 0 {
		return 0, io.EOF
	}
	return n, err
}

// WriteBlockAt writes a block of registered memory at offset off. It returns the
// number of bytes written, which can be less than all. See ReadBlockAt.
func (f *File) WriteBlockAt(ctx context.Context, rt *proactor.Runtime, b proactor.Block, off int64) (n int, err error) {
	err = f.control("write", func(sysfd int) error {
		n, err = proactor.Do(ctx, rt, proactor.WriteBlock{FD: sysfd, Block: b, Offset: off})
		return unwrapSyscall(err)
	})
	return n, err
}

// Register puts the open file into a slot of a ring's own table, for operations
// of package proactor on it (proactor.Using), which then need not look it up. Both
// the File and the slot keep it open.
func (f *File) Register(d *proactor.DirectFile) error {
	return f.control("register", d.Put)
}

// unwrapSyscall leaves of an error of package proactor what an error of a file
// has.
func unwrapSyscall(err error) error {
	var se *os.SyscallError
	if errors.As(err, &se) {
		return se.Err
	}
	return err
}
