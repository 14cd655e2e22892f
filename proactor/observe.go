package proactor

import (
	"context"

	"github.com/yamanote-go/yamanote/driver"
)

// Stats counts what the Runtime's drivers have done; see driver.Stats.
type Stats = driver.Stats

// Dump is what is under way at one moment; see driver.Dump.
type Dump = driver.Dump

// Event is what Config.Trace is told; see driver.Event.
type Event = driver.Event

// The stages of an Event.
const (
	StageBegin  = driver.StageBegin
	StageKernel = driver.StageKernel
	StageEnd    = driver.StageEnd
)

// Stats returns the sum of the drivers' counters; all zero without a ring.
func (rt *Runtime) Stats() Stats {
	var sum Stats
	for _, d := range rt.drivers {
		sum = sum.Add(d.Stats())
	}
	return sum
}

// ShardStats returns the counters of each shard; none without a ring.
func (rt *Runtime) ShardStats() []Stats {
	list := make([]Stats, len(rt.drivers))
	for i, d := range rt.drivers {
		list[i] = d.Stats()
	}
	return list
}

// Dump describes the operations that are under way on all rings, and lists up to
// limit of them, the oldest first. It may be called at any time, also under full
// load; each ring is asked between two turns of its driver. It fails if ctx ends
// before they have answered. Without a ring there is nothing under way.
func (rt *Runtime) Dump(ctx context.Context, limit int) (Dump, error) {
	return driver.DumpAll(ctx, rt.drivers, limit)
}
