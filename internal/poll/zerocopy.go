package poll

import (
	"io"
	"sync"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// MinLent is the least that SendLent sends without copying, in bytes: for less,
// a copy is cheaper than a second completion, whatever the network.
const MinLent = 4 << 10

// MaxLent is how many sends of a connection can have memory that the kernel has
// not given back and that nobody waits for. Further ones copy.
const MaxLent = 256

// msgWaitAll is MSG_WAITALL, the same on every Linux. It makes the kernel go on
// after a short send by itself, and so give notice only once.
const msgWaitAll = 0x100

// zeroCopy is what a connection knows of sending without copying.
//
// Such a send completes twice: when the kernel has taken the data, and when it
// does not read the memory any more. The second, the notice, says whether it had
// to copy after all. Then the connection goes on by copying, since a copy that
// the kernel makes costs more than one that it was asked for.
type zeroCopy struct {
	shard *proactor.Shard
	from  atomic.Int64  // Send does not copy so many bytes and more; zero for never
	use   atomic.Uint32 // whether to: see the constants

	// lent counts the sends whose memory the kernel has and nobody waits for.
	lent atomic.Int64

	// wait is waitsForNotice while a Send has nothing to do but wait until it
	// gets its memory back. It stores that and then looks at the direction's
	// fate; who changes that then looks at wait: one sees the other. Whoever
	// changes it from waitsForNotice by compare-and-swap decides how that ends.
	wait atomic.Uint32
}

// The values of zeroCopy.use.
const (
	useUnknown = iota // not tried yet
	useTried
	useOff
)

// The values of zeroCopy.wait.
const (
	waitsForNothing = iota
	waitsForNotice
	waitGivenUp // the connection has been broken off
)

// SetZeroCopy makes Send not copy what has from bytes or more; zero makes it
// always copy. Such a Send returns when the kernel does not need the memory any
// more, for which the peer has to acknowledge the data. If the write deadline
// passes or Close comes before that, the connection is reset: there is no other
// way to get the memory back.
func (fd *FD) SetZeroCopy(from int) error {
	if err := fd.incref(); err != nil {
		return err
	}
	defer fd.decref()
	z, err := fd.zeroCopy()
	if err != nil {
		return err
	}
	z.from.Store(int64(from))
	return nil
}

// zeroCopy returns the connection's state, which it makes when it is first asked
// for.
func (fd *FD) zeroCopy() (*zeroCopy, error) {
	if z := fd.zero.Load(); z != nil {
		return z, nil
	}
	shard, err := proactor.ShardOfDriver(fd.driver)
	if err != nil {
		return nil, err
	}
	fd.zero.CompareAndSwap(nil, &zeroCopy{shard: shard}) // pairs with the Loads: one wins
	return fd.zero.Load(), nil
}

// wants reports whether a Send of n bytes is to be tried without copying.
func (z *zeroCopy) wants(n int) bool {
	from := z.from.Load()
	return from > 0 && int64(n) >= from && z.use.Load() != useOff
}

// usable reports whether the next send can do without copying; e is nil if it
// waits for the notice.
func (z *zeroCopy) usable(e *ending) bool {
	if e != nil && z.lent.Load() >= MaxLent {
		return false
	}
	switch z.use.Load() {
	case useTried:
		return true
	case useUnknown:
		if z.shard.TryZeroCopy() {
			z.use.CompareAndSwap(useUnknown, useTried)
			return true
		}
		z.use.CompareAndSwap(useUnknown, useOff)
	}
	return false
}

// refused notes that sending without copying does not work on this connection,
// or brings nothing, and reports whether that is news.
func (z *zeroCopy) refused(d *driver.Driver) (first bool) {
	if z.use.Swap(useOff) == useOff {
		return false
	}
	d.NoteZeroCopyOff()
	return true
}

// noticed notes what the notice of a send says.
func (z *zeroCopy) noticed(d *driver.Driver, copied bool) {
	d.NoteZeroCopy(copied)
	if !copied || z.refused(d) {
		z.shard.NoteZeroCopy(!copied)
	}
}

// ending is the end of a SendLent: when all of its parts have ended.
type ending struct {
	parts   atomic.Int64
	release func()
}

// SendLent sends all of b, or returns how much it sent and why not more. The
// memory stays with the kernel, and must not change, until release is called: by
// a goroutine of its own, or by SendLent before it returns. That happens once,
// whatever else happens. A nil release is nobody to be told.
func (fd *FD) SendLent(b []byte, release func()) (int, error) {
	e := &ending{release: release}
	e.parts.Store(1)
	n, err := fd.sendLent(b, e)
	if e.parts.Dec() == 0 && release != nil {
		release()
	}
	return n, err
}

func (fd *FD) sendLent(b []byte, e *ending) (int, error) {
	s := &fd.wr
	if err := fd.begin(s); err != nil {
		return 0, err
	}
	defer fd.end(s)
	if fd.messages.Load().kindOf() != Bytes {
		return fd.sendPacket(s, b, nil, nil)
	}
	if len(b) >= MinLent {
		if z, err := fd.zeroCopy(); err == nil {
			return fd.sendZero(s, z, b, e)
		}
	}
	if err := fd.sendUnsent(s); err != nil {
		return 0, err
	}
	return fd.send(s, b)
}

// sendZero sends without copying as long as that works, and copies the rest. The
// caller has the direction's lock. If e is nil, the memory is the caller's again
// when it returns.
func (fd *FD) sendZero(s *side, z *zeroCopy, b []byte, e *ending) (sent int, err error) {
	if err := fd.sendUnsent(s); err != nil {
		return 0, err
	}
	for sent < len(b) && z.usable(e) {
		n, err := fd.lend(s, z, b[sent:], nil, e)
		if sent += n; err != nil {
			return sent, err
		} else if n == 0 {
			break
		}
	}
	if sent == len(b) && sent > 0 {
		return sent, nil
	}
	n, err := fd.send(s, b[sent:])
	return sent + n, err
}

// sendZeroVector is sendZero for several pieces, which it takes out of v. It may
// leave something to be copied.
func (fd *FD) sendZeroVector(s *side, z *zeroCopy, v *[][]byte) (sent int64, err error) {
	if err := fd.sendUnsent(s); err != nil {
		return 0, err
	}
	for z.usable(nil) {
		bufs := (*v)[:min(len(*v), maxPieces)]
		if !z.wants(total(bufs)) {
			break
		}
		n, err := fd.lend(s, z, nil, bufs, nil)
		sent += int64(n)
		consume(v, int64(n))
		if err != nil || n == 0 {
			return sent, err
		}
	}
	return sent, nil
}

// maxPieces is the most that one message can have (IOV_MAX).
const maxPieces = 1024

// total returns the bytes of a list, or a number that no send can exceed.
func total(bufs [][]byte) int {
	n := 0
	for _, b := range bufs {
		if n += len(b); n >= maxSend {
			return maxSend
		}
	}
	return n
}

// lend does one send without copying, of b or, if that is nil, of bufs. It
// returns how much the kernel has taken; nothing and no error means that it has
// to be sent by copying.
func (fd *FD) lend(s *side, z *zeroCopy, b []byte, bufs [][]byte, e *ending) (int, error) {
	for {
		q := newLoan(fd, z, e)
		q.prepare(b, bufs)
		if err := fd.submit(s, &q.Op); err != nil {
			q.end()
			q.drop()
			return 0, err
		}
		fd.driver.Lead(q, true, nil)
		<-q.taken
		s.current.Store(nil)
		c := q.first
		var broken error
		if e == nil && !c.Last {
			broken = fd.reclaim(s, z, q)
		}
		q.drop()
		switch errno := c.Err(); errno {
		case nil:
			if c.Res == 0 {
				return 0, io.ErrUnexpectedEOF
			}
			return int(c.Res), broken
		case error(syscall.ECANCELED), error(syscall.EINTR):
			if err := s.check(); err != nil {
				return 0, err
			}
		case error(syscall.EOPNOTSUPP), error(syscall.EINVAL):
			// The socket's kind cannot, or the kernel is older than 6.2.
			z.refused(fd.driver)
			return 0, nil
		case error(syscall.EAGAIN), error(syscall.ENOMEM), error(syscall.ENOBUFS):
			// Somebody has made the descriptor non-blocking, or the process may
			// not lock so much memory (RLIMIT_MEMLOCK). Copying still works.
			return 0, nil
		default:
			return 0, errno
		}
	}
}

// reclaim waits until the kernel has given the memory back. If that has to end
// before, it breaks the connection off, and returns why.
func (fd *FD) reclaim(s *side, z *zeroCopy, q *loan) error {
	if q.first.Res > 0 {
		z.wait.Store(waitsForNotice)
		if s.fate.Load() != 0 {
			z.giveUp(fd)
		}
	}
	fd.driver.Lead(notice{q}, false, nil)
	<-q.back
	if z.wait.Swap(waitsForNothing) != waitGivenUp {
		return nil
	}
	if err := s.check(); err != nil {
		return err
	}
	return syscall.ECONNRESET // the deadline that has passed has been moved since
}

// giveUp breaks the connection off if a Send waits to get its memory back. The
// socket drops what it has not sent, or has to keep to send it again, and with
// that the memory. The caller sees to it that the descriptor stays open.
func (z *zeroCopy) giveUp(fd *FD) {
	if z.wait.CompareAndSwap(waitsForNotice, waitGivenUp) {
		_ = sys.Disconnect(fd.sysfd)
	}
}

// loan is a send without copying. It belongs to the goroutine that sends, until
// it has seen the first completion and perhaps the second, and to the kernel
// until its last.
type loan struct {
	driver.Op
	fd *FD
	z  *zeroCopy
	e  *ending

	holders atomic.Int32
	begun   bool              // first is set; used by Complete only
	first   driver.Completion // published by taken
	taken   chan struct{}     // the kernel has taken the data, or it has not and won't
	back    chan struct{}     // and has given the memory back
}

var loans = sync.Pool{New: func() any {
	q := &loan{taken: make(chan struct{}, 1), back: make(chan struct{}, 1)}
	q.Sink = q
	q.Waits = true
	return q
}}

func newLoan(fd *FD, z *zeroCopy, e *ending) *loan {
	q := loans.Get().(*loan)
	q.fd, q.z, q.e, q.begun = fd, z, e, false
	q.holders.Store(2)
	if e != nil {
		e.parts.Inc()
		z.lent.Inc()
	}
	return q
}

// prepare fills the operation in.
func (q *loan) prepare(b []byte, bufs [][]byte) {
	const flags = msgNoSignal | msgWaitAll
	if b != nil {
		q.Buf = b
		q.SQE.PrepSendZC(q.fd.sysfd, b, flags, uring.IORING_SEND_ZC_REPORT_USAGE)
		return
	}
	m := new(sys.Message)
	m.SetBuffers(bufs, nil)
	q.Keep = m
	m.PrepSendmsg(&q.SQE, q.fd.sysfd, flags, true)
}

// Complete implements driver.Sink.
func (q *loan) Complete(_ *driver.Op, c driver.Completion) {
	if !q.begun {
		q.begun, q.first = true, c
		q.taken <- struct{}{}
		if !c.Last {
			return
		}
	} else if !c.Last {
		return // no kernel does that
	} else if q.first.Res > 0 && c.Flags&uring.IORING_CQE_F_NOTIF != 0 {
		q.z.noticed(q.fd.driver, uint32(c.Res)&uring.IORING_NOTIF_USAGE_ZC_COPIED != 0)
	}
	q.end()
}

// end is called when the kernel has done with the memory.
func (q *loan) end() {
	q.Buf, q.Keep = nil, nil
	if e := q.e; e != nil {
		q.z.lent.Dec()
		if e.parts.Dec() == 0 && e.release != nil {
			// It may do what it likes, and this may be who drives the ring.
			go e.release()
		}
	}
	q.back <- struct{}{}
	q.drop()
}

// drop gives one of the two holds up.
func (q *loan) drop() {
	if q.holders.Dec() > 0 {
		return
	}
	for _, c := range []chan struct{}{q.taken, q.back} {
		select {
		case <-c:
		default:
		}
	}
	q.fd, q.z, q.e = nil, nil, nil
	loans.Put(q)
}

// Bound implements driver.Bounded.
func (q *loan) Bound() driver.Deadliner { return &q.fd.wr }

// Ready implements driver.Target: the kernel has taken the data.
func (q *loan) Ready() bool { return len(q.taken) > 0 }

// notice is the second completion of a loan, to be waited for.
type notice struct{ *loan }

// Ready implements driver.Target.
func (n notice) Ready() bool { return len(n.back) > 0 }
