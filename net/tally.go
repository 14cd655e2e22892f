package net

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// ListenerStats counts what a listener has done. Counters are read one after the
// other, so that they need not add up while it is at work.
type ListenerStats struct {
	// Accepted is how many connections Accept has returned, and Active how many
	// of them have not been closed yet.
	Accepted uint64 `json:"accepted"`
	Active   int64  `json:"active"`

	// Inline is how many of those Accepted were there when they were asked for,
	// and so needed no ring. It is zero without a ring.
	Inline uint64 `json:"inline"`

	// Waiting is how many goroutines are in Accept now.
	Waiting int64 `json:"waiting"`

	// Aborted is how many connections were gone before they could be accepted
	// (ECONNABORTED), which Accept does not tell. It is zero without a ring.
	Aborted uint64 `json:"aborted"`

	// Exhausted counts Accepts that failed for want of descriptors or memory
	// (EMFILE, ENFILE, ENOBUFS, ENOMEM), Timeouts those that failed at the
	// listener's deadline, Closed those that were ended by Close or Drain, and
	// Failed all that failed for another reason.
	Exhausted uint64 `json:"exhausted"`
	Timeouts  uint64 `json:"timeouts"`
	Closed    uint64 `json:"closed"`
	Failed    uint64 `json:"failed"`

	// Backlog is how many connections wait in the kernel to be accepted, and
	// BacklogLimit how many it lets wait; further ones get no answer. Both are
	// -1 where the kernel does not tell: for Unix sockets, for Multipath TCP,
	// after Close, and on systems other than Linux.
	Backlog      int `json:"backlog"`
	BacklogLimit int `json:"backlog_limit"`
}

// String returns the counters in one line. Those of failures are there if there
// have been any.
func (s ListenerStats) String() string {
	text := fmt.Sprintf("accepted %d (inline %d), active %d, waiting %d", s.Accepted, s.Inline, s.Active, s.Waiting)
	if s.Backlog >= 0 {
		text += fmt.Sprintf(", backlog %d of %d", s.Backlog, s.BacklogLimit)
	}
	for _, f := range []struct {
		name string
		n    uint64
	}{{"aborted", s.Aborted}, {"exhausted", s.Exhausted}, {"timeouts", s.Timeouts}, {"closed", s.Closed}, {"failed", s.Failed}} {
		if f.n > 0 {
			text += fmt.Sprintf(", %s %d", f.name, f.n)
		}
	}
	return text
}

// tally counts what becomes of a listener's connections. A connection refers to
// it for as long as it lives, and not to the listener.
type tally struct {
	// open is the number of Accepts under way and of connections that have been
	// accepted and not closed. Whoever brings it to zero then looks at drained;
	// who sets drained then looks at open: one sees the other.
	open    atomic.Int64
	drained atomic.Pointer[chan struct{}]

	accepted, gone                       atomic.Uint64
	exhausted, timeouts, closed, failure atomic.Uint64

	all       membership // of connections on a ring
	forgotten func()     // called for each of those that is closed because it is garbage
}

func newTally() *tally {
	t := new(tally)
	t.all.tally = t
	t.forgotten = func() { t.all.left(nil) }
	return t
}

// membership counts connections out of a tally. Those on a ring share one. One of
// the standard library's, which does not tell whether it has been closed or
// forgotten, has its own and leaves by what comes first.
type membership struct {
	tally  *tally
	single bool
	gone   atomic.Bool // of a single one
}

// enter begins an Accept. If that succeeds, it stays counted as the connection.
func (t *tally) enter() { t.open.Inc() }

// failed ends an Accept without a connection.
func (t *tally) failed(err error) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		t.timeouts.Inc()
	case errors.Is(err, net.ErrClosed):
		t.closed.Inc()
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		t.exhausted.Inc()
	default:
		t.failure.Inc()
	}
	t.leave()
}

// left notes that a connection has been closed, with an error that says if it
// had been before. The membership may be nil: it was not accepted.
func (m *membership) left(err error) {
	if m == nil || errors.Is(err, net.ErrClosed) || m.single && m.gone.Swap(true) {
		return
	}
	m.tally.gone.Inc()
	m.tally.leave()
}

// joinStd counts a connection of the standard library's, which that closes when
// it is garbage.
func joinStd(c *conn, t *tally) {
	c.from = &membership{tally: t, single: true}
	runtime.AddCleanup(c, func(m *membership) { m.left(nil) }, c.from)
}

func (t *tally) leave() {
	if t.open.Dec() > 0 {
		return
	}
	if drained := t.drained.Load(); drained != nil {
		t.settle(drained)
	}
}

// settle tells those who wait that nothing is open, once.
func (t *tally) settle(drained *chan struct{}) {
	if t.drained.CompareAndSwap(drained, nil) {
		close(*drained)
	}
}

// active returns the number of connections that have not been closed.
func (t *tally) active() int64 {
	gone := t.gone.Load() // first, so that none is missing that is counted in it
	return int64(t.accepted.Load() - gone)
}

// await waits until nothing is open, or ctx ends.
func (t *tally) await(ctx context.Context) error {
	for t.open.Load() > 0 {
		drained := t.drained.Load()
		if drained == nil {
			c := make(chan struct{})
			if drained = &c; !t.drained.CompareAndSwap(nil, drained) {
				continue
			}
		}
		if t.open.Load() == 0 {
			t.settle(drained)
			return nil
		}
		select {
		case <-*drained:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Stats returns what the listener has done so far. It may be called at any time,
// also after Close.
func (l *listener) Stats() ListenerStats {
	s := ListenerStats{Backlog: -1, BacklogLimit: -1}
	if !l.ok() {
		return s
	}
	t := l.tally
	s.Active = t.active()
	s.Accepted = t.accepted.Load()
	s.Waiting = max(t.open.Load()-s.Active, 0)
	s.Exhausted, s.Timeouts = t.exhausted.Load(), t.timeouts.Load()
	s.Closed, s.Failed = t.closed.Load(), t.failure.Load()
	if l.fd != nil {
		s.Inline, s.Aborted = l.fd.Accepted()
	}
	_ = l.look(func(sysfd int) { s.Backlog, s.BacklogLimit = sys.AcceptQueue(sysfd) })
	return s
}

// look calls f with the listening descriptor, if it is open.
func (l *listener) look(f func(sysfd int)) error {
	if l.fd != nil {
		return l.fd.Control(func(sysfd int) error {
			f(sysfd)
			return nil
		})
	}
	rc, err := l.std.SyscallConn()
	if err != nil {
		return err
	}
	return rc.Control(func(sysfd uintptr) { f(int(sysfd)) })
}
