package driver_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/faultring"
	"github.com/yamanote-go/yamanote/uring"
)

// newOp returns an operation that reports to a Waiter of its own.
func newOp(waits bool) (*driver.Op, *driver.Waiter) {
	w := driver.NewWaiter()
	return &driver.Op{Sink: w, Waits: waits}, w
}

// world is where operations take place: a ring that injects faults, or the
// kernel.
type world interface {
	pair() (a, b int)
	file() int
	listener() int
	dial(listener int) int
	endOutput(fd int)
	close(fd int)
}

// workload runs lanes of mixed operations on one driver and compares what comes
// back with what must.
type workload struct {
	seed uint64
	d    *driver.Driver
	w    world
	ring *faultring.Ring // nil for the kernel's

	// alone makes every goroutine act at instants of its own, in virtual time,
	// so that one seed gives one run.
	alone bool
	// pace bounds how long goroutines wait between what they do.
	pace time.Duration
	// until is when lanes end that could go on, if it is not nil.
	until func() bool

	lanes sync.WaitGroup
	ids   int // how many goroutines have got residues

	stopping atomic.Bool // operations may end cancelled or be refused
	broken   atomic.Bool // what was done may not be known

	submits, terminals atomic.Int64
	cancels            atomic.Int64

	mu       sync.Mutex
	failures []error
	later    []int // descriptors to close when the driver has ended
}

func (w *workload) closeLater(fds ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.later = append(w.later, fds...)
}

// close closes what was kept until the driver has ended.
func (w *workload) close() {
	for _, fd := range w.later {
		w.w.close(fd)
	}
}

func (w *workload) failf(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.failures) < 10 {
		err := fmt.Errorf(format, args...)
		w.failures = append(w.failures, err)
		// Now, for the other lanes may hang because of it.
		fmt.Fprintln(os.Stderr, "workload:", err)
	}
}

func (w *workload) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(w.failures...)
}

// lane is a goroutine of a workload with its own source of chance.
type lane struct {
	*workload
	rng     *rand.Rand
	residue int64 // of its instants, modulo the ring's grid
}

// start runs f as a lane.
func (w *workload) start(f func(l *lane)) {
	w.ids++
	l := &lane{
		workload: w,
		rng:      rand.New(rand.NewPCG(w.seed, uint64(w.ids))),
		residue:  int64(1 + w.ids%(faultring.Grid/2-1)),
	}
	w.lanes.Go(func() {
		l.think()
		f(l)
	})
}

// child is a lane for a goroutine that runs beside l.
func (l *lane) child() *lane {
	return &lane{
		workload: l.workload,
		rng:      rand.New(rand.NewPCG(l.rng.Uint64(), 1)),
		residue:  l.residue + faultring.Grid/2,
	}
}

// some returns a duration of at most most that ends in an instant of the lane.
func (l *lane) some(most time.Duration) time.Duration {
	d := int64(1)
	if most > 1 {
		d += l.rng.Int64N(int64(most))
	}
	if l.alone {
		now := time.Now().UnixNano()
		end := (now+d)/faultring.Grid*faultring.Grid + l.residue
		if end <= now {
			end += faultring.Grid
		}
		d = end - now
	}
	return time.Duration(d)
}

// think lets time pass, always if the workload's goroutines are to act alone.
func (l *lane) think() {
	if l.alone {
		time.Sleep(l.some(l.pace))
		return
	}
	switch l.rng.IntN(4) {
	case 0:
		time.Sleep(l.some(l.pace))
	case 1:
		for range l.rng.IntN(4) {
			runtime.Gosched()
		}
	}
}

// job is an operation of a lane, to be used again, with an account of its
// completions.
type job struct {
	driver.Op
	w      *workload
	waiter *driver.Waiter
	more   func(driver.Completion) // told of completions that are not the last

	bounded bool // cancelled after a while, in any case

	submits, terminals atomic.Int64
}

func (w *workload) newJob(waits bool) *job {
	j := &job{w: w, waiter: driver.NewWaiter()}
	j.Waits, j.Sink = waits, j
	return j
}

