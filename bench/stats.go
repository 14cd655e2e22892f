//go:build linux

package main

import (
	"math"
	"slices"
)

// Summary describes a few numbers of which the middle matters.
type Summary struct {
	N                 int
	Median, Q1, Q3    float64
	Smallest, Largest float64
}

// summarize sorts its argument.
func summarize(xs []float64) Summary {
	slices.Sort(xs)
	if len(xs) == 0 {
		return Summary{}
	}
	return Summary{N: len(xs), Median: quantile(xs, 0.5), Q1: quantile(xs, 0.25), Q3: quantile(xs, 0.75),
		Smallest: xs[0], Largest: xs[len(xs)-1]}
}

// quantile interpolates between the two sorted numbers nearest to the place.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// The least that makes a ratio mean something.
const (
	minRounds = 3
	maxSpread = 0.25 // of the median, between the quartiles
)

// Noisy reports whether the numbers lie too far apart, or are too few, for
// their median to mean anything.
func (s Summary) Noisy() bool {
	if s.N < minRounds || math.IsNaN(s.Median) || math.IsInf(s.Median, 0) {
		return true
	}
	return s.Q3-s.Q1 > maxSpread*math.Abs(s.Median)
}
