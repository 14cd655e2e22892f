package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// workload is one thing to measure.
type workload struct {
	title  string // of the table
	short  string // in the summary
	what   string // the line below the table
	kind   string // "echo", "http" or "file"
	conns  int
	direct bool
}

// side is a backend that can run a workload.
type side interface {
	open(workload) error
	// round runs the workload for a time and says what it took.
	round(d time.Duration, mark int) (sample, error)
	close() error
	traced() *trace
}

// sample is what one round has shown.
type sample struct {
	rate     float64 // operations per second
	cpu      float64 // nanoseconds of processor time per operation
	calls    float64 // system calls per operation by the ring's counters, or NaN
	threads  float64
	p50, p99 float64 // nanoseconds
	ops      int64
}

func newSample(before, after used, r result) (sample, error) {
	if r.Operations == 0 {
		return sample{}, errors.New("not one operation was done in a round")
	}
	ops := float64(r.Operations)
	s := sample{
		rate:    ops / r.Elapsed.Seconds(),
		cpu:     float64(after.CPU-before.CPU) / ops,
		calls:   math.NaN(),
		threads: float64(after.Threads),
		p50:     float64(r.P50),
		p99:     float64(r.P99),
		ops:     r.Operations,
	}
	if after.Counted {
		s.calls = float64(after.SystemCalls-before.SystemCalls) / ops
	}
	return s, nil
}

// netSide is a server, and the load process which all servers share.
type netSide struct {
	server, load *process
	name         string
}

func (s *netSide) traced() *trace { return s.server.trace }

func (s *netSide) open(w workload) error {
	r, err := s.server.ask(request{Do: "mark"})
	if err != nil {
		return err
	}
	_, err = s.load.ask(request{Do: "open", Name: s.name, Kind: w.kind, Addr: r.Addrs[w.kind], Conns: w.conns})
	return err
}

func (s *netSide) round(d time.Duration, mark int) (sample, error) {
	before, err := s.server.ask(request{Do: "mark", Mark: mark})
	if err != nil {
		return sample{}, err
	}
	r, err := s.load.ask(request{Do: "run", Name: s.name, For: d})
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w", s.server.what, err)
	}
	after, err := s.server.ask(request{Do: "mark", Mark: next(mark)})
	if err != nil {
		return sample{}, err
	}
	return newSample(before.Usage, after.Usage, r.Result)
}

func (s *netSide) close() error {
	_, err := s.load.ask(request{Do: "close", Name: s.name})
	return err
}

// fileSide is a process that reads a file.
type fileSide struct {
	files *process
	path  string
}

func (s *fileSide) traced() *trace { return s.files.trace }

func (s *fileSide) open(w workload) error {
	_, err := s.files.ask(request{Do: "open", Path: s.path, Direct: w.direct, Conns: w.conns})
	return err
}

func (s *fileSide) round(d time.Duration, mark int) (sample, error) {
	before, err := s.files.ask(request{Do: "mark", Mark: mark})
	if err != nil {
		return sample{}, err
	}
	r, err := s.files.ask(request{Do: "run", For: d})
	if err != nil {
		return sample{}, err
	}
	after, err := s.files.ask(request{Do: "mark", Mark: next(mark)})
	if err != nil {
		return sample{}, err
	}
	return newSample(before.Usage, after.Usage, r.Result)
}

func (s *fileSide) close() error {
	_, err := s.files.ask(request{Do: "close"})
	return err
}

// next returns the mark at the end of a round that began with mark.
func next(mark int) int {
	if mark == 0 {
		return 0
	}
	return mark + 1
}

// warmUp is how long each side runs before anything counts.
const warmUp = 50 * time.Millisecond

// measure runs a workload on all sides in turn, round after round, the order
// turned about each time so that no side always follows another.
func (t *tour) measure(ctx context.Context, w workload, sides, traced []side) (*outcome, error) {
	o := &outcome{workload: w, backends: t.backends, samples: make([][]sample, len(sides)), straced: make([]float64, len(sides))}
	for i := range o.straced {
		o.straced[i] = math.NaN()
	}
	for i, s := range slices.Concat(sides, traced) {
		if err := s.open(w); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", w.title, t.backends[i%len(t.backends)], err)
		}
		defer s.close()
		if _, err := s.round(warmUp, 0); err != nil {
			return nil, err
		}
	}
	for n := range t.rounds {
		order := make([]int, len(sides))
		for i := range order {
			order[i] = (i + n) % len(sides)
		}
		for _, i := range order {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			t.show("%s: round %d of %d, %s", w.short, n+1, t.rounds, t.backends[i])
			s, err := sides[i].round(t.round, 0)
			if err != nil {
				return nil, err
			}
			o.samples[i] = append(o.samples[i], s)
		}
	}
	for i, s := range traced {
		t.show("%s: counting system calls, %s", w.short, t.backends[i])
		calls, err := t.countCalls(s)
		if err != nil {
			return nil, err
		}
		o.straced[i] = calls
	}
	t.show("")
	return o, nil
}

// countCalls runs a round under strace and returns the system calls per
// operation.
func (t *tour) countCalls(s side) (float64, error) {
	t.mark += 2
	r, err := s.round(t.round, t.mark)
	if err != nil {
		return 0, err
	}
	before, err := s.traced().until(t.mark)
	if err != nil {
		return 0, err
	}
	after, err := s.traced().until(next(t.mark))
	if err != nil {
		return 0, err
	}
	return float64(after-before) / float64(r.ops), nil
}

// outcome is what came out for one workload.
type outcome struct {
	workload workload
	backends []string
	samples  [][]sample // by backend
	straced  []float64  // system calls per operation, by backend, or NaN
}

// median returns the middle one of the values that f takes from the rounds of
// a backend.
func (o *outcome) median(backend int, f func(sample) float64) float64 {
	var values []float64
	for _, s := range o.samples[backend] {
		values = append(values, f(s))
	}
	return median(values)
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}

// ratios returns how many times the operations of the standard library the
// ring has done in each pair of rounds, the least first.
func (o *outcome) ratios() []float64 {
	var all []float64
	if len(o.samples) == 2 {
		for i, std := range o.samples[0] {
			all = append(all, o.samples[1][i].rate/std.rate)
		}
	}
	slices.Sort(all)
	return all
}

// The verdicts on a workload.
const (
	undecided = iota
	ringAhead
	stdAhead
)

// verdict says who is ahead: only if there are three rounds or more and they
// agree, but for one in five, in which something else may have kept the machine
// busy.
func (o *outcome) verdict() int {
	const margin = 1.02
	all := o.ratios()
	strange := len(all) / 5
	switch {
	case len(all) < 3:
	case all[strange] > margin:
		return ringAhead
	case all[len(all)-1-strange] < 1/margin:
		return stdAhead
	}
	return undecided
}

// remove removes a file and does not mind if it is gone.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
