package proactor

import (
	"slices"
	"time"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// Poll waits until a descriptor is ready for one of the poll(2) events. The
// result are the events it is ready for.
type Poll struct {
	FD     int
	Events uint32
}

// Prepare implements Operation.
func (o Poll) Prepare(r *Request) error {
	r.SQE.PrepPollAdd(o.FD, o.Events, 0)
	return prepared(r)
}

// Result implements Operation.
func (o Poll) Result(_ *Request, c driver.Completion) (uint32, error) { return uint32(c.Res), nil }

// Timeout completes after a duration, by the kernel's monotonic clock.
type Timeout struct {
	nothing
	After time.Duration
}

// Prepare implements Operation.
func (o Timeout) Prepare(r *Request) error {
	after := max(o.After, 0)
	ts := &uring.Timespec{Sec: int64(after / time.Second), Nsec: int64(after % time.Second)}
	return timeout(r, ts, 0)
}

// TimeoutAt completes at a time of the wall clock, also if that is set
// meanwhile. It needs Linux 5.15.
type TimeoutAt struct {
	nothing
	Time time.Time
}

// Prepare implements Operation.
func (o TimeoutAt) Prepare(r *Request) error {
	ts := &uring.Timespec{Sec: o.Time.Unix(), Nsec: int64(o.Time.Nanosecond())}
	if ts.Sec < 0 {
		*ts = uring.Timespec{} // the kernel knows no earlier time
	}
	return timeout(r, ts, uring.IORING_TIMEOUT_ABS|uring.IORING_TIMEOUT_REALTIME)
}

func timeout(r *Request, ts *uring.Timespec, flags uring.TimeoutFlags) error {
	r.Keep = ts
	r.SQE.PrepTimeout(ts, 0, flags)
	err := prepared(r)
	r.Expected = uring.ETIME
	return err
}

// EpollEvent is one event of an epoll descriptor.
type EpollEvent struct {
	Events uint32 // EPOLL bits
	Data   uint64 // whatever EpollCtl said
}

// EpollCtl changes what an epoll descriptor watches, as epoll_ctl(2) does: Op is
// one of its EPOLL_CTL_ operations.
type EpollCtl struct {
	nothing
	Epoll, Op, FD int
	Event         EpollEvent
}

// Prepare implements Operation.
func (o EpollCtl) Prepare(r *Request) error {
	e := make(sys.EpollEvents, 1)
	e.Set(0, o.Event.Events, o.Event.Data)
	r.Keep = e
	sys.PrepEpollCtl(&r.SQE, o.Epoll, o.Op, o.FD, e)
	return prepared(r)
}

// EpollWait waits for up to Max events of an epoll descriptor. It needs Linux
// 6.15.
type EpollWait struct {
	Epoll, Max int
}

// Prepare implements Operation.
func (o EpollWait) Prepare(r *Request) error {
	const most = 1 << 16
	if o.Max < 1 || o.Max > most {
		return invalid("EpollWait for %d events: want 1 to %d", o.Max, most)
	}
	e := make(sys.EpollEvents, o.Max)
	r.Keep = e
	sys.PrepEpollWait(&r.SQE, o.Epoll, e)
	return prepared(r)
}

// Result implements Operation.
func (o EpollWait) Result(r *Request, c driver.Completion) ([]EpollEvent, error) {
	e := r.Keep.(sys.EpollEvents)
	events := make([]EpollEvent, c.Res)
	for i := range events {
		events[i].Events, events[i].Data = e.Get(i)
	}
	return events, nil
}

// FutexWait waits until a FutexWake on the word, provided that the word has the
// Value when the kernel looks; otherwise it fails with EAGAIN. The word is
// changed and read by package sync/atomic only. It needs Linux 6.7.
type FutexWait struct {
	nothing
	Word   *uint32
	Value  uint32
	Mask   uint32 // wakes that share no bit with it are ignored; 0 means all bits
	Shared bool   // the word is in memory shared with other processes
}

// Prepare implements Operation.
func (o FutexWait) Prepare(r *Request) error {
	if o.Word == nil {
		return invalid("FutexWait without a word")
	}
	r.Keep = o.Word
	r.SQE.PrepFutexWait(o.Word, uint64(o.Value), futexMask(o.Mask), futexFlags(o.Shared))
	return prepared(r)
}

func futexMask(mask uint32) uint64 {
	if mask == 0 {
		return uring.FUTEX_BITSET_MATCH_ANY
	}
	return uint64(mask)
}

func futexFlags(shared bool) uring.Futex2Flags {
	if shared {
		return uring.FUTEX2_SIZE_U32
	}
	return uring.FUTEX2_SIZE_U32 | uring.FUTEX2_PRIVATE
}

// FutexWake wakes up to N that wait for the word. The result is how many there
// were. It needs Linux 6.7.
type FutexWake struct {
	count
	Word   *uint32
	N      int
	Mask   uint32 // of those that wait, only with a bit of it in theirs; 0 means all bits
	Shared bool
}

// Prepare implements Operation.
func (o FutexWake) Prepare(r *Request) error {
	if o.Word == nil || o.N < 0 {
		return invalid("FutexWake of %d without a word, or of less than none", o.N)
	}
	r.Keep = o.Word
	r.SQE.PrepFutexWake(o.Word, uint64(o.N), futexMask(o.Mask), futexFlags(o.Shared))
	return prepared(r)
}

// FutexWaitAny is FutexWait for several words, of which the i-th must have the
// i-th value. The result is the index of the one that was woken. It needs Linux
// 6.7.
type FutexWaitAny struct {
	Words  []*uint32 // at most 128
	Values []uint32
	Shared bool
}

// Prepare implements Operation.
func (o FutexWaitAny) Prepare(r *Request) error {
	const most = 128
	if len(o.Words) == 0 || len(o.Words) > most || len(o.Words) != len(o.Values) {
		return invalid("FutexWaitAny of %d words and %d values: want the same number, 1 to %d", len(o.Words), len(o.Values), most)
	}
	waits := make([]uring.FutexWaitv, len(o.Words))
	for i, word := range o.Words {
		if word == nil {
			return invalid("FutexWaitAny without the word of index %d", i)
		}
		waits[i].Wait(word, o.Values[i], futexFlags(o.Shared))
	}
	r.Keep = futexWaits{waits, slices.Clone(o.Words)}
	r.SQE.PrepFutexWaitv(&waits[0], len(waits))
	return prepared(r)
}

// futexWaits is what the kernel reads for a FutexWaitAny, and the words, which
// it names by their addresses only.
type futexWaits struct {
	waits []uring.FutexWaitv
	words []*uint32
}

// Result implements Operation.
func (o FutexWaitAny) Result(_ *Request, c driver.Completion) (int, error) { return int(c.Res), nil }

// The kinds of ID that WaitChild takes, those of waitid(2).
const (
	AnyChild     = 0 // ID is ignored
	ChildPID     = 1
	ChildGroup   = 2
	ChildPIDFile = 3 // ID is a descriptor of pidfd_open(2)
)

// WaitChild waits for a child process to change its state, as waitid(2) does. It
// needs Linux 6.7. A child that os/exec has started is its to wait for.
type WaitChild struct {
	Kind, ID int
	Options  uint32 // WEXITED and so on; 0 means WEXITED
}

// ChildState is the result of WaitChild; with WNOHANG in Options, PID is 0 if no
// child has changed its state.
type ChildState struct {
	PID    int
	UID    uint32
	Code   int // what happened: CLD_EXITED is 1, CLD_KILLED 2, ...
	Status int // the exit code, or the signal
}

// Prepare implements Operation.
func (o WaitChild) Prepare(r *Request) error {
	const exited = 4 // WEXITED
	if o.Options == 0 {
		o.Options = exited
	}
	info := new(uring.Siginfo)
	r.Keep = info
	r.SQE.PrepWaitid(o.Kind, o.ID, info.Memory(), o.Options)
	return prepared(r)
}

// Result implements Operation.
func (o WaitChild) Result(r *Request, _ driver.Completion) (ChildState, error) {
	s := r.Keep.(*uring.Siginfo)
	return ChildState{PID: s.PID(), UID: s.UID(), Code: s.Code(), Status: s.Status()}, nil
}
