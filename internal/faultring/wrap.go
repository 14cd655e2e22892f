package faultring

import (
	"math/rand/v2"
	"sync"
	"syscall"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// Wrap puts faults around another ring, which may be the kernel's, so that all
// that stands on a driver can be tried with real descriptors. What it can inject
// is less than what a Ring can: enters that fail, short transfers, operations
// that are cancelled by nobody, cancellations that miss, and completions in
// another order.
func Wrap(inner driver.Ring, seed uint64, faults Faults) driver.Ring {
	return &wrapped{
		Ring:    inner,
		faults:  faults,
		rng:     rand.New(rand.NewPCG(seed, 1)),
		instead: make(map[uint64]int32),
	}
}

type wrapped struct {
	driver.Ring

	fail func(op string, n uint32) syscall.Errno // see Around

	mu      sync.Mutex // the sleeper and who borrows the loop come here at once
	faults  Faults
	rng     *rand.Rand
	filled  []*uring.SQE     // handed out and not shown to the kernel yet
	instead map[uint64]int32 // results that replace those of requests with this user data
}

func (w *wrapped) roll(rate int) bool { return rate > 0 && w.rng.IntN(1000) < rate }

// Next implements driver.Ring.
func (w *wrapped) Next() *uring.SQE {
	w.mu.Lock()
	defer w.mu.Unlock()
	sqe := w.Ring.Next()
	if sqe != nil {
		w.filled = append(w.filled, sqe)
	}
	return sqe
}

// meddle changes entries before the kernel sees them. Those of a chain are left
// alone.
func (w *wrapped) meddle() {
	w.failSome()
	for _, sqe := range w.filled {
		if sqe.Flags&linkFlags != 0 {
			break
		}
		info, _ := sqe.Opcode.Info()
		switch {
		case sqe.Opcode == uring.IORING_OP_ASYNC_CANCEL:
			if w.roll(w.faults.CancelMisses) {
				miss := []syscall.Errno{syscall.ENOENT, syscall.EALREADY}[w.rng.IntN(2)]
				w.replace(sqe, -int32(miss))
			}
		case info.Waits() && w.roll(w.faults.Orphaned):
			w.replace(sqe, -int32(syscall.ECANCELED))
		case sqe.Len > 1 && movesBytes(sqe.Opcode) && w.roll(w.faults.ShortTransfer):
			sqe.Len = 1 + uint32(w.rng.IntN(int(sqe.Len)))
		}
	}
	w.filled = w.filled[:0]
}

func movesBytes(op uring.Op) bool {
	switch op {
	case uring.IORING_OP_READ, uring.IORING_OP_WRITE, uring.IORING_OP_RECV, uring.IORING_OP_SEND, uring.IORING_OP_SEND_ZC:
		return true
	}
	return false
}

// replace has a request do nothing and return a result.
func (w *wrapped) replace(sqe *uring.SQE, res int32) {
	userData := sqe.UserData
	sqe.PrepNop()
	sqe.UserData = userData
	w.instead[userData] = res
}

// refuse returns what an enter fails with, or 0.
func (w *wrapped) refuse() syscall.Errno {
	switch {
	case w.roll(w.faults.EnterInterrupted):
		return syscall.EINTR
	case w.roll(w.faults.EnterAgain):
		return syscall.EAGAIN
	}
	return 0
}

// Submit implements driver.Ring.
func (w *wrapped) Submit() (int, syscall.Errno) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errno := w.refuse(); errno != 0 {
		return 0, errno
	}
	w.meddle()
	return w.Ring.Submit()
}

// Flush implements driver.Ring.
func (w *wrapped) Flush() uint32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meddle()
	return w.Ring.Flush()
}

// Wait implements driver.Ring.
func (w *wrapped) Wait(pending uint32) (int, syscall.Errno) {
	w.mu.Lock()
	errno := w.refuse()
	w.mu.Unlock()
	if errno != 0 {
		return 0, errno
	}
	return w.Ring.Wait(pending)
}

// Reap implements driver.Ring.
func (w *wrapped) Reap(dst []uring.CQE) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.Ring.Reap(dst)
	for i := range dst[:n] {
		if res, ok := w.instead[dst[i].UserData]; ok {
			delete(w.instead, dst[i].UserData)
			dst[i].Res, dst[i].Flags = res, 0
		}
	}
	// Neighbours change places, except those of one request.
	for i := 1; i < n; i++ {
		if dst[i].UserData != dst[i-1].UserData && w.roll(w.faults.Deferred) {
			dst[i], dst[i-1] = dst[i-1], dst[i]
		}
	}
	return n
}
