package driver

import (
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/uring"
)

// Stage is what an Event tells of an operation.
type Stage uint8

// The stages. Each operation begins once and ends once; in between it is handed
// to the kernel once, or more often if it had to be submitted again, or never if
// it was cancelled before.
const (
	StageBegin  Stage = iota // has been submitted by its goroutine
	StageKernel              // is about to be handed to the kernel
	StageEnd                 // has ended
)

// Event is what Config.Trace is told.
type Event struct {
	Stage  Stage
	ID     uint64   // of the operation: the same in all its events, unique in the process
	Kind   uring.Op // what it does
	FD     int      // the descriptor, or -1 if there is none
	Direct bool     // FD is an index of the ring's registered files instead

	// Began is when it was submitted, after it had been admitted. Queued is how
	// long it then waited to be handed to the kernel, the last time; zero at
	// StageBegin. Took is how long it was under way, zero before StageEnd.
	Began  time.Time
	Queued time.Duration
	Took   time.Duration

	// Res and Flags are those of its last completion, at StageEnd.
	Res   int32
	Flags uring.CQEFlags
}

// Err returns the error that an operation ended with, or nil. ETIME is how a
// timeout ends that has expired.
func (e Event) Err() error { return Completion{Res: e.Res}.Err() }

// traced is what is remembered of an operation that is traced.
type traced struct {
	id            uint64
	began, handed time.Time
}

var traceIDs atomic.Uint64

// traceBegin reports the beginning of an operation, before anybody else can see
// it.
func (d *Driver) traceBegin(op *Op) {
	op.traced = &traced{id: traceIDs.Inc(), began: time.Now()}
	d.report(StageBegin, op, Completion{})
}

// report tells Config.Trace of an operation.
func (d *Driver) report(stage Stage, op *Op, c Completion) {
	t := op.traced
	e := Event{
		Stage: stage, ID: t.id, Kind: op.SQE.Opcode, FD: fdOf(&op.SQE),
		Direct: op.SQE.Flags&uring.IOSQE_FIXED_FILE != 0, Began: t.began,
	}
	switch stage {
	case StageKernel:
		t.handed = time.Now()
	case StageEnd:
		e.Took = time.Since(t.began)
		e.Res, e.Flags = c.Res, c.Flags
		op.traced = nil
	}
	if !t.handed.IsZero() {
		e.Queued = t.handed.Sub(t.began)
	}
	d.cfg.Trace(e)
}
