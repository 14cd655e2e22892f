package driver_test

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// chained is a member of a chain of a workload.
type chained struct {
	*job
	writes, reads, guards bool
}

// chains writes to a region of a file and reads it in chains, and looks whether
// the members were done one after the other, and none behind a break.
func (l *lane) chains(fd, region, rounds int) {
	const size = 512
	if l.d.MaxChain() < 2 {
		return
	}
	content := make([]byte, size)
	for n := 0; l.more(n, rounds); n++ {
		members := l.newChain(fd, region*size, size)
		completions, ok := l.doChain(members)
		if !ok || !l.inOrder(members, completions, content) {
			return
		}
	}
}

// newChain draws a chain on the region at off.
func (l *lane) newChain(fd, off, size int) []chained {
	var list []chained
	for most := 2 + l.rng.IntN(min(l.d.MaxChain(), 8)-1); len(list) < most; {
		m := chained{job: l.newJob(false)}
		m.Buf = make([]byte, 1+l.rng.IntN(size))
		switch l.rng.IntN(4) {
		case 0:
			m.SQE.PrepNop()
		case 1:
			m.reads = true
			m.SQE.PrepRead(fd, m.Buf, uint64(off))
		default:
			m.writes = true
			for i := range m.Buf {
				m.Buf[i] = byte(l.rng.Uint32())
			}
			m.SQE.PrepWrite(fd, m.Buf, uint64(off))
		}
		how := uring.IOSQE_IO_LINK
		if l.rng.IntN(3) == 0 {
			how = uring.IOSQE_IO_HARDLINK
		}
		m.SQE.Flags |= how
		list = append(list, m)
		if len(list) < most && l.rng.IntN(6) == 0 {
			d := l.some(l.pace)
			ts := &uring.Timespec{Sec: int64(d / time.Second), Nsec: int64(d % time.Second)}
			g := chained{job: l.newJob(true), guards: true}
			g.Keep = ts
			g.SQE.PrepLinkTimeout(ts, 0)
			g.SQE.Flags |= uring.IOSQE_IO_LINK
			list = append(list, g)
		}
	}
	list[len(list)-1].SQE.Flags = 0
	return list
}

// doChain carries a chain out, with the cancellation of a member now and then;
// false if it was refused because the driver is shut down.
func (l *lane) doChain(members []chained) ([]driver.Completion, bool) {
	l.think()
	if l.alone {
		defer l.think()
	}
	ops := make([]*driver.Op, len(members))
	for i, m := range members {
		ops[i] = &m.Op
		m.submits.Inc()
	}
	l.submits.Add(int64(len(ops)))
	submit, await := l.d.SubmitChain, l.rng.IntN(2) == 0
	if await {
		submit = l.d.EnqueueChain
	}
	if err := submit(context.Background(), ops...); err != nil {
		l.submits.Sub(int64(len(ops)))
		if !errors.Is(err, driver.ErrClosed) || !l.stopping.Load() {
			l.failf("chain: submit: %v", err)
		}
		return nil, false
	}
	if l.rng.IntN(4) == 0 {
		l.cancelLater(ops[l.rng.IntN(len(ops))])
	}
	completions := make([]driver.Completion, len(members))
	last := len(members) - 1
	if await {
		completions[last] = l.d.Await(members[last].waiter)
	} else {
		completions[last] = <-members[last].waiter.Done()
	}
	for i, m := range members[:last] {
		completions[i] = <-m.waiter.Done() // there, unless its cancellation is on its way
	}
	return completions, true
}

// inOrder compares what a chain has done with the content of the region before
// it, and brings that up to date. It reports false when there is nothing more to
// learn.
func (l *lane) inOrder(members []chained, completions []driver.Completion, content []byte) bool {
	broken := false
	for i, m := range members {
		c := completions[i]
		switch {
		case c.Err() == error(syscall.EIO):
			return false // the ring has failed: what was done is not known
		case m.guards:
			if c.Res > 0 {
				l.failf("chain: a time limit ended with %d", c.Res)
			}
			continue
		case broken && c.Err() != error(syscall.ECANCELED):
			l.failf("chain: member %d of %d (%v) was done behind a break: %d", i, len(members), m.SQE.Opcode, c.Res)
			return false
		case int(c.Res) > len(m.Buf):
			l.failf("chain: %v of %d bytes moved %d", m.SQE.Opcode, len(m.Buf), c.Res)
			return false
		}
		n := max(int(c.Res), 0)
		if m.writes {
			copy(content, m.Buf[:n])
		}
		if m.reads && string(m.Buf[:n]) != string(content[:n]) {
			l.failf("chain: member %d of %d read something else than was written before it", i, len(members))
			return false
		}
		if m.SQE.Flags&uring.IOSQE_IO_HARDLINK == 0 && driver.Breaks(&m.Op, c) {
			broken = true
		}
	}
	return true
}
