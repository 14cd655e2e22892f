//go:build linux

package main

import (
	"fmt"
	"time"
)

// Report is everything that a run has found out.
type Report struct {
	Env    Environment
	Seed   uint64
	Rounds int
	Quick  bool
	Took   time.Duration
	Cells  []*CellReport
}

// crowded reports whether others kept the machine busy while a subject was
// measured.
func (s *SubjectReport) crowded() bool {
	return s.median(func(a Sample) float64 { return a.Others }) > crowded
}

// loadBound reports whether the load generator was the limit in most rounds.
func (c *CellReport) loadBound(s *SubjectReport) bool {
	n := 0
	if !c.network() || c.Kind == kindOpen || c.Kind == kindIdle {
		return false
	}
	for _, a := range s.Samples {
		if a.loadBound(c.Threads) {
			n++
		}
	}
	return 2*n > len(s.Samples)
}

// behind reports whether a subject did not keep up with an open loop.
func (s *SubjectReport) behind() bool {
	return s.median(func(a Sample) float64 { return float64(a.Unsent) / float64(max(1, a.Unsent+a.Ops)) }) > 0.01
}

// lost is the part of the datagrams of all rounds that got no answer, and of
// those whose answer was late.
func (s *SubjectReport) lost() (lost, late float64) {
	all := 0.0
	for _, a := range s.Samples {
		lost += float64(a.Lost - min(a.Lost, a.Late))
		late += float64(min(a.Lost, a.Late))
		all += float64(a.Lost + a.Ops)
	}
	all = max(1, all)
	return lost / all, late / all
}

// remarks says what has to be known of a subject's numbers.
func (c *CellReport) remarks(s *SubjectReport) []string {
	var out []string
	if s.crowded() {
		out = append(out, fmt.Sprintf("measured while others used %.2f processors",
			s.median(func(a Sample) float64 { return a.Others })))
	}
	if c.loadBound(s) {
		out = append(out, "the load generator was the limit, not the server")
	}
	if lost, late := s.lost(); lost > 0 {
		out = append(out, fmt.Sprintf("%.3g%% of the datagrams were lost, and %.3g%% came later than after a quarter of a second",
			100*lost, 100*late))
	} else if late > 0 {
		out = append(out, fmt.Sprintf("%.3g%% of the datagrams came later than after a quarter of a second", 100*late))
	}
	if s.behind() {
		out = append(out, "did not keep up with the rate")
	}
	return out
}

// CellReport is what was found out in a cell.
type CellReport struct {
	cell
	Group   string
	Unit    string
	Threads int    // of the load generator
	Load    string // average before the cell
	LoadEnd string // and after

	ProfileError string  `json:",omitempty"` // why a profile is missing
	Rate         float64 `json:",omitempty"` // operations a second, where it was fixed
	Skipped      string  `json:",omitempty"` // why the cell was not run
	Subjects     []*SubjectReport
}

// SubjectReport is how one subject did in a cell.
type SubjectReport struct {
	Name    string
	Ours    bool
	Backend string             `json:",omitempty"`
	Missing string             `json:",omitempty"` // why it was not there
	Error   string             `json:",omitempty"` // why it stopped
	Wrong   bool               `json:",omitempty"` // it stopped because of wrong data
	Samples []Sample           // one for each round
	Ratios  map[metric]Ratio   // to the base
	Bars    []BarResult        `json:",omitempty"`
	Calls   map[string]float64 `json:",omitempty"` // system calls for an operation, as strace counts them
	Profile Profile            `json:",omitzero"`  // where the time of an operation goes
}

// Ratio is how a subject compares to another in the rounds of a cell.
type Ratio struct {
	Summary
	Noisy bool
}

// String returns the median, or, if that means nothing, the range.
func (r Ratio) String() string {
	switch {
	case r.N == 0:
		return ""
	case r.Noisy && r.N < minRounds:
		return "too few rounds"
	case r.Noisy:
		return fmt.Sprintf("noisy (%.2f–%.2f)", r.Smallest, r.Largest)
	}
	return fmt.Sprintf("%.2f [%.2f–%.2f]", r.Median, r.Q1, r.Q3)
}

// find returns a subject of the cell, or nil.
func (c *CellReport) find(name string) *SubjectReport {
	for _, s := range c.Subjects {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// finish computes what follows from the samples.
func (c *CellReport) finish() {
	for _, s := range c.Subjects {
		s.Ratios = make(map[metric]Ratio)
		if b := c.find(base(c.Kind)); b != nil && b != s {
			for _, m := range []metric{mThroughput, mPerCPU, mCPU, mP50, mP99, mMemory} {
				if r := ratio(m, s, b); r.N > 0 {
					s.Ratios[m] = r
				}
			}
		}
		s.Bars = nil
		if s.Name != ourName {
			continue
		}
		for _, b := range barsOf(c.cell) {
			s.Bars = append(s.Bars, c.judge(s, b))
		}
	}
}

// ratio divides what two subjects did in the same rounds.
func ratio(m metric, s, to *SubjectReport) Ratio {
	var xs []float64
	for _, a := range s.Samples {
		for _, b := range to.Samples {
			if a.Round != b.Round {
				continue
			}
			x, ok := m.of(a)
			y, ok2 := m.of(b)
			if ok && ok2 {
				xs = append(xs, x/y)
			}
		}
	}
	sum := summarize(xs)
	r := Ratio{Summary: sum}
	if sum.N > 0 {
		r.Noisy = sum.Noisy()
	}
	if m == mMemory && sum.N > 0 {
		r.Noisy = false // measured once, and hardly by chance
	}
	return r
}

// summary describes a quantity of all samples.
func (s *SubjectReport) summary(of func(Sample) (float64, bool)) Summary {
	var xs []float64
	for _, a := range s.Samples {
		if x, ok := of(a); ok {
			xs = append(xs, x)
		}
	}
	return summarize(xs)
}

// median returns the median of a quantity, -1 if there is none.
func (s *SubjectReport) median(of func(Sample) float64) float64 {
	sum := s.summary(func(a Sample) (float64, bool) { return of(a), true })
	if sum.N == 0 {
		return -1
	}
	return sum.Median
}
