package faultring

import (
	"syscall"

	"github.com/yamanote-go/yamanote/uring"
)

// perform carries a request out and returns its result, or false if it has to
// wait for its object.
func (r *Ring) perform(q *request) (res int32, flags uring.CQEFlags, possible bool) {
	switch q.sqe.Opcode {
	case uring.IORING_OP_NOP:
		return 0, 0, true
	case uring.IORING_OP_ASYNC_CANCEL:
		return r.cancel(q), 0, true
	case uring.IORING_OP_POLL_ADD:
		return r.poll(q)
	case uring.IORING_OP_ACCEPT:
		return r.accept(q)
	case uring.IORING_OP_CLOSE:
		r.drop(int(q.sqe.Fd))
		return 0, 0, true
	case uring.IORING_OP_SHUTDOWN:
		return r.shutdown(q), 0, true
	case uring.IORING_OP_READ, uring.IORING_OP_RECV:
		switch f := r.files[int(q.sqe.Fd)].(type) {
		case *stream:
			return r.receive(q, f)
		case *file:
			return r.readAt(q, f), 0, true
		}
		return -int32(syscall.EBADF), 0, true
	case uring.IORING_OP_WRITE, uring.IORING_OP_SEND:
		switch f := r.files[int(q.sqe.Fd)].(type) {
		case *stream:
			return r.send(q, f)
		case *file:
			return r.writeAt(q, f), 0, true
		}
		return -int32(syscall.EBADF), 0, true
	}
	return -int32(syscall.EINVAL), 0, true
}

// cancellable reports whether a cancellation can end the request: not what is
// being done to a file, nor what has not been reached in its chain.
func (r *Ring) cancellable(q *request) bool {
	switch q.sqe.Opcode {
	case uring.IORING_OP_CLOSE, uring.IORING_OP_SHUTDOWN, uring.IORING_OP_LINK_TIMEOUT:
		return false
	case uring.IORING_OP_READ, uring.IORING_OP_WRITE:
		_, regular := r.files[int(q.sqe.Fd)].(*file)
		return !regular
	}
	return !q.ownsNothing()
}

// cancel carries a cancellation out and returns its result.
func (r *Ring) cancel(q *request) int32 {
	f := &r.cfg.Faults
	if q.sqe.OpFlags != 0 {
		return -int32(syscall.EINVAL)
	}
	if len(r.script.cancels) > 0 {
		res := r.script.cancels[0]
		r.script.cancels = r.script.cancels[1:]
		return res
	}
	target := r.find(q.sqe.Addr)
	switch {
	case target == nil || !target.started || target.doomed:
		return -int32(syscall.ENOENT)
	case r.roll(f.CancelMisses):
		r.counts.Faults++
		return -int32([]syscall.Errno{syscall.ENOENT, syscall.EALREADY}[r.rng.IntN(2)])
	case !r.cancellable(target):
		return -int32(syscall.EALREADY)
	case r.roll(f.CancelLoses) && target.sqe.Opcode != uring.IORING_OP_TIMEOUT:
		if res, flags, possible := r.perform(target); possible {
			r.counts.Faults++
			r.complete(target, res, flags&^uring.IORING_CQE_F_MORE)
			return 0
		}
	case r.roll(f.CancelFirst):
		target.doomed = true
		r.after(r.delay(), func() {
			if !target.done {
				r.complete(target, -int32(syscall.ECANCELED), 0)
			}
		})
		return 0
	}
	r.complete(target, -int32(syscall.ECANCELED), 0)
	return 0
}

// The events of poll(2) that are modelled.
const (
	pollIn  = 1
	pollOut = 4
)

func (r *Ring) poll(q *request) (int32, uring.CQEFlags, bool) {
	ready := uint32(0)
	switch f := r.files[int(q.sqe.Fd)].(type) {
	case *stream:
		if len(f.in) > 0 || f.ended {
			ready |= pollIn
		}
		if f.room() > 0 {
			ready |= pollOut
		}
	case *listener:
		if len(f.backlog) > 0 {
			ready |= pollIn
		}
	case *file:
		ready |= pollIn | pollOut
	default:
		return -int32(syscall.EBADF), 0, true
	}
	if ready &= q.sqe.Poll32Events(); ready == 0 {
		return 0, 0, false
	}
	if uring.PollFlags(q.sqe.Len)&uring.IORING_POLL_ADD_MULTI == 0 {
		return int32(ready), 0, true
	}
	if q.shots > 0 && !r.news(q) {
		return 0, 0, false
	}
	return int32(ready), uring.IORING_CQE_F_MORE, true
}

