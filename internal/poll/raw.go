package poll

import (
	"errors"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// The events that somebody can wait for, the same on every Linux. Errors and
// the end of the connection are events, too, without being asked for.
const (
	eventIn  = 0x1
	eventOut = 0x4
)

// RawRead calls f with the descriptor until it returns true, and waits before
// each further call for something to receive. No other receive goes on
// meanwhile. Deadlines and Close end the waiting, not f.
func (fd *FD) RawRead(f func(sysfd int) bool) error {
	return fd.raw(&fd.rd, eventIn, f)
}

// RawWrite is RawRead for sending. What was written behind is sent before.
func (fd *FD) RawWrite(f func(sysfd int) bool) error {
	return fd.raw(&fd.wr, eventOut, f)
}

func (fd *FD) raw(s *side, event uint32, f func(sysfd int) bool) error {
	return fd.turn(s, func() error {
		var p patience
		for !f(fd.sysfd) {
			if err := fd.ready(s, event, &p); err != nil {
				return err
			}
		}
		return nil
	})
}

// turn has a direction for as long as f takes, which makes system calls of its
// own.
func (fd *FD) turn(s *side, f func() error) error {
	if err := fd.begin(s); err != nil {
		return err
	}
	defer fd.end(s)
	if err := fd.own(s); err != nil {
		return err
	}
	return f()
}

// own prepares a direction, whose lock the caller has, for system calls of the
// caller's: they do not wait, and nothing that was written before is unsent.
func (fd *FD) own(s *side) error {
	// Each time, since others may have the same open file and make it blocking.
	if err := sys.SetNonblocking(fd.sysfd); err != nil {
		return err
	}
	return fd.sendUnsent(s)
}

// sendUnsent waits until nothing is unsent that was written before. The caller
// has the direction's lock.
func (fd *FD) sendUnsent(s *side) error {
	w := fd.behind.Load()
	if s != &fd.wr || w == nil {
		return nil
	}
	if err := w.await(false, s.check); err != nil {
		return err
	}
	defer w.release()
	return w.report()
}

// SetNonblock makes the descriptor non-blocking, for those who make system
// calls on it and want to wait for readiness. The ring does not need that and
// is not disturbed by it: RECV and SEND have flags of their own and do not look
// at the descriptor's. SENDMSG and RECVMSG do when a thread of the kernel gets
// them, and would fail with EAGAIN; Accept deals with kernels that do likewise.
func (fd *FD) SetNonblock() error {
	if err := fd.incref(); err != nil {
		return err
	}
	defer fd.decref()
	return sys.SetNonblocking(fd.sysfd)
}

// patience keeps a caller from spinning who is not content with what is ready:
// who wants ten bytes where there are five, and leaves them there. A poll tells
// how things are, not that they have changed.
type patience struct {
	last  time.Time     // when something was ready
	pause time.Duration // before asking again, zero for none
}

// Pauses grow from the first to the last, as long as a poll takes no longer
// than the first.
const (
	firstPause = 50 * time.Microsecond
	lastPause  = 10 * time.Millisecond
)

// ready waits for an event. The caller has the direction's lock.
func (fd *FD) ready(s *side, event uint32, p *patience) error {
	if p.pause > 0 {
		if err := fd.sleep(s, p.pause); err != nil {
			return err
		}
	}
	before := time.Now()
	r := s.request()
	r.SQE.PrepPollAdd(fd.sysfd, event, 0)
	_, err := fd.run(s, r)
	s.empty = false
	p.last = time.Now()
	if p.last.Sub(before) > firstPause {
		p.pause = 0 // it had to wait
	} else {
		p.pause = min(max(2*p.pause, firstPause), lastPause)
	}
	return err
}

// sleep waits for a while, or until a deadline or Close ends it.
func (fd *FD) sleep(s *side, d time.Duration) error {
	ts := &uring.Timespec{Nsec: int64(d)}
	r := s.request()
	r.Keep = ts
	r.SQE.PrepTimeout(ts, 0, 0)
	_, err := fd.run(s, r)
	r.Keep = nil
	if errors.Is(err, syscall.ETIME) {
		return nil
	}
	return err
}
