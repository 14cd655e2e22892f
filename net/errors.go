package net

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/yamanote-go/yamanote/proactor"
)

// errRuntimeClosed is net.ErrClosed for connections whose runtime was shut
// down under them.
var errRuntimeClosed = fmt.Errorf("%w: %w", net.ErrClosed, proactor.ErrClosed)

// wrapErr gives an error of package poll the form that package net gives it:
// an errno becomes an *os.SyscallError that names the system call.
func wrapErr(call string, err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, proactor.ErrClosed):
		return errRuntimeClosed
	case errors.As(err, &errno):
		var named *os.SyscallError
		if errors.As(err, &named) {
			return err
		}
		return os.NewSyscallError(call, errno)
	}
	return err
}

// timeoutError is what a dial that takes too long fails with: the text and
// the behaviour of the standard library's.
type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// Is says yes to both of what the standard library's error may be: there, a
// dial is ended by its socket's deadline or by its context, whose timer is
// first.
func (timeoutError) Is(err error) bool {
	return err == context.DeadlineExceeded || err == os.ErrDeadlineExceeded
}

// canceledError is what a dial fails with whose context was cancelled.
type canceledError struct{}

func (canceledError) Error() string { return "operation was canceled" }

func (canceledError) Is(err error) bool { return err == context.Canceled }

// controlError is an error of a Dialer's Control function, which a dial fails
// with as it is.
type controlError struct{ error }

// dialErr turns the end of a context into what the standard library's dial
// fails with.
func dialErr(err error) error {
	var control controlError
	switch {
	case errors.As(err, &control):
		return control.error
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return timeoutError{}
	case errors.Is(err, context.Canceled):
		return canceledError{}
	}
	return wrapErr("connect", err)
}
