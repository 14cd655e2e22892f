package net

import (
	"net"
	"net/netip"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// ReadFromUDP acts like ReadFrom but returns a UDPAddr.
func (c *UDPConn) ReadFromUDP(b []byte) (n int, addr *UDPAddr, err error) {
	// This is small enough to be inlined, so that the address need not be
	// allocated for a caller who does not keep it.
	return c.readFromUDP(b, &UDPAddr{})
}

func (c *UDPConn) readFromUDP(b []byte, addr *UDPAddr) (int, *UDPAddr, error) {
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil {
		return n, nil, err
	}
	setUDPAddr(addr, from)
	return n, addr, nil
}

// setUDPAddr sets a to what the standard library has for the same sender.
func setUDPAddr(a *net.UDPAddr, from netip.AddrPort) {
	*a = net.UDPAddr{Port: int(from.Port()), Zone: from.Addr().Zone()}
	if from.Addr().Is4() {
		ip := from.Addr().As4()
		a.IP = ip[:]
		return
	}
	ip := from.Addr().As16()
	a.IP = ip[:]
}

// ReadFrom implements the PacketConn ReadFrom method.
func (c *UDPConn) ReadFrom(b []byte) (int, Addr, error) {
	n, addr, err := c.readFromUDP(b, &net.UDPAddr{})
	return n, udpAddr(addr), err
}

// ReadFromUDPAddrPort acts like ReadFrom but returns a netip.AddrPort. An IPv4
// sender has an IPv4-mapped address if the socket is not for IPv4 only, as
// ListenUDP makes with the network "udp" and an unspecified address. It does not
// allocate.
func (c *UDPConn) ReadFromUDPAddrPort(b []byte) (n int, addr netip.AddrPort, err error) {
	if !c.ok() {
		return 0, netip.AddrPort{}, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.ReadFromUDPAddrPort(b)
	}
	m, err := c.conn.fd.RecvFrom(b)
	if err != nil {
		return 0, netip.AddrPort{}, c.conn.opError("read", "recvfrom", err)
	}
	return m.N, m.From, nil
}

// ReadMsgUDP reads a datagram, and associated out-of-band data into oob. It
// returns how many bytes of each, the flags of the message and its sender.
// Packages ipv4 and ipv6 of golang.org/x/net understand out-of-band data.
func (c *UDPConn) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *UDPAddr, err error) {
	n, oobn, flags, from, err := c.ReadMsgUDPAddrPort(b, oob)
	if from.IsValid() {
		addr = new(net.UDPAddr)
		setUDPAddr(addr, from)
	}
	return n, oobn, flags, addr, err
}

// ReadMsgUDPAddrPort is ReadMsgUDP with a netip.AddrPort. It does not allocate.
func (c *UDPConn) ReadMsgUDPAddrPort(b, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	if !c.ok() {
		return 0, 0, 0, netip.AddrPort{}, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.ReadMsgUDPAddrPort(b, oob)
	}
	m, err := c.conn.fd.RecvMsg(b, oob, 0)
	if err != nil {
		return 0, 0, 0, netip.AddrPort{}, c.conn.opError("read", "recvmsg", err)
	}
	return m.N, m.Control, m.Flags, m.From, nil
}

// WriteToUDP acts like WriteTo but takes a UDPAddr.
func (c *UDPConn) WriteToUDP(b []byte, addr *UDPAddr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.WriteToUDP(b, addr)
	}
	n, err := c.writeTo(b, addr)
	if err != nil {
		err = c.sendError(udpAddr(addr), "sendto", err)
	}
	return n, err
}

func (c *UDPConn) writeTo(b []byte, addr *net.UDPAddr) (int, error) {
	if c.connected {
		return 0, net.ErrWriteToConnected
	}
	if addr == nil {
		return 0, errMissingAddress
	}
	var sa sys.Sockaddr
	if err := sa.SetIP(c.family, addr.IP, addr.Port, addr.Zone); err != nil {
		return 0, err
	}
	return c.conn.fd.SendTo(b, &sa)
}

