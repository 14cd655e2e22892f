package driver

import "time"

// How old an operation is, only who asks for it wants to know, and reading the
// clock for each would cost a few percent of a short one. So operations are
// stamped later, and only those that still are under way then: when the driver
// sleeps or gives the ring up, or after stampEvery turns. What completes at once
// costs the note of its slot and no look at the clock.

// stampEvery is after how many turns a driver that does not sleep looks at the
// clock: at up to batch completions each, some milliseconds.
const stampEvery = 64

// clock returns the nanoseconds since the driver was opened, and one more: zero
// is for no time.
func (d *Driver) clock() int64 { return int64(time.Since(d.opened)) + 1 }

// tick counts a turn.
func (l *loop) tick() {
	if l.turns++; l.turns >= stampEvery {
		l.stamp()
	}
}

// stamp notes the time for those operations that have none yet, if there are
// any.
func (l *loop) stamp() {
	if l.unstamped() {
		l.stampAt(l.d.clock())
		return
	}
	l.turns, l.table.fresh = 0, l.table.fresh[:0]
}

// unstamped reports whether an operation that is under way has no time yet.
func (l *loop) unstamped() bool {
	t := &l.table
	for _, at := range t.fresh {
		if op := t.slots[at].op; op != nil && op.since == 0 {
			return true
		}
	}
	n := l.backlog.len()
	return n > 0 && l.backlog.at(n-1).since == 0
}

// stampAt is stamp for who knows the time.
func (l *loop) stampAt(now int64) {
	l.turns = 0
	t := &l.table
	for _, at := range t.fresh {
		if op := t.slots[at].op; op != nil && op.since == 0 {
			op.since = now
		}
	}
	t.fresh = t.fresh[:0]
	// What waits for a free entry came in order, so who has no time is last.
	for i := l.backlog.len() - 1; i >= 0; i-- {
		op := l.backlog.at(i)
		if op.since != 0 {
			return
		}
		op.since = now
		if op.chain != nil {
			for _, member := range op.chain.waiting() {
				member.since = now
			}
		}
	}
}
