package proactor_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

// do does an operation that must succeed.
func do[T any, O proactor.Operation[T]](t *testing.T, rt *proactor.Runtime, op O) T {
	t.Helper()
	v, err := proactor.Do(t.Context(), rt, op)
	require.NoError(t, err)
	return v
}

// fail does an operation that must fail, and checks the errno and the name of
// the call.
func fail[T any, O proactor.Operation[T]](t *testing.T, rt *proactor.Runtime, op O, call string, errno syscall.Errno) {
	t.Helper()
	_, err := proactor.Do(t.Context(), rt, op)
	requireErrno(t, err, call, errno)
}

// refuse prepares an operation that makes no sense.
func refuse[T any, O proactor.Operation[T]](t *testing.T, rt *proactor.Runtime, op O) {
	t.Helper()
	_, err := proactor.Do(t.Context(), rt, op)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "proactor: ")
	_, err = proactor.Submit(t.Context(), rt, op)
	require.ErrorIs(t, err, syscall.EINVAL)
}

const badFD = 1 << 20

func TestVectors(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f := tempFile(t)
		fd := int(f.Fd())
		n := do(t, rt, proactor.WriteVec{FD: fd, Bufs: [][]byte{[]byte("one"), nil, []byte("two")}, Offset: 2})
		require.Equal(t, 6, n)
		n = do(t, rt, proactor.WriteVec{FD: fd, Bufs: [][]byte{[]byte("0"), []byte("1")}, Offset: proactor.CurrentPosition})
		require.Equal(t, 2, n)
		a, b := make([]byte, 5), make([]byte, 10)
		n = do(t, rt, proactor.ReadVec{FD: fd, Bufs: [][]byte{a, b}})
		require.Equal(t, 8, n)
		require.Equal(t, "01onetwo", string(a)+string(b[:3]))
		n = do(t, rt, proactor.ReadVec{FD: fd, Bufs: [][]byte{b}, Offset: proactor.CurrentPosition})
		require.Equal(t, "onetwo", string(b[:n]), "the position has advanced")
		require.Zero(t, do(t, rt, proactor.ReadVec{FD: fd}))
		fail(t, rt, proactor.ReadVec{FD: badFD, Bufs: [][]byte{a}}, "readv", syscall.EBADF)
		fail(t, rt, proactor.WriteVec{FD: badFD, Bufs: [][]byte{a}}, "writev", syscall.EBADF)
		refuse(t, rt, proactor.ReadVec{FD: fd, Offset: -2})
		refuse(t, rt, proactor.WriteVec{FD: fd, Bufs: make([][]byte, 1025)})
	})
}

func TestFileSpace(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f := tempFile(t)
		fd := int(f.Fd())
		do(t, rt, proactor.Allocate{FD: fd, Offset: 4096, Len: 4096})
		info, err := f.Stat()
		require.NoError(t, err)
		require.EqualValues(t, 8192, info.Size())
		fail(t, rt, proactor.Allocate{FD: fd, Offset: -1, Len: 1}, "fallocate", syscall.EINVAL)

		do(t, rt, proactor.Advise{FD: fd, Len: 4096, Advice: 3 /* POSIX_FADV_WILLNEED */})
		fail(t, rt, proactor.Advise{FD: fd, Advice: 99}, "fadvise", syscall.EINVAL)
		refuse(t, rt, proactor.Advise{FD: fd, Len: 1 << 32})

		do(t, rt, proactor.SyncRange{FD: fd, Len: 4096, Flags: 2 /* SYNC_FILE_RANGE_WRITE */})
		fail(t, rt, proactor.SyncRange{FD: badFD}, "sync_file_range", syscall.EBADF)
		refuse(t, rt, proactor.SyncRange{FD: fd, Offset: -1})
	})
}

