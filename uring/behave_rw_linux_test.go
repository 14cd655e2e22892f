package uring

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestReadAndWrite at an offset, at the position of the file, and on a stream.
func TestReadAndWrite(t *testing.T) {
	p := prove(t, IORING_OP_READ, IORING_OP_WRITE)
	l := p.ring(8, Params{})
	fd, path := newFile(p, "0123456789")
	buf := make([]byte, 4)
	read := func(fd int, off uint64) func(*SQE) { return func(s *SQE) { s.PrepRead(fd, buf, off) } }
	text := []byte("ab")
	put := func(fd int, off uint64) func(*SQE) { return func(s *SQE) { s.PrepWrite(fd, text, off) } }

	require.Equal(p, 4, l.ok(read(fd, 3)))
	require.Equal(p, "3456", string(buf))
	require.Equal(p, 2, l.ok(read(fd, 8)), "a short count before the end")
	require.Zero(p, l.ok(read(fd, 10)), "the end")
	require.Equal(p, 2, l.ok(put(fd, 1)))
	require.Equal(p, "0ab3456789", contents(p, path))

	for _, want := range []string{"0ab3", "4567"} {
		require.Equal(p, 4, l.ok(read(fd, CurrentPosition)))
		require.Equal(p, want, string(buf))
	}
	require.Equal(p, 2, l.ok(put(fd, CurrentPosition)))
	require.Equal(p, "0ab34567ab", contents(p, path))
	require.Equal(p, 2, l.ok(put(fd, 12)))
	require.Equal(p, "0ab34567ab\x00\x00ab", contents(p, path), "a hole")

	r, w := newPipe(p)
	waiting := l.start(read(r, 0))
	require.Equal(p, 2, l.ok(put(w, 0)))
	require.Equal(p, int32(2), l.of(waiting).Res, "what is there, not what was asked for")
	require.NoError(p, unix.Close(w))
	require.Zero(p, l.ok(read(r, 0)))

	l.fails(syscall.EBADF, read(1<<20, 0))
	l.fails(syscall.EBADF, put(r, 0)) // the reading end
	dir, err := unix.Open(p.TempDir(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Close(dir) })
	l.fails(syscall.EISDIR, read(dir, 0))
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepRead(fd, buf, 0); s.Addr = 1 })
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepRead(fd, buf, 1<<63) })
}

// TestReadFromADescriptorThatDoesNotWait: a ring waits all the same, unless the
// request itself forbids it.
func TestReadFromADescriptorThatDoesNotWait(t *testing.T) {
	p := explore(t)
	l := p.ring(4, Params{})
	fds := make([]int, 2)
	require.NoError(p, unix.Pipe2(fds, unix.O_CLOEXEC|unix.O_NONBLOCK))
	p.Cleanup(func() { _ = unix.Close(fds[0]); _ = unix.Close(fds[1]) })
	buf := make([]byte, 8)
	l.fails(syscall.EAGAIN, func(s *SQE) { s.PrepRead(fds[0], buf, 0); s.OpFlags = unix.RWF_NOWAIT })
	id := l.start(func(s *SQE) { s.PrepRead(fds[0], buf, 0) })
	l.quiet()
	write(p, fds[1], "x")
	require.Equal(p, int32(1), l.of(id).Res)
}

// TestVectors reads and writes pieces.
func TestVectors(t *testing.T) {
	p := prove(t, IORING_OP_READV, IORING_OP_WRITEV)
	l := p.ring(8, Params{})
	fd, path := newFile(p, "")
	one, two, three := []byte("one"), []byte("two"), []byte("three")
	require.Equal(p, 11, l.ok(func(s *SQE) { s.PrepWritev(fd, l.iovecs(one, nil, two, three), 4, 0, 0) }))
	require.Equal(p, "onetwothree", contents(p, path))
	require.Equal(p, 3, l.ok(func(s *SQE) { s.PrepWritev(fd, l.iovecs(two), 1, 0, unix.RWF_APPEND|unix.RWF_DSYNC) }))
	require.Equal(p, "onetwothreetwo", contents(p, path))

	a, b := make([]byte, 4), make([]byte, 20)
	require.Equal(p, 13, l.ok(func(s *SQE) { s.PrepReadv(fd, l.iovecs(a, b), 2, 1, 0) }))
	require.Equal(p, "netw", string(a))
	require.Equal(p, "othreetwo", string(b[:9]))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepReadv(fd, l.iovecs(a), 1, 14, 0) }))

	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepReadv(fd, l.iovecs(a), 1025, 0, 0) }) // UIO_MAXIOV is 1024
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepReadv(fd, nil, 1, 0, 0) })
	l.fails(syscall.EBADF, func(s *SQE) { s.PrepWritev(1<<20, l.iovecs(a), 1, 0, 0) })
	l.fails(syscall.EOPNOTSUPP, func(s *SQE) { s.PrepReadv(fd, l.iovecs(a), 1, 0, 1<<30) })
}

