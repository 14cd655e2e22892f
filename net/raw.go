package net

import (
	"net"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/poll"
)

// rawConn gives access to the descriptor of a socket.
type rawConn struct {
	fd           *poll.FD
	net          string
	laddr, raddr net.Addr
}

func (c *rawConn) opError(op string, source, addr net.Addr, err error) error {
	if err == nil {
		return nil
	}
	return &net.OpError{Op: op, Net: c.net, Source: source, Addr: addr, Err: wrapErr(op, err)}
}

// Control implements syscall.RawConn.
func (c *rawConn) Control(f func(fd uintptr)) error {
	return c.opError("raw-control", nil, c.laddr, c.fd.Control(func(sysfd int) error {
		f(uintptr(sysfd))
		return nil
	}))
}

// Read implements syscall.RawConn.
func (c *rawConn) Read(f func(fd uintptr) bool) error {
	return c.opError("raw-read", c.laddr, c.raddr, c.fd.RawRead(func(sysfd int) bool { return f(uintptr(sysfd)) }))
}

// Write implements syscall.RawConn.
func (c *rawConn) Write(f func(fd uintptr) bool) error {
	return c.opError("raw-write", c.laddr, c.raddr, c.fd.RawWrite(func(sysfd int) bool { return f(uintptr(sysfd)) }))
}

// rawListener is a rawConn that can only Control.
type rawListener struct{ rawConn }

// Read implements syscall.RawConn.
func (l *rawListener) Read(func(uintptr) bool) error { return syscall.EINVAL }

// Write implements syscall.RawConn.
func (l *rawListener) Write(func(uintptr) bool) error { return syscall.EINVAL }

// SyscallConn returns access to the socket's descriptor, which the first call
// makes non-blocking. Control calls its argument while operations may be under
// way. Read and Write call theirs until it returns true, while no other Read or
// Write of the connection goes on, and wait before each further call until there
// is something to receive, or room to send; deadlines and Close end that wait.
// On a connection that writes behind, Write sends first what was written before;
// who writes by Control calls Flush before.
//
// A function that returns false although there is something to receive is called
// again after a pause, which grows up to 10 ms as long as nothing else happens.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if !c.ok() {
		return nil, syscall.EINVAL
	}
	if c.std != nil {
		return c.std.SyscallConn()
	}
	rc := &rawConn{fd: c.fd, net: c.net, laddr: c.laddr, raddr: c.raddr}
	// As with the standard library, it is the methods of rc that say that the
	// connection is closed, the only reason why this can fail.
	_ = c.fd.SetNonblock()
	return rc, nil
}

// SyscallConn returns access to the socket's descriptor, which the first call
// makes non-blocking. It supports Control only.
func (l *listener) SyscallConn() (syscall.RawConn, error) {
	if !l.ok() {
		return nil, syscall.EINVAL
	}
	if l.std != nil {
		return l.std.SyscallConn()
	}
	_ = l.fd.SetNonblock() // see conn.SyscallConn
	return &rawListener{rawConn{fd: &l.fd.FD, net: l.net, laddr: l.addr}}, nil
}
