package uring

import (
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// tempFile returns the descriptor of a new file with the given content.
func tempFile(t testing.TB, content string) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// readSlot reads up to 16 bytes through the ring.
func readSlot(t testing.TB, r *Ring, f File) (string, syscall.Errno) {
	t.Helper()
	buf := make([]byte, 16)
	cqe := submit1(t, r, func(s *SQE) { Read(s, f, buf, 0) })
	return string(buf[:max(cqe.Res, 0)]), cqe.Errno()
}

func TestRegisterFiles(t *testing.T) {
	r := newRing(t, 4, Params{})
	one, two := tempFile(t, "one"), tempFile(t, "two")
	files, err := r.RegisterFiles([]int32{int32(one), NoFile, int32(two)})
	require.NoError(t, err)
	require.Equal(t, 3, files.Len())
	require.NoError(t, unix.Close(one), "the table holds the file")

	for i, want := range []string{"one", "", "two"} {
		text, errno := readSlot(t, r, files.At(i))
		assert.Equal(t, want, text)
		if want == "" {
			assert.Equal(t, syscall.EBADF, errno, "an empty slot")
		}
	}
	var slots []File
	for i, f := range files.Slots() {
		assert.Equal(t, files.At(i), f)
		slots = append(slots, f)
		if i == 1 {
			break
		}
	}
	assert.Equal(t, []File{Slot(0), Slot(1)}, slots)
	assert.Panics(t, func() { files.At(3) })
	assert.Panics(t, func() { files.At(-1) })

	require.NoError(t, files.Unregister())
	_, errno := readSlot(t, r, files.At(0))
	assert.Equal(t, syscall.EBADF, errno)
}

func TestRegisterFilesErrors(t *testing.T) {
	r := newRing(t, 4, Params{})
	fd := int32(tempFile(t, ""))

	for _, empty := range [][]int32{nil, {}} {
		_, err := r.RegisterFiles(empty)
		assert.ErrorIs(t, err, syscall.EINVAL)
		assert.ErrorContains(t, err, "registering 0 files")
	}
	_, err := r.RegisterFiles([]int32{fd, -100})
	assert.ErrorIs(t, err, syscall.EBADF)
	assert.ErrorContains(t, err, "registering 2 files")
	assert.ErrorContains(t, err, "number 1 of them, -100, is not open")
	_, err = r.RegisterFiles([]int32{IORING_REGISTER_FILES_SKIP})
	assert.ErrorIs(t, err, syscall.EBADF, "there is nothing to leave as it is")
	_, err = r.RegisterFiles([]int32{int32(r.Fd())})
	assert.ErrorIs(t, err, syscall.EBADF, "rings in tables of rings would never be freed")
	_, err = r.RegisterFilesSparse(0)
	assert.ErrorIs(t, err, syscall.EINVAL)
	_, err = r.RegisterFilesSparse(-1)
	assert.ErrorIs(t, err, syscall.EINVAL)
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if limit.Cur < math.MaxInt32 {
		_, err = r.RegisterFilesSparse(int(limit.Cur) + 1)
		assert.ErrorIs(t, err, syscall.EMFILE)
		assert.ErrorContains(t, err, "RLIMIT_NOFILE")
	}

	files, err := r.RegisterFiles([]int32{fd})
	require.NoError(t, err, "the refused ones left nothing behind")
	_, err = r.RegisterFiles([]int32{fd})
	assert.ErrorIs(t, err, syscall.EBUSY)
	_, err = r.RegisterFilesSparse(4)
	assert.ErrorIs(t, err, syscall.EBUSY)

	require.NoError(t, files.Unregister())
	err = files.Unregister()
	assert.ErrorIs(t, err, syscall.ENXIO)
	assert.ErrorContains(t, err, "unregistering 1 files")
	_, err = files.Update(0, []int32{fd})
	assert.ErrorIs(t, err, syscall.ENXIO)
	assert.ErrorIs(t, files.SetAllocRange(0, 1), syscall.EINVAL)
}

func TestRegisterFilesOfAnotherThread(t *testing.T) {
	needKernel(t, Version{6, 0}, "SINGLE_ISSUER")
	lockThread(t)
	r := newRing(t, 1, Params{Flags: IORING_SETUP_SINGLE_ISSUER})
	elsewhere(func() {
		_, err := r.RegisterFilesSparse(1)
		assert.ErrorIs(t, err, syscall.EEXIST)
		assert.ErrorContains(t, err, "registering 1 empty slots for files")
	})
}

func TestUpdateFiles(t *testing.T) {
	needKernel(t, Version{5, 19}, "sparse tables")
	r := newRing(t, 4, Params{})
	files, err := r.RegisterFilesSparse(1024)
	require.NoError(t, err)
	fd, other := int32(tempFile(t, "one")), int32(tempFile(t, "other"))

	n, err := files.Update(713, []int32{fd, NoFile, other})
	require.NoError(t, err)
	require.Equal(t, 3, n)
	text, _ := readSlot(t, r, files.At(713))
	assert.Equal(t, "one", text)
	text, _ = readSlot(t, r, files.At(715))
	assert.Equal(t, "other", text)

	n, err = files.Update(713, []int32{IORING_REGISTER_FILES_SKIP, fd, NoFile})
	require.NoError(t, err)
	require.Equal(t, 3, n)
	for i, want := range map[int]string{713: "one", 714: "one", 715: ""} {
		text, _ = readSlot(t, r, files.At(i))
		assert.Equal(t, want, text, i)
	}
}

// TestUpdateFilesErrors includes an update that the kernel carries out in part
// and calls a success: iou did not look at the count.
func TestUpdateFilesErrors(t *testing.T) {
	r := newRing(t, 4, Params{})
	fd := int32(tempFile(t, "one"))
	files, err := r.RegisterFiles([]int32{NoFile, NoFile, NoFile, NoFile})
	require.NoError(t, err)

	n, err := files.Update(1, []int32{fd, fd, -100})
	assert.Equal(t, 2, n)
	assert.ErrorIs(t, err, syscall.EBADF)
	assert.ErrorContains(t, err, "updating 3 of 4 slots for files from slot 1 on")
	assert.ErrorContains(t, err, "number 0 of them, -100, is not open")
	for i, want := range []string{"", "one", "one", ""} {
		text, _ := readSlot(t, r, files.At(i))
		assert.Equal(t, want, text, i)
	}

	for _, c := range []struct{ at, n int }{{3, 2}, {4, 1}, {0, 5}, {-1, 1}, {math.MaxInt, 1}, {0, 0}} {
		fds := make([]int32, c.n)
		for i := range fds {
			fds[i] = fd
		}
		n, err := files.Update(c.at, fds)
		assert.ErrorIs(t, err, syscall.EINVAL, "%v", c)
		assert.Zero(t, n, "%v", c)
		_, err = files.UpdateTagged(c.at, fds, make([]uint64, c.n))
		assert.ErrorIs(t, err, syscall.EINVAL, "%v", c)
	}
	_, err = files.UpdateTagged(0, []int32{fd}, nil)
	assert.ErrorContains(t, err, "0 tags: want one for each")
}

// TestFileTags: a tag tells when the kernel has let go of a file.
func TestFileTags(t *testing.T) {
	needKernel(t, Version{5, 13}, "tags")
	testkit.Watchdog(t, hang)
	r := newRing(t, 8, Params{})
	near, far := socketPair(t)
	fd := int32(tempFile(t, "one"))
	_, err := r.RegisterFilesTagged([]int32{fd}, nil)
	require.ErrorContains(t, err, "registering 1 files: 0 tags")
	_, err = r.RegisterFilesTagged([]int32{NoFile}, []uint64{1})
	require.ErrorIs(t, err, syscall.EINVAL, "nothing to tag")
	files, err := r.RegisterFilesTagged([]int32{int32(near), fd, fd}, []uint64{100, 101, 0})
	require.NoError(t, err)

	n, err := files.UpdateTagged(1, []int32{fd, NoFile}, []uint64{102, 0})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	assert.Equal(t, uint64(101), one(t, r).UserData, "the first in slot 1; the one in slot 2 had no tag")

	buf := make([]byte, 1)
	Recv(next(t, r), files.At(0), buf, 0, 0)
	_, err = r.Submit()
	require.NoError(t, err)
	_, err = files.Update(0, []int32{NoFile})
	require.NoError(t, err)
	require.Zero(t, r.CQ().Ready(), "a request uses the file")
	write(t, far, "x")
	_, err = r.SubmitAndWait(2, hang)
	require.NoError(t, err)
	var seen []uint64
	for cqe := range r.CQ().All() {
		seen = append(seen, cqe.UserData)
	}
	assert.ElementsMatch(t, []uint64{0, 100}, seen)

	require.NoError(t, files.Unregister())
	assert.Equal(t, uint64(102), one(t, r).UserData, "the table is gone")
}

// TestFileAllocRange lets the kernel choose slots for new files, and passes the
// results on as files.
func TestFileAllocRange(t *testing.T) {
	needKernel(t, Version{6, 0}, "FILE_ALLOC_RANGE")
	r := newRing(t, 8, Params{})
	files, err := r.RegisterFilesSparse(6)
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("text"), 0o600))
	path, err := unix.BytePtrFromString(filepath.Join(dir, "file"))
	require.NoError(t, err)
	open := func(to Target) (File, error) {
		return to.File(submit1(t, r, func(s *SQE) {
			require.NoError(t, Openat(s, FD(AtCWD), path, unix.O_RDONLY, 0, to))
		}))
	}

	require.NoError(t, files.SetAllocRange(2, 2))
	for _, want := range []File{files.At(2), files.At(3)} {
		f, err := open(ToAnySlot)
		require.NoError(t, err)
		assert.Equal(t, want, f)
		text, _ := readSlot(t, r, f)
		assert.Equal(t, "text", text)
	}
	_, err = open(ToAnySlot)
	assert.Equal(t, syscall.ENFILE, err, "the range is full")
	f, err := open(ToSlot(5))
	require.NoError(t, err)
	assert.Equal(t, files.At(5), f, "outside of the range, by number")
	text, _ := readSlot(t, r, f)
	assert.Equal(t, "text", text)
	_, err = open(ToSlot(6))
	assert.Equal(t, syscall.EINVAL, err, "no such slot")
	_, err = open(ToSlot(math.MaxUint32))
	assert.Equal(t, syscall.EINVAL, err)

	cqe := submit1(t, r, func(s *SQE) { Close(s, files.At(3)) })
	require.Zero(t, cqe.Res)
	f, err = open(ToAnySlot)
	require.NoError(t, err)
	assert.Equal(t, files.At(3), f, "free again")

	for _, c := range [][2]int{{5, 2}, {7, 0}, {-1, 1}, {0, -1}, {0, 7}, {math.MaxInt, 1}, {1, math.MaxInt}} {
		err := files.SetAllocRange(c[0], c[1])
		assert.ErrorIs(t, err, syscall.EINVAL, "%v", c)
	}
	assert.ErrorContains(t, files.SetAllocRange(5, 2), "allocating from 2 of 6 slots for files from slot 5 on")
	require.NoError(t, files.SetAllocRange(0, 6))
	f, err = open(ToAnySlot)
	require.NoError(t, err)
	assert.Equal(t, files.At(0), f)
}

