// Package debug shows what a proactor.Runtime does: as a web page for people, as
// JSON and by expvar for programs, and by hooks that trace each operation. It is
// apart from package proactor because it needs net/http.
//
//	mux.Handle("GET /debug/yamanote", debug.Handler(rt))
//
// The page shows descriptors and counters, and whoever can fetch it can make
// the drivers list all that they have under way. Like net/http/pprof it belongs
// on an address that only operators reach.
package debug

import (
	"context"
	"fmt"
	"time"

	"github.com/yamanote-go/yamanote/proactor"
)

// Report is what the page and its JSON show. The names in the JSON are stable.
type Report struct {
	Taken   time.Time `json:"taken"`
	Backend Backend   `json:"backend"`

	// Warnings are what looks like trouble just now.
	Warnings []Warning `json:"warnings"`

	// Total is the sum over all shards since the start; Interval what has
	// happened of it in the last IntervalSeconds.
	Total           proactor.Stats   `json:"total"`
	Interval        proactor.Stats   `json:"interval"`
	IntervalSeconds float64          `json:"interval_seconds"`
	Shards          []proactor.Stats `json:"shards"`

	Operations Operations `json:"operations"`
}

// Backend is what the Runtime stands on.
type Backend struct {
	Kind        string `json:"kind"`             // "ring" or "std"
	Reason      string `json:"reason,omitempty"` // why it is not a ring
	Description string `json:"description"`
}

// Warning is something that looks like trouble.
type Warning struct {
	Name string `json:"name"` // of the number that says so, or "operations"
	Text string `json:"text"`
}

// Operations is what was under way.
type Operations struct {
	Error  string      `json:"error,omitempty"` // why it is not known
	Total  int         `json:"total"`
	Groups []Group     `json:"groups"` // all of them, the group with the oldest first
	Oldest []Operation `json:"oldest"` // some of them, the oldest first
}

// Group is operations of one kind in one state.
type Group struct {
	Kind          string  `json:"kind"`
	State         string  `json:"state"`
	Count         int     `json:"count"`
	OldestSeconds float64 `json:"oldest_seconds"`
	MedianSeconds float64 `json:"median_seconds"`
}

// Operation is one that is under way.
type Operation struct {
	Shard      int        `json:"shard"`
	Kind       string     `json:"kind"`
	FD         int        `json:"fd"`                        // -1 for none
	Direct     bool       `json:"registered_file,omitempty"` // FD is an index of registered files
	State      string     `json:"state"`
	AgeSeconds float64    `json:"age_seconds"`
	Deadline   *time.Time `json:"deadline,omitempty"`
	Waits      bool       `json:"waits_for_peer"`
}

const (
	// listed is how many operations the report lists.
	listed = 50
	// patience is how long the drivers may take to list their operations.
	patience = 2 * time.Second
	// stuckAfter is when an operation that waits for nobody counts as stuck.
	stuckAfter = 10 * time.Second
)

// report looks at the Runtime. The interval begins with before.
func report(ctx context.Context, rt *proactor.Runtime, before sample) Report {
	now := sample{time.Now(), rt.Stats()}
	b := rt.Backend()
	r := Report{
		Taken:   now.at,
		Backend: Backend{Kind: b.Kind.String(), Description: b.String()},
		Total:   now.stats, Interval: now.stats.Sub(before.stats),
		IntervalSeconds: now.at.Sub(before.at).Seconds(),
		Shards:          rt.ShardStats(),
	}
	if b.Reason != nil {
		r.Backend.Reason = b.Reason.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dump, err := rt.Dump(ctx, listed)
	if err != nil {
		r.Operations.Error = err.Error()
	}
	r.Operations.fill(dump)
	r.Warnings = warnings(r, dump)
	return r
}

func (o *Operations) fill(dump proactor.Dump) {
	o.Total = dump.Total
	o.Groups, o.Oldest = []Group{}, []Operation{}
	for _, g := range dump.Groups {
		o.Groups = append(o.Groups, Group{
			g.Kind.String(), g.State.String(), g.Count, g.Oldest.Seconds(), g.Median.Seconds(),
		})
	}
	for _, f := range dump.Oldest {
		op := Operation{
			Shard: f.Shard, Kind: f.Kind.String(), FD: f.FD, Direct: f.Direct,
			State: f.State.String(), AgeSeconds: f.Age.Seconds(), Waits: f.Waits,
		}
		if !f.Deadline.IsZero() {
			op.Deadline = &f.Deadline
		}
		o.Oldest = append(o.Oldest, op)
	}
}

// alarming are the numbers that are a sign of trouble whenever they have risen
// in the interval, or, if they are levels, are not zero.
var alarming = map[string]bool{
	"admission_waiting": true, "busy": true, "ended_no_buffers": true,
	"overflows": true, "resubmitted": true, "sq_full": true,
}

// warnings returns what looks like trouble.
func warnings(r Report, dump proactor.Dump) []Warning {
	list := []Warning{}
	for m, v := range r.Interval.All() {
		if alarming[m.Name] && v > 0 {
			list = append(list, Warning{m.Name, fmt.Sprintf("%s is %d. %s %s", m.Name, v, m.Meaning, m.Worry)})
		}
	}
	if n := r.Total.Stale; n > 0 {
		list = append(list, Warning{"stale", fmt.Sprintf(
			"%d completions belonged to no operation, which should never happen: please report it, with the kernel's version.", n)})
	}
	if r.Operations.Error != "" {
		list = append(list, Warning{"operations", r.Operations.Error})
	}
	for _, f := range dump.Oldest {
		if f.Age >= stuckAfter && (!f.Waits || f.State != inKernel) {
			list = append(list, Warning{"operations", fmt.Sprintf(
				"An operation should have ended long ago (%v). A slow or broken device or network file system is the usual reason.", f)})
			break
		}
	}
	return list
}

// sample is the counters at one time.
type sample struct {
	at    time.Time
	stats proactor.Stats
}
