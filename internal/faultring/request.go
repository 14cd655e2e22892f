package faultring

import (
	"encoding/binary"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// request is an entry that the ring has taken.
type request struct {
	sqe  uring.SQE
	mem  sys.Memory // what it reads or writes
	next *request   // linked behind it

	started bool // not waiting for the one before it in its chain
	parked  bool // waiting for its object
	woken   bool // its object has changed since it last looked
	doomed  bool // will end cancelled, whatever happens
	done    bool
	shots   uint64 // completions so far, of a multishot request
}

func (q *request) String() string {
	return fmt.Sprintf("%v on descriptor %d with user data %x", q.sqe.Opcode, q.sqe.Fd, q.sqe.UserData)
}

// ownsNothing reports whether the ring may be closed while this is in flight.
func (q *request) ownsNothing() bool {
	return q.sqe.Opcode == uring.IORING_OP_NOP || q.sqe.Opcode == uring.IORING_OP_ASYNC_CANCEL
}

const linkFlags = uring.IOSQE_IO_LINK | uring.IOSQE_IO_HARDLINK

// consume takes up to n entries, and returns how many. A chain that goes on
// behind them is cut there, as the kernel does.
func (r *Ring) consume(n uint32) int {
	var head, last *request
	taken := 0
	for r.head != r.shown && uint32(taken) < n {
		q := r.take()
		taken++
		if last != nil {
			last.next = q
		} else {
			head = q
		}
		last = q
		if q.sqe.Flags&linkFlags == 0 {
			r.start(head)
			head, last = nil, nil
		}
	}
	if head != nil {
		r.start(head)
	}
	return taken
}

// take makes a request of the next entry.
func (r *Ring) take() *request {
	q := &request{sqe: r.sq[int(r.head)%len(r.sq)]}
	r.head++
	r.counts.Consumed++
	switch q.sqe.Opcode {
	case uring.IORING_OP_NOP:
	case uring.IORING_OP_ASYNC_CANCEL:
		r.counts.Cancels++
	case uring.IORING_OP_TIMEOUT, uring.IORING_OP_LINK_TIMEOUT:
		q.mem = sys.MemoryAt(q.sqe.Addr, timespecSize)
	case uring.IORING_OP_READ, uring.IORING_OP_WRITE, uring.IORING_OP_SEND, uring.IORING_OP_RECV:
		if q.sqe.Flags&uring.IOSQE_BUFFER_SELECT == 0 {
			q.mem = sys.MemoryAt(q.sqe.Addr, int(q.sqe.Len))
		}
	}
	if !q.ownsNothing() && r.find(q.sqe.UserData) != nil {
		r.violate("two requests in flight have the user data %x", q.sqe.UserData)
	}
	r.live = append(r.live, q)
	r.event("takes "+q.sqe.Opcode.String(), q.sqe.UserData, q.sqe.Fd)
	return q
}

// find returns the request with the given user data that can be cancelled.
func (r *Ring) find(userData uint64) *request {
	for _, q := range r.live {
		if q.sqe.UserData == userData && !q.ownsNothing() {
			return q
		}
	}
	return nil
}

// start begins a request whose turn in its chain has come.
func (r *Ring) start(q *request) {
	q.started = true
	f := &r.cfg.Faults
	if next := q.next; next != nil && next.sqe.Opcode == uring.IORING_OP_LINK_TIMEOUT {
		next.started = true
		r.after(r.timespec(next), func() { r.linkTimeout(q, next) })
	}
	if !q.ownsNothing() {
		if r.roll(f.Orphaned) {
			r.after(r.delay(), func() { r.orphan(q) })
		}
		if r.roll(f.Scribble) {
			r.after(r.delay(), func() { r.scribble(q) })
		}
	}
	switch {
	case q.sqe.Opcode == uring.IORING_OP_TIMEOUT:
		r.startTimeout(q)
	case !r.asleep && r.roll(f.Inline):
		// With a sleeper, who could run at the same time as who submits, what
		// they do would depend on chance.
		r.attempt(q)
	default:
		r.after(r.delay(), func() { r.attempt(q) })
	}
}

const timespecSize = 16

// timespec returns the duration that a timeout has in its memory.
func (r *Ring) timespec(q *request) time.Duration {
	b, there := r.bytes(q)
	if !there {
		return 0
	}
	sec := binary.NativeEndian.Uint64(b)
	nsec := binary.NativeEndian.Uint64(b[8:])
	return time.Duration(sec)*time.Second + time.Duration(nsec)
}

// bytes returns a request's memory, or notes that it has been let go.
func (r *Ring) bytes(q *request) ([]byte, bool) {
	b, there := q.mem.Bytes()
	if !there {
		r.violate("the memory of %v was let go before it completed", q)
	}
	return b, there
}

func (r *Ring) startTimeout(q *request) {
	every := r.timespec(q)
	var expire func()
	expire = func() {
		if q.done || q.doomed {
			return
		}
		flags := uring.CQEFlags(0)
		if uring.TimeoutFlags(q.sqe.OpFlags)&uring.IORING_TIMEOUT_MULTISHOT != 0 && q.shots+1 != q.sqe.Off {
			flags = uring.IORING_CQE_F_MORE
			r.after(every, expire)
		}
		r.complete(q, -int32(uring.ETIME), flags)
	}
	r.after(every, expire)
}

// linkTimeout ends a request whose linked timeout expires.
func (r *Ring) linkTimeout(q, timeout *request) {
	if q.done || q.doomed || timeout.done {
		return
	}
	timeout.done = true
	r.remove(timeout)
	r.post(timeout, uring.CQE{UserData: timeout.sqe.UserData, Res: -int32(uring.ETIME)})
	if r.cancellable(q) {
		r.complete(q, -int32(syscall.ECANCELED), 0)
	}
}

// orphan cancels a request that nobody has asked to be cancelled.
func (r *Ring) orphan(q *request) {
	if q.done || q.doomed || !r.cancellable(q) {
		return
	}
	r.counts.Faults++
	r.event("orphan", q.sqe.UserData, 0)
	r.complete(q, -int32(syscall.ECANCELED), 0)
}

// scribble writes nonsense into the memory that a request will write to.
func (r *Ring) scribble(q *request) {
	if q.done || !q.writesMemory() {
		return
	}
	b, _ := r.bytes(q)
	for i := range b {
		b[i] = byte(0xA0 + i%7)
	}
}

func (q *request) writesMemory() bool {
	return q.sqe.Opcode == uring.IORING_OP_RECV || q.sqe.Opcode == uring.IORING_OP_READ
}

// attempt carries a request out, if that is possible now.
func (r *Ring) attempt(q *request) {
	if q.done || q.doomed {
		return
	}
	if !q.ownsNothing() && q.shots == 0 && r.roll(r.cfg.Faults.Refused) {
		if refusals := refusals(q.sqe.Opcode); refusals != nil {
			r.counts.Faults++
			r.complete(q, -int32(refusals[r.rng.IntN(len(refusals))]), 0)
			return
		}
	}
	res, flags, possible := r.perform(q)
	if !possible {
		q.parked = true
		return
	}
	q.parked = false
	if flags&uring.IORING_CQE_F_MORE != 0 && r.roll(r.cfg.Faults.Disarmed) {
		flags &^= uring.IORING_CQE_F_MORE
	}
	r.complete(q, res, flags)
	if !q.done {
		r.after(r.delay(), func() { r.attempt(q) })
	}
}

// refusals are errors of an operation that say nothing but try again.
func refusals(op uring.Op) []syscall.Errno {
	switch op {
	case uring.IORING_OP_RECV, uring.IORING_OP_SEND:
		return []syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.ENOBUFS}
	case uring.IORING_OP_READ, uring.IORING_OP_WRITE, uring.IORING_OP_ACCEPT:
		return []syscall.Errno{syscall.EINTR, syscall.EAGAIN}
	}
	return nil
}

