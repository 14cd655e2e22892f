package main

import (
	"fmt"
	"regexp"
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

// bar is what the runtime has to reach in a cell.
type bar struct {
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
	return []bar{
		{cells: echo64, metric: mThroughput, least: 1.12, limit: 1.22},
		{cells: echo64, metric: mPerCPU, least: 1.12, limit: 1.22},
		{cells: echo64, metric: mThroughput, to: "c-uring", least: 0.92},
		{cells: echo512, metric: mThroughput, least: 1.15, limit: 1.37},
		{cells: echo512, metric: mPerCPU, least: 1.15, limit: 1.37},
		{cells: echo512, metric: mThroughput, to: "c-uring", least: 0.85},
		{cells: re(`^echo/64B/c(1|64|512)/free$`), metric: mThroughput, least: 1.0, limit: 1.4},
		{cells: re(`^echo/64B/c1/`), metric: mP50, most: 1.0},
		{cells: re(`^echo/64B/c1/`), metric: mP99, most: 1.0},
		{cells: re(`^echo/16KiB/`), metric: mThroughput, least: 1.0},
		{cells: re(`^stream/1GiB/`), metric: mThroughput, least: 1.0},
		{cells: direct, metric: mThroughput, least: 2.0},
		{cells: direct, metric: mCPU, most: 0.3},
		{cells: direct, metric: mThroughput, to: "fio-io_uring", least: 0.95},
		{cells: re(`^randread/cached/`), metric: mThroughput, least: 1.1},
		{cells: re(`^idle/`), metric: mIdleCalls, most: 0},
		{cells: re(`^idle/`), metric: mIdleCPU, most: 0},
		{cells: re(`^idle/`), metric: mMemory, most: 1.0},
		{cells: re(`^(echo|randread)/`), metric: mThroughput, least: never},
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
		if b.least == never {
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
