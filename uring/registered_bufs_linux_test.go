package uring

import (
	"bytes"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// readInto reads from the start of the file and returns what is then in the
// buffer.
func readInto(t testing.TB, r *Ring, fd int, b FixedBuf) (string, syscall.Errno) {
	t.Helper()
	cqe := submit1(t, r, func(s *SQE) { Read(s, FD(fd), b, 0) })
	return string(b.Bytes()[:max(cqe.Res, 0)]), cqe.Errno()
}

func TestRegisterBuffers(t *testing.T) {
	r := newRing(t, 4, Params{})
	fd := tempFile(t, "0123456789")
	mem := make([]byte, 32)
	bufs, err := r.RegisterBuffers([][]byte{mem[:4], nil, mem[8:24]})
	require.NoError(t, err)
	require.Equal(t, 3, bufs.Len())
	require.Equal(t, 4, cap(bufs.At(0).Bytes()), "what lies behind is not registered")
	assert.Panics(t, func() { bufs.At(3) })
	assert.Panics(t, func() { bufs.At(-1) })

	text, _ := readInto(t, r, fd, bufs.At(0))
	assert.Equal(t, "0123", text)
	text, _ = readInto(t, r, fd, bufs.At(2).Slice(2, 8))
	assert.Equal(t, "012345", text)
	assert.Equal(t, "\x00\x00012345\x00", string(mem[8:17]), "the part, and nothing else")
	require.Zero(t, bufs.At(1).Len())
	_, errno := readInto(t, r, fd, FixedBytes(mem[:4], 1))
	assert.Equal(t, syscall.EFAULT, errno, "an empty slot")
	_, errno = readInto(t, r, fd, FixedBytes(mem[:5], 0))
	assert.Equal(t, syscall.EFAULT, errno, "beyond the buffer")
	_, errno = readInto(t, r, fd, FixedBytes(mem[:4], 3))
	assert.Equal(t, syscall.EFAULT, errno, "no such slot")

	cqe := submit1(t, r, func(s *SQE) { Write(s, FD(fd), bufs.At(2).Slice(3, 5), 8) })
	require.Equal(t, int32(2), cqe.Res)
	text, _ = readInto(t, r, fd, bufs.At(2))
	assert.Equal(t, "0123456712", text)

	require.NoError(t, bufs.Unregister())
	_, errno = readInto(t, r, fd, bufs.At(0))
	assert.Equal(t, syscall.EFAULT, errno)
}

func TestRegisterBuffersErrors(t *testing.T) {
	r := newRing(t, 4, Params{})
	mem := make([]byte, 4096)

	for _, empty := range [][][]byte{nil, {}} {
		_, err := r.RegisterBuffers(empty)
		assert.ErrorIs(t, err, syscall.EINVAL)
		assert.ErrorContains(t, err, "registering 0 buffers")
	}
	_, err := r.RegisterBuffersSparse(0)
	assert.ErrorIs(t, err, syscall.EINVAL)
	_, err = r.RegisterBuffersSparse(-1)
	assert.ErrorIs(t, err, syscall.EINVAL)
	_, err = r.RegisterBuffersSparse(1 << 20)
	assert.ErrorIs(t, err, syscall.EINVAL, "more than the kernel's limit")
	_, err = r.RegisterBuffersTagged([][]byte{mem}, nil)
	assert.ErrorContains(t, err, "registering 1 buffers: 0 tags: want one for each")
	_, err = r.RegisterBuffersTagged([][]byte{nil}, []uint64{1})
	assert.ErrorIs(t, err, syscall.EINVAL, "nothing to tag")

	gone, err := unix.Mmap(-1, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	hole := unsafe.Slice((*byte)(unsafe.Pointer(&gone[0])), 8192)
	require.NoError(t, unix.Mprotect(gone[4096:], unix.PROT_NONE))
	_, err = r.RegisterBuffers([][]byte{mem, hole})
	assert.ErrorIs(t, err, syscall.EFAULT, "not accessible")
	assert.ErrorContains(t, err, "registering 2 buffers")
	require.NoError(t, unix.Munmap(gone))

	bufs, err := r.RegisterBuffers([][]byte{mem})
	require.NoError(t, err, "the refused ones left nothing behind")
	_, err = r.RegisterBuffers([][]byte{mem})
	assert.ErrorIs(t, err, syscall.EBUSY)
	require.NoError(t, bufs.Unregister())
	err = bufs.Unregister()
	assert.ErrorIs(t, err, syscall.ENXIO)
	assert.ErrorContains(t, err, "unregistering 1 buffers")
	_, err = bufs.Update(0, [][]byte{mem})
	assert.ErrorIs(t, err, syscall.ENXIO)
}

// TestRegisterHugeBuffer is about the size of one buffer. The memory is only an
// address range, which nothing touches.
func TestRegisterHugeBuffer(t *testing.T) {
	r := newRing(t, 4, Params{})
	huge, err := unix.Mmap(-1, 0, MaxFixedBuf+1, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(huge)) }()
	_, err = r.RegisterBuffers([][]byte{{1}, huge})
	assert.ErrorIs(t, err, syscall.EFAULT)
	assert.ErrorContains(t, err, "number 1 of them has 1073741825 bytes, more than 1073741824")
}

// TestRegisterBuffersBeyondTheLimit runs in a process that may lock little memory.
func TestRegisterBuffersBeyondTheLimit(t *testing.T) {
	needRing(t)
	if !child(t) {
		return
	}
	runtime.LockOSThread() // the thread ends with the process
	if unix.Geteuid() == 0 {
		dropLockingRights(t)
	}
	limit := unix.Rlimit{Cur: 4 << 20, Max: 4 << 20}
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_MEMLOCK, &limit))
	r := newRing(t, 1, Params{})
	_, err := r.RegisterBuffers([][]byte{make([]byte, 8<<20)})
	assert.ErrorIs(t, err, syscall.ENOMEM)
	assert.ErrorContains(t, err, "RLIMIT_MEMLOCK")
	_, err = r.RegisterBuffers([][]byte{make([]byte, 1<<10)})
	assert.NoError(t, err)
}

