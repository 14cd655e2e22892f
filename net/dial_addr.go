package net

import (
	"context"
	"net"
	"net/netip"
)

// DialTCP connects to a TCP address, with the options of the dialer other than
// LocalAddr; the zero AddrPort as laddr means any. The network is "tcp", "tcp4" or
// "tcp6".
func (d *Dialer) DialTCP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (*TCPConn, error) {
	if d.runtime().HasRing() {
		return d.dialTCPAddr(ctx, network, net.TCPAddrFromAddrPort(laddr), net.TCPAddrFromAddrPort(raddr))
	}
	c, err := d.std().DialTCP(ctx, network, laddr, raddr)
	if err != nil {
		return nil, err
	}
	return &TCPConn{conn{std: c}}, nil
}

// dialTCPAddr connects to a TCP address by the ring.
func (d *Dialer) dialTCPAddr(ctx context.Context, network string, laddr, raddr *net.TCPAddr) (*TCPConn, error) {
	if ctx == nil {
		panic("nil context")
	}
	fail := func(err error) (*TCPConn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Source: tcpAddr(laddr), Addr: tcpAddr(raddr), Err: err}
	}
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return fail(net.UnknownNetworkError(network))
	}
	if raddr == nil {
		return fail(errMissingAddress)
	}
	ctx, cancel := d.bound(ctx)
	defer cancel()
	c, err := d.connectTCP(ctx, d.runtime(), network, laddr, raddr)
	if err != nil {
		return fail(err)
	}
	return c, nil
}

// DialUDP connects a UDP socket to an address, with the options of the dialer
// other than LocalAddr; the zero AddrPort as laddr means any.
func (d *Dialer) DialUDP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (*UDPConn, error) {
	std, err := d.std().DialUDP(ctx, network, laddr, raddr)
	if err != nil {
		return nil, err
	}
	c, err := takeUDP(d.runtime(), std, packetOptions{network: network, connected: true})
	if err != nil {
		_ = std.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Source: std.LocalAddr(), Addr: std.RemoteAddr(), Err: err}
	}
	return c, nil
}

// DialIP connects an IP socket to an address, with the options of the dialer other
// than LocalAddr; the zero Addr as laddr means any. The connection is the standard
// library's.
func (d *Dialer) DialIP(ctx context.Context, network string, laddr, raddr netip.Addr) (*net.IPConn, error) {
	return d.std().DialIP(ctx, network, laddr, raddr)
}

// DialUnix connects to a Unix socket, with the options of the dialer other
// than LocalAddr; a nil laddr means none. The network is "unix".
func (d *Dialer) DialUnix(ctx context.Context, network string, laddr, raddr *UnixAddr) (*UnixConn, error) {
	if ctx == nil {
		panic("nil context")
	}
	fail := func(err error) (*UnixConn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Source: unixAddr(laddr), Addr: unixAddr(raddr), Err: err}
	}
	rt := d.runtime()
	if network != "unix" || !rt.HasRing() {
		std, err := d.std().DialUnix(ctx, network, laddr, raddr)
		if err != nil {
			return nil, err
		}
		c, err := takeUnix(rt, std, packetOptions{network: network, connected: raddr != nil && raddr.Name != ""})
		if err != nil {
			_ = std.Close()
			return fail(err)
		}
		return c, nil
	}
	ctx, cancel := d.bound(ctx)
	defer cancel()
	c, err := d.connectUnix(ctx, rt, laddr, raddr)
	if err != nil {
		return fail(err)
	}
	return c, nil
}
