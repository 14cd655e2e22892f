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

// dialTCP resolves the address and tries what it finds in order.
func (d *Dialer) dialTCP(ctx context.Context, rt *proactor.Runtime, network, address string) (Conn, error) {
	addrs, err := d.resolve(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if len(addrs) == 0 {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errMissingAddress}
	}
	if network != "tcp" || d.FallbackDelay < 0 {
		return d.inTurn(ctx, rt, network, addrs)
	}
	primaries, fallbacks := byFamily(addrs)
	if len(fallbacks) == 0 {
		return d.inTurn(ctx, rt, network, primaries)
	}
	return d.race(ctx, rt, primaries, fallbacks)
}

// byFamily parts the addresses of the family that the first is of from the
// others, and keeps the order.
func byFamily(addrs []*net.TCPAddr) (primaries, fallbacks []*net.TCPAddr) {
	first := addrs[0].IP.To4() != nil
	for _, a := range addrs {
		if (a.IP.To4() != nil) == first {
			primaries = append(primaries, a)
		} else {
			fallbacks = append(fallbacks, a)
		}
	}
	return primaries, fallbacks
}

// defaultFallbackDelay is the head start of the first family, as in the standard
// library.
const defaultFallbackDelay = 300 * time.Millisecond

// race dials the addresses of two families, those of the second when the first
// has had its head start or has failed. Whoever is connected first wins, and the
// other is given up. If both fail, the error is that of the first.
func (d *Dialer) race(ctx context.Context, rt *proactor.Runtime, primaries, fallbacks []*net.TCPAddr) (Conn, error) {
	type outcome struct {
		c     Conn
		err   error
		first bool
	}
	ctx, cancel := context.WithCancel(ctx) // who has lost
	defer cancel()
	over := make(chan struct{})
	defer close(over)
	outcomes := make(chan outcome) // without room, so that it is known who has been heard
	run := func(addrs []*net.TCPAddr, first bool) {
		c, err := d.inTurn(ctx, rt, "tcp", addrs)
		select {
		case outcomes <- outcome{c, err, first}:
		case <-over:
			if err == nil {
				_ = c.Close()
			}
		}
	}
	delay := d.FallbackDelay
	orDefault(&delay, defaultFallbackDelay)
	start := time.NewTimer(delay)
	defer start.Stop()
	go run(primaries, true)
	running, started := 1, false
	var err error // of the first family
	for {
		select {
		case <-start.C:
			started = true
			running++
			go run(fallbacks, false)
		case o := <-outcomes:
			if o.err == nil {
				return o.c, nil
			}
			if o.first {
				err = o.err
			}
			if running--; running == 0 && started {
				return nil, err
			}
			if !started {
				start.Reset(0)
			}
		}
	}
}

// inTurn dials one address after the other. The error is that of the first, unless
// the dial is cancelled before the next.
func (d *Dialer) inTurn(ctx context.Context, rt *proactor.Runtime, network string, addrs []*net.TCPAddr) (Conn, error) {
	local, _ := d.LocalAddr.(*net.TCPAddr)
	var first error
	for i, addr := range addrs {
		opError := func(err error) error {
			return &net.OpError{Op: "dial", Net: network, Source: d.LocalAddr, Addr: addr, Err: err}
		}
		if err := ctx.Err(); err != nil {
			if first != nil && errors.Is(err, context.DeadlineExceeded) {
				break
			}
			return nil, opError(dialErr(err))
		}
		attempt, cancel := share(ctx, len(addrs)-i)
		c, err := d.connectTCP(attempt, rt, network, local, addr)
		cancel()
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = opError(err)
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
		return ctx, func() {}
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
		resolver = DefaultResolver
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

// connectTCP connects to one address. The error is to be wrapped.
func (d *Dialer) connectTCP(ctx context.Context, rt *proactor.Runtime, network string, local, remote *net.TCPAddr) (*TCPConn, error) {
	if d.MultipathTCP() && !noMultipath.Load() {
		c, err := d.connectProtocol(ctx, rt, network, true, local, remote)
		if err == nil {
			return c, nil
		}
		// Whatever is wrong, plain TCP may do, as in the standard library.
		if errors.Is(err, syscall.EPROTONOSUPPORT) {
			noMultipath.Store(true)
		}
	}
	c, err := d.connectProtocol(ctx, rt, network, false, local, remote)
	if err != nil {
		return nil, dialErr(err)
	}
	return c, nil
}

// connectProtocol connects to one address, by multipath TCP or by TCP.
//
// Where nobody listens, the kernel may give the socket the very port that it
// is to connect to, and TCP lets it connect to itself; or the port that the
// kernel has chosen is in use by then. The standard library tries twice more,
// and so does this.
func (d *Dialer) connectProtocol(ctx context.Context, rt *proactor.Runtime, network string, multipath bool, local, remote *net.TCPAddr) (*TCPConn, error) {
	for again := 2; ; again-- {
		c, err := d.connectOnce(ctx, rt, network, multipath, local, remote)
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

func (d *Dialer) connectOnce(ctx context.Context, rt *proactor.Runtime, network string, multipath bool, local, remote *net.TCPAddr) (*TCPConn, error) {
	family := socketFamily(network, local, remote)
	peer := new(sys.Sockaddr)
	if err := peer.SetIP(family, remote.IP, remote.Port, remote.Zone); err != nil {
		return nil, err
	}
	fd, err := d.connect(ctx, rt, family, multipath, peer, func(pfd *poll.FD) error {
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

// familyNetwork is the network of TCP sockets of a family.
func familyNetwork(family int) string {
	if family == sys.INET {
		return "tcp4"
	}
	return "tcp6"
}