// WriteTo implements the PacketConn WriteTo method.
func (c *UDPConn) WriteTo(b []byte, addr Addr) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.WriteTo(b, addr)
	}
	a, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, &net.OpError{Op: "write", Net: c.conn.net, Source: c.conn.laddr, Addr: addr, Err: syscall.EINVAL}
	}
	return c.WriteToUDP(b, a)
}

// WriteToUDPAddrPort acts like WriteTo but takes a netip.AddrPort. It does not
// allocate.
func (c *UDPConn) WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.WriteToUDPAddrPort(b, addr)
	}
	n, err := c.writeToAddrPort(b, addr)
	if err != nil {
		err = c.sendError(udpAddrPort{addr}, "sendto", err)
	}
	return n, err
}

func (c *UDPConn) writeToAddrPort(b []byte, addr netip.AddrPort) (int, error) {
	if c.connected {
		return 0, net.ErrWriteToConnected
	}
	if !addr.IsValid() {
		return 0, errMissingAddress
	}
	var sa sys.Sockaddr
	if !sa.SetInet(c.family, addr) {
		return 0, notIPv4(addr)
	}
	return c.conn.fd.SendTo(b, &sa)
}

// notIPv4 is the error of an address that an IPv4 socket cannot send to.
func notIPv4(addr netip.AddrPort) error {
	return &net.AddrError{Err: "non-IPv4 address", Addr: addr.Addr().String()}
}

// WriteMsgUDP writes a datagram to addr, or to the peer of a connected socket,
// for which addr is nil, with the out-of-band data in oob. It returns how many
// bytes of each were written. Packages ipv4 and ipv6 of golang.org/x/net make
// out-of-band data.
func (c *UDPConn) WriteMsgUDP(b, oob []byte, addr *UDPAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.WriteMsgUDP(b, oob, addr)
	}
	n, err = c.writeMsg(b, oob, addr)
	if err != nil {
		return n, 0, c.sendError(udpAddr(addr), "sendmsg", err)
	}
	return n, len(oob), nil
}

func (c *UDPConn) writeMsg(b, oob []byte, addr *net.UDPAddr) (int, error) {
	if err := c.checkReceiver(addr != nil); err != nil {
		return 0, err
	}
	if addr == nil {
		return c.conn.fd.SendMsg(b, oob, nil)
	}
	var sa sys.Sockaddr
	if err := sa.SetIP(c.family, addr.IP, addr.Port, addr.Zone); err != nil {
		return 0, err
	}
	return c.conn.fd.SendMsg(b, oob, &sa)
}

// checkReceiver says what is wrong with a message that has an address or not.
func (c *UDPConn) checkReceiver(has bool) error {
	switch {
	case c.connected && has:
		return net.ErrWriteToConnected
	case !c.connected && !has:
		return errMissingAddress
	}
	return nil
}

// WriteMsgUDPAddrPort is WriteMsgUDP with a netip.AddrPort, which for the peer of
// a connected socket is the zero AddrPort. It does not allocate.
func (c *UDPConn) WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.WriteMsgUDPAddrPort(b, oob, addr)
	}
	n, err = c.writeMsgAddrPort(b, oob, addr)
	if err != nil {
		return n, 0, c.sendError(udpAddrPort{addr}, "sendmsg", err)
	}
	return n, len(oob), nil
}

func (c *UDPConn) writeMsgAddrPort(b, oob []byte, addr netip.AddrPort) (int, error) {
	if err := c.checkReceiver(addr.IsValid()); err != nil {
		return 0, err
	}
	if !addr.IsValid() {
		return c.conn.fd.SendMsg(b, oob, nil)
	}
	var sa sys.Sockaddr
	if !sa.SetInet(c.family, addr) {
		return 0, notIPv4(addr)
	}
	return c.conn.fd.SendMsg(b, oob, &sa)
}

// sendError wraps an error of a send to an address.
func (c *UDPConn) sendError(addr net.Addr, call string, err error) error {
	return &net.OpError{Op: "write", Net: c.conn.net, Source: c.conn.laddr, Addr: addr, Err: wrapErr(call, err)}
}

// udpAddrPort is a netip.AddrPort as an address, for errors.
type udpAddrPort struct{ netip.AddrPort }

// Network implements Addr.
func (udpAddrPort) Network() string { return "udp" }
