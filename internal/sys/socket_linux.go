package sys

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/uring"
)

const maxSockaddrLen = uint32(unsafe.Sizeof(unix.RawSockaddrAny{}))

// Sockaddr is a socket address in the kernel's form, in memory that the kernel
// may read and write while an operation is in flight: allocate it with new and
// keep it reachable.
type Sockaddr struct {
	raw unix.RawSockaddrAny
	len uint32
}

// Reset makes room for the kernel to fill in an address.
func (s *Sockaddr) Reset() {
	s.raw.Addr.Family = unix.AF_UNSPEC
	s.len = maxSockaddrLen
}

// PrepAccept prepares an accept that puts the peer's address into s. The
// accepted socket is close-on-exec and blocking, as rings want it.
func PrepAccept(sqe *uring.SQE, fd int, s *Sockaddr, flags uring.AcceptFlags) {
	s.Reset()
	sqe.PrepAccept(fd, unsafe.Pointer(&s.raw), &s.len, unix.SOCK_CLOEXEC, flags)
}

// AcceptNow accepts a connection as PrepAccept does, without a ring: EAGAIN says
// that there is none. The socket must be non-blocking. Go's scheduler is told of
// the call, since with a socket that somebody has made blocking it would wait.
func AcceptNow(fd int, s *Sockaddr) (int, syscall.Errno) {
	s.Reset()
	n, _, errno := syscall.Syscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&s.raw)),
		uintptr(unsafe.Pointer(&s.len)), unix.SOCK_CLOEXEC, 0, 0)
	return int(n), errno
}

// Readable reports whether there is something to receive or accept now.
func Readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLIN != 0
}

// AcceptQueue returns how many connections wait to be accepted from a TCP socket
// that listens, and how many the kernel lets wait; -1 if it does not tell.
func AcceptQueue(fd int) (length, limit int) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.State != tcpListen {
		return -1, -1
	}
	return int(info.Unacked), int(info.Sacked)
}

const tcpListen = 10 // TCP_LISTEN, a state of <netinet/tcp.h>

// PrepAcceptMultishot prepares an accept that completes with every connection.
// Their addresses are not asked for: all would go to the same place.
func PrepAcceptMultishot(sqe *uring.SQE, fd int) {
	sqe.PrepAccept(fd, nil, nil, unix.SOCK_CLOEXEC, uring.IORING_ACCEPT_MULTISHOT)
}

// PrepConnect prepares a connect to the address in s.
func PrepConnect(sqe *uring.SQE, fd int, s *Sockaddr) {
	sqe.PrepConnect(fd, unsafe.Pointer(&s.raw), s.len)
}

// SetIP sets an Internet address. An IPv4 address becomes an IPv4-mapped one
// if the socket's family is AF_INET6.
func (s *Sockaddr) SetIP(family int, ip net.IP, port int, zone string) error {
	s.raw = unix.RawSockaddrAny{}
	if family == unix.AF_INET {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		sa.Family = unix.AF_INET
		putPort(&sa.Port, port)
		if len(ip) > 0 {
			ip4 := ip.To4()
			if ip4 == nil {
				return &net.AddrError{Err: "non-IPv4 address", Addr: ip.String()}
			}
			copy(sa.Addr[:], ip4)
		}
		s.len = unix.SizeofSockaddrInet4
		return nil
	}
	sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.raw))
	sa.Family = unix.AF_INET6
	putPort(&sa.Port, port)
	if len(ip) > 0 && !ip.Equal(net.IPv4zero) {
		ip16 := ip.To16()
		if ip16 == nil {
			return &net.AddrError{Err: "non-IPv6 address", Addr: ip.String()}
		}
		copy(sa.Addr[:], ip16)
	}
	sa.Scope_id = zoneID(zone)
	s.len = unix.SizeofSockaddrInet6
	return nil
}

// SetUnix sets the path of a Unix socket; a leading @ means the abstract
// namespace.
func (s *Sockaddr) SetUnix(name string) error {
	s.raw = unix.RawSockaddrAny{}
	sa := (*unix.RawSockaddrUnix)(unsafe.Pointer(&s.raw))
	sa.Family = unix.AF_UNIX
	// A path needs room for its terminating zero, an abstract name has none.
	if n := len(name); n > len(sa.Path) || n == len(sa.Path) && name[0] != '@' {
		return syscall.EINVAL
	}
	path := pathBytes(sa)
	copy(path, name)
	const family = 2 // bytes before the path
	s.len = family
	if len(name) > 0 {
		s.len += uint32(len(name)) + 1
		if name[0] == '@' {
			path[0] = 0
			s.len-- // an abstract name has no terminating zero
		}
	}
	return nil
}