// Complete implements driver.Sink.
func (j *job) Complete(op *driver.Op, c driver.Completion) {
	if op != &j.Op {
		j.w.failf("a completion for another operation")
	}
	if !c.Last {
		if j.terminals.Load() >= j.submits.Load() {
			j.w.failf("%v: a completion after the last: %+v", op.SQE.Opcode, c)
		}
		if j.more == nil {
			j.w.failf("%v: more completions than one", op.SQE.Opcode)
			return
		}
		j.more(c)
		return
	}
	j.w.terminals.Inc()
	if n := j.terminals.Inc(); n != j.submits.Load() {
		j.w.failf("%v: %d terminal completions of %d submissions", op.SQE.Opcode, n, j.submits.Load())
		return
	}
	if op.Active() {
		j.w.failf("%v: completed and still active", op.SQE.Opcode)
	}
	j.waiter.Complete(op, c)
}

// submit hands the job to the driver, by f.
func (j *job) submit(ctx context.Context, f func(context.Context, *driver.Op) error) error {
	j.submits.Inc()
	j.w.submits.Inc()
	err := f(ctx, &j.Op)
	if err != nil {
		j.submits.Dec()
		j.w.submits.Dec()
	}
	return err
}

// do carries a prepared job out, one of the ways there are, with a cancellation
// now and then, and returns how it ended; false if it was refused because the
// driver is shut down.
func (l *lane) do(j *job) (driver.Completion, bool) {
	l.think()
	if l.alone {
		// Whoever has told of the completion is still at it.
		defer l.think()
	}
	ctx := context.Background()
	if l.rng.IntN(8) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.some(l.pace))
		defer cancel()
	}
	await := l.rng.IntN(2) == 0
	for {
		var err error
		if await {
			err = j.submit(ctx, l.d.Enqueue)
		} else {
			err = j.submit(ctx, l.d.Submit)
		}
		switch {
		case err == nil:
		case errors.Is(err, context.DeadlineExceeded):
			ctx = context.Background()
			l.think()
			continue
		case errors.Is(err, driver.ErrClosed) && l.stopping.Load():
			return driver.Completion{}, false
		default:
			l.failf("%v: submit: %v", j.SQE.Opcode, err)
			return driver.Completion{}, false
		}
		break
	}
	if l.rng.IntN(4) == 0 {
		// It may come so late that it hits the next use of the Op.
		l.cancelLater(&j.Op)
	}
	if j.bounded {
		timer := time.AfterFunc(l.child().some(4*l.pace), func() { l.cancel(&j.Op) })
		defer timer.Stop()
	}
	if await {
		return l.d.Await(j.waiter), true
	}
	return <-j.waiter.Done(), true
}

func (l *lane) cancelLater(op *driver.Op) {
	c := l.child()
	if !l.alone && l.rng.IntN(3) == 0 {
		l.cancel(op)
		return
	}
	time.AfterFunc(c.some(l.pace), func() { l.cancel(op) })
}

func (l *lane) cancel(op *driver.Op) {
	if l.d.Cancel(op) {
		l.cancels.Inc()
	}
}

// again reports whether an operation that ended so has not been done, and is to
// be repeated; over, whether that is because the driver ends.
func (l *lane) again(c driver.Completion) (again, over bool) {
	switch c.Err() {
	case error(syscall.ECANCELED), error(syscall.EIO):
		return true, l.stopping.Load()
	case error(syscall.EINTR), error(syscall.EAGAIN), error(syscall.ENOBUFS):
		return true, false
	}
	return false, false
}

// more reports whether a lane that has done n rounds has something left to do.
func (l *lane) more(n, rounds int) bool {
	if l.until != nil {
		return !l.until()
	}
	return n < rounds
}

// startStream starts a lane that writes and one that reads.
func (w *workload) startStream(total int) {
	a, b := w.w.pair()
	w.closeLater(a, b)
	w.start(func(l *lane) { l.writes(a, total) })
	w.start(func(l *lane) { l.reads(b, total) })
}

// nops does nothing, often.
func (l *lane) nops(rounds int) {
	j := l.newJob(false)
	for n := 0; l.more(n, rounds); n++ {
		j.SQE.PrepNop()
		c, ok := l.do(j)
		if !ok {
			return
		}
		if again, over := l.again(c); over {
			return
		} else if !again && c.Res != 0 {
			l.failf("nop: %v", c.Err())
		}
	}
}

// sequence is the byte at a position of every stream.
func sequence(pos int) byte { return byte(pos*7 + pos>>8) }

