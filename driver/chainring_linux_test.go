package driver_test

import (
	"sync"
	"syscall"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// chainRing is a ring in plain Go that does chains as the kernel does: a NOP is
// done at once, a POLL_ADD when the test says so, and the rest of a chain waits.
// Entries that one Submit does not consume are no part of a chain that it began.
type chainRing struct {
	mu      sync.Mutex
	cond    sync.Cond
	sqes    []uring.SQE
	head    int  // entries consumed
	tail    int  // entries handed out
	take    int  // consumed by a Submit at most, 0 for all
	once    bool // take is for the next Submit only
	cq      []uring.CQE
	signals bool
	poked   bool

	gate     chan struct{} // closed to let a Wait begin; nil for open
	onSubmit func()        // called when a Submit begins

	polls []*chainedReq // POLL_ADDs that wait, oldest first
	done  []uring.Op    // what was done, in order, leaving out what is the driver's own
}

type chainedReq struct {
	sqe  uring.SQE
	then *chainedReq
}

func newChainRing(entries int) *chainRing {
	r := &chainRing{sqes: make([]uring.SQE, entries)}
	r.cond.L = &r.mu
	return r
}

func (r *chainRing) Enable() error            { return nil }
func (r *chainRing) Flags() uring.SQRingFlags { return 0 }
func (r *chainRing) Info() driver.Info        { return driver.Info{SQEntries: uint32(len(r.sqes))} }
func (r *chainRing) Close() error             { return nil }
func (r *chainRing) Flush() uint32            { return r.Pending() }

func (r *chainRing) Next() *uring.SQE {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tail-r.head == len(r.sqes) {
		return nil
	}
	r.tail++
	return &r.sqes[(r.tail-1)%len(r.sqes)]
}

func (r *chainRing) Pending() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uint32(r.tail - r.head)
}

func (r *chainRing) Submit() (int, syscall.Errno) {
	r.mu.Lock()
	hook := r.onSubmit
	r.mu.Unlock()
	if hook != nil {
		hook()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.consume(r.tail - r.head), 0
}

// consume takes up to n entries, as far as the test lets it.
func (r *chainRing) consume(n int) int {
	n = min(n, r.tail-r.head)
	if r.take > 0 {
		n = min(n, r.take)
		if r.once {
			r.take = 0
		}
	}
	var head, last *chainedReq
	for range n {
		req := &chainedReq{sqe: r.sqes[r.head%len(r.sqes)]}
		r.head++
		if head == nil {
			head = req
		} else {
			last.then = req
		}
		if last = req; req.sqe.Flags&(uring.IOSQE_IO_LINK|uring.IOSQE_IO_HARDLINK) == 0 {
			r.start(head)
			head = nil
		}
	}
	if head != nil {
		r.start(head)
	}
	return n
}

func (r *chainRing) start(req *chainedReq) {
	switch req.sqe.Opcode {
	case uring.IORING_OP_NOP:
		r.finish(req, 0)
	case uring.IORING_OP_ASYNC_CANCEL:
		r.finish(req, r.cancel(req.sqe.Addr))
	default:
		r.polls = append(r.polls, req)
	}
}

func (r *chainRing) cancel(target uint64) int32 {
	for i, p := range r.polls {
		if p.sqe.UserData == target {
			r.polls = append(r.polls[:i:i], r.polls[i+1:]...)
			r.finish(p, -int32(syscall.ECANCELED))
			return 0
		}
	}
	return -int32(syscall.ENOENT)
}

// finish completes a request and goes on with what is linked to it.
func (r *chainRing) finish(req *chainedReq, res int32) {
	const kindOp = 1
	if req.sqe.UserData>>56 == kindOp && res >= 0 {
		r.done = append(r.done, req.sqe.Opcode)
	}
	r.cq = append(r.cq, uring.CQE{UserData: req.sqe.UserData, Res: res})
	if next := req.then; next != nil {
		if res < 0 && req.sqe.Flags&uring.IOSQE_IO_HARDLINK == 0 {
			r.finish(next, -int32(syscall.ECANCELED))
		} else {
			r.start(next)
		}
	}
	r.poked = r.poked || r.signals
	r.cond.Broadcast()
}

// fire completes the oldest poll.
func (r *chainRing) fire(res int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.polls[0]
	r.polls = r.polls[1:]
	r.finish(p, res)
}

func (r *chainRing) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.polls)
}

func (r *chainRing) order() []uring.Op {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]uring.Op(nil), r.done...)
}

func (r *chainRing) Wait(pending uint32) (int, syscall.Errno) {
	r.mu.Lock()
	gate := r.gate
	r.mu.Unlock()
	if gate != nil {
		<-gate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	if pending > 0 {
		n = r.consume(int(pending))
	}
	for len(r.cq) == 0 {
		r.cond.Wait()
	}
	return n, 0
}

func (r *chainRing) Reap(dst []uring.CQE) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := copy(dst, r.cq)
	r.cq = r.cq[n:]
	return n
}

func (r *chainRing) Ready() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.cq) > 0
}

func (r *chainRing) Signal(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signals = on
}

func (r *chainRing) AwaitSignal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.poked {
		r.cond.Wait()
	}
	r.poked = false
}

func (r *chainRing) Poke() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.poked = true
	r.cond.Broadcast()
}

// locked runs f with the ring's state in hand.
func (r *chainRing) locked(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}
