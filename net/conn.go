package net

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/sys"
)

// stdStream is what the standard library's stream connections have.
type stdStream interface {
	net.Conn
	CloseRead() error
	CloseWrite() error
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
	SyscallConn() (syscall.RawConn, error)
	File() (*os.File, error)
}

// conn is a stream connection, on a ring or, if std is not nil, of the
// standard library.
type conn struct {
	fd    *poll.FD
	net   string
	laddr net.Addr
	raddr net.Addr

	std stdStream

	from *membership // in the tally of the listener that accepted it; nil if it was dialed
}

func (c *conn) ok() bool { return c != nil && (c.fd != nil || c.std != nil) }

// opError wraps an error as package net does for operations on connections.
func (c *conn) opError(op, call string, err error) error {
	return &net.OpError{Op: op, Net: c.net, Source: c.laddr, Addr: c.raddr, Err: wrapErr(call, err)}
}

// setError wraps an error as package net does for setting deadlines and
// options.
func (c *conn) setError(err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: "set", Net: c.net, Addr: c.laddr, Err: wrapErr("setsockopt", err)}
}

// Read implements the Conn Read method.
func (c *conn) Read(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.Read(b)
	}
	n, err := c.fd.Recv(b)
	if err != nil {
		err = c.readError(err)
	}
	return n, err
}

// readError is not inlined, to keep its room off the stack of who waits in Read.
//
//go:noinline
func (c *conn) readError(err error) error {
	if err == io.EOF {
		return err
	}
	return c.opError("read", "read", err)
}

// Write implements the Conn Write method.
func (c *conn) Write(b []byte) (int, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.Write(b)
	}
	n, err := c.fd.Send(b)
	if err != nil {
		err = c.opError("write", "write", err)
	}
	return n, err
}

// Flush waits until everything that was written has been handed to the kernel,
// which is more than Write promises on a connection that writes behind (see
// proactor.Config.WriteBehind); on any other it has nothing to do. An error is
// why something that a Write had taken was not sent; it is reported once, by
// Flush or the next Write, whichever comes first, and later Writes fail with
// EPIPE. The write deadline applies.
//
// Close does not report such an error, so call Flush before where it matters.
func (c *conn) Flush() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return nil
	}
	if err := c.fd.Flush(); err != nil {
		return c.opError("write", "write", err)
	}
	return nil
}

// SetWriteBehind turns write-behind on or off for this connection; see
// proactor.Config.WriteBehind. Turned off, the next Write waits until what was
// written before has been sent. Without a ring it does nothing.
func (c *conn) SetWriteBehind(on bool) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return nil
	}
	return c.setError(c.fd.SetBehind(on))
}

// Close closes the connection. Operations that are blocked on it fail. What was
// written is sent in the background, as SetLinger says. On a connection that
// writes behind, what the kernel has not taken by then because the peer does
// not read is kept for ten seconds (driver.Linger); if the peer has not read by
// then, it is dropped and the connection is reset.
func (c *conn) Close() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		err := c.std.Close()
		c.from.left(err)
		return err
	}
	err := c.fd.Close()
	c.from.left(err)
	if err != nil {
		return c.opError("close", "close", err)
	}
	return nil
}

// CloseRead shuts down the reading side of the connection. Most callers should
// just use Close.
func (c *conn) CloseRead() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return c.std.CloseRead()
	}
	if err := c.fd.Control(sys.ShutdownRead); err != nil {
		return c.opError("close", "shutdown", err)
	}
	return nil
}

// CloseWrite shuts down the writing side of the connection, after what was
// written. Most callers should just use Close.
func (c *conn) CloseWrite() error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return c.std.CloseWrite()
	}
	if err := c.fd.CloseWrite(); err != nil {
		return c.opError("close", "shutdown", err)
	}
	return nil
}

// LocalAddr returns the local network address. It is shared by all calls, and by
// the connections of a listener, so do not modify it.
func (c *conn) LocalAddr() Addr {
	if !c.ok() {
		return nil
	}
	if c.std != nil {
		return c.std.LocalAddr()
	}
	return c.laddr
}

// RemoteAddr returns the remote network address. It is shared by all calls, so
// do not modify it.
func (c *conn) RemoteAddr() Addr {
	if !c.ok() {
		return nil
	}
	if c.std != nil {
		return c.std.RemoteAddr()
	}
	return c.raddr
}

// SetDeadline implements the Conn SetDeadline method.
func (c *conn) SetDeadline(t time.Time) error {
	return c.setDeadline(t, (*poll.FD).SetDeadline, net.Conn.SetDeadline)
}

// SetReadDeadline implements the Conn SetReadDeadline method.
func (c *conn) SetReadDeadline(t time.Time) error {
	return c.setDeadline(t, (*poll.FD).SetReadDeadline, net.Conn.SetReadDeadline)
}

// SetWriteDeadline implements the Conn SetWriteDeadline method.
func (c *conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(t, (*poll.FD).SetWriteDeadline, net.Conn.SetWriteDeadline)
}

func (c *conn) setDeadline(t time.Time, ring func(*poll.FD, time.Time) error, std func(net.Conn, time.Time) error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return std(c.std, t)
	}
	return c.setError(ring(c.fd, t))
}

// SetReadBuffer sets the size in bytes of the operating system's receive
// buffer for the connection.
func (c *conn) SetReadBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return c.std.SetReadBuffer(bytes)
	}
	return c.control(func(fd int) error { return sys.SetBuffer(fd, true, bytes) })
}

// SetWriteBuffer sets the size in bytes of the operating system's transmit
// buffer for the connection.
func (c *conn) SetWriteBuffer(bytes int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	if c.std != nil {
		return c.std.SetWriteBuffer(bytes)
	}
	return c.control(func(fd int) error { return sys.SetBuffer(fd, false, bytes) })
}

// control changes an option of the socket.
func (c *conn) control(f func(fd int) error) error {
	return c.setError(c.fd.Control(f))
}
