package poll

import (
	"errors"
	"io"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// Stream is an FD of what has no offsets and can be polled: a pipe, a terminal,
// another character device, a socket of an unknown kind.
//
// Its reads and writes are system calls of the calling goroutine, which waits
// on the ring, by a poll, when they would wait. To hand the read itself to the
// ring would save a system call, but not all of these are safe there: a
// terminal looks at O_NONBLOCK only, and without that would make the ring wait
// with everybody's operations.
type Stream struct {
	FD
	owner any // who has the FD has this, too

	// blocking says that the descriptor's system calls wait. Who wants to read
	// then waits for something to be there before, so that only a write that is
	// larger than the room, or a reader that others are quicker than, keeps its
	// thread.
	blocking atomic.Bool
}

// NewStream makes a Stream of a descriptor that is non-blocking, unless
// blocking says otherwise. As long as an operation is under way, owner stays
// reachable.
func NewStream(rt *proactor.Runtime, sysfd int, blocking bool, owner any) *Stream {
	s := &Stream{FD: FD{sysfd: sysfd, driver: rt.Pick(), handle: borrowed()}, owner: owner}
	s.blocking.Store(blocking)
	return s
}

// maxTransfer is the most that one system call or operation is asked to read or
// write, in bytes. The kernel does at most 2 GiB less a page at once; this is
// the bound of package os, so that both return the same.
const maxTransfer = 1 << 30

// capped is the part of b that one operation is for.
func capped(b []byte) []byte { return b[:min(len(b), maxTransfer)] }

// Read reads once into b. It returns 0 at the end of the stream.
func (s *Stream) Read(b []byte) (int, error) {
	if len(b) == 0 {
		// Nothing to wait for, even if the deadline has passed.
		return 0, s.Control(func(int) error { return nil })
	}
	if err := s.begin(&s.rd); err != nil {
		return 0, err
	}
	defer s.end(&s.rd)
	b = capped(b)
	var p patience
	for {
		if s.rd.empty || s.blocking.Load() {
			if err := s.ready(&s.rd, eventIn, &p); err != nil {
				return 0, err
			}
		}
		n, err := sys.Read(s.sysfd, b)
		s.driver.NoteInline(err == nil)
		switch err {
		case nil:
			// A pipe gives all that it has. What else gives less is asked
			// again for nothing.
			s.rd.empty = n < len(b)
			return n, nil
		case error(syscall.EAGAIN):
			s.rd.empty = true
		case error(syscall.EINTR):
		default:
			return 0, err
		}
	}
}

// Write writes all of b, or returns how much it wrote and why not more.
func (s *Stream) Write(b []byte) (n int, err error) {
	if err := s.begin(&s.wr); err != nil {
		return 0, err
	}
	defer s.end(&s.wr)
	var p patience
	full := false
	for {
		if full || s.blocking.Load() {
			if err := s.ready(&s.wr, eventOut, &p); err != nil {
				return n, err
			}
			full = false
		}
		m, err := sys.Write(s.sysfd, capped(b[n:]))
		s.driver.NoteInline(err == nil && n+m == len(b))
		n += max(m, 0)
		switch {
		case err == nil && n == len(b):
			return n, nil
		case err == nil && m == 0:
			return n, io.ErrUnexpectedEOF
		case err == nil:
			// Either it is full now, or one write takes no more.
		case errors.Is(err, syscall.EAGAIN):
			full = true
		case errors.Is(err, syscall.EINTR):
		default:
			return n, err
		}
	}
}

// RawRead calls f with the descriptor until it returns true, and waits before
// each further call for something to read; see FD.RawRead. It leaves the
// descriptor as blocking as it is.
func (s *Stream) RawRead(f func(sysfd int) bool) error { return s.raw(&s.rd, eventIn, f) }

// RawWrite is RawRead for writing.
func (s *Stream) RawWrite(f func(sysfd int) bool) error { return s.raw(&s.wr, eventOut, f) }

func (s *Stream) raw(side *side, event uint32, f func(sysfd int) bool) error {
	if err := s.begin(side); err != nil {
		return err
	}
	defer s.end(side)
	var p patience
	for !f(s.sysfd) {
		if err := s.ready(side, event, &p); err != nil {
			return err
		}
	}
	side.empty = false // f may have left something
	return nil
}

// Exposed is for when somebody has got the descriptor's number: it makes the
// descriptor blocking, if that is asked for, and sees whether it is.
func (s *Stream) Exposed(makeBlocking bool) {
	// It fails if the stream is closed, when there is nothing to do.
	_ = s.Control(func(sysfd int) error {
		if makeBlocking {
			if err := sys.SetBlocking(sysfd); err != nil {
				return err
			}
		}
		flags, err := sys.OpenFileFlags(sysfd)
		s.blocking.Store(err == nil && flags&sys.NonblockFlag == 0)
		return nil
	})
}
