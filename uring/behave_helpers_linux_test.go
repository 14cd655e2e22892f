package uring

import (
	"os"
	"path/filepath"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// files registers descriptors as the first slots of a table with room for four.
func files(l *lab, fds ...int32) {
	l.p.Helper()
	table := []int32{-1, -1, -1, -1}
	copy(table, fds)
	_, err := l.Register(IORING_REGISTER_FILES, unsafe.Pointer(&table[0]), uint32(len(table)))
	require.NoError(l.p, err)
}

// buffers registers memory as buffers from 0 on.
func buffers(l *lab, mem ...[]byte) {
	l.p.Helper()
	iov := make([]Iovec, len(mem))
	for i, b := range mem {
		iov[i].SetBytes(b)
	}
	l.kept = append(l.kept, iov)
	_, err := l.Register(IORING_REGISTER_BUFFERS, unsafe.Pointer(&iov[0]), uint32(len(iov)))
	require.NoError(l.p, err)
}

// newFile returns a descriptor of a new file with the given contents, and its
// path.
func newFile(p *proof, contents string) (fd int, path string) {
	p.Helper()
	path = filepath.Join(p.TempDir(), "file")
	require.NoError(p, os.WriteFile(path, []byte(contents), 0o600))
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Close(fd) })
	return fd, path
}

// contents returns what is in a file.
func contents(p *proof, path string) string {
	p.Helper()
	b, err := os.ReadFile(path)
	require.NoError(p, err)
	return string(b)
}

// newPipe returns the two ends of a pipe, which are closed with the test.
func newPipe(p *proof) (r, w int) {
	p.Helper()
	fds := make([]int, 2)
	require.NoError(p, unix.Pipe2(fds, unix.O_CLOEXEC))
	p.Cleanup(func() {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

// aliasOf returns another descriptor of the same file, closed with the test.
func aliasOf(p *proof, fd int) int {
	p.Helper()
	alias, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Close(alias) })
	return alias
}

// inetAddr is an address of this machine in the kernel's form.
type inetAddr struct {
	raw unix.RawSockaddrInet4
	len uint32
}

// local returns the loopback address with a port in network byte order, 0 for
// any.
func local(l *lab, port uint16) *inetAddr {
	return keep(l, inetAddr{
		raw: unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: [4]byte{127, 0, 0, 1}},
		len: unix.SizeofSockaddrInet4,
	})
}

func (a *inetAddr) addr() unsafe.Pointer { return unsafe.Pointer(&a.raw) }

// listener returns a listening TCP socket and its address.
func listener(l *lab) (fd int, at *inetAddr) {
	l.p.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(l.p, err)
	l.p.Cleanup(func() { _ = unix.Close(fd) })
	require.NoError(l.p, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(l.p, unix.Listen(fd, 16))
	return fd, nameOf(l, fd)
}

// nameOf returns the address of a socket.
func nameOf(l *lab, fd int) *inetAddr {
	l.p.Helper()
	sa, err := unix.Getsockname(fd)
	require.NoError(l.p, err)
	port := sa.(*unix.SockaddrInet4).Port
	return local(l, uint16(port)>>8|uint16(port)<<8)
}

// dial returns a TCP socket that is connected to the address.
func dial(l *lab, at *inetAddr) int {
	l.p.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(l.p, err)
	l.p.Cleanup(func() { _ = unix.Close(fd) })
	port := int(at.raw.Port>>8 | at.raw.Port<<8)
	require.NoError(l.p, unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: at.raw.Addr}))
	return fd
}

// tcpConnection returns the two ends of a TCP connection, the accepted one second.
func tcpConnection(l *lab) (a, b int) {
	l.p.Helper()
	lfd, at := listener(l)
	a = dial(l, at)
	b, _, err := unix.Accept4(lfd, unix.SOCK_CLOEXEC)
	require.NoError(l.p, err)
	l.p.Cleanup(func() { _ = unix.Close(b) })
	return a, b
}

// udpSocket returns a UDP socket that is bound to the loopback device, and its
// address.
func udpSocket(l *lab) (fd int, at *inetAddr) {
	l.p.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(l.p, err)
	l.p.Cleanup(func() { _ = unix.Close(fd) })
	require.NoError(l.p, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	return fd, nameOf(l, fd)
}

// group registers buffers for the requests of a ring to choose from.
func group(l *lab, id uint16, entries, size int) *BufRing {
	l.p.Helper()
	return newBufRing(l.p, l.Ring, id, entries, size)
}

// taken returns what a completion has put into a buffer of the group.
func taken(p *proof, b *BufRing, cqe *CQE) string {
	p.Helper()
	id, ok := cqe.BufferID()
	require.True(p, ok, "%v", *cqe)
	return string(b.Bytes(id, int(cqe.Res)))
}
