package net

import (
	"context"
	"errors"
	"net"
	"net/netip"
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

	// Runtime is what the connection runs on; nil means the default runtime.
	Runtime *proactor.Runtime
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
		KeepAlive: d.KeepAlive, KeepAliveConfig: d.KeepAliveConfig, Resolver: d.Resolver}
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
	opError := func(addr net.Addr, err error) error {
		return &net.OpError{Op: "dial", Net: network, Source: d.LocalAddr, Addr: addr, Err: err}
	}
	local, ok := d.LocalAddr.(*net.TCPAddr)
	if d.LocalAddr != nil && !ok {
		return nil, opError(nil, &net.AddrError{Err: "mismatched local address type", Addr: d.LocalAddr.String()})
	}
	addrs, err := d.resolve(ctx, network, address)
	if err != nil {
		return nil, opError(nil, dialErr(err))
	}
	var first error
	for i, addr := range addrs {
		attempt, cancel := share(ctx, len(addrs)-i)
		c, err := d.connectTCP(attempt, rt, network, local, addr)
		cancel()
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = opError(addr, dialErr(err))
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

// resolve returns the addresses to try, those of the first one's family first
// as the resolver has ordered them.
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
	if host == "" {
		// The local system.
		loopback := net.IPv4(127, 0, 0, 1)
		if network == "tcp6" {
			loopback = net.IPv6loopback
		}
		return []*net.TCPAddr{{IP: loopback, Port: port}}, nil
	}
	ips, err := lookup(ctx, resolver, network, host)
	if err != nil {
		return nil, err
	}
	addrs := make([]*net.TCPAddr, len(ips))
	for i, ip := range ips {
		addrs[i] = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return addrs, nil
}

// lookup returns the addresses of a host for a network.
func lookup(ctx context.Context, resolver *net.Resolver, network, host string) ([]netip.Addr, error) {
	family := "ip" + network[len("tcp"):]
	if ip, err := netip.ParseAddr(host); err == nil {
		if v4 := ip.Is4() || ip.Is4In6(); family == "ip4" && !v4 || family == "ip6" && v4 {
			return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
		}
		return []netip.Addr{ip}, nil
	}
	return resolver.LookupNetIP(ctx, family, host)
}

// connectTCP connects to one address.
func (d *Dialer) connectTCP(ctx context.Context, rt *proactor.Runtime, network string, local, remote *net.TCPAddr) (*TCPConn, error) {
	family := sys.INET
	if remote.IP.To4() == nil {
		family = sys.INET6
	}
	peer := new(sys.Sockaddr)
	if err := peer.SetIP(family, remote.IP, remote.Port, remote.Zone); err != nil {
		return nil, err
	}
	fd, err := d.connect(ctx, rt, family, peer, func(fd int) error {
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
	return newTCPConn(fd, network, peer), nil
}

// dialUnix connects to a Unix stream socket.
func (d *Dialer) dialUnix(ctx context.Context, rt *proactor.Runtime, address string) (Conn, error) {
	remote := &net.UnixAddr{Net: "unix", Name: address}
	opError := func(err error) error {
		return &net.OpError{Op: "dial", Net: "unix", Source: d.LocalAddr, Addr: remote, Err: err}
	}
	local, ok := d.LocalAddr.(*net.UnixAddr)
	if d.LocalAddr != nil && !ok {
		return nil, opError(&net.AddrError{Err: "mismatched local address type", Addr: d.LocalAddr.String()})
	}
	peer := new(sys.Sockaddr)
	if err := peer.SetUnix(address); err != nil {
		return nil, opError(wrapErr("connect", err))
	}
	fd, err := d.connect(ctx, rt, sys.UNIX, peer, func(fd int) error {
		if local == nil {
			return nil
		}
		sa := new(sys.Sockaddr)
		if err := sa.SetUnix(local.Name); err != nil {
			return err
		}
		return sys.Bind(fd, sa)
	})
	if err != nil {
		return nil, opError(dialErr(err))
	}
	return newUnixConn(fd, "unix", peer), nil
}

// connect creates a socket, prepares it and connects it.
func (d *Dialer) connect(ctx context.Context, rt *proactor.Runtime, family int, peer *sys.Sockaddr, prepare func(fd int) error) (*poll.FD, error) {
	sysfd, err := sys.StreamSocket(family)
	if err != nil {
		return nil, err
	}
	fd := poll.New(rt, sysfd)
	if err = prepare(sysfd); err == nil {
		err = fd.Connect(ctx, peer)
	}
	if err != nil {
		_ = fd.Close()
		return nil, err
	}
	return fd, nil
}
