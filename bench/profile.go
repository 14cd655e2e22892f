//go:build linux

package main

import "context"

// Profile is where the time of an operation goes.
type Profile struct {
	Samples int
	Parts   map[string]float64 // microseconds of an operation
}

func (r *runner) profileAll(ctx context.Context, c cell, entrants []*entrant, report *CellReport) {}
