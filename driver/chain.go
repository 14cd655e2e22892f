package driver

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/yamanote-go/yamanote/uring"
)

// chain is operations that the kernel does one after the other: linked entries
// that lie side by side in the submission queue and are handed over by the same
// system call. Its members' owners are told together when the last has
// completed. Until then a thread's end may make the driver start over at the
// member that was being done.
type chain struct {
	ops   []*Op
	class *admission // in which the chain takes one place

	lingers bool // Shutdown waits for it

	// What follows belongs to whoever drives the ring.
	first int // of the members that are queued or in the kernel; those before are done
	open  int // members in the kernel
	left  int // members whose owner has not been told

	// Where the chain lies among all entries that were ever prepared, and its
	// entries, as long as the kernel has not consumed them.
	start, end uint64
	sqes       []*uring.SQE
}

// waiting returns the members that are queued, while the chain is.
func (ch *chain) waiting() []*Op { return ch.ops[ch.first:] }

// ErrChainTooLong is wrapped by the error of a chain that does not fit into
// the submission queue.
var ErrChainTooLong = errors.New("driver: chain is longer than the submission queue")

const linkFlags = uring.IOSQE_IO_LINK | uring.IOSQE_IO_HARDLINK

// MaxChain returns how many operations a chain may have at most: as many as the
// submission queue has entries.
func (d *Driver) MaxChain() int { return int(d.info.SQEntries) }

// SubmitChain hands operations to the driver that are linked: each but the last
// has IOSQE_IO_LINK or IOSQE_IO_HARDLINK in its SQE's flags. They are submitted
// together or not at all, and count as one operation against
// Config.MaxInFlight. All of them belong to the driver until the last has
// completed, and so does the slice; then each Sink is told of its terminal
// completion, in order, except that one whose Cancel is just under way is told
// when that has been noticed. A chain lingers if one of its operations does.
//
// Cancel of a member ends the chain there, or before if the kernel has not got
// it yet.
//
// It returns as Submit does. A chain of more than MaxChain operations is
// refused with an error that wraps ErrChainTooLong.
func (d *Driver) SubmitChain(ctx context.Context, ops ...*Op) error {
	if err := d.EnqueueChain(ctx, ops...); err != nil {
		return err
	}
	d.conductor.kick(d)
	return nil
}

// EnqueueChain is to SubmitChain what Enqueue is to Submit.
func (d *Driver) EnqueueChain(ctx context.Context, ops ...*Op) error {
	if err := d.checkChain(ops); err != nil {
		return err
	}
	ch := &chain{ops: ops, class: &d.finite, left: len(ops)}
	for _, op := range ops {
		if op.Waits {
			ch.class = &d.waiting
		}
		ch.lingers = ch.lingers || op.Lingers
	}
	if err := d.admit(ch.class, ch.lingers, d.acquire(ctx, ch.class)); err != nil {
		return err
	}
	for _, op := range ops {
		d.begin(op, ch)
	}
	d.submitted.push(ops[0])
	return nil
}

// checkChain refuses what the kernel would take for something else.
func (d *Driver) checkChain(ops []*Op) error {
	switch n := len(ops); {
	case n == 0:
		return errors.New("driver: a chain of no operations")
	case n > d.MaxChain():
		return fmt.Errorf("%w: it has %d operations, at most %d fit (Config.SQEntries)", ErrChainTooLong, n, d.MaxChain())
	}
	for i, op := range ops {
		last := i == len(ops)-1
		switch linked := op.SQE.Flags&linkFlags != 0; {
		case !linked && !last:
			return fmt.Errorf("driver: operation %d of a chain of %d (%v) is not linked to the next", i, len(ops), op.SQE.Opcode)
		case linked && last:
			return fmt.Errorf("driver: the last operation of a chain (%v) is linked to nothing", op.SQE.Opcode)
		case i == 0 && op.SQE.Opcode == uring.IORING_OP_LINK_TIMEOUT:
			return errors.New("driver: a chain begins with a LINK_TIMEOUT, which has nothing to bound")
		}
	}
	return nil
}

// placeChain prepares the entries of the chain at the front of the backlog, all
// or none, and returns how much progress that was.
func (l *loop) placeChain() int {
	ch := l.backlog.front().chain
	ops := ch.ops[ch.first:]
	for _, op := range ops {
		if op.state.Load() == stateCancelling {
			l.chainWaits = false
			l.backlog.pop()
			l.dissolve(ch, Completion{Res: -int32(syscall.ECANCELED), Last: true})
			return len(ops)
		}
	}
	room := int(l.d.info.SQEntries) - int(l.ring.Pending())
	if l.chainsWait || room < len(ops) {
		l.chainWaits = true
		return 0
	}
	l.chainWaits = false
	l.backlog.pop()
	ch.start, ch.open, ch.sqes = l.filled, len(ops), ch.sqes[:0]
	for _, op := range ops {
		ch.sqes = append(ch.sqes, l.prepare(op))
	}
	ch.end = l.filled
	l.unsent.push(ch)
	return len(ops)
}

