//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"time"
)

// runner runs cells.
type runner struct {
	lab      *lab
	pace     pace
	subjects []subject
	rng      *rand.Rand
	strace   bool
	profile  bool
	progress *progress
	closed   map[string]float64 // messages a second of the standard library in closed loops
}

// entrant is a subject in a cell.
type entrant struct {
	subject *subject
	report  *SubjectReport
	session session
}

// fail notes why a subject stopped.
func (e *entrant) fail(err error) {
	e.report.Error = err.Error()
	e.report.Wrong = errors.Is(err, errWrong)
}

func (e *entrant) ready() bool { return e.session != nil && e.report.Error == "" }

// run runs a cell: all its subjects in each round, in random order. The
// servers live as long as the cell.
func (r *runner) run(ctx context.Context, c cell) (*CellReport, error) {
	report := &CellReport{cell: c, Group: c.group(), Unit: c.unit(), Threads: r.pace.threads, Load: loadAverage()}
	if report.Skipped = impossible(c); report.Skipped != "" {
		return report, nil
	}
	entrants, err := r.enter(ctx, c, report)
	defer func() {
		for _, e := range entrants {
			if e.session != nil {
				e.session.close()
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	if c.Kind == kindOpen {
		if report.Rate, err = r.rate(ctx, c, entrants); err != nil {
			return nil, err
		}
	}
	switch c.Kind {
	case kindIdle:
		r.together(ctx, c, entrants)
	default:
		r.rounds(ctx, c, entrants, report.Rate)
	}
	report.LoadEnd = loadAverage()
	if r.strace {
		r.traceAll(ctx, c, entrants, report.Rate)
	}
	if r.profile {
		r.profileAll(ctx, c, entrants, report)
	}
	for _, e := range entrants {
		if e.session != nil {
			e.report.Backend = e.session.backend()
		}
	}
	report.finish()
	return report, ctx.Err()
}

// impossible says why this machine cannot run a cell; empty if it can.
func impossible(c cell) string {
	if c.Pinned && runtime.NumCPU() < 2 {
		return "needs two processors"
	}
	if limit := fileLimit(); limit < uint64(c.needsFDs()) {
		return fmt.Sprintf("needs %d descriptors in each process, RLIMIT_NOFILE allows %d", c.needsFDs(), limit)
	}
	return ""
}

// enter starts what the cell needs of each subject.
func (r *runner) enter(ctx context.Context, c cell, report *CellReport) ([]*entrant, error) {
	var entrants []*entrant
	for i := range r.subjects {
		s := &r.subjects[i]
		if !s.suits(c) {
			continue
		}
		e := &entrant{subject: s, report: &SubjectReport{Name: s.Name, Ours: s.Ours, Missing: s.Missing}}
		entrants = append(entrants, e)
		report.Subjects = append(report.Subjects, e.report)
		if s.Missing != "" {
			continue
		}
		r.progress.show(c.Name, "starting "+s.Name)
		sess, err := s.open(ctx, c, r.pace)
		if ctx.Err() != nil {
			return entrants, ctx.Err()
		}
		if err != nil {
			e.fail(err)
			continue
		}
		e.session = sess
	}
	return entrants, nil
}

// pids returns the processes of a cell's sessions.
func pids(entrants []*entrant) []int {
	var out []int
	for _, e := range entrants {
		if e.session != nil && e.session.pid() != 0 && e.report.Error == "" {
			out = append(out, e.session.pid())
		}
	}
	return out
}

// rounds runs the rounds of a cell.
func (r *runner) rounds(ctx context.Context, c cell, entrants []*entrant, rate float64) {
	for round := range r.pace.rounds {
		for _, i := range r.rng.Perm(len(entrants)) {
			e := entrants[i]
			if !e.ready() {
				continue
			}
			r.progress.show(c.Name, fmt.Sprintf("round %d of %d, %s", round+1, r.pace.rounds, e.subject.Name))
			alive := pids(entrants)
			busy, err := startBusy(alive)
			var sample Sample
			if err == nil {
				sample, err = e.session.run(ctx, c, r.pace, rate)
			}
			if err == nil {
				sample.Others, err = busy.others(alive)
			}
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				e.fail(err)
				continue
			}
			sample.Round = round
			e.report.Samples = append(e.report.Samples, sample)
		}
	}
}

// together runs a cell in which nothing happens for all subjects at the same
// time.
func (r *runner) together(ctx context.Context, c cell, entrants []*entrant) {
	r.progress.show(c.Name, fmt.Sprintf("all at once, %v", r.pace.idle))
	type outcome struct {
		e      *entrant
		sample Sample
		err    error
	}
	outcomes := make(chan outcome)
	n := 0
	for _, e := range entrants {
		if !e.ready() {
			continue
		}
		n++
		go func() {
			sample, err := e.session.run(ctx, c, r.pace, 0)
			outcomes <- outcome{e, sample, err}
		}()
	}
	for range n {
		o := <-outcomes
		if o.err != nil {
			o.e.fail(o.err)
			continue
		}
		o.e.report.Samples = append(o.e.report.Samples, o.sample)
	}
}

// rate returns the rate of an open loop: a part of what the standard library
// reaches in a closed one, which is measured once for all cells alike.
func (r *runner) rate(ctx context.Context, c cell, entrants []*entrant) (float64, error) {
	key := fmt.Sprint(c.Size, c.Conns, c.Pinned)
	if r.closed == nil {
		r.closed = make(map[string]float64)
	}
	if r.closed[key] == 0 {
		closed := c
		closed.Kind = kindEcho
		for _, e := range entrants {
			if e.subject.Name != base(c.Kind) || !e.ready() {
				continue
			}
			r.progress.show(c.Name, "looking for the rate")
			sample, err := e.session.run(ctx, closed, r.pace, 0)
			if err != nil {
				return 0, err
			}
			r.closed[key] = sample.Throughput
		}
	}
	if r.closed[key] == 0 {
		return 0, errors.New("no standard library to find a rate by")
	}
	return c.Part * r.closed[key], nil
}

// traceAll counts the system calls of the subjects in a short extra round.
func (r *runner) traceAll(ctx context.Context, c cell, entrants []*entrant, rate float64) {
	if _, err := exec.LookPath("strace"); err != nil {
		return
	}
	for _, e := range entrants {
		if !e.ready() {
			continue
		}
		r.progress.show(c.Name, "strace of "+e.subject.Name)
		var calls map[string]float64
		err := errors.ErrUnsupported
		switch s := e.session.(type) {
		case *server:
			calls, err = s.strace(ctx, c, r.pace, rate)
		case *worker:
			calls, err = s.strace(ctx, c, r.pace)
		}
		if err == nil {
			e.report.Calls = calls
		}
	}
}

// estimate returns about how long a cell takes.
func (r *runner) estimate(c cell) time.Duration {
	n := 0
	for i := range r.subjects {
		if r.subjects[i].suits(c) && r.subjects[i].Missing == "" {
			n++
		}
	}
	const start = 50 * time.Millisecond
	p := c.paced(r.pace)
	each := p.warm + p.measure + start
	switch c.Kind {
	case kindIdle:
		return r.pace.idle + 2*time.Second + time.Duration(n*c.Conns)*100*time.Microsecond
	case kindRecv, kindSend:
		each = 700 * time.Millisecond
	case kindSeqRead, kindSeqWrite, kindTree, kindStat, kindCopy:
		each += 400 * time.Millisecond // whole pieces of work, and what precedes each
	default:
		each += time.Duration(c.Conns) * 50 * time.Microsecond
	}
	if r.strace {
		each += (each + 500*time.Millisecond) / time.Duration(r.pace.rounds)
	}
	return time.Duration(n) * (start + time.Duration(r.pace.rounds)*each)
}