// dropLockingRights takes the capability from the thread that exempts from the
// limit of locked memory.
func dropLockingRights(t *testing.T) {
	t.Helper()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	require.NoError(t, unix.Capget(&hdr, &data[0]))
	data[0].Effective &^= 1 << unix.CAP_IPC_LOCK
	require.NoError(t, unix.Capset(&hdr, &data[0]))
}

func TestUpdateBuffers(t *testing.T) {
	needKernel(t, Version{5, 19}, "sparse tables")
	r := newRing(t, 4, Params{})
	fd := tempFile(t, "0123456789")
	bufs, err := r.RegisterBuffersSparse(4)
	require.NoError(t, err)
	one, two := make([]byte, 4), make([]byte, 6)
	n, err := bufs.Update(1, [][]byte{one, two})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	text, _ := readInto(t, r, fd, bufs.At(2))
	assert.Equal(t, "012345", text)
	assert.Equal(t, "012345", string(two))

	n, err = bufs.Update(1, [][]byte{two, nil})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	text, _ = readInto(t, r, fd, bufs.At(1))
	assert.Equal(t, "012345", text)
	assert.Zero(t, bufs.At(2).Len())
	_, errno := readInto(t, r, fd, FixedBytes(two, 2))
	assert.Equal(t, syscall.EFAULT, errno)

	// What comes before the slot with an error is done, and the handles say what
	// the kernel has.
	gone, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(gone)) }()
	n, err = bufs.Update(0, [][]byte{one, gone, one})
	assert.Equal(t, 1, n)
	assert.ErrorIs(t, err, syscall.EFAULT)
	assert.ErrorContains(t, err, "updating 3 of 4 slots for buffers from slot 0 on")
	assert.Equal(t, []int{4, 6, 0, 0}, []int{bufs.At(0).Len(), bufs.At(1).Len(), bufs.At(2).Len(), bufs.At(3).Len()})
	text, _ = readInto(t, r, fd, bufs.At(0))
	assert.Equal(t, "0123", text)
	text, _ = readInto(t, r, fd, bufs.At(1))
	assert.Equal(t, "012345", text, "the one before")

	for _, c := range []struct{ at, n int }{{3, 2}, {4, 1}, {0, 5}, {-1, 1}, {0, 0}} {
		n, err := bufs.Update(c.at, make([][]byte, c.n))
		assert.ErrorIs(t, err, syscall.EINVAL, "%v", c)
		assert.Zero(t, n)
	}
	_, err = bufs.UpdateTagged(0, [][]byte{one}, nil)
	assert.ErrorContains(t, err, "0 tags: want one for each")
}

