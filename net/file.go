package net

import (
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// File returns a file with a duplicate of the connection's descriptor, which is
// the caller's to close. Closing either does not affect the other. Both have the
// same socket, which becomes non-blocking, and blocking by the file's Fd method;
// operations of the connection wait in either case.
//
// What was written behind and not yet sent is not in the file's way: call Flush
// before something is written to the file.
func (c *conn) File() (*os.File, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.File()
	}
	var f *os.File
	err := c.fd.Control(func(sysfd int) (err error) {
		f, err = fileOf(sysfd, c.net, func(f *os.File) (fileOwner, error) {
			std, err := net.FileConn(f)
			if err != nil {
				return nil, err
			}
			return std.(fileOwner), nil
		})
		return err
	})
	if err != nil {
		return nil, c.opError("file", "dup", err)
	}
	return f, nil
}

// File returns a file with a duplicate of the listener's descriptor, which is
// the caller's to close. Closing either does not affect the other. Both have the
// same socket, which becomes non-blocking, and blocking by the file's Fd method;
// Accept waits in either case.
func (l *listener) File() (*os.File, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	if l.std != nil {
		return l.std.File()
	}
	l.fd.Share() // with the file, whose Fd makes it blocking
	var f *os.File
	err := l.fd.Control(func(sysfd int) (err error) {
		f, err = fileOf(sysfd, "", func(f *os.File) (fileOwner, error) {
			std, err := net.FileListener(f)
			if err != nil {
				return nil, err
			}
			return std.(fileOwner), nil
		})
		return err
	})
	if err != nil {
		return nil, l.opError("file", "dup", err)
	}
	return f, nil
}

// fileOwner is a socket of the standard library.
type fileOwner interface {
	File() (*os.File, error)
	Close() error
}

// fileOf returns a file for a socket. Only package net can make one that has
// deadlines and whose Fd is blocking, as child processes expect. network is that
// of a connection, whose options the standard library would change.
func fileOf(sysfd int, network string, take func(*os.File) (fileOwner, error)) (*os.File, error) {
	if strings.HasPrefix(network, "tcp") {
		restore, err := sys.TCPOptions(sysfd)
		if err != nil {
			return nil, err
		}
		// They are valid, so this fails only where the socket has failed.
		defer func() { _ = restore() }()
	}
	dup, err := sys.Dup(sysfd)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(dup), "socket")
	defer f.Close()
	std, err := take(f)
	if err != nil {
		return nil, inner(err)
	}
	defer std.Close()
	file, err := std.File()
	return file, inner(err)
}

// inner returns what an error of package net is about.
func inner(err error) error {
	if oe, ok := err.(*net.OpError); ok {
		return oe.Err
	}
	return err
}

// FileConn returns a connection with a duplicate of the descriptor of f, which
// stays the caller's to close. It runs on the default runtime; see
// Dialer.FileConn.
func FileConn(f *os.File) (Conn, error) { return new(Dialer).FileConn(f) }

// FileListener returns a listener with a duplicate of the descriptor of f, which
// stays the caller's to close. It runs on the default runtime; see
// ListenConfig.FileListener.
func FileListener(f *os.File) (Listener, error) { return new(ListenConfig).FileListener(f) }

// FileConn is the function FileConn on d.Runtime; of the other fields, only
// WriteBehind and ZeroCopy matter. The descriptor of f becomes non-blocking, and a
// TCP connection gets the options that the standard library gives it: no delay,
// and keep-alive messages.
func (d *Dialer) FileConn(f *os.File) (Conn, error) {
	std, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	c, err := d.take(std)
	if err != nil {
		_ = std.Close()
		return nil, &net.OpError{Op: "file", Net: "file+net", Addr: fileAddr(f.Name()), Err: err}
	}
	return c, nil
}

// take makes a connection of the standard library ours, of which others may have
// the socket, too. An IPConn stays what it is.
func (d *Dialer) take(std net.Conn) (Conn, error) {
	tcp, isTCP := std.(*net.TCPConn)
	if !isTCP {
		return takePackets(d.runtime(), std, packetOptions{behind: d.WriteBehind, shared: true})
	}
	rt := d.runtime()
	if !rt.HasRing() {
		return &TCPConn{conn{std: tcp}}, nil
	}
	sysfd, err := takeDescriptor(tcp)
	if err != nil {
		return nil, err
	}
	_ = tcp.Close()
	return &TCPConn{conn{net: tcp.LocalAddr().Network(), laddr: tcp.LocalAddr(), raddr: tcp.RemoteAddr(),
		fd: newStream(rt, sysfd, streamOptions(rt, d.WriteBehind, d.ZeroCopy), nil)}}, nil
}

// FileListener is the function FileListener with the options of lc, except for
// Control. The descriptor of f becomes non-blocking. Options for accepted TCP
// connections are set on the socket, so that those which others accept from it
// have them, too. The file of a Unix socket is not removed, unless
// SetUnlinkOnClose says so.
func (lc *ListenConfig) FileListener(f *os.File) (Listener, error) {
	std, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	switch std := std.(type) {
	case *net.TCPListener:
		l, err := lc.takeTCP(std, "tcp", true)
		if err != nil {
			return nil, err
		}
		return l, nil
	case *net.UnixListener:
		l, err := lc.takeUnix(std, std.Addr().Network(), std.Addr().String(), true)
		if err != nil {
			return nil, err
		}
		return l, nil
	}
	return std, nil
}

// fileAddr is the name of a file as an address, for errors.
type fileAddr string

func (fileAddr) Network() string  { return "file+net" }
func (f fileAddr) String() string { return string(f) }