// changed lets requests that wait for an object look at it again.
func (r *Ring) changed(fd int) {
	for _, q := range r.live {
		if q.parked && int(q.sqe.Fd) == fd {
			q.parked = false
			r.after(r.delay(), func() { r.attempt(q) })
		}
	}
}

// complete posts a completion, the last one if it does not say that more come.
func (r *Ring) complete(q *request, res int32, flags uring.CQEFlags) {
	if res < 0 {
		r.scribble(q) // until the last moment
	} else {
		r.bytes(q)
	}
	if q.next != nil && q.next.done {
		q.next = q.next.next // a timeout that has expired
	}
	last := flags&uring.IORING_CQE_F_MORE == 0
	if q.shots++; last {
		q.done = true
		r.remove(q)
	}
	r.post(q, uring.CQE{UserData: q.sqe.UserData, Res: res, Flags: flags})
	if !last {
		return
	}
	if !q.ownsNothing() && r.roll(r.cfg.Faults.Repeated) {
		r.after(r.delay(), func() {
			if r.find(q.sqe.UserData) != nil {
				return // the number is in use again: this would not be late
			}
			r.counts.Repeated++
			r.counts.Faults++
			r.post(q, uring.CQE{UserData: q.sqe.UserData, Res: int32(r.rng.IntN(100))})
		})
	}
	r.follow(q, res)
}

