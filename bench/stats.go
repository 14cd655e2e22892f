package main

import (
	"math"
	"slices"
)

// metric is something measured in a cell.
type metric string

const (
	throughput metric = "throughput" // units a second
	cpu        metric = "cpu"        // microseconds of the server's processor time for each unit
	p50        metric = "p50"        // microseconds
	p99        metric = "p99"        // microseconds
	p999       metric = "p99.9"      // microseconds
	syscalls   metric = "syscalls"   // for each unit, by the subject's own counters
	switches   metric = "switches"   // context switches for each unit
	threads    metric = "threads"
	rss        metric = "rss" // MiB
)

// sample is what one subject did in one round.
type sample map[metric]float64

// spread is a median and its quartiles.
type spread struct {
	Median float64 `json:"median"`
	Q1     float64 `json:"q1"`
	Q3     float64 `json:"q3"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"`
}

// summarize returns the spread of values, which may be none.
func summarize(values []float64) spread {
	v := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	slices.Sort(v)
	if len(v) == 0 {
		nan := math.NaN()
		return spread{nan, nan, nan, nan, nan, 0}
	}
	return spread{quantile(v, 0.5), quantile(v, 0.25), quantile(v, 0.75), v[0], v[len(v)-1], len(v)}
}

// quantile interpolates in sorted values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	frac := at - float64(i)
	return sorted[i]*(1-frac) + sorted[i+1]*frac
}

const (
	fewestRounds = 3
	// widest is the spread between the quartiles, as a part of the median,
	// beyond which a ratio says nothing.
	widest = 0.25
)

// noisy reports whether the spread is too wide, or stands on too little, for
// the median to mean anything.
func (s spread) noisy() bool {
	return s.N < fewestRounds || !(s.Q3-s.Q1 <= widest*math.Abs(s.Median))
}

// ratios divides a subject's samples by those of another in the same rounds.
func ratios(subject, base []sample, m metric) []float64 {
	var out []float64
	for i := range min(len(subject), len(base)) {
		a, aok := subject[i][m]
		b, bok := base[i][m]
		if aok && bok && b > 0 {
			out = append(out, a/b)
		}
	}
	return out
}

// verdict is how a bar was met.
type verdict string

const (
	met     verdict = "met"
	missed  verdict = "missed"
	unclear verdict = "unclear" // the bar lies between the quartiles, or the ratio is noisy
	unknown verdict = "unknown" // one of the two was not measured
)

// judge compares a ratio with a bar.
func (b bar) judge(s spread) verdict {
	if s.N == 0 {
		return unknown
	}
	if s.noisy() {
		return unclear
	}
	if b.AtMost > 0 {
		switch {
		case s.Q3 <= b.AtMost:
			return met
		case s.Q1 > b.AtMost:
			return missed
		}
		return unclear
	}
	switch {
	case s.Q1 >= b.AtLeast:
		return met
	case s.Q3 < b.AtLeast:
		return missed
	}
	return unclear
}
