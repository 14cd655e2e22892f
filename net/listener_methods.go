package net

import (
	"os"
	"syscall"
	"time"
)

// The methods here are those of listener for values that may be nil, which are
// told so as by the standard library: a promoted method would panic.

// Close stops listening. Connections that have been accepted stay open.
func (l *TCPListener) Close() error {
	if l == nil {
		return syscall.EINVAL
	}
	return l.listener.Close()
}

// SetDeadline sets the deadline of Accept. Zero means none.
func (l *TCPListener) SetDeadline(t time.Time) error {
	if l == nil {
		return syscall.EINVAL
	}
	return l.listener.SetDeadline(t)
}

// File returns a file with a duplicate of the listener's descriptor, which is
// the caller's to close. Closing either does not affect the other. Both have the
// same socket, which becomes non-blocking, and blocking by the file's Fd method;
// Accept waits in either case.
func (l *TCPListener) File() (*os.File, error) {
	if l == nil {
		return nil, syscall.EINVAL
	}
	return l.listener.File()
}

// SyscallConn returns access to the socket's descriptor, which the first call
// makes non-blocking. It supports Control only.
func (l *TCPListener) SyscallConn() (syscall.RawConn, error) {
	if l == nil {
		return nil, syscall.EINVAL
	}
	return l.listener.SyscallConn()
}

// SetDeadline sets the deadline of Accept. Zero means none.
func (l *UnixListener) SetDeadline(t time.Time) error {
	if l == nil {
		return syscall.EINVAL
	}
	return l.listener.SetDeadline(t)
}

// File returns a file with a duplicate of the listener's descriptor; see
// TCPListener.File.
func (l *UnixListener) File() (*os.File, error) {
	if l == nil {
		return nil, syscall.EINVAL
	}
	return l.listener.File()
}

// SyscallConn returns access to the socket's descriptor; see
// TCPListener.SyscallConn.
func (l *UnixListener) SyscallConn() (syscall.RawConn, error) {
	if l == nil {
		return nil, syscall.EINVAL
	}
	return l.listener.SyscallConn()
}
