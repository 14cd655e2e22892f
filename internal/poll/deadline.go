package poll

import "time"

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
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	s.deadline = t
	if s.timer != nil {
		s.timer.Stop()
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
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, func() { fd.deadlinePassed(s) })
	} else {
		s.timer.Reset(wait)
	}
	return nil
}

// Deadline implements driver.Deadliner.
func (s *side) Deadline() (time.Time, bool) {
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	return s.deadline, !s.deadline.IsZero()
}

// deadlinePassed is called by the timer, possibly late: after the deadline was
// moved.
func (fd *FD) deadlinePassed(s *side) {
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	if s.deadline.IsZero() || time.Until(s.deadline) > 0 {
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
	s.deadlineMu.Lock()
	defer s.deadlineMu.Unlock()
	s.deadline = time.Time{}
	if s.timer != nil {
		s.timer.Stop()
	}
}