// TCPAddr returns the address as package net has it, or nil if it is no
// Internet address.
func (s *Sockaddr) TCPAddr() *net.TCPAddr {
	switch s.raw.Addr.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), port(&sa.Port)))
	case unix.AF_INET6:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.raw))
		// An IPv4-mapped address stays 16 bytes, as with package net.
		return &net.TCPAddr{
			IP:   append(net.IP(nil), sa.Addr[:]...),
			Port: int(port(&sa.Port)),
			Zone: zoneName(sa.Scope_id),
		}
	}
	return nil
}

// UnixAddr returns the address as package net has it.
func (s *Sockaddr) UnixAddr(network string) *net.UnixAddr {
	const family = 2
	sa := (*unix.RawSockaddrUnix)(unsafe.Pointer(&s.raw))
	if sa.Family != unix.AF_UNIX || s.len <= family {
		return &net.UnixAddr{Net: network}
	}
	n := min(int(s.len)-family, len(sa.Path))
	name := append([]byte(nil), pathBytes(sa)[:n]...)
	if name[0] == 0 {
		name[0] = '@'
		return &net.UnixAddr{Net: network, Name: string(name)}
	}
	return &net.UnixAddr{Net: network, Name: unix.ByteSliceToString(name)}
}

// pathBytes is the path of a Unix address; its element type differs between
// architectures.
func pathBytes(sa *unix.RawSockaddrUnix) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&sa.Path)), len(sa.Path))
}

func putPort(p *uint16, v int) {
	b := (*[2]byte)(unsafe.Pointer(p))
	b[0], b[1] = byte(v>>8), byte(v)
}

func port(p *uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(p))
	return uint16(b[0])<<8 | uint16(b[1])
}

func zoneID(zone string) uint32 { return zones.index(zone) }

func zoneName(id uint32) string { return zones.name(id) }

// The families of sockets that StreamSocket creates.
const (
	INET  = unix.AF_INET
	INET6 = unix.AF_INET6
	UNIX  = unix.AF_UNIX
)

// StreamSocket creates a close-on-exec, blocking stream socket of a family.
func StreamSocket(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	return fd, os.NewSyscallError("socket", err)
}

// MultipathSocket is StreamSocket for Multipath TCP. Where the kernel does not have
// that, the error is EPROTONOSUPPORT.
func MultipathSocket(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if err == unix.EINVAL {
		err = unix.EPROTONOSUPPORT // before Linux 5.6
	}
	return fd, os.NewSyscallError("socket", err)
}

// Bind binds a socket to a local address.
func Bind(fd int, s *Sockaddr) error {
	_, _, errno := syscall.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&s.raw)), uintptr(s.len))
	if errno != 0 {
		return os.NewSyscallError("bind", errno)
	}
	return nil
}

// Getsockname fills s with the socket's own address.
func Getsockname(fd int, s *Sockaddr) error {
	s.Reset()
	return getname(unix.SYS_GETSOCKNAME, "getsockname", fd, s)
}

// Getpeername fills s with the address of the socket's peer.
func Getpeername(fd int, s *Sockaddr) error {
	s.Reset()
	return getname(unix.SYS_GETPEERNAME, "getpeername", fd, s)
}

func getname(trap uintptr, name string, fd int, s *Sockaddr) error {
	_, _, errno := syscall.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&s.raw)), uintptr(unsafe.Pointer(&s.len)))
	if errno != 0 {
		return os.NewSyscallError(name, errno)
	}
	return nil
}

func setsockoptInt(fd, level, opt, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, opt, value))
}

// SetNoDelay sets TCP_NODELAY.
func SetNoDelay(fd int, on bool) error {
	return setsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, boolint(on))
}

// SetKeepAlive sets SO_KEEPALIVE.
func SetKeepAlive(fd int, on bool) error {
	return setsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, boolint(on))
}

