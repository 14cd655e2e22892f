package file

import (
	"io"
	"runtime"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// run writes what is queued until nothing is left. If own is not nil, it writes
// only until that batch is done, and leaves the rest to another goroutine: who
// appends must not go on to work for others for ever.
func (a *Appender) run(own *batch) {
	for {
		b := a.take()
		if b == nil {
			return
		}
		a.commit(b)
		if b == own {
			if a.more() {
				go a.run(nil)
			}
			return
		}
	}
}

// more reports whether there is something left to write; if there is not,
// nobody is at it any more.
func (a *Appender) more() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.moreLocked()
}

func (a *Appender) moreLocked() bool {
	if len(a.queue) > 0 {
		return true
	}
	a.busy = false
	close(a.idle)
	return false
}

// take returns the next batch to write, or nil if there is none.
//
// Goroutines that append one record after the other have just been woken when
// the last batch was done, and are about to append again. Those who have not run
// yet would miss this batch, and so always every second one; let them run first.
func (a *Appender) take() *batch {
	const patience = 4 // looks that find nobody new
	a.mu.Lock()
	defer a.mu.Unlock()
	for seen, idle := 0, 0; len(a.queue) == 1 && idle < patience; {
		n := len(a.queue[0].records)
		if n >= a.expected {
			break
		}
		if n == seen {
			idle++
		}
		seen = n
		a.mu.Unlock()
		runtime.Gosched()
		a.mu.Lock()
	}
	for a.moreLocked() {
		b := a.queue[0]
		a.queue = a.queue[1:]
		size := len(b.buf)
		b.compact()
		a.release(size - len(b.buf))
		if a.failure != nil {
			a.finish(b, a.failure)
			continue
		}
		b.taken = true
		return b
	}
	return nil
}

// compact takes the records out that were dropped.
func (b *batch) compact() {
	if !b.dropped {
		return
	}
	to := int64(0)
	for i := range b.records {
		r := &b.records[i]
		if r.dropped {
			continue
		}
		copy(b.buf[to:], b.buf[r.off:r.off+int64(r.size)])
		r.off = to
		to += int64(r.size)
	}
	b.buf = b.buf[:to]
}

// commit writes a batch, and tells those who wait.
func (a *Appender) commit(b *batch) {
	err := a.start()
	if err == nil && len(b.buf) > 0 {
		a.reserve(a.durable + int64(len(b.buf)))
		err = a.write(b.buf)
		b.torn = err != nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil && a.failure == nil {
		a.failure = err
	}
	a.finish(b, err)
}

// finish ends a batch. The lock is held.
func (a *Appender) finish(b *batch, err error) {
	b.err = err
	if err == nil {
		for i := range b.records {
			r := &b.records[i]
			r.off += a.durable
			if !r.dropped {
				a.stats.Records++
			}
		}
		a.stats.Bytes += int64(len(b.buf))
		a.durable += int64(len(b.buf))
		if len(b.buf) > 0 {
			a.stats.Writes++
		}
	}
	size := len(b.buf)
	if cap(b.buf) <= 2*a.cfg.MaxBatch {
		a.spare = b.buf[:0]
	}
	b.buf = nil
	a.expected = len(b.records)
	for _, waits := range a.queue {
		a.expected += len(waits.records)
	}
	close(b.done)
	a.release(size)
}

// start looks up where the log ends, before the first write.
func (a *Appender) start() error {
	if a.started {
		return nil
	}
	end := a.cfg.Offset
	if !a.cfg.Overwrite {
		info, err := a.f.Stat()
		if err != nil {
			return err
		}
		end = info.Size()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.started, a.durable, a.reserved = true, end, end
	return nil
}

// write makes bytes durable at the end of the log.
func (a *Appender) write(buf []byte) error {
	f := a.f
	var n int
	var err error
	switch {
	case f.ring != nil:
		n, err = f.ring.WriteAtDurable(buf, a.durable)
		err = f.pathError("write", err)
	case f.append:
		n, err = f.WriteSync(buf)
	default:
		n, err = f.WriteAtSync(buf, a.durable)
	}
	if err == nil && n < len(buf) {
		err = f.pathError("write", io.ErrShortWrite)
	}
	return err
}

// reserve allocates storage for what is about to be written up to end.
func (a *Appender) reserve(end int64) {
	step := a.cfg.Preallocate
	if step == 0 || end <= a.reserved {
		return
	}
	from := a.reserved
	n := (end - from + step - 1) / step * step
	err := a.f.control("fallocate", func(sysfd int) error {
		return sys.Fallocate(sysfd, sys.AllocKeepSize, from, n)
	})
	if err != nil {
		// Only the places of the blocks depend on it, so do not try again. Where
		// there is no room the write fails by itself.
		n = 1<<63 - 1 - from
	}
	a.reserved = from + n
}
