package net

import (
	"context"
	"net"
	"sync"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/sys"
)

// UnixConn is a connection to a Unix socket, or a Unix socket of datagrams: its
// network is "unix", "unixpacket" or "unixgram".
type UnixConn struct {
	conn
	connected bool // it was made for one peer: WriteTo is refused
}

// newUnixConn takes over a connected socket.
func newUnixConn(fd *poll.FD, network string, peer *sys.Sockaddr) *UnixConn {
	c := &UnixConn{conn: conn{fd: fd, net: network, raddr: unixName(peer, network)}}
	var local sys.Sockaddr
	if sys.Getsockname(fd.Sysfd(), &local) == nil {
		c.laddr = unixName(&local, network)
	}
	return c
}

// unixName returns an address as the standard library shows it: a socket that
// has no name is called "@".
func unixName(s *sys.Sockaddr, network string) *net.UnixAddr {
	a := s.UnixAddr(network)
	if a.Name == "" {
		a.Name = "@"
	}
	return a
}

// UnixListener is a listener on a Unix socket, of the network "unix" or
// "unixpacket".
type UnixListener struct {
	listener

	mu     sync.Mutex
	path   string // the socket's file, empty for none
	unlink bool   // the file is to be removed when the listener is closed
}

// AcceptUnix accepts the next incoming connection.
func (l *UnixListener) AcceptUnix() (*UnixConn, error) {
	if l == nil || !l.ok() {
		return nil, syscall.EINVAL
	}
	if l.std != nil {
		c, err := acceptStd(&l.listener, l.std.(*net.UnixListener).AcceptUnix)
		if err != nil {
			return nil, err
		}
		uc := &UnixConn{conn: conn{std: c}}
		joinStd(&uc.conn, l.tally)
		return uc, nil
	}
	fd, peer, err := l.accept()
	if err != nil {
		return nil, err
	}
	if l.net == "unixpacket" {
		fd.SetKind(poll.Packets)
	}
	// Its own name is the listener's, always.
	return &UnixConn{conn: conn{fd: fd, net: l.net, laddr: l.addr, raddr: unixName(peer, l.net), from: &l.tally.all}}, nil
}

// Accept implements the Listener Accept method.
func (l *UnixListener) Accept() (Conn, error) {
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close stops listening. It removes the socket's file, unless SetUnlinkOnClose
// says otherwise. Connections that have been accepted stay open.
func (l *UnixListener) Close() error {
	if l == nil || !l.ok() {
		return syscall.EINVAL
	}
	if l.std == nil {
		l.removeFile()
	}
	return l.listener.Close()
}

// removeFile removes the socket's file if it is to be removed, once. That
// happens before closing, as the standard library does: while the descriptor
// is open, nobody else can have put a new socket under the name.
func (l *UnixListener) removeFile() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path != "" && l.unlink {
		_ = syscall.Unlink(l.path)
	}
	l.path = ""
}

// SetUnlinkOnClose sets whether the socket's file is removed from the file
// system when the listener is closed. The default is true for listeners that
// created it.
func (l *UnixListener) SetUnlinkOnClose(unlink bool) {
	if l.std != nil {
		l.std.(*net.UnixListener).SetUnlinkOnClose(unlink)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlink = unlink
}

// ListenUnix acts like Listen for the networks "unix" and "unixpacket".
func ListenUnix(network string, laddr *UnixAddr) (*UnixListener, error) {
	if network != "unix" && network != "unixpacket" {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: unixAddr(laddr), Err: net.UnknownNetworkError(network)}
	}
	if laddr == nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: errMissingAddress}
	}
	l, err := new(ListenConfig).Listen(context.Background(), network, laddr.Name)
	if err != nil {
		return nil, err
	}
	return l.(*UnixListener), nil
}

// DialUnix acts like Dial for Unix networks. On "unixgram", raddr may be nil: the
// socket then receives, and sends by WriteTo.
func DialUnix(network string, laddr, raddr *UnixAddr) (*UnixConn, error) {
	return new(Dialer).DialUnix(context.Background(), network, laddr, raddr)
}

func unixAddr(a *UnixAddr) net.Addr {
	if a == nil {
		return nil
	}
	return a
}