// writes sends total bytes of the sequence, or until it is time to end, and then
// ends the stream. The buffer is spoilt after each completion, before which the
// kernel must have read it.
func (l *lane) writes(fd, total int) {
	defer l.w.endOutput(fd)
	j := l.newJob(true)
	for pos := 0; l.more(pos, total); {
		n := 1 + l.rng.IntN(200)
		if l.until == nil {
			n = min(n, total-pos)
		}
		j.Buf = make([]byte, n)
		for i := range j.Buf {
			j.Buf[i] = sequence(pos + i)
		}
		if l.rng.IntN(2) == 0 {
			j.SQE.PrepSend(fd, j.Buf, 0x4000, 0) // MSG_NOSIGNAL
		} else {
			j.SQE.PrepWrite(fd, j.Buf, uring.CurrentPosition)
		}
		c, ok := l.do(j)
		for i := range j.Buf {
			j.Buf[i] = 0xEE
		}
		if !ok {
			return
		}
		if again, over := l.again(c); over {
			return
		} else if again {
			continue
		}
		if c.Res <= 0 || int(c.Res) > n {
			if !l.stopping.Load() {
				l.failf("send of %d bytes: %d", n, c.Res)
			}
			return
		}
		pos += int(c.Res)
	}
}

// reads receives the sequence until its end and checks that it is whole and that
// nobody touches the buffer once an operation has completed.
func (l *lane) reads(fd, total int) {
	j := l.newJob(true)
	pos := 0
	for {
		j.Buf = make([]byte, 1+l.rng.IntN(200))
		if l.rng.IntN(2) == 0 {
			j.SQE.PrepRecv(fd, j.Buf, 0, 0)
		} else {
			j.SQE.PrepRead(fd, j.Buf, uring.CurrentPosition)
		}
		c, ok := l.do(j)
		if !ok {
			return
		}
		if c.Res > 0 {
			l.inSequence(j.Buf[:c.Res], pos)
			pos += int(c.Res)
		}
		l.untouched(j.Buf)
		again, over := l.again(c)
		switch {
		case over:
			return
		case again:
		case c.Res < 0:
			l.failf("receive: %v", c.Err())
			return
		case c.Res == 0:
			if l.until == nil && pos != total && !l.stopping.Load() {
				l.failf("%d bytes of %d received", pos, total)
			}
			return
		}
	}
}

func (l *lane) inSequence(b []byte, pos int) {
	for i := range b {
		if b[i] != sequence(pos+i) {
			l.failf("byte %d of a stream is %#x instead of %#x", pos+i, b[i], sequence(pos+i))
			return
		}
	}
}

// untouched fills memory whose operation has completed and looks whether it
// stays so.
func (l *lane) untouched(b []byte) {
	for i := range b {
		b[i] = 0x55
	}
	l.think()
	for i := range b {
		if b[i] != 0x55 {
			l.failf("memory was written to after the terminal completion: %#x", b[i])
			return
		}
	}
}

// stores writes into a region of a file and reads it back.
func (l *lane) stores(fd, region, rounds int) {
	const size = 512
	j := l.newJob(false)
	transfer := func(b []byte, off int, write bool) bool {
		for n := 0; n < len(b); {
			j.Buf = b[n:]
			if write {
				j.SQE.PrepWrite(fd, j.Buf, uint64(off+n))
			} else {
				j.SQE.PrepRead(fd, j.Buf, uint64(off+n))
			}
			c, ok := l.do(j)
			if !ok {
				return false
			}
			if again, over := l.again(c); over {
				return false
			} else if again {
				continue
			}
			if c.Res <= 0 || int(c.Res) > len(b)-n {
				l.failf("file: %d of %d bytes moved, then %d", n, len(b), c.Res)
				return false
			}
			n += int(c.Res)
		}
		return true
	}
	for n := 0; l.more(n, rounds); n++ {
		want := make([]byte, 1+l.rng.IntN(size))
		for i := range want {
			want[i] = byte(l.rng.Uint32())
		}
		got := make([]byte, len(want))
		if !transfer(append([]byte(nil), want...), region*size, true) || !transfer(got, region*size, false) {
			return
		}
		if string(got) != string(want) {
			l.failf("file: read something else than was written")
			return
		}
		l.untouched(got)
	}
}

