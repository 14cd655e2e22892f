package net

import (
	"context"
	"errors"
	"net"
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
// like Dial. Its methods may be called from any number of goroutines at once.
type Dialer struct {
	// Timeout is the longest that a dial may take, resolving included; zero
	// means no bound but the operating system's. Where a name has several TCP
	// addresses, each is given its part of the time, at least two seconds.
	Timeout time.Duration

	// Deadline is the absolute point in time after which dials fail; zero
	// means none.
	Deadline time.Time

	// LocalAddr is the local address to use; nil means any. It must be of the
	// type of the network that is dialed.
	LocalAddr Addr

	// DualStack has no effect.
	//
	// Deprecated: What it asked for is the default; see FallbackDelay.
	DualStack bool

	// FallbackDelay is how long a dial of the network "tcp" waits for the
	// addresses of the family that the resolver put first, before it tries those
	// of the other family at the same time (RFC 6555). Zero means 300 ms,
	// a negative value that all addresses are tried one after the other.
	FallbackDelay time.Duration

	// KeepAlive is the keep-alive period: zero for the default, negative for
	// none. It is ignored if KeepAliveConfig.Enable is set.
	KeepAlive time.Duration

	// KeepAliveConfig configures keep-alive messages.
	KeepAliveConfig KeepAliveConfig

	// Resolver is the resolver to use; nil means the default.
	Resolver *Resolver

	// Cancel, if not nil, ends dials when it is closed.
	//
	// Deprecated: Use DialContext instead.
	Cancel <-chan struct{}

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

	// ZeroCopy makes stream connections send without copying what a Write
	// or a Buffers has of so many bytes or more; see proactor.Config.ZeroCopy.
	// Zero is what the runtime's configuration says, a negative value never.
	// Without a ring it does nothing.
	ZeroCopy int

	multipath multipath
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
// matter to the connection any more. It panics if ctx is nil.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (Conn, error) {
	if ctx == nil {
		panic("nil context")
	}
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

// std is the dialer of the standard library with the same options.
func (d *Dialer) std() *net.Dialer {
	std := &net.Dialer{Timeout: d.Timeout, Deadline: d.Deadline, LocalAddr: d.LocalAddr,
		FallbackDelay: d.FallbackDelay, KeepAlive: d.KeepAlive, KeepAliveConfig: d.KeepAliveConfig,
		Resolver: d.Resolver, Control: d.Control, ControlContext: d.ControlContext}
	//lint:ignore SA1019 who still uses it shall find that it works
	std.Cancel = d.Cancel
	d.multipath.pass(std)
	return std
}

// bound applies the dialer's own bounds to a context, which the function that it
// returns ends.
func (d *Dialer) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline := d.Deadline
	if d.Timeout != 0 {
		if end := time.Now().Add(d.Timeout); deadline.IsZero() || end.Before(deadline) {
			deadline = end
		}
	}
	var cancel context.CancelFunc
	if deadline.IsZero() {
		ctx, cancel = context.WithCancel(ctx)
	} else {
		ctx, cancel = context.WithDeadline(ctx, deadline)
	}
	if d.Cancel != nil {
		go func() {
			select {
			case <-d.Cancel:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return ctx, cancel
}

// dialStd dials by the standard library.
func (d *Dialer) dialStd(ctx context.Context, network, address string) (Conn, error) {
	c, err := d.std().DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if c, ok := c.(*net.TCPConn); ok {
		return &TCPConn{conn{std: c}}, nil
	}
	return takeDialed(d.runtime(), c, network, d.LocalAddr)
}

// dialUnix connects to a Unix stream socket by its name.
func (d *Dialer) dialUnix(ctx context.Context, rt *proactor.Runtime, address string) (Conn, error) {
	if address == "" {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: errMissingAddress}
	}
	if d.LocalAddr != nil && d.LocalAddr.Network() != "unix" {
		return nil, &net.OpError{Op: "dial", Net: "unix", Err: mismatched(d.LocalAddr)}
	}
	local, _ := d.LocalAddr.(*net.UnixAddr)
	remote := &net.UnixAddr{Net: "unix", Name: address}
	c, err := d.connectUnix(ctx, rt, local, remote)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unix", Source: d.LocalAddr, Addr: remote, Err: err}
	}
	return c, nil
}

// connectUnix connects to a Unix stream socket. The error is to be wrapped.
func (d *Dialer) connectUnix(ctx context.Context, rt *proactor.Runtime, local, remote *net.UnixAddr) (*UnixConn, error) {
	if remote == nil || remote.Name == "" {
		return nil, errMissingAddress
	}
	peer := new(sys.Sockaddr)
	if err := peer.SetUnix(remote.Name); err != nil {
		return nil, wrapErr("connect", err)
	}
	fd, err := d.connect(ctx, rt, sys.UNIX, false, peer, func(fd *poll.FD) error {
		if err := d.control(ctx, fd, "unix", remote); err != nil {
			return err
		}
		if local == nil || local.Name == "" {
			return nil
		}
		sa := new(sys.Sockaddr)
		if err := sa.SetUnix(local.Name); err != nil {
			return err
		}
		return sys.Bind(fd.Sysfd(), sa)
	})
	if err != nil {
		return nil, dialErr(err)
	}
	c := newUnixConn(fd, "unix", peer)
	c.connected = true
	return c, nil
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

// connect creates a stream socket, prepares it and connects it.
func (d *Dialer) connect(ctx context.Context, rt *proactor.Runtime, family int, multipath bool, peer *sys.Sockaddr, prepare func(*poll.FD) error) (*poll.FD, error) {
	create := sys.StreamSocket
	if multipath {
		create = sys.MultipathSocket
	}
	sysfd, err := create(family)
	if err != nil {
		return nil, err
	}
	fd := newStream(rt, sysfd, streamOptions(rt, d.WriteBehind, d.ZeroCopy), nil)
	if err = prepare(fd); err == nil {
		err = fd.Connect(ctx, peer)
	}
	if err != nil {
		_ = fd.Close()
		return nil, err
	}
	return fd, nil
}