// TestDirectDescriptors makes files without descriptors by every operation that
// can, uses them, and makes a descriptor of one.
func TestDirectDescriptors(t *testing.T) {
	needKernel(t, Version{6, 16}, "PIPE")
	testkit.Watchdog(t, hang)
	r := newRing(t, 8, Params{})
	files, err := r.RegisterFilesSparse(8)
	require.NoError(t, err)
	made := func(to Target, fill func(s *SQE)) File {
		t.Helper()
		f, err := to.File(submit1(t, r, fill))
		require.NoError(t, err)
		return f
	}
	zero := func(fill func(s *SQE)) {
		t.Helper()
		cqe := submit1(t, r, fill)
		require.Zero(t, cqe.Res)
	}

	// A connection between two slots.
	listener := made(ToAnySlot, func(s *SQE) { Socket(s, unix.AF_INET, unix.SOCK_STREAM, 0, ToAnySlot) })
	address, size := loopback(t)
	zero(func(s *SQE) { Bind(s, listener, address, size) })
	zero(func(s *SQE) { Listen(s, listener, 1) })
	name := sockName(t, r, listener)
	client := made(ToSlot(7), func(s *SQE) { Socket(s, unix.AF_INET, unix.SOCK_STREAM, 0, ToSlot(7)) })
	require.Equal(t, files.At(7), client)
	zero(func(s *SQE) { Connect(s, client, name, size) })
	server := made(ToAnySlot, func(s *SQE) { Accept(s, listener, nil, nil, 0, 0, ToAnySlot) })
	buf := make([]byte, 8)
	cqe := submit1(t, r, func(s *SQE) { Send(s, client, []byte("hello"), 0, 0) })
	require.Equal(t, int32(5), cqe.Res)
	cqe = submit1(t, r, func(s *SQE) { Recv(s, server, buf, 0, 0) })
	require.Equal(t, "hello", string(buf[:cqe.Res]))
	zero(func(s *SQE) { Shutdown(s, client, unix.SHUT_WR) })
	cqe = submit1(t, r, func(s *SQE) { Recv(s, server, buf, 0, 0) })
	require.Zero(t, cqe.Res)

	// The kernel does not close on exec what is in no process's table.
	for _, fill := range []func(s *SQE){
		func(s *SQE) { Socket(s, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0, ToAnySlot) },
		func(s *SQE) { Accept(s, listener, nil, nil, unix.SOCK_CLOEXEC, 0, ToAnySlot) },
		func(s *SQE) { Accept(s, listener, nil, nil, 0, IORING_ACCEPT_MULTISHOT, ToSlot(1)) },
	} {
		cqe := submit1(t, r, fill)
		require.Equal(t, syscall.EINVAL, cqe.Errno())
	}

	// A pipe in two slots, spliced to the connection.
	ends := new([2]int32)
	zero(func(s *SQE) { Pipe(s, ends, 0, ToSlot(4)) })
	require.Equal(t, [2]int32{4, 5}, *ends, "the slots, not zero")
	cqe = submit1(t, r, func(s *SQE) { Write(s, files.At(5), []byte("piped"), CurrentPosition) })
	require.Equal(t, int32(5), cqe.Res)
	cqe = submit1(t, r, func(s *SQE) { Splice(s, files.At(4), -1, server, -1, 5, 0) })
	require.Equal(t, int32(5), cqe.Res)
	cqe = submit1(t, r, func(s *SQE) { Recv(s, client, buf, 0, 0) })
	require.Equal(t, "piped", string(buf[:cqe.Res]))

	fd := made(ToFD, func(s *SQE) { require.NoError(t, FixedFDInstall(s, server, 0)) })
	zero(func(s *SQE) { Close(s, server) })
	_, err = unix.Write(fd.Number(), []byte("bye"))
	require.NoError(t, err)
	zero(func(s *SQE) { Close(s, fd) })
	cqe = submit1(t, r, func(s *SQE) { Recv(s, client, buf, 0, 0) })
	require.Equal(t, "bye", string(buf[:cqe.Res]))
}

// loopback returns the address of any port of the loopback interface, for bind.
func loopback(t testing.TB) (address unsafe.Pointer, size uint32) {
	t.Helper()
	sa := &unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1}}
	return unsafe.Pointer(sa), uint32(unsafe.Sizeof(*sa))
}

// sockName returns the address that a registered socket is bound to.
func sockName(t testing.TB, r *Ring, f File) unsafe.Pointer {
	t.Helper()
	cqe := submit1(t, r, func(s *SQE) { require.NoError(t, FixedFDInstall(s, f, 0)) })
	require.Zero(t, cqe.Errno())
	defer func() { require.NoError(t, unix.Close(int(cqe.Res))) }()
	name, err := unix.Getsockname(int(cqe.Res))
	require.NoError(t, err)
	in := name.(*unix.SockaddrInet4)
	sa := &unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: in.Addr}
	port := (*[2]byte)(unsafe.Pointer(&sa.Port))
	port[0], port[1] = byte(in.Port>>8), byte(in.Port)
	return unsafe.Pointer(sa)
}