// TestBufferTags: a tag tells when the kernel has let go of a buffer.
func TestBufferTags(t *testing.T) {
	needKernel(t, Version{5, 13}, "tags")
	testkit.Watchdog(t, hang)
	r := newRing(t, 8, Params{})
	mem := make([]byte, 8)
	bufs, err := r.RegisterBuffersTagged([][]byte{mem[:4], mem[4:]}, []uint64{100, 101})
	require.NoError(t, err)
	near, far := socketPair(t)

	Read(next(t, r), FD(near), bufs.At(0), CurrentPosition)
	_, err = r.Submit()
	require.NoError(t, err)
	n, err := bufs.UpdateTagged(0, [][]byte{make([]byte, 4), make([]byte, 4)}, []uint64{102, 0})
	require.NoError(t, err)
	require.Equal(t, 2, n)
	assert.Equal(t, uint64(101), one(t, r).UserData, "nobody used it")
	require.Zero(t, r.CQ().Ready(), "a request uses the other")
	write(t, far, "text")
	_, err = r.SubmitAndWait(2, hang)
	require.NoError(t, err)
	var seen []uint64
	for cqe := range r.CQ().All() {
		seen = append(seen, cqe.UserData)
	}
	assert.ElementsMatch(t, []uint64{0, 100}, seen)
	assert.Equal(t, "text", string(mem[:4]), "in the memory that it was submitted for")
	require.NoError(t, bufs.Unregister())
	assert.Equal(t, uint64(102), one(t, r).UserData)
}

func TestCloneBuffers(t *testing.T) {
	needKernel(t, Version{6, 13}, "CLONE_BUFFERS")
	a, b := newRing(t, 4, Params{}), newRing(t, 4, Params{})
	fd := tempFile(t, "0123456789")
	mem := make([]byte, 16)
	from, err := a.RegisterBuffers([][]byte{mem[:4], nil, mem[8:]})
	require.NoError(t, err)

	to, err := b.CloneBuffers(from)
	require.NoError(t, err)
	require.Equal(t, 3, to.Len())
	text, _ := readInto(t, b, fd, to.At(2))
	assert.Equal(t, "01234567", text)
	assert.Equal(t, text, string(mem[8:]), "the same memory")
	_, err = b.CloneBuffers(from)
	assert.ErrorIs(t, err, syscall.EBUSY)
	assert.ErrorContains(t, err, "cloning 3 buffers")

	require.NoError(t, from.Unregister())
	text, _ = readInto(t, b, fd, to.At(0))
	assert.Equal(t, "0123", text, "each ring has its own registration")
	require.NoError(t, to.Unregister())
	_, err = b.CloneBuffers(from)
	assert.ErrorIs(t, err, syscall.ENXIO)

	from, err = a.RegisterBuffers([][]byte{mem[:4], mem[4:12]})
	require.NoError(t, err)
	to, err = b.RegisterBuffersSparse(4)
	require.NoError(t, err)
	require.NoError(t, to.Clone(2, from, 0, 2))
	text, _ = readInto(t, b, fd, to.At(3))
	assert.Equal(t, "01234567", text)
	require.Equal(t, uint16(3), to.At(3).Index())
	require.NoError(t, to.Clone(0, to, 3, 1), "within a ring")
	text, _ = readInto(t, b, fd, to.At(0))
	assert.Equal(t, "01234567", text)
	require.Equal(t, []int{8, 0, 4, 8}, []int{to.At(0).Len(), to.At(1).Len(), to.At(2).Len(), to.At(3).Len()})
	for _, c := range [][3]int{{3, 0, 2}, {0, 1, 2}, {0, 0, 0}, {-1, 0, 1}, {0, -1, 1}, {5, 0, 1}, {0, 3, 1}, {0, 0, 5}} {
		err := to.Clone(c[0], from, c[1], c[2])
		assert.ErrorIs(t, err, syscall.EINVAL, "%v", c)
	}
	assert.ErrorContains(t, to.Clone(3, from, 0, 2), "cloning 2 of 2 buffers from slot 0 on to 4 slots from slot 3 on")
}

