package net

import (
	"net"
	"os"
	"syscall"
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// UDPConn is a UDP socket, for one peer or for many.
type UDPConn struct {
	conn      conn // its methods for streams are not offered
	family    int
	connected bool // it was made for one peer: WriteTo is refused

	segments atomic.Uint32 // what is known about UDP_SEGMENT; see CanSegment

	std *net.UDPConn
}

func (c *UDPConn) ok() bool { return c != nil && (c.conn.fd != nil || c.std != nil) }

// takeUDP makes a UDP socket of the standard library ours.
func takeUDP(rt *proactor.Runtime, std *net.UDPConn, o packetOptions) (*UDPConn, error) {
	if !rt.HasRing() {
		return &UDPConn{std: std, connected: o.connected, family: stdFamily(std)}, nil
	}
	c := &UDPConn{connected: o.connected}
	var err error
	if c.conn, err = takeSocket(rt, std, o); err != nil {
		return nil, err
	}
	c.conn.fd.SetKind(poll.Datagrams)
	if !o.shared {
		c.conn.fd.AllowAhead()
	}
	if c.family, err = sys.Family(c.conn.fd.Sysfd()); err != nil {
		_ = c.conn.fd.Close()
		return nil, err
	}
	return c, nil
}

// stdFamily tells the family of a socket by its address.
func stdFamily(std *net.UDPConn) int {
	if a, ok := std.LocalAddr().(*net.UDPAddr); ok && len(a.IP) == net.IPv4len {
		return sys.INET
	}
	return sys.INET6
}

// ListenUDP acts like ListenPacket for UDP networks. A nil laddr, and one with
// an unspecified IP, means any address, except multicast addresses; port 0 means
// one that the system chooses.
func ListenUDP(network string, laddr *UDPAddr) (*UDPConn, error) {
	std, err := net.ListenUDP(network, laddr)
	return listenedUDP(std, network, err)
}

// ListenMulticastUDP acts like ListenPacket for UDP networks but takes a group
// address on a network interface, which it joins. A nil interface means one that
// the system chooses, which is not recommended. It is for simple applications;
// packages ipv4 and ipv6 of golang.org/x/net do more, also with a UDPConn. The
// socket receives what is sent to the group's port, whatever the address, and
// does not loop back what it sends.
func ListenMulticastUDP(network string, ifi *net.Interface, gaddr *UDPAddr) (*UDPConn, error) {
	std, err := net.ListenMulticastUDP(network, ifi, gaddr)
	return listenedUDP(std, network, err)
}

// listenedUDP makes what the standard library has made ours.
func listenedUDP(std *net.UDPConn, network string, err error) (*UDPConn, error) {
	if err != nil {
		return nil, err
	}
	c, err := takeUDP(proactor.Default(), std, packetOptions{network: network})
	if err != nil {
		return nil, listenError(std, network, err)
	}
	return c, nil
}

// DialUDP acts like Dial for UDP networks. A nil laddr means an address that the
// system chooses; raddr with an unspecified IP means the local system.
func DialUDP(network string, laddr, raddr *UDPAddr) (*UDPConn, error) {
	std, err := net.DialUDP(network, laddr, raddr)
	if err != nil {
		return nil, err
	}
	c, err := takeUDP(proactor.Default(), std, packetOptions{network: network, connected: true})
	if err != nil {
		_ = std.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Source: udpAddr(laddr), Addr: udpAddr(raddr), Err: err}
	}
	return c, nil
}

func udpAddr(a *net.UDPAddr) net.Addr {
	if a == nil {
		return nil
	}
	return a
}

// Read receives a datagram into b. What does not fit is lost.
func (c *UDPConn) Read(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.Read(b)
	}
	return c.conn.Read(b)
}

// Write sends b as one datagram to the peer of a connected socket.
func (c *UDPConn) Write(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.Write(b)
	}
	return c.conn.Write(b)
}

// Close closes the socket. Operations that are blocked on it fail.
func (c *UDPConn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return c.std.Close()
	}
	return c.conn.Close()
}

// LocalAddr returns the local network address. It is shared by all calls, so do
// not modify it.
func (c *UDPConn) LocalAddr() Addr {
	if !c.ok() {
		return nil
	}
	if c.std != nil {
		return c.std.LocalAddr()
	}
	return c.conn.laddr
}

// RemoteAddr returns the remote network address, nil for a socket that is not
// connected. It is shared by all calls, so do not modify it.
func (c *UDPConn) RemoteAddr() Addr {
	if !c.ok() {
		return nil
	}
	if c.std != nil {
		return c.std.RemoteAddr()
	}
	return c.conn.raddr
}

// SetDeadline sets both deadlines, of receiving and of sending. Zero means none.
func (c *UDPConn) SetDeadline(t time.Time) error {
	return c.setDeadline(t, (*conn).SetDeadline, (*net.UDPConn).SetDeadline)
}

// SetReadDeadline sets the deadline of receiving. Zero means none.
func (c *UDPConn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(t, (*conn).SetReadDeadline, (*net.UDPConn).SetReadDeadline)
}

// SetWriteDeadline sets the deadline of sending. Zero means none.
func (c *UDPConn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(t, (*conn).SetWriteDeadline, (*net.UDPConn).SetWriteDeadline)
}

func (c *UDPConn) setDeadline(t time.Time, ring func(*conn, time.Time) error, std func(*net.UDPConn, time.Time) error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return std(c.std, t)
	}
	return ring(&c.conn, t)
}

// SetReadBuffer sets the size in bytes of the operating system's receive buffer
// for the socket. What arrives when it is full is lost.
func (c *UDPConn) SetReadBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return c.std.SetReadBuffer(bytes)
	}
	return c.conn.SetReadBuffer(bytes)
}

// SetWriteBuffer sets the size in bytes of the operating system's transmit buffer
// for the socket.
func (c *UDPConn) SetWriteBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return c.std.SetWriteBuffer(bytes)
	}
	return c.conn.SetWriteBuffer(bytes)
}

// File returns a file with a duplicate of the socket's descriptor, which is the
// caller's to close. Closing either does not affect the other. Both have the same
// socket, which becomes non-blocking, and blocking by the file's Fd method;
// operations of the connection wait in either case.
func (c *UDPConn) File() (*os.File, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.File()
	}
	c.conn.fd.StopAhead()
	return c.conn.File()
}

// SyscallConn returns access to the socket's descriptor, which the first call
// makes non-blocking. Its methods are those of a stream connection's, see
// TCPConn. From the first call on, the socket does not read ahead; up to 15
// datagrams that it has read by then are returned by the connection's own
// methods. So call it before the first receive, as the packages ipv4 and ipv6
// are used.
func (c *UDPConn) SyscallConn() (syscall.RawConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.SyscallConn()
	}
	c.conn.fd.StopAhead()
	return c.conn.SyscallConn()
}
