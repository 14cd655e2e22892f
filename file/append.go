package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
)

// AppendConfig contains options for an Appender. The zero value is a good
// default.
type AppendConfig struct {
	// MaxBatch is how many bytes one durable write gathers at most; default 1
	// MiB. A record that is longer has one to itself.
	MaxBatch int

	// MaxPending is how many bytes of records the Appender holds at most, of
	// those that are being written and those that wait; default 16 MiB. Append
	// waits for room, and refuses a record that is longer.
	MaxPending int

	// Overwrite makes the first record go to Offset, in bytes, over what is
	// there, instead of to the end of the file: a log in a file that was written
	// or allocated beforehand. Writing over blocks that the file has already is
	// what a disk makes durable fastest, since no metadata change.
	Overwrite bool
	Offset    int64

	// Preallocate, if not 0, makes the Appender allocate storage for the file in
	// steps of so many bytes, behind its end and without changing its size, so
	// that the blocks of a log lie together. Where the file system cannot do
	// that, and when there is no room for a whole step, it goes on without. What
	// was allocated and not used stays with the file.
	Preallocate int64
}

// Appender appends records to a file and makes them durable: an Append returns
// when its record is on stable storage. Any number of goroutines may append at
// once, and share what that costs: records that come while others are being
// written are then written and synced together, all of them by one write.
//
// Records follow each other in the file without gaps, whole, in an order in which
// those of one goroutine are in the order of its calls. The Appender must be the
// only one to write to the part of the file that it appends to, and does not use
// the file's position. It makes the file's content durable, not its name: for a
// new file, do SyncDir with its directory once.
//
// # Failures
//
// The first failure of a write or a sync ends the Appender: the Appends that are
// under way fail, and every later one fails with the same cause. It is not tried
// again, because it could seem to succeed. After a failed sync the kernel takes
// the pages that it could not write for written, so that the next sync reports
// success about data that are lost.
//
// Records that were acknowledged before are not affected. Behind them, from
// Durable on, the file can hold nothing, whole records that were not
// acknowledged, or parts of such, as it can after a crash: records need a length
// and a checksum of their own, and who opens the log again looks where the valid
// ones end, truncates the file there and makes a new Appender.
type Appender struct {
	f   *File
	cfg AppendConfig

	mu       sync.Mutex
	queue    []*batch // that wait, in order; the last one gathers records
	busy     bool     // somebody writes, who looks at queue afterwards
	idle     chan struct{}
	expected int       // records that may come to the next batch: see take
	pending  int       // bytes, in the sense of MaxPending
	waiting  []*waiter // for room, in order
	spare    []byte    // the memory of a batch, for the next
	closed   bool
	failure  error // the first
	stats    AppendStats

	// These change under the lock, by who is busy.
	started  bool  // durable has been looked up
	durable  int64 // end of the log, as far as it has been acknowledged
	reserved int64 // up to where storage has been allocated
}

// AppendStats counts what an Appender has done.
type AppendStats struct {
	Records int64 // that were acknowledged
	Bytes   int64 // of those
	Writes  int64 // durable writes that acknowledged them
}

// batch is records that are written together.
type batch struct {
	buf     []byte
	records []record
	dropped bool // some record is
	taken   bool // nothing can be taken back any more

	done chan struct{} // closed when these are set
	err  error
	torn bool // the file may have something of it all the same
}

// record is one of a batch. off is its place in buf, and when the batch is done
// in the file.
type record struct {
	off     int64
	size    int
	dropped bool
}

// waiter is an Append that waits for room.
type waiter struct {
	size  int
	ready chan struct{} // closed when it has been given room, or failed
	err   error         // set before
}

const (
	defaultMaxBatch   = 1 << 20
	defaultMaxPending = 16 << 20
)

// NewAppender returns an Appender to the file, which must be open for writing and
// stay open until Close. It uses no goroutine while nothing is appended. Options
// that make no sense are the errors of Append.
func NewAppender(f *File, cfg AppendConfig) *Appender {
	a := &Appender{f: f, cfg: cfg, idle: make(chan struct{})}
	close(a.idle)
	if a.cfg.MaxBatch == 0 {
		a.cfg.MaxBatch = defaultMaxBatch
	}
	if a.cfg.MaxPending == 0 {
		a.cfg.MaxPending = max(defaultMaxPending, a.cfg.MaxBatch)
	}
	switch {
	case f == nil:
		a.failure = os.ErrInvalid
	case cfg.MaxBatch < 0 || cfg.MaxPending < 0 || cfg.Preallocate < 0 || cfg.Offset < 0:
		a.failure = fmt.Errorf("MaxBatch %d, MaxPending %d, Preallocate %d, Offset %d: want nothing negative: %w",
			cfg.MaxBatch, cfg.MaxPending, cfg.Preallocate, cfg.Offset, os.ErrInvalid)
	case cfg.Offset != 0 && !cfg.Overwrite:
		a.failure = fmt.Errorf("option Offset is %d, but Overwrite is false: %w", cfg.Offset, os.ErrInvalid)
	case cfg.Overwrite && f.append:
		a.failure = fmt.Errorf("option Overwrite with a file that was opened with O_APPEND: %w", os.ErrInvalid)
	}
	return a
}

// AppendError is the error of an Append.
type AppendError struct {
	Path string

	// Written says that the record, or a part of it, may be in the file, and may
	// be there after a crash. If it is false, the record is not.
	Written bool

	Err error // why
}

// Error says what has failed, and whether the record may be in the file.
func (e *AppendError) Error() string {
	if e.Written {
		return "append " + e.Path + ": record may have been written: " + e.Err.Error()
	}
	return "append " + e.Path + ": record was not written: " + e.Err.Error()
}

// Unwrap returns why.
func (e *AppendError) Unwrap() error { return e.Err }