// news reports whether an object has changed since the request last looked: a
// multishot poll reports changes, not states.
func (r *Ring) news(q *request) bool {
	fresh := q.woken
	q.woken = false
	return fresh
}

func (r *Ring) accept(q *request) (int32, uring.CQEFlags, bool) {
	l, ok := r.files[int(q.sqe.Fd)].(*listener)
	if !ok {
		return -int32(syscall.EBADF), 0, true
	}
	if len(l.backlog) == 0 {
		return 0, 0, false
	}
	s := l.backlog[0]
	l.backlog = l.backlog[1:]
	flags := uring.CQEFlags(0)
	if uring.AcceptFlags(q.sqe.Ioprio)&uring.IORING_ACCEPT_MULTISHOT != 0 {
		flags |= uring.IORING_CQE_F_MORE
	}
	if len(l.backlog) > 0 {
		flags |= uring.IORING_CQE_F_SOCK_NONEMPTY
	}
	fd := l.newFD(r, s)
	return int32(fd), flags, true
}

func (r *Ring) shutdown(q *request) int32 {
	s, ok := r.files[int(q.sqe.Fd)].(*stream)
	if !ok {
		return -int32(syscall.ENOTSOCK)
	}
	r.endOutput(s)
	return 0
}

// short returns how much of n is moved.
func (r *Ring) short(n int) int {
	if n > 1 && r.roll(r.cfg.Faults.ShortTransfer) {
		r.counts.Faults++
		return 1 + r.rng.IntN(n)
	}
	return n
}

func (r *Ring) receive(q *request, s *stream) (int32, uring.CQEFlags, bool) {
	if len(s.in) == 0 && !s.ended {
		return 0, 0, false
	}
	var flags uring.CQEFlags
	var b []byte
	if q.sqe.Flags&uring.IOSQE_BUFFER_SELECT != 0 {
		if len(s.in) == 0 {
			return 0, 0, true
		}
		g := r.groups[q.sqe.BufIndex]
		if g == nil || len(g.free) == 0 {
			return -int32(syscall.ENOBUFS), 0, true
		}
		bid := g.free[0]
		g.free = g.free[1:]
		b = g.bufs[bid]
		flags = uring.IORING_CQE_F_BUFFER | uring.CQEFlags(bid)<<uring.IORING_CQE_BUFFER_SHIFT
		if uring.RecvSendFlags(q.sqe.Ioprio)&uring.IORING_RECV_MULTISHOT != 0 {
			flags |= uring.IORING_CQE_F_MORE
		}
	} else {
		r.scribble(q)
		var there bool
		if b, there = r.bytes(q); !there {
			return -int32(syscall.EFAULT), 0, true
		}
	}
	n := copy(b[:r.short(min(len(b), len(s.in)))], s.in)
	s.in = s.in[n:]
	if len(s.in) > 0 {
		flags |= uring.IORING_CQE_F_SOCK_NONEMPTY
	}
	if s.peer != nil {
		r.changed(s.peer.fd)
	}
	return int32(n), flags, true
}

func (r *Ring) send(q *request, s *stream) (int32, uring.CQEFlags, bool) {
	switch {
	case s.peer == nil || s.peer.ended:
		return -int32(syscall.EPIPE), 0, true
	case s.room() == 0:
		return 0, 0, false
	}
	b, there := r.bytes(q)
	if !there {
		return -int32(syscall.EFAULT), 0, true
	}
	n := r.short(min(len(b), s.room()))
	r.deliver(s, b[:n])
	return int32(n), 0, true
}

func (r *Ring) readAt(q *request, f *file) int32 {
	r.scribble(q)
	b, there := r.bytes(q)
	switch {
	case !there:
		return -int32(syscall.EFAULT)
	case q.sqe.Off >= uint64(len(f.data)):
		return 0
	}
	rest := f.data[q.sqe.Off:]
	return int32(copy(b[:r.short(min(len(b), len(rest)))], rest))
}

func (r *Ring) writeAt(q *request, f *file) int32 {
	b, there := r.bytes(q)
	if !there {
		return -int32(syscall.EFAULT)
	}
	n := r.short(len(b))
	if end := int(q.sqe.Off) + n; end > len(f.data) {
		f.data = append(f.data, make([]byte, end-len(f.data))...)
	}
	return int32(copy(f.data[q.sqe.Off:], b[:n]))
}
