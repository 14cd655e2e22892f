package uring

import (
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestFsync makes files durable, whole or in part.
func TestFsync(t *testing.T) {
	p := prove(t, IORING_OP_FSYNC, IORING_OP_SYNC_FILE_RANGE)
	l := p.ring(4, Params{})
	fd, _ := newFile(p, "text")
	require.Zero(p, l.ok(func(s *SQE) { s.PrepFsync(fd, 0) }))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepFsync(fd, IORING_FSYNC_DATASYNC) }))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepFsyncRange(fd, 1, 2, 0) }))
	require.Zero(p, l.ok(func(s *SQE) {
		s.PrepSyncFileRange(fd, 0, 4, unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	}))

	r, _ := newPipe(p)
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepFsync(r, 0) }) // a pipe has nothing to sync
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepFsync(fd, 1<<31) })
	l.fails(syscall.ESPIPE, func(s *SQE) { s.PrepSyncFileRange(r, 0, 4, unix.SYNC_FILE_RANGE_WRITE) })
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepSyncFileRange(fd, 0, 4, 1<<30) })
}

// TestFileSizes changes what a file holds and takes.
func TestFileSizes(t *testing.T) {
	p := prove(t, IORING_OP_FALLOCATE, IORING_OP_FTRUNCATE)
	l := p.ring(4, Params{})
	fd, path := newFile(p, "0123456789")
	size := func() int64 {
		info, err := os.Stat(path)
		require.NoError(p, err)
		return info.Size()
	}
	require.Zero(p, l.ok(func(s *SQE) { s.PrepFtruncate(fd, 4) }))
	require.Equal(p, "0123", contents(p, path))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepFtruncate(fd, 6) }))
	require.Equal(p, "0123\x00\x00", contents(p, path))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepFallocate(fd, 0, 4096, 4096) }))
	require.EqualValues(p, 8192, size())
	require.Zero(p, l.ok(func(s *SQE) { s.PrepFallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 8192, 4096) }))
	require.EqualValues(p, 8192, size())
	require.Zero(p, l.ok(func(s *SQE) {
		s.PrepFallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 2)
	}))
	require.Equal(p, "\x00\x0023", contents(p, path)[:4])

	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepFallocate(fd, 0, 0, 0) })
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepFtruncate(fd, -1) })
	ro, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Close(ro) })
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepFtruncate(ro, 0) })
	l.fails(syscall.EBADF, func(s *SQE) { s.PrepFallocate(ro, 0, 0, 10) })
}

// TestAdvice for files and for memory.
func TestAdvice(t *testing.T) {
	p := prove(t, IORING_OP_FADVISE, IORING_OP_MADVISE)
	l := p.ring(4, Params{})
	fd, _ := newFile(p, "text")
	require.Zero(p, l.ok(func(s *SQE) { s.PrepFadvise(fd, 0, 0, unix.FADV_SEQUENTIAL) }))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepFadvise(fd, 1, 2, unix.FADV_DONTNEED) }))
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepFadvise(fd, 0, 0, 99) })
	r, _ := newPipe(p)
	l.fails(syscall.ESPIPE, func(s *SQE) { s.PrepFadvise(r, 0, 0, unix.FADV_SEQUENTIAL) })

	page := os.Getpagesize()
	mem, err := mapPrivate(2 * page)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Munmap(mem) })
	base := unsafe.Pointer(&mem[0])
	mem[0], mem[page] = 1, 2
	require.Zero(p, l.ok(func(s *SQE) { s.PrepMadvise(base, uint32(page), unix.MADV_DONTNEED) }))
	require.Equal(p, []byte{0, 2}, []byte{mem[0], mem[page]}, "the first page was dropped")
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepMadvise(unsafe.Add(base, 1), 1, unix.MADV_DONTNEED) })

	needKernel(p, Version{6, 11}, "lengths of 64 bits")
	require.Zero(p, l.ok(func(s *SQE) { s.PrepFadvise64(fd, 0, 1<<33, unix.FADV_DONTNEED) }))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepMadvise64(base, uint64(2*page), unix.MADV_DONTNEED) }))
	require.Zero(p, mem[page])
	// The end lies before the beginning. (A length that merely exceeds the mapping
	// would drop whatever lies behind it.)
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepMadvise64(base, -uint64(page), unix.MADV_DONTNEED) })
}

// TestStatx tells the attributes of a file, in the form of this package and in
// that of the system calls.
func TestStatx(t *testing.T) {
	p := prove(t, IORING_OP_STATX)
	l := p.ring(4, Params{})
	fd, path := newFile(p, "text")
	require.NoError(p, os.Chmod(path, 0o640|os.ModeSetuid))
	when := time.Unix(1234567890, 987654321)
	require.NoError(p, os.Chtimes(path, when, when))
	want := new(unix.Statx_t)
	require.NoError(p, unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_ALL, want))

	statx := func(dir int, path string, flags int32, buf *StatxResult) func(*SQE) {
		return func(s *SQE) { s.PrepStatx(dir, l.path(path), flags, unix.STATX_ALL, buf.Memory()) }
	}
	got := new(StatxResult)
	require.Zero(p, l.ok(statx(AtCWD, path, 0, got)))
	require.Equal(p, *want, *(*unix.Statx_t)(got.Memory()), "every byte of it")
	require.Equal(p, os.ModeSetuid|0o640, got.FileMode())
	require.EqualValues(p, 4, got.Size)
	require.True(p, when.Equal(got.Mtime.Time()))
	require.NotZero(p, got.Ino)
	require.Equal(p, uint32(os.Getuid()), got.UID)

	byFd := new(StatxResult)
	require.Zero(p, l.ok(statx(fd, "", unix.AT_EMPTY_PATH, byFd)))
	require.Equal(p, got.Ino, byFd.Ino)
	require.Zero(p, l.ok(statx(AtCWD, "/dev/null", 0, byFd)))
	require.Equal(p, os.ModeDevice|os.ModeCharDevice|0o666, byFd.FileMode())

	l.fails(syscall.ENOENT, statx(AtCWD, path+"x", 0, got))
	l.fails(syscall.ENOTDIR, statx(AtCWD, path+"/x", 0, got))
	l.fails(syscall.EINVAL, statx(AtCWD, path, 1<<30, got))
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepStatx(AtCWD, l.path(path), 0, unix.STATX_ALL, nil) })
}