// chainsSent looks how far the kernel has consumed the chains that were
// prepared. It takes all of a chain, except when it runs out of memory for
// requests in the middle of one: it has then submitted the beginning as a chain
// of its own, and would do the rest at the same time.
func (l *loop) chainsSent() {
	consumed := l.filled - uint64(l.ring.Pending())
	for l.unsent.len() > 0 {
		ch := l.unsent.front()
		if ch.start >= consumed && ch.end > consumed {
			return // nothing of it has been consumed
		}
		l.unsent.pop()
		if ch.end > consumed {
			l.cut(ch, int(consumed-ch.start))
		}
		ch.sqes = ch.sqes[:0]
	}
}

// cut takes back what the kernel has not consumed of a chain; resume will submit
// it when the beginning has been done.
func (l *loop) cut(ch *chain, sent int) {
	rest := ch.ops[ch.first+sent:]
	l.d.stats.wakeEntries.Add(uint64(len(rest)))
	for i, op := range rest {
		sqe := ch.sqes[sent+i]
		sqe.PrepNop()
		sqe.UserData = wakeData
		l.table.remove(op)
	}
	if rest[0].SQE.Opcode == uring.IORING_OP_LINK_TIMEOUT {
		// What is under way was to be bounded in time: have it back, too.
		l.cancel(ch.ops[ch.first+sent-1])
	}
	for _, op := range rest {
		l.record(op, Completion{Res: -int32(syscall.ECANCELED), Last: true})
	}
}

// record keeps the terminal completion of a chain's member.
func (l *loop) record(op *Op, c Completion) {
	ch := op.chain
	op.final, op.place = c, placeDone
	if ch.open--; ch.open > 0 {
		return
	}
	if k := ch.resume(l); k >= 0 {
		ch.first = k
		for _, op := range ch.ops[k:] {
			op.place, op.twice = placeQueued, false
			op.resubmits++
		}
		l.backlog.push(ch.ops[k])
		l.d.stats.resubmitted.Add(uint64(len(ch.ops) - k))
		return
	}
	for _, op := range ch.ops {
		l.finish(op, op.final)
	}
}

// dissolve ends a chain that is not in the kernel.
func (l *loop) dissolve(ch *chain, c Completion) {
	for _, op := range ch.ops[ch.first:] {
		op.final = c
	}
	for _, op := range ch.ops {
		l.finish(op, op.final)
	}
}

// done notes that one more member's owner is being told, and reports whether it
// is the last.
func (ch *chain) done() bool {
	ch.left--
	return ch.left == 0
}

// resume returns the member at which the chain has to be submitted again, or -1.
// That is the first that was cancelled although nobody asked for it and no
// member before it has failed (see orphaned), or that was cut off, provided that
// nothing behind it has been done.
func (ch *chain) resume(l *loop) int {
	if l.shutting.Load() || l.failed != nil {
		return -1
	}
	for k := ch.first; k < len(ch.ops); k++ {
		op := ch.ops[k]
		if op.guard() || !op.outcome().cancelled() {
			continue
		}
		if op.resubmits >= maxResubmits || ch.broken(k) {
			return -1
		}
		for _, later := range ch.ops[k:] {
			// A guard that has expired is the reason.
			if !later.outcome().cancelled() || later.state.Load() != stateActive {
				return -1
			}
		}
		return k
	}
	return -1
}

// broken reports whether a member before k has failed in such a way that the
// kernel cancels k.
func (ch *chain) broken(k int) bool {
	for k--; k >= 0; k-- {
		if op := ch.ops[k]; !op.guard() {
			return op.SQE.Flags&uring.IOSQE_IO_HARDLINK == 0 && Breaks(op, op.outcome())
		}
	}
	return false
}

// outcome is the completion that decides how the chain goes on: the first of two,
// if the last only says that the kernel has let go of the memory.
func (op *Op) outcome() Completion {
	c := op.final
	if op.twice {
		c.Res = op.first
	}
	return c
}

// guard reports whether the operation does nothing but bound the time of the
// one before it in the chain.
func (op *Op) guard() bool { return op.SQE.Opcode == uring.IORING_OP_LINK_TIMEOUT }

func (c Completion) cancelled() bool { return c.Res == -int32(syscall.ECANCELED) }

// Breaks reports whether an operation that ended so makes the kernel cancel
// what is softly linked to it: a failure does, and so does a transfer of fewer
// bytes than asked for. Of vectors and messages, whose length the entry does
// not tell, it says yes.
func Breaks(op *Op, c Completion) bool {
	if c.Res < 0 {
		return true
	}
	sqe := &op.SQE
	switch sqe.Opcode {
	case uring.IORING_OP_READ, uring.IORING_OP_WRITE, uring.IORING_OP_READ_FIXED, uring.IORING_OP_WRITE_FIXED,
		uring.IORING_OP_SPLICE, uring.IORING_OP_TEE:
		return uint32(c.Res) != sqe.Len
	case uring.IORING_OP_SEND, uring.IORING_OP_SEND_ZC, uring.IORING_OP_RECV:
		return sqe.OpFlags&msgWaitAll != 0 && uint32(c.Res) < sqe.Len
	case uring.IORING_OP_READV, uring.IORING_OP_WRITEV, uring.IORING_OP_READV_FIXED, uring.IORING_OP_WRITEV_FIXED:
		return true
	case uring.IORING_OP_SENDMSG, uring.IORING_OP_SENDMSG_ZC, uring.IORING_OP_RECVMSG:
		return sqe.OpFlags&msgWaitAll != 0
	}
	return false
}

// msgWaitAll is MSG_WAITALL, the same on every Linux.
const msgWaitAll = 0x100