// TestVectorInRegisteredBuffer reads and writes pieces of a buffer, by a file and
// without a copy by a socket.
func TestVectorInRegisteredBuffer(t *testing.T) {
	needKernel(t, Version{6, 15}, "READV_FIXED")
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{})
	fd := tempFile(t, "0123456789")
	mem := bytes.Repeat([]byte{'.'}, 16)
	bufs, err := r.RegisterBuffers([][]byte{make([]byte, 8), mem})
	require.NoError(t, err)
	b, iov := bufs.At(1), make([]Iovec, 2)
	v, err := NewFixedVector(iov, b.Slice(8, 11), b.Slice(1, 3))
	require.NoError(t, err)

	cqe := submit1(t, r, func(s *SQE) { Read(s, FD(fd), v, 1) })
	require.Equal(t, int32(5), cqe.Res)
	assert.Equal(t, ".45.....123.....", string(mem))
	cqe = submit1(t, r, func(s *SQE) { Write(s, FD(fd), v, 0) })
	require.Equal(t, int32(5), cqe.Res)
	text, _ := readInto(t, r, fd, bufs.At(0))
	assert.Equal(t, "12345567", text)

	outside, err := NewFixedVector(iov, b.Slice(0, 1), FixedBytes(bufs.At(0).Bytes(), 1))
	require.NoError(t, err, "by hand it can be told a lie")
	cqe = submit1(t, r, func(s *SQE) { Read(s, FD(fd), outside, 0) })
	assert.Equal(t, syscall.EFAULT, cqe.Errno(), "which the kernel does not believe")

	near, far := tcpPair(t)
	msg := &unix.Msghdr{Iov: (*unix.Iovec)(unsafe.Pointer(&iov[0]))}
	msg.SetIovlen(len(iov))
	for i, send := range []func(s *SQE){
		func(s *SQE) { SendZC(s, FD(near), b.Slice(8, 11), 0, 0) },
		func(s *SQE) { SendMsgZCFixed(s, FD(near), unsafe.Pointer(msg), b.Index(), 0, 0) },
		func(s *SQE) { SendZC(s, FD(near), iov, 0, 0) },
		func(s *SQE) { Send(s, FD(near), iov, 0, 0) },
	} {
		v, err = NewFixedVector(iov, b.Slice(8, 11), b.Slice(1, 3))
		require.NoError(t, err)
		for _, errno := range results(t, r, send) {
			require.Zero(t, errno, "send %d", i)
		}
	}
	got := make([]byte, 18)
	for n := 0; n < len(got); {
		m, err := unix.Read(far, got[n:])
		require.NoError(t, err)
		require.NotZero(t, m)
		n += m
	}
	assert.Equal(t, "123123451234512345", string(got))
}

// tcpPair returns two connected sockets.
func tcpPair(t testing.TB) (a, b int) {
	t.Helper()
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer func() { _ = unix.Close(l) }()
	require.NoError(t, unix.Bind(l, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(l, 1))
	name, err := unix.Getsockname(l)
	require.NoError(t, err)
	a, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(a) })
	require.NoError(t, unix.Connect(a, name))
	b, _, err = unix.Accept4(l, unix.SOCK_CLOEXEC)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(b) })
	return a, b
}

// TestRegisteredMemoryIsKept: the memory of a registered buffer could be
// collected while the kernel had it, if the program kept only the index.
func TestRegisteredMemoryIsKept(t *testing.T) {
	r := newRing(t, 4, Params{})
	collected := make(chan int, 8)
	fresh := func(id int) [][]byte {
		mem := make([]byte, 64<<10) // its own object, so that the cleanup is about it
		runtime.AddCleanup(&mem[0], func(id int) { collected <- id }, id)
		return [][]byte{mem}
	}
	_, err := r.RegisterBuffers(fresh(1)) // nobody keeps the table, either
	require.NoError(t, err)
	for range 3 {
		runtime.GC()
	}
	select {
	case id := <-collected:
		t.Fatalf("buffer %d was collected while it is registered", id)
	case <-time.After(20 * time.Millisecond): // cleanups run on another goroutine
	}

	// What is replaced or unregistered is let go of.
	expect := func(id int) {
		t.Helper()
		testkit.Eventually(t, func() bool {
			runtime.GC()
			select {
			case got := <-collected:
				require.Equal(t, id, got)
				return true
			default:
				return false
			}
		}, "the buffer is collected")
	}
	bufs := r.buffers
	_, err = bufs.Update(0, fresh(2))
	require.NoError(t, err)
	expect(1)
	require.NoError(t, bufs.Unregister())
	bufs = nil
	expect(2)
	runtime.KeepAlive(r)
}
