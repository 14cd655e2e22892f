package driver_test

import (
	"sync"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// fakeRing is a ring in plain Go. It completes NOPs at once and everything
// else when it is cancelled, and fails as its script says. It runs under
// testing/synctest.
type fakeRing struct {
	mu      sync.Mutex
	sqes    []uring.SQE // as large as the submission queue
	pending int
	cq      []uring.CQE
	ready   chan struct{} // has a token while cq may have something

	signal  chan struct{} // has a token for AwaitSignal
	signals bool

	waiting map[uint64]bool // submitted and not completed

	enter      []syscall.Errno // results of the next enters, 0 for none
	cancel     []int32         // results of the next cancellations, without effect
	consume    int             // entries consumed by an enter, 0 for all
	overflow   bool
	thenClosed chan struct{}
}

func newFakeRing(entries int) *fakeRing {
	return &fakeRing{
		sqes:       make([]uring.SQE, entries),
		ready:      make(chan struct{}, 1),
		signal:     make(chan struct{}, 1),
		waiting:    make(map[uint64]bool),
		thenClosed: make(chan struct{}),
	}
}

func (r *fakeRing) Enable() error { return nil }

func (r *fakeRing) Next() *uring.SQE {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending == len(r.sqes) {
		return nil
	}
	r.pending++
	return &r.sqes[r.pending-1]
}

func (r *fakeRing) Pending() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uint32(r.pending)
}

func (r *fakeRing) Flags() uring.SQRingFlags {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.overflow {
		return uring.IORING_SQ_CQ_OVERFLOW
	}
	return 0
}

func (r *fakeRing) Submit() (int, syscall.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.enter) > 0 {
		errno := r.enter[0]
		r.enter = r.enter[1:]
		if errno != 0 {
			return 0, errno
		}
	}
	n := r.pending
	if r.consume > 0 {
		n = min(n, r.consume)
	}
	for i := range n {
		r.submit(r.sqes[i])
	}
	copy(r.sqes, r.sqes[n:r.pending])
	r.pending -= n
	return n, 0
}

func (r *fakeRing) submit(sqe uring.SQE) {
	switch sqe.Opcode {
	case uring.IORING_OP_NOP:
		r.post(uring.CQE{UserData: sqe.UserData})
	case uring.IORING_OP_ASYNC_CANCEL:
		if len(r.cancel) > 0 {
			r.post(uring.CQE{UserData: sqe.UserData, Res: r.cancel[0]})
			r.cancel = r.cancel[1:]
			return
		}
		target := sqe.Addr
		if !r.waiting[target] {
			r.post(uring.CQE{UserData: sqe.UserData, Res: -int32(syscall.ENOENT)})
			return
		}
		r.complete(target, -int32(syscall.ECANCELED))
		r.post(uring.CQE{UserData: sqe.UserData})
	default:
		r.waiting[sqe.UserData] = true
	}
}

func (r *fakeRing) complete(ud uint64, res int32) {
	delete(r.waiting, ud)
	r.post(uring.CQE{UserData: ud, Res: res})
}

func (r *fakeRing) post(c uring.CQE) {
	r.cq = append(r.cq, c)
	if r.signals {
		r.Poke()
	}
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

func (r *fakeRing) Flush() uint32 { return r.Pending() }

func (r *fakeRing) Signal(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signals = on
}

func (r *fakeRing) Ready() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.cq) > 0
}

func (r *fakeRing) AwaitSignal() { <-r.signal }

func (r *fakeRing) Poke() {
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

func (r *fakeRing) Wait(_ uint32, timeout time.Duration) (int, syscall.Errno) {
	n, errno := r.Submit()
	if errno != 0 {
		return n, errno
	}
	var expired <-chan time.Time
	if timeout >= 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		expired = t.C
	}
	for {
		r.mu.Lock()
		some := len(r.cq) > 0
		r.mu.Unlock()
		if some {
			return n, 0
		}
		select {
		case <-r.ready:
		case <-expired:
			return n, syscall.ETIME
		}
	}
}

func (r *fakeRing) Reap(dst []uring.CQE) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := copy(dst, r.cq)
	r.cq = r.cq[n:]
	return n
}

func (r *fakeRing) Info() driver.Info { return driver.Info{SQEntries: uint32(len(r.sqes))} }

func (r *fakeRing) Close() error {
	close(r.thenClosed)
	return nil
}

// locked runs f with the ring's state in hand.
func (r *fakeRing) locked(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}