// follow goes on with the chain behind a request that has completed.
func (r *Ring) follow(q *request, res int32) {
	next := q.next
	if next != nil && next.sqe.Opcode == uring.IORING_OP_LINK_TIMEOUT {
		r.end(next)
		next = next.next
	}
	success := res >= 0
	if q.sqe.Opcode == uring.IORING_OP_READ || q.sqe.Opcode == uring.IORING_OP_WRITE {
		success = res == int32(q.sqe.Len)
	}
	if next != nil && (success || q.sqe.Flags&uring.IOSQE_IO_HARDLINK != 0) {
		r.start(next)
		return
	}
	for ; next != nil; next = next.next {
		r.end(next)
	}
}

// end completes a request of a chain that has not been carried out.
func (r *Ring) end(q *request) {
	q.done = true
	r.remove(q)
	r.post(q, uring.CQE{UserData: q.sqe.UserData, Res: -int32(syscall.ECANCELED)})
}

func (r *Ring) remove(q *request) {
	if i := slices.Index(r.live, q); i >= 0 {
		r.live = slices.Delete(r.live, i, i+1)
	}
}

// post makes a completion known, sooner or later, behind those before it.
func (r *Ring) post(q *request, c uring.CQE) {
	r.event("completes "+q.sqe.Opcode.String(), c.UserData, c.Res)
	if len(r.deferred) > 0 || !r.asleep && r.roll(r.cfg.Faults.Deferred) {
		r.deferred = append(r.deferred, c)
		// The thread that has to look will, when it is in the kernel anyway.
		r.after(r.delay(), r.bringOut)
		r.wakeSleeper()
		return
	}
	r.place(c)
}

// place puts a completion into the queue, or behind it.
func (r *Ring) place(c uring.CQE) {
	if len(r.overflow) > 0 || len(r.cq) == r.cfg.CQEntries {
		r.counts.Overflows++
		r.overflow = append(r.overflow, c)
	} else {
		r.cq = append(r.cq, c)
	}
	if r.signals {
		r.raise()
	}
	r.wakeSleeper()
}

// bringOut puts into the queue what only the kernel can.
func (r *Ring) bringOut() {
	for len(r.overflow) > 0 && len(r.cq) < r.cfg.CQEntries {
		r.cq = append(r.cq, r.overflow[0])
		r.overflow = slices.Delete(r.overflow, 0, 1)
	}
	late := r.deferred
	r.deferred = nil
	for _, c := range late {
		r.place(c)
	}
}