// TestFixedBuffers uses parts of registered buffers, and no others.
func TestFixedBuffers(t *testing.T) {
	p := prove(t, IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED)
	l := p.ring(8, Params{})
	fd, path := newFile(p, "")
	mem, other := make([]byte, 64), make([]byte, 64)
	buffers(l, mem, other)
	copy(mem, "registered")
	require.Equal(p, 8, l.ok(func(s *SQE) { s.PrepWriteFixed(fd, mem[2:10], 0, 0) }))
	require.Equal(p, "gistered", contents(p, path))
	require.Equal(p, 5, l.ok(func(s *SQE) { s.PrepReadFixed(fd, other[10:30], 3, 1) }))
	require.Equal(p, "tered", string(other[10:15]))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepReadFixed(fd, other, 100, 1) }))

	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepReadFixed(fd, mem, 0, 1) })  // of the other buffer
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepReadFixed(fd, mem, 0, 2) })  // there is no such
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepWriteFixed(fd, mem, 0, 1) }) // as above
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepWriteFixed(fd, mem, 0, 0); s.Len = 65 })
}

// TestFixedVectors uses pieces of one registered buffer.
func TestFixedVectors(t *testing.T) {
	p := prove(t, IORING_OP_READV_FIXED, IORING_OP_WRITEV_FIXED)
	l := p.ring(8, Params{})
	fd, path := newFile(p, "")
	mem := make([]byte, 64)
	buffers(l, mem)
	copy(mem, "first second")
	require.Equal(p, 11, l.ok(func(s *SQE) { s.PrepWritevFixed(fd, l.iovecs(mem[6:12], mem[0:5]), 2, 0, 0, 0) }))
	require.Equal(p, "secondfirst", contents(p, path))
	require.Equal(p, 11, l.ok(func(s *SQE) { s.PrepReadvFixed(fd, l.iovecs(mem[40:45], mem[20:36]), 2, 0, 0, 0) }))
	require.Equal(p, "secon", string(mem[40:45]))
	require.Equal(p, "dfirst", string(mem[20:26]))

	stranger := make([]byte, 8)
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepReadvFixed(fd, l.iovecs(mem[:4], stranger), 2, 0, 0, 0) })
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepWritevFixed(fd, l.iovecs(mem[:4]), 1, 0, 0, 7) })
}

// TestMultishotRead fills one buffer of a group for each time that there is
// something to read.
func TestMultishotRead(t *testing.T) {
	p := prove(t, IORING_OP_READ_MULTISHOT)
	l := p.ring(8, Params{})
	b := group(l, 5, 2, 8)
	r, w := newPipe(p)
	read := func(fd int) func(*SQE) { return func(s *SQE) { s.PrepReadMultishot(fd, 0, b.Group()) } }
	id := l.start(read(r))
	for _, text := range []string{"one", "two"} {
		write(p, w, text)
		cqe := l.of(id)
		require.Equal(p, text, taken(p, b, cqe))
		require.True(p, cqe.More())
	}
	write(p, w, "three")
	cqe := l.of(id)
	require.Equal(p, syscall.ENOBUFS, cqe.Errno())
	require.False(p, cqe.More())

	b.Add(0)
	b.Commit()
	id = l.start(read(r))
	cqe = l.of(id)
	require.Equal(p, "three", taken(p, b, cqe))
	b.Add(0)
	b.Commit()
	require.NoError(p, unix.Close(w))
	cqe = l.of(id)
	require.Zero(p, cqe.Res, "the end")
	require.False(p, cqe.More())

	fd, _ := newFile(p, "text")
	l.fails(syscall.EBADFD, read(fd)) // cannot be polled
	l.fails(syscall.EINVAL, func(s *SQE) { read(r)(s); s.Flags = 0 })
}

// TestSpliceAndTee move and double bytes without copying them to the program.
func TestSpliceAndTee(t *testing.T) {
	p := prove(t, IORING_OP_SPLICE, IORING_OP_TEE)
	l := p.ring(8, Params{})
	fd, _ := newFile(p, "0123456789")
	r1, w1 := newPipe(p)
	r2, w2 := newPipe(p)
	out, path := newFile(p, "")

	require.Equal(p, 6, l.ok(func(s *SQE) { s.PrepSplice(fd, 2, w1, -1, 6, 0) }))
	require.Equal(p, 6, l.ok(func(s *SQE) { s.PrepTee(r1, w2, 100, 0) }))
	require.Equal(p, 6, l.ok(func(s *SQE) { s.PrepSplice(r1, -1, out, 0, 100, SPLICE_F_MOVE) }))
	require.Equal(p, "234567", contents(p, path))
	buf := make([]byte, 10)
	n, err := unix.Read(r2, buf)
	require.NoError(p, err)
	require.Equal(p, "234567", string(buf[:n]), "the copy")
	require.Zero(p, l.ok(func(s *SQE) { s.PrepSplice(fd, 10, w1, -1, 6, 0) }), "the end of the file")

	files(l, int32(fd))
	require.Equal(p, 2, l.ok(func(s *SQE) { s.PrepSplice(0, 8, w1, -1, 6, SPLICE_F_FD_IN_FIXED) }))
	l.fails(syscall.EBADF, func(s *SQE) { s.PrepSplice(3, 8, w1, -1, 6, SPLICE_F_FD_IN_FIXED) })

	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepSplice(fd, 0, out, 0, 6, 0) }) // no pipe
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepTee(fd, w1, 6, 0) })
	l.fails(syscall.EAGAIN, func(s *SQE) { s.PrepSplice(r2, -1, out, 0, 6, SPLICE_F_NONBLOCK) })
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepTee(r1, w2, 6, 1<<30) })
}
