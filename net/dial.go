package net

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

var errMissingAddress = errors.New("missing address")

// Dial connects to an address, on the default runtime. See net.Dial for
// networks and addresses.
func Dial(network, address string) (Conn, error) {
	return new(Dialer).Dial(network, address)
}

// DialTimeout acts like Dial but takes a timeout, which includes name
// resolution.
func DialTimeout(network, address string, timeout time.Duration) (Conn, error) {
	d := Dialer{Timeout: timeout}
	return d.Dial(network, address)
}

// Dialer contains options for connecting to an address. The zero value is
// like Dial.
type Dialer struct {
	// Timeout is the longest that a dial may take; zero means no bound but the
	// operating system's.
	Timeout time.Duration

	// Deadline is the absolute point in time after which dials fail; zero
	// means none.
	Deadline time.Time

	// LocalAddr is the local address to use; nil means any.
	LocalAddr Addr

	// KeepAlive is the keep-alive period: zero for the default, negative for
	// none. It is ignored if KeepAliveConfig.Enable is set.
	KeepAlive time.Duration

	// KeepAliveConfig configures keep-alive messages.
	KeepAliveConfig KeepAliveConfig

	// Resolver is the resolver to use; nil means the default.
	Resolver *Resolver

	// Control, if not nil, is called with every socket that a dial creates, before
	// it is bound and connected. The network tells its family ("tcp4" for "tcp"),
	// and the address is that to connect to, resolved. It is ignored if
	// ControlContext is set.
	Control func(network, address string, c syscall.RawConn) error

	// ControlContext is Control with the context of the dial, in which the
	// dialer's own bounds are included.
	ControlContext func(ctx context.Context, network, address string, c syscall.RawConn) error

	// Runtime is what the connection runs on; nil means the default runtime.
	Runtime *proactor.Runtime

	// WriteBehind turns write-behind on for stream connections, also if the
	// runtime's configuration does not; see proactor.Config.WriteBehind.
	// Without a ring it does nothing.
	WriteBehind bool
}

func (d *Dialer) runtime() *proactor.Runtime {
	if d.Runtime != nil {
		return d.Runtime
	}
	return proactor.Default()
}

// Dial connects to an address.
func (d *Dialer) Dial(network, address string) (Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext connects to an address. Once it is connected, ctx does not
// matter to the connection any more.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (Conn, error) {
	rt := d.runtime()
	switch network {
	case "tcp", "tcp4", "tcp6", "unix":
	default:
		return d.dialStd(ctx, network, address)
	}
	if !rt.HasRing() {
		return d.dialStd(ctx, network, address)
	}
	ctx, cancel := d.bound(ctx)
	defer cancel()
	if network == "unix" {
		return d.dialUnix(ctx, rt, address)
	}
	return d.dialTCP(ctx, rt, network, address)
}

// bound applies the dialer's own bounds to a context.
func (d *Dialer) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline := d.Deadline
	if d.Timeout != 0 {
		if end := time.Now().Add(d.Timeout); deadline.IsZero() || end.Before(deadline) {
			deadline = end
		}
	}
	if deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline)
}

// dialStd dials by the standard library.
func (d *Dialer) dialStd(ctx context.Context, network, address string) (Conn, error) {
	std := net.Dialer{Timeout: d.Timeout, Deadline: d.Deadline, LocalAddr: d.LocalAddr,
		KeepAlive: d.KeepAlive, KeepAliveConfig: d.KeepAliveConfig, Resolver: d.Resolver,
		Control: d.Control, ControlContext: d.ControlContext}
	c, err := std.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	switch c := c.(type) {
	case *net.TCPConn:
		return &TCPConn{conn{std: c}}, nil
	case *net.UnixConn:
		if network == "unix" {
			return &UnixConn{conn{std: c}}, nil
		}
	}
	return c, nil
}

