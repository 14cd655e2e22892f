package poll

import (
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// Reading ahead: on a UDP socket that always has something to receive, RecvFrom
// takes several datagrams with one system call and keeps those that come after
// the first for the next receives. It has them in memory of its own only as long
// as the socket is busy: who finds the socket empty gives that back. Whatever
// needs the kernel's own queue turns it off.

// busyAfter is how many receives in a row must not have waited until reading
// ahead begins.
const busyAfter = 16

// AllowAhead allows the socket's receives to read ahead, after SetKind and before
// the first operation. No other descriptor may be for the same socket.
func (fd *FD) AllowAhead() { fd.messages.Load().ahead.Store(true) }

// StopAhead ends reading ahead for good. What has been read is received first.
func (fd *FD) StopAhead() {
	// Pairs with the load in readsAhead. A receive that is at work may not see
	// it, and was there first.
	fd.messages.Load().ahead.Store(false)
}

// readsAhead reports whether a receive should read ahead.
func (m *messages) readsAhead() bool { return m.hits >= busyAfter && m.ahead.Load() }

// taken returns the next datagram that has been read ahead, if there is one.
func (m *messages) taken(b, control []byte) (r Received, ok bool) {
	a := m.aheads
	if a == nil || a.Len() == 0 {
		return r, false
	}
	r.N, r.Control, r.Flags = a.Take(b, control)
	r.From = a.From().Inet()
	return r, true
}

// readAhead is RecvFrom of a socket that is busy, without waiting.
func (m *messages) readAhead(sysfd int, b []byte) (r Received, errno syscall.Errno) {
	if m.aheads == nil {
		m.aheads = sys.NewAhead()
	}
	n, errno := m.aheads.RecvNow(sysfd, b)
	if errno != 0 {
		return r, errno
	}
	r.N = n
	r.From = m.aheads.From().Inet()
	if m.aheads.Len() == 0 {
		m.calm() // one at a time does not need this
	}
	return r, 0
}

// calm ends reading ahead until the socket is busy again.
func (m *messages) calm() {
	m.hits = 0
	if m.aheads != nil {
		m.aheads.Free()
		m.aheads = nil
	}
}