// SetKeepAliveTimes sets when the first probe is sent, how long to wait for
// its answer, and how many may remain unanswered. What is not positive stays
// as it is.
func SetKeepAliveTimes(fd int, idle, interval time.Duration, count int) error {
	seconds := func(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
	for _, o := range []struct{ opt, value int }{
		{unix.TCP_KEEPIDLE, seconds(idle)},
		{unix.TCP_KEEPINTVL, seconds(interval)},
		{unix.TCP_KEEPCNT, count},
	} {
		if o.value <= 0 {
			continue
		}
		if err := setsockoptInt(fd, unix.IPPROTO_TCP, o.opt, o.value); err != nil {
			return err
		}
	}
	return nil
}

// mptcpInfo is MPTCP_INFO, which package unix does not have.
const mptcpInfo = 1

// UsesMultipathTCP reports whether a socket is one of Multipath TCP and has not
// fallen back to TCP, which a peer or a network without it causes. Before
// Linux 5.16, which does not tell, it is taken to have fallen back.
func UsesMultipathTCP(fd int) bool {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil || protocol != unix.IPPROTO_MPTCP {
		return false
	}
	_, err = unix.GetsockoptInt(fd, unix.SOL_MPTCP, mptcpInfo)
	return err == nil
}

// SetReuseAddr sets SO_REUSEADDR.
func SetReuseAddr(fd int) error {
	return setsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
}

// SetIPv6Only sets IPV6_V6ONLY.
func SetIPv6Only(fd int, on bool) error {
	return setsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, boolint(on))
}

// SetBuffer sets the size in bytes of the receive or the send buffer.
func SetBuffer(fd int, receive bool, bytes int) error {
	opt := unix.SO_SNDBUF
	if receive {
		opt = unix.SO_RCVBUF
	}
	return setsockoptInt(fd, unix.SOL_SOCKET, opt, bytes)
}

func boolint(b bool) int {
	if b {
		return 1
	}
	return 0
}

// SetLinger sets SO_LINGER; a negative value switches it off.
func SetLinger(fd, sec int) error {
	l := unix.Linger{}
	if sec >= 0 {
		l.Onoff, l.Linger = 1, int32(sec)
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l))
}

// Linger returns the seconds of SO_LINGER, or -1 if it is off.
func Linger(fd int) int {
	var l unix.Linger
	size := uint32(unsafe.Sizeof(l))
	_, _, errno := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER,
		uintptr(unsafe.Pointer(&l)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 || l.Onoff == 0 {
		return -1
	}
	return int(l.Linger)
}

// ShutdownRead and ShutdownWrite close one direction of a connected socket.
func ShutdownRead(fd int) error {
	return os.NewSyscallError("shutdown", unix.Shutdown(fd, unix.SHUT_RD))
}

// ShutdownWrite closes the sending direction of a connected socket.
func ShutdownWrite(fd int) error {
	return os.NewSyscallError("shutdown", unix.Shutdown(fd, unix.SHUT_WR))
}

// Disconnect breaks a connection off: the socket forgets its peer, who gets a
// reset if there was something that he has not acknowledged, and drops all that
// it was to send.
func Disconnect(fd int) error {
	sa := unix.RawSockaddr{Family: unix.AF_UNSPEC}
	_, _, errno := syscall.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa))
	if errno != 0 {
		return os.NewSyscallError("connect", errno)
	}
	return nil
}

// SetBlocking makes a descriptor blocking, which all operations of a ring wait
// on. On a non-blocking one some fail with EAGAIN, depending on the kernel.
func SetBlocking(fd int) error {
	return os.NewSyscallError("fcntl", unix.SetNonblock(fd, false))
}

// SetNonblocking makes a descriptor non-blocking.
func SetNonblocking(fd int) error {
	return os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
}

// tcpOptions are what the standard library sets on every TCP connection that it
// takes over.
var tcpOptions = [...]struct{ level, name int }{
	{unix.IPPROTO_TCP, unix.TCP_NODELAY},
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE},
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
}

// TCPOptions reads a connection's options for small packets and keep-alive
// messages, and returns a function that sets them again as they were.
func TCPOptions(fd int) (restore func() error, err error) {
	var values [len(tcpOptions)]int
	for i, o := range tcpOptions {
		if values[i], err = unix.GetsockoptInt(fd, o.level, o.name); err != nil {
			return nil, os.NewSyscallError("getsockopt", err)
		}
	}
	return func() error {
		for i, o := range tcpOptions {
			if err := setsockoptInt(fd, o.level, o.name, values[i]); err != nil {
				return err
			}
		}
		return nil
	}, nil
}
