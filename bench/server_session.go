package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/yamanote-go/yamanote/bench/internal/control"
)

// Sample is what one subject did in one round.
type Sample struct {
	Round      int
	Ops        int64
	Seconds    float64
	Throughput float64 // operations a second
	CPU        float64 // microseconds of the server for an operation
	UserShare  float64 // of CPU
	CPUTotal   time.Duration
	Vol, Invol float64 // context switches for an operation
	Syscalls   float64 // for an operation, as our runtime counts them; -1 if not known
	Threads    int
	RSS        int64
	MemPerConn float64 // bytes of the server
	Latency    Latency
	Detail     json.RawMessage `json:",omitempty"` // our runtime's counters, after the round
}

// newSample computes what is asked for of what was measured.
func newSample(ops int64, seconds float64, u Usage, lat Latency) Sample {
	s := Sample{Ops: ops, Seconds: seconds, CPUTotal: u.CPU, Threads: u.Threads, RSS: u.RSS, Latency: lat, Syscalls: -1}
	if ops > 0 {
		n := float64(ops)
		s.CPU = float64(u.CPU) / 1e3 / n
		s.Vol, s.Invol = float64(u.Vol)/n, float64(u.Invol)/n
	} else {
		s.Vol, s.Invol = float64(u.Vol), float64(u.Invol)
	}
	if seconds > 0 {
		s.Throughput = float64(ops) / seconds
	}
	if split := u.User + u.System; split > 0 {
		s.UserShare = float64(u.User) / float64(split)
	}
	return s
}

// server is a server process under a load.
type server struct {
	lab   *lab
	child *child
	hello control.Hello
	ours  bool
}

// startServer starts a server and waits until it listens.
func (l *lab) startServer(ctx context.Context, c cell, ours bool, argv []string) (*server, error) {
	cpu, env := anyCPU, []string(nil)
	if c.Pinned {
		cpu, env = serverCPU, []string{"GOMAXPROCS=1"}
	}
	ch, err := startChild(ctx, cpu, env, argv...)
	if err != nil {
		return nil, err
	}
	s := &server{lab: l, child: ch, ours: ours}
	timer := time.AfterFunc(10*time.Second, func() { _ = ch.cmd.Process.Kill() })
	err = ch.read(&s.hello)
	timer.Stop()
	if err != nil {
		_ = ch.end()
		return nil, err
	}
	return s, nil
}

// The processors of pinned cells.
const (
	serverCPU = 0
	loadCPU   = 1
)

func (s *server) backend() string { return s.hello.Backend }

func (s *server) close() { _ = s.child.end() }

// spec is what the load generator has to do in a cell.
func (s *server) spec(c cell, p pace, rate float64) loadSpec {
	spec := loadSpec{Kind: c.Kind, Addr: s.hello.Addr, PID: s.child.pid(), Conns: c.Conns, Size: c.Size,
		Warm: p.warm, Measure: p.measure, Rate: rate, Bytes: c.Bytes}
	if c.Kind == kindIdle {
		spec.Warm, spec.Measure = time.Second, p.idle
	}
	return spec
}

// run runs a load generator against the server.
func (s *server) run(ctx context.Context, c cell, p pace, rate float64) (Sample, error) {
	var first, last control.Stats
	r, err := s.load(ctx, c, s.spec(c, p, rate), func() error { return s.stats(&first) }, func() error { return s.stats(&last) })
	if err != nil {
		return Sample{}, err
	}
	sample := newSample(r.Ops, r.Seconds, r.Usage, r.Latency)
	if s.ours && last.SystemCalls >= 0 {
		sample.Syscalls = float64(last.SystemCalls-first.SystemCalls) / float64(max(r.Ops, 1))
	}
	if last.Detail != nil {
		if sample.Detail, err = json.Marshal(last.Detail); err != nil {
			return sample, err
		}
	}
	if c.Kind == kindIdle {
		sample.MemPerConn = float64(r.Usage.RSS-r.RSSStart) / float64(c.Conns)
	}
	return sample, nil
}

// load runs the load generator's process and returns its result. begin and end
// are called around what it measures, and it waits for them.
func (s *server) load(ctx context.Context, c cell, spec loadSpec, begin, end func() error) (r loadResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, spec.Warm+spec.Measure+40*time.Second)
	defer cancel()
	arg, err := json.Marshal(spec)
	if err != nil {
		return r, err
	}
	cpu := anyCPU
	if c.Pinned {
		cpu = loadCPU
	}
	gen, err := startChild(ctx, cpu, []string{"GOMAXPROCS=1"}, s.lab.self, "load", string(arg))
	if err != nil {
		return r, err
	}
	defer func() {
		if e := gen.end(); err == nil {
			err = e
		}
	}()
	for {
		var ev loadEvent
		if err := gen.read(&ev); err != nil {
			return r, fmt.Errorf("load generator: %w", err)
		}
		switch ev.Event {
		case "begin":
			err = begin()
		case "end":
			err = end()
		default:
			switch {
			case ev.Wrong:
				err = s.child.explain(fmt.Errorf("%w: %s", errWrong, ev.Error))
			case ev.Error != "":
				err = s.child.explain(errors.New(ev.Error))
			}
			return ev.Result, err
		}
		if err == nil {
			_, err = gen.stdin.Write([]byte("\n"))
		}
		if err != nil {
			return r, fmt.Errorf("server: %w", err)
		}
	}
}

// stats asks a server of ours for its counters.
func (s *server) stats(v *control.Stats) error {
	if !s.ours {
		return nil
	}
	return s.child.ask(v)
}
