package poll

import (
	"errors"
	"net"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// Acceptor is the descriptor of a listening socket. A connection that is there
// is accepted by a system call of the caller's; the ring is for waiting.
type Acceptor struct {
	FD

	// shared says that others may have the same open file and make it blocking
	// at any time, so that a system call could wait.
	shared atomic.Bool

	// refuses says that this kernel's accept fails with EAGAIN on a descriptor
	// that is non-blocking. It belongs to the holder of rd.lock.
	refuses bool

	aborted atomic.Uint64 // connections that were gone before they were accepted
	inline  atomic.Uint64 // connections accepted without the ring
	emptied chan struct{} // closed when the queue was found empty while draining
}

// NewAcceptor takes over the descriptor of a listening socket for the runtime,
// which must have a ring. shared says that others have the same open file; if
// not, it must be non-blocking.
func NewAcceptor(rt *proactor.Runtime, sysfd int, shared bool) *Acceptor {
	a := &Acceptor{FD: FD{sysfd: sysfd, driver: rt.Pick(), handle: owned(sysfd, nil)}, emptied: make(chan struct{})}
	a.shared.Store(shared)
	return a
}

// Share says that others will have the same open file. An Accept that is under
// way may still make one system call that relies on its being non-blocking.
func (a *Acceptor) Share() { a.shared.Store(true) }

// Shared reports whether others may have the same open file.
func (a *Acceptor) Shared() bool { return a.shared.Load() }

// Accepted returns how many connections have been accepted without the ring, and
// how many were gone before they could be accepted and were passed over.
func (a *Acceptor) Accepted() (inline, aborted uint64) { return a.inline.Load(), a.aborted.Load() }

// noPollFirst says that the kernel has shown that it does not have
// IORING_ACCEPT_POLL_FIRST, which spares an attempt that is known to be in vain.
var noPollFirst atomic.Bool

// Accept waits for a connection and returns its descriptor, which is blocking
// and close-on-exec, and its peer's address. While the socket is drained, Accept
// does not wait, and fails with net.ErrClosed when no connection is left.
func (a *Acceptor) Accept() (int, *sys.Sockaddr, error) {
	s := &a.rd
	err := a.begin(s)
	if err == nil {
		defer a.end(s)
		var sysfd int
		var peer *sys.Sockaddr
		if sysfd, peer, err = a.accept(s); err != errDraining {
			return sysfd, peer, err
		}
		return a.acceptLeft()
	}
	if err != errDraining {
		return -1, nil, err
	}
	if err := a.incref(); err != nil {
		return -1, nil, err
	}
	s.lock.Lock()
	defer a.end(s)
	return a.acceptLeft()
}

// accept does Accept with the direction's lock held.
func (a *Acceptor) accept(s *side) (int, *sys.Sockaddr, error) {
	// The address is the caller's afterwards, so it is a new one each time.
	peer := new(sys.Sockaddr)
	var p patience
	for {
		if !s.empty && !a.shared.Load() {
			sysfd, err := a.acceptNow(peer)
			if err == nil || !errors.Is(err, syscall.EAGAIN) {
				return sysfd, peer, err
			}
			s.empty = true
		}
		if a.refuses {
			if err := a.ready(s, eventIn, &p); err != nil {
				return -1, nil, err
			}
			if !a.shared.Load() {
				continue
			}
		}
		c, err := a.await(s, peer)
		switch {
		case err == nil:
			s.empty = c.Flags&uring.IORING_CQE_F_SOCK_NONEMPTY == 0
			return int(c.Res), peer, nil
		case errors.Is(err, syscall.ECONNABORTED):
			a.aborted.Inc() // as the standard library does, wait for the next
		case errors.Is(err, syscall.EAGAIN):
			// The kernel looks at whether the descriptor is non-blocking. Where
			// somebody can change that, it has to be tried again each time.
			a.refuses = true
		default:
			return -1, nil, err
		}
	}
}

// await accepts a connection by the ring.
func (a *Acceptor) await(s *side, peer *sys.Sockaddr) (c driver.Completion, err error) {
	r := s.request()
	attempt := func(flags uring.AcceptFlags) {
		r.Keep = peer
		sys.PrepAccept(&r.SQE, a.sysfd, peer, flags)
		c, err = a.run(s, r)
	}
	if !s.empty || noPollFirst.Load() {
		attempt(0)
		return c, err
	}
	attempt(uring.IORING_ACCEPT_POLL_FIRST)
	if errors.Is(err, syscall.EINVAL) {
		// The kernel does not know the flag, or the socket does not listen.
		if attempt(0); !errors.Is(err, syscall.EINVAL) {
			noPollFirst.Store(true)
		}
	}
	return c, err
}

// acceptNow accepts a connection that is there, or fails with EAGAIN.
func (a *Acceptor) acceptNow(peer *sys.Sockaddr) (int, error) {
	for {
		sysfd, errno := sys.AcceptNow(a.sysfd, peer)
		if errno != syscall.EINTR {
			a.driver.NoteInline(errno != syscall.EAGAIN)
		}
		switch errno {
		case 0:
			a.inline.Inc()
			return sysfd, nil
		case syscall.EINTR:
		case syscall.ECONNABORTED:
			a.aborted.Inc()
		default:
			return -1, errno
		}
	}
}

// Drain makes Accepts take what connections are there, and then fail with
// net.ErrClosed instead of waiting. Emptied tells when they have got so far. It
// is for sockets that nobody shares: what others accept from the same queue is
// not to be taken from them.
func (a *Acceptor) Drain() {
	a.rd.doom(fateDraining)
	a.cancelCurrent(&a.rd)
}

// Emptied returns a channel that is closed when Drain has been called and an
// Accept has found that no connection is left.
func (a *Acceptor) Emptied() <-chan struct{} { return a.emptied }

// acceptLeft accepts a connection while the socket is drained. The caller has
// the lock of the direction.
func (a *Acceptor) acceptLeft() (int, *sys.Sockaddr, error) {
	if a.rd.fate.Load()&fateClosed != 0 || a.shared.Load() {
		return -1, nil, net.ErrClosed
	}
	peer := new(sys.Sockaddr)
	sysfd, err := a.acceptNow(peer)
	if !errors.Is(err, syscall.EAGAIN) {
		return sysfd, peer, err
	}
	select {
	case <-a.emptied:
	default:
		close(a.emptied) // under the lock, so once
	}
	return -1, nil, net.ErrClosed
}