func TestAdviseMemory(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		page := os.Getpagesize()
		mem, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		require.NoError(t, err)
		defer func() { require.NoError(t, syscall.Munmap(mem)) }()
		mem[0], mem[page] = 1, 1
		do(t, rt, proactor.AdviseMemory{Memory: mem[:page], Advice: syscall.MADV_DONTNEED})
		require.Zero(t, mem[0], "the page is gone")
		require.EqualValues(t, 1, mem[page], "the next is not")
		fail(t, rt, proactor.AdviseMemory{Memory: mem, Advice: 9999}, "madvise", syscall.EINVAL)
		refuse(t, rt, proactor.AdviseMemory{Memory: mem[1 : page+1], Advice: syscall.MADV_DONTNEED})
		refuse(t, rt, proactor.AdviseMemory{Memory: mem[:page-1], Advice: syscall.MADV_DONTNEED})
	})
}

func TestSpliceAndTee(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f := tempFile(t)
		_, err := f.WriteString("0123456789")
		require.NoError(t, err)
		r1, w1 := pipe(t)
		r2, w2 := pipe(t)
		n := do(t, rt, proactor.Splice{From: int(f.Fd()), FromOffset: 2, To: w1, ToOffset: proactor.CurrentPosition, Len: 5})
		require.Equal(t, 5, n)
		require.Equal(t, 5, do(t, rt, proactor.Tee{From: r1, To: w2, Len: 100}))
		buf := make([]byte, 16)
		for _, r := range []int{r1, r2} {
			n := do(t, rt, proactor.Read{FD: r, Buf: buf})
			require.Equal(t, "23456", string(buf[:n]))
		}
		fail(t, rt, proactor.Splice{From: int(f.Fd()), To: int(f.Fd()), Len: 1}, "splice", syscall.EINVAL)
		fail(t, rt, proactor.Tee{From: r1, To: int(f.Fd()), Len: 1}, "tee", syscall.EINVAL)
		refuse(t, rt, proactor.Splice{From: r1, To: w2, Len: -1})
		refuse(t, rt, proactor.Tee{From: r1, To: w2, Len: -1})
	})
}

func TestFixedWithoutBuffers(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		fd := int(tempFile(t).Fd())
		fail(t, rt, proactor.ReadFixed{FD: fd, Buf: make([]byte, 8)}, "read", syscall.EFAULT)
		fail(t, rt, proactor.WriteFixed{FD: fd, Buf: make([]byte, 8)}, "write", syscall.EFAULT)
		refuse(t, rt, proactor.ReadFixed{FD: fd, Offset: -2})
		refuse(t, rt, proactor.WriteFixed{FD: fd, Offset: -2})
	})
}

func TestUpdateFilesRefuses(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		fail(t, rt, proactor.UpdateFiles{FDs: []int32{-1}}, "files_update", syscall.ENXIO)
		fail(t, rt, proactor.InstallFile{Slot: 1}, "fixed_fd_install", syscall.EBADF)
		refuse(t, rt, proactor.UpdateFiles{})
		refuse(t, rt, proactor.UpdateFiles{First: -1, FDs: []int32{-1}})
	})
}

func TestProvidedBuffers(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		do(t, rt, proactor.ProvideBuffers{Group: 5, First: 10, Memory: make([]byte, 8*64), Size: 64})
		require.Equal(t, 3, do(t, rt, proactor.RemoveBuffers{Group: 5, N: 3}))
		require.Equal(t, 5, do(t, rt, proactor.RemoveBuffers{Group: 5, N: 100}))
		fail(t, rt, proactor.RemoveBuffers{Group: 6, N: 1}, "remove_buffers", syscall.ENOENT)
		refuse(t, rt, proactor.RemoveBuffers{Group: 5})
		refuse(t, rt, proactor.ProvideBuffers{Memory: make([]byte, 100), Size: 64})
		refuse(t, rt, proactor.ProvideBuffers{Memory: make([]byte, 128), Size: 64, First: 65535})
	})
}
