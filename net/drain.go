package net

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// DrainListener is what TCPListener and UnixListener have beyond Listener, for
// those who have a Listener in their hands:
//
//	if d, ok := l.(net.DrainListener); ok {
//		err = d.Drain(ctx)
//	}
//
// A Listener made of another, such as crypto/tls has, does not have it: keep the
// inner one for that.
type DrainListener interface {
	Listener

	// Drain stops listening in an orderly way; see TCPListener.Drain.
	Drain(ctx context.Context) error

	// Stats returns what the listener has done so far.
	Stats() ListenerStats
}

// DrainError says that Drain ended before all connections were closed.
type DrainError struct {
	Addr Addr  // that the listener had
	Left int64 // connections that have been accepted and not closed
	Err  error // why Drain did not wait longer: the cause of its context's end
}

// Error implements error.
func (e *DrainError) Error() string {
	return fmt.Sprintf("drain %s %s: %d accepted connections are still open: %v", e.Addr.Network(), e.Addr, e.Left, e.Err)
}

// Unwrap returns why Drain did not wait longer.
func (e *DrainError) Unwrap() error { return e.Err }

// Timeout reports whether a deadline was the reason.
func (e *DrainError) Timeout() bool { return errors.Is(e.Err, context.DeadlineExceeded) }

// The pauses of a Drain that waits for somebody to accept.
const firstDrainPause, lastDrainPause = 100 * time.Microsecond, 10 * time.Millisecond

// Drain stops listening and waits until every connection that was accepted has
// been closed, or ctx ends; then the error is a *DrainError that says how many
// are left. They stay as they are, for the caller to close or not.
//
// Connections that are established and waiting to be accepted when Drain begins
// are not refused: Accept goes on returning them, without waiting for others,
// and fails with ErrClosed when there are no more. Then, or when ctx ends, the
// socket is closed, and what arrives from then on is refused. As long as
// connections wait and nobody calls Accept, Drain waits for ctx. If the socket
// is shared with others (FileListener, File), it is closed at once: what
// is waiting is left to them.
//
// Accepted connections are those that Accept has returned, with or without a
// ring; what is done to them by way of File does not count. An http.Server whose
// SetKeepAlivesEnabled(false) has been called closes every connection after the
// request that it is serving, so that Drain waits for those. Drain may be
// called after Close or http.Server.Shutdown, to wait for what those do not wait
// for, such as hijacked connections, and more than once.
func (l *TCPListener) Drain(ctx context.Context) error {
	if l == nil {
		return syscall.EINVAL
	}
	return l.drain(ctx, l.listener.Close)
}

// Drain stops listening and waits until every connection that was accepted has
// been closed; see TCPListener.Drain. The socket's file is removed first, if
// Close would remove it, so that nobody connects any more.
func (l *UnixListener) Drain(ctx context.Context) error {
	if l == nil || !l.ok() {
		return syscall.EINVAL
	}
	if l.std == nil {
		l.removeFile()
	}
	return l.drain(ctx, l.Close)
}

func (l *listener) drain(ctx context.Context, stop func() error) error {
	if !l.ok() {
		return syscall.EINVAL
	}
	l.emptyBacklog(ctx)
	if err := stop(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	if err := l.tally.await(ctx); err != nil {
		return &DrainError{Addr: l.Addr(), Left: l.tally.active(), Err: err}
	}
	return nil
}

// emptyBacklog waits until Accept has taken the connections that are there now,
// or ctx ends.
func (l *listener) emptyBacklog(ctx context.Context) {
	var emptied <-chan struct{}
	if l.fd != nil {
		if l.fd.Shared() {
			return
		}
		l.fd.Drain()
		emptied = l.fd.Emptied()
	}
	length, before := -1, l.tally.accepted.Load()
	for pause := firstDrainPause; ; pause = min(2*pause, lastDrainPause) {
		some := false
		err := l.look(func(sysfd int) {
			some = sys.Readable(sysfd)
			if length < 0 {
				length, _ = sys.AcceptQueue(sysfd)
			}
		})
		if err != nil || !some {
			return
		}
		if length >= 0 && l.tally.accepted.Load()-before >= uint64(length) {
			return // what is there has come since
		}
		select {
		case <-emptied:
			return
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
