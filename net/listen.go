package net

import (
	"context"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// Listen announces on the local network address, on the default runtime. See
// net.Listen for networks and addresses.
func Listen(network, address string) (Listener, error) {
	return new(ListenConfig).Listen(context.Background(), network, address)
}

// ListenConfig contains options for listening to an address. The zero value is
// a good default.
type ListenConfig struct {
	// Control is called with the socket before it is bound; see
	// net.ListenConfig.
	Control func(network, address string, c syscall.RawConn) error

	// KeepAlive is the keep-alive period of accepted connections: zero for the
	// default, negative for none. It is ignored if KeepAliveConfig.Enable is
	// set.
	KeepAlive time.Duration

	// KeepAliveConfig configures keep-alive messages of accepted connections.
	KeepAliveConfig KeepAliveConfig

	// Runtime is what the listener and its connections run on; nil means the
	// default runtime.
	Runtime *proactor.Runtime

	// WriteBehind turns write-behind on for accepted stream connections, also
	// if the runtime's configuration does not; see
	// proactor.Config.WriteBehind. Without a ring it does nothing.
	WriteBehind bool

	// ZeroCopy makes accepted stream connections send without copying what a Write
	// or a Buffers has of so many bytes or more; see proactor.Config.ZeroCopy.
	// Zero is what the runtime's configuration says, a negative value never.
	// Without a ring it does nothing. With it, the listener is for plain TCP
	// unless SetMultipathTCP asks for more: the kernel always copies what goes
	// to connections of a listener for Multipath TCP, also to those that do not
	// use it.
	ZeroCopy int

	multipath multipath
}

func (lc *ListenConfig) runtime() *proactor.Runtime {
	if lc.Runtime != nil {
		return lc.Runtime
	}
	return proactor.Default()
}

// Listen announces on the local network address.
func (lc *ListenConfig) Listen(ctx context.Context, network, address string) (Listener, error) {
	// Resolving, binding and all options are the standard library's; only
	// what happens on the socket from then on is ours.
	config := net.ListenConfig{Control: lc.Control, KeepAlive: lc.KeepAlive, KeepAliveConfig: lc.KeepAliveConfig}
	lc.protocol().pass(&config)
	std, err := config.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	switch std := std.(type) {
	case *net.TCPListener:
		l, err := lc.takeTCP(std, network, false)
		if err != nil {
			return nil, err
		}
		return l, nil
	case *net.UnixListener:
		l, err := lc.takeUnix(std, network, address, false)
		if err != nil {
			return nil, err
		}
		return l, nil
	}
	return std, nil
}

// takeTCP makes a listener of the standard library ours. shared says that others
// have the socket, too.
func (lc *ListenConfig) takeTCP(std *net.TCPListener, network string, shared bool) (*TCPListener, error) {
	rt := lc.runtime()
	if !rt.HasRing() {
		return &TCPListener{stdOnly(std, network)}, nil
	}
	l, err := takeListener(rt, std, network, shared)
	if err != nil {
		return nil, err
	}
	l.stream = streamOptions(rt, lc.WriteBehind, lc.ZeroCopy)
	if err := l.fd.Control(lc.prepareTCP); err != nil {
		return nil, l.closeWith(err)
	}
	return &TCPListener{l}, nil
}

// takeUnix makes a listener of the standard library ours; see takeTCP. The file
// of a socket that others have, too, is not removed.
func (lc *ListenConfig) takeUnix(std *net.UnixListener, network, address string, shared bool) (*UnixListener, error) {
	rt := lc.runtime()
	if !rt.HasRing() {
		return &UnixListener{listener: stdOnly(std, network)}, nil
	}
	ul := &UnixListener{unlink: !shared}
	if !strings.HasPrefix(address, "@") {
		ul.path = address
	}
	std.SetUnlinkOnClose(false) // by closing it after its descriptor was taken
	var err error
	if ul.listener, err = takeListener(rt, std, network, shared); err != nil {
		ul.removeFile()
		return nil, err
	}
	ul.stream = streamOptions(rt, lc.WriteBehind, lc.ZeroCopy)
	if network != "unix" {
		ul.stream = stream{} // each Write is a packet
	}
	return ul, nil
}

// prepareTCP sets the options that accepted connections shall have on the
// listening socket: Linux hands them down, which saves a system call for each
// and every connection.
func (lc *ListenConfig) prepareTCP(fd int) error {
	if err := sys.SetNoDelay(fd, true); err != nil {
		return err
	}
	config := keepAliveConfig(lc.KeepAliveConfig, lc.KeepAlive)
	if !config.Enable {
		return nil
	}
	return setKeepAlive(fd, config)
}

// stdListener is what the standard library's stream listeners have.
type stdListener interface {
	net.Listener
	SetDeadline(t time.Time) error
	SyscallConn() (syscall.RawConn, error)
	File() (*os.File, error)
}

// listener is a stream listener, on a ring or, if std is not nil, of the
// standard library.
type listener struct {
	rt   *proactor.Runtime
	fd   *poll.Acceptor
	net  string
	addr net.Addr

	stream stream // of its connections

	std stdListener

	tally *tally // what has become of its connections
}

// takeDescriptor returns a duplicate of the descriptor of one of the standard
// library's sockets.
func takeDescriptor(std syscall.Conn) (int, error) {
	rc, err := std.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	if err := rc.Control(func(sysfd uintptr) { fd, dupErr = sys.Dup(int(sysfd)) }); err != nil {
		return -1, err
	}
	return fd, dupErr
}

// takeListener takes a listening socket out of the standard library's hands. It
// stays non-blocking.
func takeListener(rt *proactor.Runtime, std stdListener, network string, shared bool) (listener, error) {
	defer std.Close()
	l := listener{rt: rt, net: network, addr: std.Addr(), tally: newTally()}
	fd, err := takeDescriptor(std)
	if err != nil {
		return l, &net.OpError{Op: "listen", Net: network, Addr: l.addr, Err: err}
	}
	l.fd = poll.NewAcceptor(rt, fd, shared)
	return l, nil
}

// stdOnly is a listener that is the standard library's.
func stdOnly(std stdListener, network string) listener {
	return listener{net: network, std: std, tally: newTally()}
}

// closeWith gives up a listener that could not be set up.
func (l *listener) closeWith(err error) error {
	_ = l.fd.Close()
	return &net.OpError{Op: "listen", Net: l.net, Addr: l.addr, Err: wrapErr("setsockopt", err)}
}

func (l *listener) ok() bool { return l != nil && (l.fd != nil || l.std != nil) }

func (l *listener) opError(op, call string, err error) error {
	return &net.OpError{Op: op, Net: l.net, Addr: l.addr, Err: wrapErr(call, err)}
}

// accept waits for a connection and gives it to a shard of the runtime.
func (l *listener) accept() (*poll.FD, *sys.Sockaddr, error) {
	l.tally.enter()
	sysfd, peer, err := l.fd.Accept()
	if err != nil {
		l.tally.failed(err)
		return nil, nil, l.opError("accept", "accept4", err)
	}
	l.tally.accepted.Inc()
	return newStream(l.rt, sysfd, l.stream, l.tally.forgotten), peer, nil
}

// acceptStd waits for a connection of the standard library's.
func acceptStd[C net.Conn](l *listener, accept func() (C, error)) (C, error) {
	l.tally.enter()
	c, err := accept()
	if err != nil {
		l.tally.failed(err)
		return c, err
	}
	l.tally.accepted.Inc()
	return c, nil
}

// stream says how stream connections send.
type stream struct {
	behind   bool // Write may return before
	zeroCopy int  // bytes from which Write does not copy, zero for never
}

// streamOptions returns what the options of a Dialer or ListenConfig mean on a
// runtime.
func streamOptions(rt *proactor.Runtime, behind bool, zeroCopy int) stream {
	if zeroCopy == 0 {
		zeroCopy = rt.ZeroCopy()
	}
	return stream{behind: behind || rt.WriteBehind(), zeroCopy: max(zeroCopy, 0)}
}

// newStream takes over the descriptor of a stream connection. forgotten, if not
// nil, is called when it is closed because the connection is garbage.
func newStream(rt *proactor.Runtime, sysfd int, s stream, forgotten func()) *poll.FD {
	fd := poll.NewWatched(rt, sysfd, forgotten)
	// Both fail on a closed FD only.
	if s.behind {
		_ = fd.SetBehind(true)
	}
	if s.zeroCopy > 0 {
		_ = fd.SetZeroCopy(s.zeroCopy)
	}
	return fd
}

// Close stops listening. Connections that have been accepted stay open.
func (l *listener) Close() error {
	if !l.ok() {
		return syscall.EINVAL
	}
	if l.std != nil {
		return l.std.Close()
	}
	if err := l.fd.Close(); err != nil {
		return l.opError("close", "close", err)
	}
	return nil
}

// Addr returns the listener's network address. It is shared by all calls, so
// do not modify it.
func (l *listener) Addr() Addr {
	if l.std != nil {
		return l.std.Addr()
	}
	return l.addr
}

// SetDeadline sets the deadline of Accept. Zero means none.
func (l *listener) SetDeadline(t time.Time) error {
	if !l.ok() {
		return syscall.EINVAL
	}
	if l.std != nil {
		return l.std.SetDeadline(t)
	}
	return l.fd.SetReadDeadline(t)
}