// accepts takes rounds connections, which another goroutine makes, each exactly
// once.
func (l *lane) accepts(rounds int) {
	listening := l.w.listener()
	defer l.w.close(listening)
	var accepted atomic.Int64
	var dialled atomic.Int64
	dials := l.child()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; dials.more(n, rounds) && !l.stopping.Load(); n++ {
			dials.think()
			fd := l.w.dial(listening)
			dialled.Inc()
			dials.think()
			l.w.close(fd)
		}
	}()
	var mu sync.Mutex
	var fds []int
	take := func(c driver.Completion) {
		if c.Res < 0 {
			return
		}
		accepted.Inc()
		mu.Lock()
		fds = append(fds, int(c.Res))
		mu.Unlock()
	}
	j := l.newJob(true)
	j.more, j.bounded = take, true // there may be nothing more to come
	all := func() bool {
		select {
		case <-done:
			return accepted.Load() == dialled.Load()
		default:
			return false
		}
	}
	for !all() {
		var flags uring.AcceptFlags
		if l.rng.IntN(2) == 0 {
			flags = uring.IORING_ACCEPT_MULTISHOT
		}
		j.SQE.PrepAccept(listening, nil, nil, 0x80000, flags) // SOCK_CLOEXEC
		c, ok := l.do(j)
		if ok {
			take(c)
		}
		for _, fd := range fds {
			l.w.close(fd)
		}
		fds = fds[:0]
		if again, over := l.again(c); !ok || over {
			break
		} else if !again && c.Res < 0 {
			l.failf("accept: %v", c.Err())
			break
		}
	}
	<-done
	if l.ring != nil && !l.broken.Load() {
		if in := int64(l.ring.Backlog(listening)); accepted.Load()+in != dialled.Load() {
			l.failf("%d connections made, %d accepted and %d waiting", dialled.Load(), accepted.Load(), in)
		}
	}
}

// polls waits until a stream has something to receive.
func (l *lane) polls(rounds int) {
	a, b := l.w.pair()
	defer l.w.close(a)
	defer l.w.close(b)
	j := l.newJob(true)
	var events atomic.Int64
	j.more, j.bounded = func(driver.Completion) { events.Inc() }, true
	written := false
	for n := 0; l.more(n, rounds); n++ {
		var flags uring.PollFlags
		if l.rng.IntN(3) == 0 {
			flags = uring.IORING_POLL_ADD_MULTI
		}
		j.SQE.PrepPollAdd(a, 1, flags) // POLLIN
		c, ok := l.do(j)
		if !ok {
			return
		}
		again, over := l.again(c)
		switch {
		case over:
			return
		case again:
		case c.Res != 1:
			l.failf("poll: %d", c.Res)
			return
		case !written:
			l.failf("poll: ready with nothing to receive")
			return
		}
		if n == rounds/2 {
			s := l.newJob(true)
			for {
				s.Buf = []byte{1}
				s.SQE.PrepSend(b, s.Buf, 0, 0)
				c, ok := l.do(s)
				if !ok {
					return
				}
				if again, over := l.again(c); over {
					return
				} else if !again {
					break
				}
			}
			written = true
		}
	}
	if events.Load() > 0 && !written {
		l.failf("poll: events with nothing to receive")
	}
}

// timeouts waits by the kernel's clock.
func (l *lane) timeouts(rounds int) {
	j := l.newJob(true)
	for n := 0; l.more(n, rounds); n++ {
		d := l.some(2 * l.pace)
		ts := &uring.Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
		j.Keep = ts
		j.SQE.PrepTimeout(ts, 0, 0)
		start := time.Now()
		c, ok := l.do(j)
		if !ok {
			return
		}
		if again, over := l.again(c); over {
			return
		} else if again {
			continue
		}
		if c.Err() != error(uring.ETIME) {
			l.failf("timeout: %d", c.Res)
		}
		if took := time.Since(start); took < d {
			l.failf("timeout of %v took %v", d, took)
		}
	}
}

// abandons submits operations that end only when they are cancelled, or when the
// driver ends, and keeps nothing of them.
func (l *lane) abandons(rounds int) {
	a, b := l.w.pair()
	l.closeLater(a, b)
	for n := 0; l.more(n, rounds); n++ {
		l.think()
		j := l.newJob(true)
		j.Buf = make([]byte, 1+l.rng.IntN(100))
		j.SQE.PrepRecv(a, j.Buf, 0, 0)
		if err := j.submit(context.Background(), l.d.Submit); err != nil {
			if !errors.Is(err, driver.ErrClosed) || !l.stopping.Load() {
				l.failf("submit: %v", err)
			}
			break
		}
		if l.until != nil || l.rng.IntN(2) == 0 {
			l.cancelLater(&j.Op)
		}
	}
	if l.until != nil {
		// The driver lives on, so see them end.
		l.w.endOutput(b)
	}
}
