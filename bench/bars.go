//go:build linux

package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
)

// metric is something of a sample that is compared.
type metric string

const (
	mThroughput metric = "throughput"
	mPerCPU     metric = "operations per CPU second"
	mCPU        metric = "CPU per operation"
	mP50        metric = "p50"
	mP99        metric = "p99"
	mMemory     metric = "memory per connection"
	mIdleCPU    metric = "CPU" // microseconds, not a ratio
	mIdleCalls  metric = "system calls"
)

// of returns the metric of a sample, and whether it has any.
func (m metric) of(s Sample) (float64, bool) {
	v := 0.0
	switch m {
	case mThroughput:
		v = s.Throughput
	case mPerCPU:
		if s.CPU > 0 {
			v = 1e6 / s.CPU
		}
	case mCPU:
		v = s.CPU
	case mP50:
		v = float64(s.Latency.P50)
	case mP99:
		v = float64(s.Latency.P99)
	case mMemory:
		v = s.MemPerConn
	case mIdleCPU:
		return float64(s.CPUTotal.Microseconds()), true
	case mIdleCalls:
		return s.Syscalls, s.Syscalls >= 0
	}
	return v, v > 0
}

// absolute reports whether a metric is compared to a number, not to another
// subject.
func (m metric) absolute() bool { return m == mIdleCPU || m == mIdleCalls }

// bar is what the runtime has to reach in some cells.
type bar struct {
	work   string // what it is about
	cells  *regexp.Regexp
	metric metric
	to     string  // the subject it is compared to; empty for the cell's base
	limit  float64 // what is known to be possible; 0 if nothing is
	least  float64
	most   float64 // instead of least, where less is better
}

func (b bar) String() string {
	s := string(b.metric)
	if b.to != "" {
		s += " against " + b.to
	}
	return fmt.Sprintf("%s %s", s, b.want())
}

// want is the bar itself.
func (b bar) want() string {
	if b.least > 0 {
		return fmt.Sprintf("≥ %.2f", b.least)
	}
	return fmt.Sprintf("≤ %.2f", b.most)
}

// met reports whether a value is good enough.
func (b bar) met(v float64) bool {
	if b.least > 0 {
		return v >= b.least
	}
	return v <= b.most
}

// never is the bar of every cell that has no higher one.
const never = 0.95

var bars = func() []bar {
	re := regexp.MustCompile
	echo64, echo512 := re(`^echo/64B/c64/pinned$`), re(`^echo/64B/c512/pinned$`)
	direct := re(`^randread/direct/g(32|128|1024)$`)
	const (
		at64    = "echo 64 B, one CPU each, 64 connections"
		at512   = "echo 64 B, one CPU each, 512 connections"
		alone   = "echo, 1 connection: latency"
		reads   = "random direct reads, 32 to 1024 goroutines"
		nothing = "idle connections"
		packets = "UDP echo 64 B, 64 and 512 sockets"
		short   = "accept, one request, close"
		durable = "durable appends, 64 goroutines"
	)
	udp, appends := re(`^udp/64B/c(64|512)/`), re(`^append/256B/g64$`)
	return []bar{
		{work: at64, cells: echo64, metric: mThroughput, least: 1.12, limit: 1.22},
		{work: at64, cells: echo64, metric: mPerCPU, least: 1.12, limit: 1.22},
		{work: at64, cells: echo64, metric: mThroughput, to: "c-uring", least: 0.92},
		{work: at512, cells: echo512, metric: mThroughput, least: 1.15, limit: 1.37},
		{work: at512, cells: echo512, metric: mPerCPU, least: 1.15, limit: 1.37},
		{work: at512, cells: echo512, metric: mThroughput, to: "c-uring", least: 0.85},
		{work: "echo 64 B, not pinned", cells: re(`^echo/64B/c(1|64|512)/free$`), metric: mThroughput, least: 1.0, limit: 1.4},
		{work: alone, cells: re(`^echo/64B/c1/`), metric: mP50, most: 1.0},
		{work: alone, cells: re(`^echo/64B/c1/`), metric: mP99, most: 1.0},
		{work: "echo 16 KiB", cells: re(`^echo/16KiB/`), metric: mThroughput, least: 1.0},
		{work: "streaming 1 GiB one way", cells: re(`^stream/1GiB/`), metric: mThroughput, least: 1.0},
		{work: reads, cells: direct, metric: mThroughput, least: 2.0},
		{work: reads, cells: direct, metric: mCPU, most: 0.3},
		{work: reads, cells: direct, metric: mThroughput, to: "fio-io_uring", least: 0.95},
		{work: "cached reads, 1 to 128 goroutines", cells: re(`^randread/cached/g(1|8|128)$`), metric: mThroughput, least: 1.1},
		{work: packets, cells: udp, metric: mThroughput, least: 1.2},
		{work: packets, cells: re(`^udp/64B/c(64|512)/pinned$`), metric: mPerCPU, least: 1.2},
		// With one processor each the load, whose processor does the handshakes, is
		// the limit of many connections: a server shows by what it needs for one.
		{work: short, cells: re(`^churn/64B/(c1/pinned|.*/free)$`), metric: mThroughput, least: 1.15},
		{work: short, cells: re(`^churn/64B/.*/pinned$`), metric: mPerCPU, least: 1.15},
		{work: "net/http, 64 connections", cells: re(`^http/plain/c64/`), metric: mThroughput, least: 1.03},
		{work: durable, cells: appends, metric: mThroughput, least: 2.0},
		{work: durable, cells: appends, metric: mThroughput, to: groupName, least: 1.0},
		{work: nothing, cells: re(`^idle/`), metric: mIdleCalls, most: 0},
		{work: nothing, cells: re(`^idle/`), metric: mIdleCPU, most: 0},
		{work: nothing, cells: re(`^idle/`), metric: mMemory, most: 1.0},
		{work: "any other cell", cells: re(`^(echo|open|randread|udp|http|seqread|seqwrite|append|tree|stat|copy)/`), metric: mThroughput, least: never},
	}
}()

