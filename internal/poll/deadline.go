package poll

import (
	"sync"
	"time"
	"weak"
)

// deadline is when operations of one direction end. Connections without one do
// not have the memory for it.
type deadline struct {
	mu    sync.Mutex
	at    time.Time   // zero for none
	timer *time.Timer // made when it is first needed
}

// SetDeadline sets both deadlines; see SetReadDeadline.
func (fd *FD) SetDeadline(t time.Time) error {
	if err := fd.SetReadDeadline(t); err != nil {
		return err
	}
	return fd.SetWriteDeadline(t)
}

// SetReadDeadline makes receives and accepts that have not completed by t fail
// with os.ErrDeadlineExceeded, also one that is under way. Zero means no
// deadline. An operation that has completed by then keeps its result.
func (fd *FD) SetReadDeadline(t time.Time) error { return fd.setDeadline(&fd.rd, t) }

// SetWriteDeadline is SetReadDeadline for sends.
func (fd *FD) SetWriteDeadline(t time.Time) error { return fd.setDeadline(&fd.wr, t) }

func (fd *FD) setDeadline(s *side, t time.Time) error {
	if err := fd.incref(); err != nil {
		return err
	}
	defer fd.decref()
	d := s.deadline.Load()
	if d == nil {
		s.deadline.CompareAndSwap(nil, new(deadline)) // pairs with the Loads here: one wins
		d = s.deadline.Load()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = t
	if d.timer != nil {
		d.timer.Stop()
	}
	if t.IsZero() {
		s.spare(fateExpired)
		return nil
	}
	wait := time.Until(t)
	if wait <= 0 {
		fd.expire(s)
		return nil
	}
	s.spare(fateExpired)
	if d.timer == nil {
		d.timer = fd.timer(s, wait)
	} else {
		d.timer.Reset(wait)
	}
	return nil
}

// timer starts the timer of a direction's deadline. It does not keep an FD that is
// forgotten from being closed before the deadline.
func (fd *FD) timer(s *side, wait time.Duration) *time.Timer {
	reading, ref := s == &fd.rd, weak.Make(fd)
	return time.AfterFunc(wait, func() {
		fd := ref.Value()
		switch {
		case fd == nil: // nothing to end
		case reading:
			fd.deadlinePassed(&fd.rd)
		default:
			fd.deadlinePassed(&fd.wr)
		}
	})
}

// Deadline implements driver.Deadliner.
func (s *side) Deadline() (time.Time, bool) {
	d := s.deadline.Load()
	if d == nil {
		return time.Time{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at, !d.at.IsZero()
}

// deadlinePassed is called by the timer, possibly late: after the deadline was
// moved.
func (fd *FD) deadlinePassed(s *side) {
	d := s.deadline.Load()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.at.IsZero() || time.Until(d.at) > 0 {
		return
	}
	fd.expire(s)
}

// expire makes operations of the direction fail with a timeout, from now until
// a new deadline is set.
func (fd *FD) expire(s *side) {
	s.doom(fateExpired)
	fd.cancelCurrent(s)
}

// stopTimer ends the direction's deadline, for closing.
func (s *side) stopTimer() {
	d := s.deadline.Load()
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = time.Time{}
	if d.timer != nil {
		d.timer.Stop()
	}
}
