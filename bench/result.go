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

// CellReport is what was found out in a cell.
type CellReport struct {
	cell
	Group    string
	Unit     string
	Load     string  // average before the cell
	Rate     float64 `json:",omitempty"` // operations a second, where it was fixed
	Skipped  string  `json:",omitempty"` // why the cell was not run
	Subjects []*SubjectReport
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
		return fmt.Sprintf("too few rounds (%.2f–%.2f)", r.Smallest, r.Largest)
	case r.Noisy:
		return fmt.Sprintf("noisy (%.2f–%.2f)", r.Smallest, r.Largest)
	}
	return fmt.Sprintf("%.2f [%.2f–%.2f]", r.Median, r.Q1, r.Q3)
}

// BarResult is a bar and what was reached.
type BarResult struct {
	Metric metric
	To     string // the subject that it is compared to
	Want   string
	Number float64 // of Want
	Limit  float64 `json:",omitempty"`
	Value  Ratio
	Met    bool
}

func (b BarResult) String() string {
	name := string(b.Metric)
	if b.To != "" {
		name += " / " + b.To
	}
	verdict := "missed"
	switch {
	case b.Value.N == 0:
		return fmt.Sprintf("bar %s %s: not measured", name, b.Want)
	case b.Value.Noisy:
		return fmt.Sprintf("bar %s %s: %v", name, b.Want, b.Value)
	case b.Met:
		verdict = "ok"
	}
	return fmt.Sprintf("bar %s %s: %.2f %s", name, b.Want, b.Value.Median, verdict)
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
		if !s.Ours {
			continue
		}
		for _, b := range barsOf(c.cell) {
			s.Bars = append(s.Bars, c.judge(s, b))
		}
	}
}

func (c *CellReport) judge(s *SubjectReport, b bar) BarResult {
	r := BarResult{Metric: b.metric, To: b.to, Want: b.want(), Number: max(b.least, b.most), Limit: b.limit}
	switch {
	case b.metric.absolute():
		r.Value = Ratio{Summary: s.summary(b.metric.of)}
		// A number that must be zero is not made better by its spread.
		r.Met = r.Value.N > 0 && b.met(r.Value.Largest)
		r.Value.Median = r.Value.Largest
		return r
	case b.to == "":
		r.To = base(c.Kind)
	}
	if other := c.find(r.To); other != nil {
		r.Value = ratio(b.metric, s, other)
	}
	r.Met = r.Value.N > 0 && !r.Value.Noisy && b.met(r.Value.Median)
	return r
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