var errAppenderClosed = fmt.Errorf("appender: %w", os.ErrClosed)

// Append appends a record and returns its offset in the file, in bytes, when it
// is durable. The record is copied: the caller may change rec afterwards, also
// when the error is not nil. An empty record waits for all that were appended
// before it.
//
// If ctx ends while the record waits for its turn, it is not written; once it is
// being written, Append returns too, but what becomes of the record is not known
// then. Errors are of type *AppendError, which tells these apart.
func (a *Appender) Append(ctx context.Context, rec []byte) (off int64, err error) {
	if ctx.Err() != nil {
		return 0, a.error(ended(ctx), false)
	}
	b, i, lead, err := a.enqueue(ctx, rec)
	if err != nil {
		return 0, a.error(err, false)
	}
	if lead {
		if ctx.Done() == nil {
			a.run(b)
		} else {
			go a.run(nil) // who can be called away must not keep others waiting
		}
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		if a.drop(b, i) {
			return 0, a.error(ended(ctx), false)
		}
		select {
		case <-b.done:
		default:
			return 0, a.error(ended(ctx), true)
		}
	}
	if b.err != nil {
		return 0, a.error(b.err, b.torn)
	}
	return b.records[i].off, nil
}

func (a *Appender) error(err error, written bool) error {
	name := ""
	if a.f != nil {
		name = a.f.Name()
	}
	var pe *PathError
	if errors.As(err, &pe) && pe.Path == name {
		err = fmt.Errorf("%s: %w", pe.Op, pe.Err)
	}
	return &AppendError{Path: name, Written: written, Err: err}
}

// enqueue adds a record to the batch that gathers. It reports whether the caller
// has to see to it that somebody writes.
func (a *Appender) enqueue(ctx context.Context, rec []byte) (b *batch, i int, lead bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.refusal(); err != nil {
		return nil, 0, false, err
	}
	if len(rec) > a.cfg.MaxPending {
		return nil, 0, false, fmt.Errorf("record of %d bytes: at most %d are possible (AppendConfig.MaxPending): %w",
			len(rec), a.cfg.MaxPending, os.ErrInvalid)
	}
	if err := a.makeRoom(ctx, len(rec)); err != nil {
		return nil, 0, false, err
	}
	if n := len(a.queue); n > 0 && a.queue[n-1].fits(len(rec), a.cfg.MaxBatch) {
		b = a.queue[n-1]
	} else {
		b = &batch{buf: a.spare[:0], done: make(chan struct{})}
		a.spare = nil
		a.queue = append(a.queue, b)
	}
	b.records = append(b.records, record{off: int64(len(b.buf)), size: len(rec)})
	b.buf = append(b.buf, rec...)
	if lead = !a.busy; lead {
		a.busy, a.idle = true, make(chan struct{})
	}
	return b, len(b.records) - 1, lead, nil
}

func (b *batch) fits(size, most int) bool {
	return len(b.buf) == 0 || len(b.buf)+size <= most
}

// refusal returns why no record can be appended any more.
func (a *Appender) refusal() error {
	if a.failure != nil {
		return a.failure
	}
	if a.closed {
		return errAppenderClosed
	}
	return nil
}

// makeRoom waits until there is room for size bytes, which it then takes. The
// lock is held before and afterwards.
func (a *Appender) makeRoom(ctx context.Context, size int) error {
	if len(a.waiting) == 0 && a.pending+size <= a.cfg.MaxPending {
		a.pending += size
		return nil
	}
	w := &waiter{size: size, ready: make(chan struct{})}
	a.waiting = append(a.waiting, w)
	a.mu.Unlock()
	var err error
	select {
	case <-w.ready:
	case <-ctx.Done():
		err = ended(ctx)
	}
	a.mu.Lock()
	if i := slices.Index(a.waiting, w); i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
		a.release(0) // those behind it may fit
		return err
	}
	if w.err != nil {
		return w.err
	}
	if err == nil {
		err = a.refusal() // which can have come since
	}
	if err != nil {
		a.release(size)
	}
	return err
}

// ended returns the error of a context that has ended, which matches both its Err
// and its cause.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// release gives room back, and to those who wait for it.
func (a *Appender) release(size int) {
	a.pending -= size
	err := a.refusal()
	for len(a.waiting) > 0 {
		w := a.waiting[0]
		if err == nil {
			if a.pending+w.size > a.cfg.MaxPending {
				return
			}
			a.pending += w.size
		}
		w.err = err
		close(w.ready)
		a.waiting = a.waiting[1:]
	}
	a.waiting = nil
}

// drop takes a record back that is not being written yet, and reports whether
// that was possible.
func (a *Appender) drop(b *batch, i int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b.taken {
		return false
	}
	select {
	case <-b.done: // it has failed without being written
		return false
	default:
	}
	b.records[i].dropped, b.dropped = true, true
	return true
}

// Durable returns the offset, in bytes, behind the last record that was
// acknowledged: the end of the log, as far as it is certain. Before the first
// record it is where that will go, or -1 if that has not been looked up yet.
func (a *Appender) Durable() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.started {
		return -1
	}
	return a.durable
}

// Stats returns what the Appender has done. Records divided by Writes is how
// many records have shared a write.
func (a *Appender) Stats() AppendStats {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stats
}

// Close waits until the records that have been appended are durable, and refuses
// further ones: Appends that wait for room fail, too. It returns the failure that
// has ended the Appender, if one has. It does not close the file. A second Close
// returns an error that matches os.ErrClosed.
func (a *Appender) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return fmt.Errorf("close of an appender: %w", os.ErrClosed)
	}
	a.closed = true
	a.release(0)
	idle := a.idle
	a.mu.Unlock()
	<-idle
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure
}