// barsOf returns the bars of a cell. The one for all cells is left out where a
// higher one says more.
func barsOf(c cell) []bar {
	var out []bar
	for _, b := range bars {
		if !b.cells.MatchString(c.Name) {
			continue
		}
		if b.least == never && b.to == "" {
			higher := false
			for _, o := range out {
				higher = higher || o.metric == mThroughput && o.to == "" && o.least >= never
			}
			if higher {
				continue
			}
		}
		out = append(out, b)
	}
	return out
}

// verdict is what has become of a bar.
type verdict string

const (
	met         verdict = "met"
	missed      verdict = "missed"
	undecided   verdict = "noisy"
	notMeasured verdict = "not measured"
)

// BarResult is a bar and what was reached.
type BarResult struct {
	Work    string
	Metric  metric
	To      string // the subject that it is compared to
	Want    string
	Number  float64 // of Want
	Limit   float64 `json:",omitempty"`
	Value   Ratio
	Verdict verdict
}

func (b BarResult) String() string {
	name := string(b.Metric)
	if b.To != "" {
		name += " / " + b.To
	}
	switch b.Verdict {
	case notMeasured:
		return fmt.Sprintf("bar %s %s: not measured", name, b.Want)
	case undecided:
		return fmt.Sprintf("bar %s %s: %v", name, b.Want, b.Value)
	}
	return fmt.Sprintf("bar %s %s: %s %s", name, b.Want, b.value(), b.Verdict)
}

// value is what was reached: the median, or, if that is noise, the range, all
// of which is on one side of the bar.
func (b BarResult) value() string {
	if b.Value.Noisy && b.Verdict != undecided && b.Value.Smallest != b.Value.Largest {
		return fmt.Sprintf("%.2f–%.2f", b.Value.Smallest, b.Value.Largest)
	}
	return fmt.Sprintf("%.2f", b.Value.Median)
}

// judge says what a subject of the cell has made of a bar.
func (c *CellReport) judge(s *SubjectReport, b bar) BarResult {
	r := BarResult{Work: b.work, Metric: b.metric, To: b.to, Want: b.want(), Number: max(b.least, b.most), Limit: b.limit}
	switch {
	case b.metric.absolute():
		r.Value = Ratio{Summary: s.summary(b.metric.of)}
		r.Value.Median = r.Value.Largest // what must be zero is not made better by its spread
	case b.to == "":
		r.To = base(c.Kind)
		fallthrough
	default:
		if other := c.find(r.To); other != nil {
			r.Value = ratio(b.metric, s, other)
		}
	}
	worst, best := r.Value.Smallest, r.Value.Largest
	if b.least == 0 {
		worst, best = best, worst
	}
	switch {
	case r.Value.N == 0:
		r.Verdict = notMeasured
	case r.Value.N >= minRounds && b.met(worst):
		r.Verdict = met // in every round, however far these lie apart
	case r.Value.N >= minRounds && !b.met(best):
		r.Verdict = missed
	case r.Value.Noisy:
		r.Verdict = undecided
	case b.met(r.Value.Median):
		r.Verdict = met
	default:
		r.Verdict = missed
	}
	return r
}

// BarRow is a bar in a cell, for the summary of a run.
type BarRow struct {
	Cell string
	BarResult
}

// barRows returns every bar of the matrix with what was made of it, also those
// of cells that were not run.
func (r *Report) barRows() []BarRow {
	results := make(map[string]*SubjectReport)
	for _, c := range r.Cells {
		results[c.Name] = c.find(ourName)
	}
	var rows []BarRow
	for _, c := range matrix() {
		s := results[c.Name]
		for i, b := range barsOf(c) {
			row := BarRow{c.Name, BarResult{Work: b.work, Metric: b.metric, To: b.to, Want: b.want(),
				Number: max(b.least, b.most), Limit: b.limit, Verdict: notMeasured}}
			if row.To == "" && !b.metric.absolute() {
				row.To = base(c.Kind)
			}
			if s != nil && i < len(s.Bars) {
				row.BarResult = s.Bars[i]
			}
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b BarRow) int { return cmp.Compare(workOrder(a.Work), workOrder(b.Work)) })
	return rows
}

// workOrder is the place of a work among the bars.
func workOrder(work string) int {
	return slices.IndexFunc(bars, func(b bar) bool { return b.work == work })
}