// dialTCP resolves the address and tries what it finds in order.
func (d *Dialer) dialTCP(ctx context.Context, rt *proactor.Runtime, network, address string) (Conn, error) {
	addrs, err := d.resolve(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	local, _ := d.LocalAddr.(*net.TCPAddr)
	var first error
	for i, addr := range addrs {
		attempt, cancel := share(ctx, len(addrs)-i)
		c, err := d.connectTCP(attempt, rt, network, local, addr)
		cancel()
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = &net.OpError{Op: "dial", Net: network, Source: d.LocalAddr, Addr: addr, Err: dialErr(err)}
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// minShare is the least time that an address is given, if there is as much.
const minShare = 2 * time.Second

// share returns a context for the first of several attempts, with its part of
// the time that is left.
func share(ctx context.Context, attempts int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || attempts == 1 {
		return context.WithCancel(ctx)
	}
	left := time.Until(deadline)
	return context.WithTimeout(ctx, min(left, max(minShare, left/time.Duration(attempts))))
}

// resolve returns the addresses to try, in the resolver's order: those that
// can be reached from the local address.
func (d *Dialer) resolve(ctx context.Context, network, address string) ([]*net.TCPAddr, error) {
	if address == "" {
		return nil, errMissingAddress
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	resolver := d.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	port, err := resolver.LookupPort(ctx, network, service)
	if err != nil {
		return nil, err
	}
	addrs := []*net.TCPAddr{{Port: port}} // the local system
	if host != "" {
		ips, err := lookup(ctx, resolver, network, host)
		if err != nil {
			return nil, err
		}
		addrs = make([]*net.TCPAddr, len(ips))
		for i, ip := range ips {
			addrs[i] = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip.Unmap(), uint16(port)))
		}
	}
	return d.reachable(addrs)
}

// reachable leaves out the addresses of another family than the local address.
func (d *Dialer) reachable(addrs []*net.TCPAddr) ([]*net.TCPAddr, error) {
	if d.LocalAddr == nil {
		return addrs, nil
	}
	local, ok := d.LocalAddr.(*net.TCPAddr)
	if !ok {
		return nil, mismatched(d.LocalAddr)
	}
	if isWildcard(local) {
		return addrs, nil
	}
	var same []*net.TCPAddr
	for _, a := range addrs {
		if isWildcard(a) || sameFamily(a.IP, local.IP) {
			same = append(same, a)
		}
	}
	if len(same) == 0 {
		return nil, &net.AddrError{Err: noSuitableAddress, Addr: local.String()}
	}
	return same, nil
}

const noSuitableAddress = "no suitable address found"

func mismatched(local net.Addr) error {
	return &net.AddrError{Err: "mismatched local address type", Addr: local.String()}
}

func isWildcard(a *net.TCPAddr) bool { return a == nil || a.IP == nil || a.IP.IsUnspecified() }

// sameFamily reports whether both are IPv4 or both are IPv6; what is no
// address is neither.
func sameFamily(a, b net.IP) bool {
	if a.To4() != nil {
		return b.To4() != nil
	}
	return a.To16() != nil && b.To16() != nil && b.To4() == nil
}

// lookup returns the addresses of a host for a network.
func lookup(ctx context.Context, resolver *net.Resolver, network, host string) ([]netip.Addr, error) {
	family := "ip" + network[len("tcp"):]
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return resolver.LookupNetIP(ctx, family, host)
	}
	ips := []netip.Addr{ip}
	if ip == netip.IPv6Unspecified() {
		// The local system, for which not every machine has an IPv6 address.
		ips = append(ips, netip.IPv4Unspecified())
	}
	ips = slices.DeleteFunc(ips, func(ip netip.Addr) bool {
		v4 := ip.Is4() || ip.Is4In6()
		return family == "ip4" && !v4 || family == "ip6" && v4
	})
	if len(ips) == 0 {
		return nil, &net.AddrError{Err: noSuitableAddress, Addr: host}
	}
	return ips, nil
}

// socketFamily returns the family of the socket that connects two addresses,
// of which the local one may be nil. An IPv6 socket can take IPv4 addresses.
func socketFamily(network string, local, remote *net.TCPAddr) int {
	is4 := func(a *net.TCPAddr) bool { return a == nil || len(a.IP) <= net.IPv4len || a.IP.To4() != nil }
	if network == "tcp4" || network == "tcp" && is4(local) && is4(remote) {
		return sys.INET
	}
	return sys.INET6
}

// connectTCP connects to one address.
//
// Where nobody listens, the kernel may give the socket the very port that it
// is to connect to, and TCP lets it connect to itself; or the port that the
// kernel has chosen is in use by then. The standard library tries twice more,
// and so does this.
func (d *Dialer) connectTCP(ctx context.Context, rt *proactor.Runtime, network string, local, remote *net.TCPAddr) (*TCPConn, error) {
	for again := 2; ; again-- {
		c, err := d.connectTCPOnce(ctx, rt, network, local, remote)
		if again == 0 || local != nil && local.Port != 0 {
			return c, err
		}
		switch {
		case err == nil && c.isSelf():
			_ = c.Close()
		case errors.Is(err, syscall.EADDRNOTAVAIL):
		default:
			return c, err
		}
	}
}

// isSelf reports whether both ends are the same.
func (c *TCPConn) isSelf() bool {
	l, lok := c.laddr.(*net.TCPAddr)
	r, rok := c.raddr.(*net.TCPAddr)
	return lok && rok && l.Port == r.Port && l.IP.Equal(r.IP)
}

func (d *Dialer) connectTCPOnce(ctx context.Context, rt *proactor.Runtime, network string, local, remote *net.TCPAddr) (*TCPConn, error) {
	family := socketFamily(network, local, remote)
	peer := new(sys.Sockaddr)
	if err := peer.SetIP(family, remote.IP, remote.Port, remote.Zone); err != nil {
		return nil, err
	}
	fd, err := d.connect(ctx, rt, family, peer, func(pfd *poll.FD) error {
		fd := pfd.Sysfd()
		if family == sys.INET6 {
			// As the standard library does: "tcp6" is IPv6 and nothing else.
			if err := sys.SetIPv6Only(fd, network == "tcp6"); err != nil {
				return err
			}
		}
		if err := d.control(ctx, pfd, familyNetwork(family), remote); err != nil {
			return err
		}
		if local == nil {
			return nil
		}
		sa := new(sys.Sockaddr)
		if err := sa.SetIP(family, local.IP, local.Port, local.Zone); err != nil {
			return err
		}
		return sys.Bind(fd, sa)
	})
	if err != nil {
		return nil, err
	}
	err = fd.Control(func(fd int) error {
		if err := sys.SetNoDelay(fd, true); err != nil {
			return err
		}
		if config := keepAliveConfig(d.KeepAliveConfig, d.KeepAlive); config.Enable {
			return setKeepAlive(fd, config)
		}
		return nil
	})
	if err != nil {
		_ = fd.Close()
		return nil, err
	}
	if isWildcard(remote) {
		_ = sys.Getpeername(fd.Sysfd(), peer) // the address that stands for it
	}
	return newTCPConn(fd, network, peer), nil
}

// dialUnix connects to a Unix stream socket.
func (d *Dialer) dialUnix(ctx context.Context, rt *proactor.Runtime, address string) (Conn, error) {
	if address == "" {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: errMissingAddress}
	}
	if d.LocalAddr != nil && d.LocalAddr.Network() != "unix" {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: mismatched(d.LocalAddr)}
	}
	remote := &net.UnixAddr{Net: "unix", Name: address}
	opError := func(err error) error {
		return &net.OpError{Op: "dial", Net: "unix", Source: d.LocalAddr, Addr: remote, Err: err}
	}
	local, _ := d.LocalAddr.(*net.UnixAddr)
	peer := new(sys.Sockaddr)
	if err := peer.SetUnix(address); err != nil {
		return nil, opError(wrapErr("connect", err))
	}
	fd, err := d.connect(ctx, rt, sys.UNIX, peer, func(fd *poll.FD) error {
		if err := d.control(ctx, fd, "unix", remote); err != nil {
			return err
		}
		if local == nil {
			return nil
		}
		sa := new(sys.Sockaddr)
		if err := sa.SetUnix(local.Name); err != nil {
			return err
		}
		return sys.Bind(fd.Sysfd(), sa)
	})
	if err != nil {
		return nil, opError(dialErr(err))
	}
	return newUnixConn(fd, "unix", peer), nil
}

// familyNetwork is the network of TCP sockets of a family.
func familyNetwork(family int) string {
	if family == sys.INET {
		return "tcp4"
	}
	return "tcp6"
}

// control shows a new socket to the user's function, if there is one.
func (d *Dialer) control(ctx context.Context, fd *poll.FD, network string, remote net.Addr) error {
	rc := &rawConn{fd: fd, net: network}
	var err error
	switch {
	case d.ControlContext != nil:
		err = d.ControlContext(ctx, network, remote.String(), rc)
	case d.Control != nil:
		err = d.Control(network, remote.String(), rc)
	}
	if err != nil {
		return controlError{err}
	}
	return nil
}

// connect creates a socket, prepares it and connects it.
func (d *Dialer) connect(ctx context.Context, rt *proactor.Runtime, family int, peer *sys.Sockaddr, prepare func(*poll.FD) error) (*poll.FD, error) {
	sysfd, err := sys.StreamSocket(family)
	if err != nil {
		return nil, err
	}
	fd := newStream(rt, sysfd, d.WriteBehind || rt.WriteBehind())
	if err = prepare(fd); err == nil {
		err = fd.Connect(ctx, peer)
	}
	if err != nil {
		_ = fd.Close()
		return nil, err
	}
	return fd, nil
}
