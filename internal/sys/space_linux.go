package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/uring"
)

// The flags of fallocate(2).
const (
	AllocKeepSize = unix.FALLOC_FL_KEEP_SIZE
	AllocPunch    = unix.FALLOC_FL_PUNCH_HOLE
	AllocZero     = unix.FALLOC_FL_ZERO_RANGE
	AllocCollapse = unix.FALLOC_FL_COLLAPSE_RANGE
	AllocInsert   = unix.FALLOC_FL_INSERT_RANGE
)

// The flags of preadv2(2) and pwritev2(2).
const (
	RwfDsync  = unix.RWF_DSYNC
	RwfSync   = unix.RWF_SYNC
	RwfAppend = unix.RWF_APPEND
	RwfNowait = unix.RWF_NOWAIT
	RwfAtomic = 0x40 // RWF_ATOMIC, since Linux 6.11
)

// ODirect is the flag of an open that bypasses the page cache.
const ODirect = unix.O_DIRECT

// The errors that say that a file system, or the kernel, does not have
// something.
const (
	ENOTSUP = syscall.EOPNOTSUPP
	ENOSYS  = syscall.ENOSYS
)

// Fallocate changes the space of a file.
func Fallocate(fd int, mode uint32, off, n int64) error {
	return again(func() error { return unix.Fallocate(fd, mode, off, n) })
}

// Fadvise announces how a part of a file will be used.
func Fadvise(fd int, off, n int64, advice int) error {
	return again(func() error { return unix.Fadvise(fd, off, n, advice) })
}

// SyncRange starts or awaits writing a part of a file to the disk.
func SyncRange(fd int, off, n int64, flags int) error {
	return again(func() error { return unix.SyncFileRange(fd, off, n, flags) })
}

// Fdatasync makes the content of a file durable.
func Fdatasync(fd int) error {
	return again(func() error { return unix.Fdatasync(fd) })
}

// Fsync makes a file or directory durable.
func Fsync(fd int) error {
	return again(func() error { return unix.Fsync(fd) })
}

// Clone makes dst share the blocks of src, all of it.
func Clone(dst, src int) error {
	return again(func() error { return unix.IoctlFileClone(dst, src) })
}

// CopyRange copies up to n bytes between two files, in the kernel, and returns
// how many.
func CopyRange(dst int, dstOff int64, src int, srcOff int64, n int) (int, error) {
	for {
		m, err := unix.CopyFileRange(src, &srcOff, dst, &dstOff, n, 0)
		if err != unix.EINTR {
			return max(m, 0), err
		}
	}
}

// SeekData returns where the next data of a file begin, at or behind off, and
// SeekHole where the next hole does. Both move the position of the open file.
// ENXIO says that there are no more.
func SeekData(fd int, off int64) (int64, error) { return unix.Seek(fd, off, unix.SEEK_DATA) }

// SeekHole is described at SeekData.
func SeekHole(fd int, off int64) (int64, error) { return unix.Seek(fd, off, unix.SEEK_HOLE) }

// again repeats a call that a signal has interrupted.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// Preadv reads into several buffers at an offset, or at CurrentPosition, with
// RWF_ flags, and waits as long as it takes.
func Preadv(fd int, bufs [][]byte, off int64, flags int) (int, error) {
	return vector(unix.SYS_PREADV2, fd, bufs, off, flags)
}

// Pwritev writes several buffers at an offset, or at CurrentPosition, with RWF_
// flags, and waits as long as it takes.
func Pwritev(fd int, bufs [][]byte, off int64, flags int) (int, error) {
	return vector(unix.SYS_PWRITEV2, fd, bufs, off, flags)
}

func vector(trap uintptr, fd int, bufs [][]byte, off int64, flags int) (int, error) {
	iovs := Iovecs(bufs)
	lo, hi := splitOffset(off)
	for {
		n, _, errno := syscall.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(iovs))),
			uintptr(len(iovs)), lo, hi, uintptr(flags))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// Iovecs returns the vectors of buffers, in the kernel's form.
func Iovecs(bufs [][]byte) []uring.Iovec {
	iovs := make([]uring.Iovec, len(bufs))
	for i, b := range bufs {
		iovs[i].SetBytes(b)
	}
	return iovs
}

// FileLimits is what a file asks of transfers that bypass the page cache or are
// not to be torn; zero where it does not say.
type FileLimits struct {
	DirectKnown              bool   // whether the next two are known
	MemoryAlign, OffsetAlign uint32 // of direct transfers, in bytes; 0 if they are impossible
	AtomicMin, AtomicMax     uint32 // bytes of one atomic write
	AtomicSegments           uint32 // buffers of one atomic write
	BlockSize                uint32 // preferred, in bytes
}

// Limits asks what a file asks of transfers.
func Limits(fd int) (FileLimits, error) {
	const (
		dioAlign    = 0x2000  // STATX_DIOALIGN, since Linux 6.1
		writeAtomic = 0x10000 // STATX_WRITE_ATOMIC, since Linux 6.11
	)
	var st unix.Statx_t
	err := again(func() error {
		return unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|dioAlign|writeAtomic, &st)
	})
	if err != nil {
		return FileLimits{}, err
	}
	l := FileLimits{BlockSize: st.Blksize}
	if st.Mask&dioAlign != 0 {
		l.DirectKnown = true
		l.MemoryAlign, l.OffsetAlign = st.Dio_mem_align, st.Dio_offset_align
	}
	if st.Mask&writeAtomic != 0 {
		l.AtomicMin, l.AtomicMax = st.Atomic_write_unit_min, st.Atomic_write_unit_max
		l.AtomicSegments = st.Atomic_write_segments_max
	}
	return l, nil
}

// Misalignment returns by how many bytes the address of a slice exceeds a
// multiple of align.
func Misalignment(b []byte, align int) int {
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % uintptr(align))
}

// Owner returns who owns the file that a FileInfo's Sys describes.
func Owner(sys any) (uid, gid int, ok bool) {
	st, ok := sys.(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}

// Blocks returns how many bytes of storage a file has that a FileInfo's Sys
// describes.
func Blocks(sys any) (int64, bool) {
	st, ok := sys.(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Blocks * 512, true
}

// TryLock takes the exclusive advisory lock of an open file, which ends with the
// last descriptor of that, and reports whether nobody had it.
func TryLock(fd int) (bool, error) {
	err := again(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if err == unix.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}

// Links returns how many names the open file has.
func Links(fd int) (int, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstat(fd, &st) })
	return int(st.Nlink), err
}
