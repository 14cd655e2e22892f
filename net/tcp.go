package net

import (
	"context"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/sys"
)

// TCPConn is a TCP connection.
type TCPConn struct{ conn }

// SetNoDelay controls whether the operating system should delay packets in the
// hope of sending fewer (Nagle's algorithm). The default is true: no delay.
func (c *TCPConn) SetNoDelay(on bool) error {
	return c.set(func(std *net.TCPConn) error { return std.SetNoDelay(on) },
		func(fd int) error { return sys.SetNoDelay(fd, on) })
}

// SetKeepAlive sets whether the operating system should send keep-alive
// messages on the connection.
func (c *TCPConn) SetKeepAlive(on bool) error {
	return c.set(func(std *net.TCPConn) error { return std.SetKeepAlive(on) },
		func(fd int) error { return sys.SetKeepAlive(fd, on) })
}

// SetKeepAlivePeriod sets how long the connection is idle before the first
// keep-alive message is sent.
func (c *TCPConn) SetKeepAlivePeriod(d time.Duration) error {
	return c.set(func(std *net.TCPConn) error { return std.SetKeepAlivePeriod(d) },
		func(fd int) error {
			orDefault(&d, defaultKeepAliveIdle)
			return sys.SetKeepAliveTimes(fd, d, 0, 0)
		})
}

// SetKeepAliveConfig configures keep-alive messages.
func (c *TCPConn) SetKeepAliveConfig(config KeepAliveConfig) error {
	return c.set(func(std *net.TCPConn) error { return std.SetKeepAliveConfig(config) },
		func(fd int) error { return setKeepAlive(fd, config) })
}

// SetLinger sets what Close does with data that is still to be sent or
// acknowledged: negative, the default, sends it in the background; zero
// discards it; positive sends it for so many seconds at most, for which Close
// can wait.
func (c *TCPConn) SetLinger(sec int) error {
	return c.set(func(std *net.TCPConn) error { return std.SetLinger(sec) },
		func(fd int) error { return sys.SetLinger(fd, sec) })
}

// MultipathTCP reports whether the connection uses Multipath TCP and has not
// fallen back to TCP. It is false before Linux 5.16, which does not tell. The
// error is that of a connection that is not valid.
func (c *TCPConn) MultipathTCP() (bool, error) {
	if !c.ok() {
		return false, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.(*net.TCPConn).MultipathTCP()
	}
	uses := false
	// This fails on a closed connection, which does not use anything.
	_ = c.fd.Control(func(fd int) error {
		uses = sys.UsesMultipathTCP(fd)
		return nil
	})
	return uses, nil
}

func (c *TCPConn) set(std func(*net.TCPConn) error, ring func(fd int) error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return std(c.std.(*net.TCPConn))
	}
	if err := c.fd.Control(ring); err != nil {
		return c.opError("set", "setsockopt", err)
	}
	return nil
}

// The keep-alive times of a KeepAliveConfig whose fields are zero, as in the
// standard library.
const (
	defaultKeepAliveIdle     = 15 * time.Second
	defaultKeepAliveInterval = 15 * time.Second
	defaultKeepAliveCount    = 9
)

// setKeepAlive applies a configuration: zero means the default, negative means
// leave it alone.
func setKeepAlive(fd int, c KeepAliveConfig) error {
	if err := sys.SetKeepAlive(fd, c.Enable); err != nil {
		return err
	}
	orDefault(&c.Idle, defaultKeepAliveIdle)
	orDefault(&c.Interval, defaultKeepAliveInterval)
	orDefault(&c.Count, defaultKeepAliveCount)
	return sys.SetKeepAliveTimes(fd, c.Idle, c.Interval, c.Count)
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// keepAliveConfig returns what a Dialer or ListenConfig asks for. period is
// its KeepAlive field: zero for the default, negative for none.
func keepAliveConfig(config KeepAliveConfig, period time.Duration) KeepAliveConfig {
	if config.Enable || period < 0 {
		return config
	}
	return KeepAliveConfig{Enable: true, Idle: period}
}

// newTCPConn takes over a connected socket. Its options are set already.
func newTCPConn(fd *poll.FD, network string, peer *sys.Sockaddr) *TCPConn {
	c := &TCPConn{conn{fd: fd, net: network}}
	c.raddr = addrOrNil(peer.TCPAddr())
	var local sys.Sockaddr
	if sys.Getsockname(fd.Sysfd(), &local) == nil {
		c.laddr = addrOrNil(local.TCPAddr())
	}
	return c
}

// addrOrNil avoids an interface that holds a nil pointer.
func addrOrNil(a *net.TCPAddr) net.Addr {
	if a == nil {
		return nil
	}
	return a
}

// TCPListener is a TCP network listener.
type TCPListener struct{ listener }

// AcceptTCP accepts the next incoming connection.
func (l *TCPListener) AcceptTCP() (*TCPConn, error) {
	if l == nil || !l.ok() {
		return nil, syscall.EINVAL
	}
	if l.std != nil {
		c, err := acceptStd(&l.listener, l.std.(*net.TCPListener).AcceptTCP)
		if err != nil {
			return nil, err
		}
		tc := &TCPConn{conn{std: c}}
		joinStd(&tc.conn, l.tally)
		return tc, nil
	}
	fd, peer, err := l.accept()
	if err != nil {
		return nil, err
	}
	c := newTCPConn(fd, l.net, peer)
	c.from = &l.tally.all
	if sameTCPAddr(c.laddr, l.addr) {
		c.laddr = l.addr // one for all, unless the listener has any address
	}
	return c, nil
}

// sameTCPAddr reports whether two addresses are the same in every byte.
func sameTCPAddr(a, b net.Addr) bool {
	x, ok := a.(*net.TCPAddr)
	y, too := b.(*net.TCPAddr)
	return ok && too && slices.Equal(x.IP, y.IP) && x.Port == y.Port && x.Zone == y.Zone
}

// Accept implements the Listener Accept method.
func (l *TCPListener) Accept() (Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ListenTCP acts like Listen for TCP networks. A nil laddr means any address
// and port.
func ListenTCP(network string, laddr *TCPAddr) (*TCPListener, error) {
	switch network {
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, &net.OpError{Op: "listen", Net: network, Addr: tcpAddr(laddr), Err: net.UnknownNetworkError(network)}
	}
	std, err := net.ListenTCP(network, laddr)
	if err != nil {
		return nil, err
	}
	return new(ListenConfig).takeTCP(std, network, false)
}

// DialTCP acts like Dial for TCP networks.
func DialTCP(network string, laddr, raddr *TCPAddr) (*TCPConn, error) {
	d := new(Dialer)
	if d.runtime().HasRing() {
		return d.dialTCPAddr(context.Background(), network, laddr, raddr)
	}
	c, err := net.DialTCP(network, laddr, raddr)
	if err != nil {
		return nil, err
	}
	return &TCPConn{conn{std: c}}, nil
}

func tcpAddr(a *TCPAddr) net.Addr { return addrOrNil(a) }
