package file

import (
	"context"
	"iter"
	"sync"
	"time"
)

// nameOf is a name with its place.
type nameOf struct {
	index int
	name  string
}

// batchOf does something for many names: one after the other, on the caller's
// goroutine, as long as that is quick, because handing a name to another
// goroutine and the result back costs as much as reading a small file from the
// page cache; and with several goroutines when it waits for the disk.
type batchOf[T any] struct {
	limit         int                     // of what is under way
	alone, beside func(nameOf) (T, error) // does it for a name, alone and beside others
	every         int                     // how many are done alone for one that is timed
	yield         func(T, error) bool

	slow    int // that have been slow in a row
	stretch int // how many to do at once before one is tried alone again
	left    int // of those

	// What is done at once. There are never more tasks and results than limit, so
	// nobody waits for room in the channels.
	started, under int
	tasks          chan nameOf
	results        chan resultOf[T]
	workers        sync.WaitGroup
}

// resultOf is what has become of a name.
type resultOf[T any] struct {
	value T
	err   error
}

const (
	// slowAfter is longer than it takes what need not wait, and less than a disk
	// takes. Large files take longer from the page cache, too, but then it does not
	// matter who reads them.
	slowAfter = 40 * time.Microsecond

	// slowInRow is how many must be slow: a single one may only have had to wait
	// for a processor.
	slowInRow = 2

	maxStretch = 4096
)

// run yields the results on the caller's goroutine; if ctx ends, last is what
// comes after them.
func (b *batchOf[T]) run(ctx context.Context, names iter.Seq[string], last T) {
	defer b.stop()
	index := 0
	if ctx.Err() == nil {
		for name := range names {
			n := nameOf{index, name}
			index++
			if b.left > 0 {
				if !b.atOnce(n) {
					return
				}
			} else if !b.inTurn(n) {
				return
			}
			if ctx.Err() != nil {
				break
			}
		}
	}
	if b.drain(0) && ctx.Err() != nil {
		b.yield(last, ended(ctx))
	}
}

// inTurn does one, alone. It reports whether to go on.
func (b *batchOf[T]) inTurn(n nameOf) bool {
	if b.slow == 0 && n.index%b.every != 0 {
		return b.yield(b.alone(n))
	}
	start := time.Now()
	value, err := b.alone(n)
	b.note(time.Since(start))
	return b.yield(value, err)
}

// note takes account of how long one took.
func (b *batchOf[T]) note(took time.Duration) {
	switch {
	case took < slowAfter:
		b.slow, b.stretch = 0, 0
		return
	case b.slow < slowInRow:
		b.slow++
	}
	if b.slow == slowInRow {
		b.stretch = min(max(4*b.stretch, b.limit), maxStretch)
		b.left = b.stretch
	}
}

// atOnce has a goroutine do one, and yields what others have done. It reports
// whether to go on.
func (b *batchOf[T]) atOnce(n nameOf) bool {
	if b.tasks == nil {
		b.tasks, b.results = make(chan nameOf, b.limit), make(chan resultOf[T], b.limit)
	}
	b.tasks <- n
	if b.under++; b.under > b.started {
		b.workers.Go(b.work)
		b.started++
	}
	if b.left--; b.left == 0 {
		return b.drain(0)
	}
	for len(b.results) > 0 {
		if !b.drain(b.under - 1) {
			return false
		}
	}
	return b.drain(b.limit - 1)
}

func (b *batchOf[T]) work() {
	for n := range b.tasks {
		value, err := b.beside(n)
		b.results <- resultOf[T]{value, err}
	}
}

// drain yields results until only so many are under way. It reports whether to go
// on.
func (b *batchOf[T]) drain(under int) bool {
	for b.under > under {
		r := <-b.results
		b.under--
		if !b.yield(r.value, r.err) {
			return false
		}
	}
	return true
}

// stop waits for what is under way.
func (b *batchOf[T]) stop() {
	if b.tasks != nil {
		close(b.tasks)
		b.workers.Wait()
	}
}
