//go:build linux

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
	Busy       float64 // processors that the server kept busy
	LoadBusy   float64 // processors that the load generator kept busy
	Others     float64 // processors that neither of them, but something else kept busy, or the host took away
	Vol, Invol float64 // context switches for an operation
	Syscalls   float64 // for an operation, as our runtime counts them; -1 if not known
	Threads    int
	RSS        int64
	MemPerConn float64 // bytes of the server
	Latency    Latency
	Lost       int64           `json:",omitempty"` // datagrams without an answer for a quarter of a second
	Late       int64           `json:",omitempty"` // of which so many got one later
	Unsent     int64           `json:",omitempty"` // open loop: messages that were due and not sent
	Detail     json.RawMessage `json:",omitempty"` // our runtime's counters, after the round
}

// saturated is the part of a processor from which on a load generator that has
// one to itself is taken to be the limit.
const saturated = 0.97

// loadBound reports whether the load was busy all the time and the server was
// not: then the server's throughput is the load's.
func (s Sample) loadBound(threads int) bool {
	return s.LoadBusy >= saturated*float64(threads) && s.Busy < saturated
}

// newSample computes what is asked for of what was measured. The server worked
// on work operations; ops of them ended in the measured seconds.
func newSample(ops, work int64, seconds float64, u Usage, lat Latency) Sample {
	s := Sample{Ops: ops, Seconds: seconds, CPUTotal: u.CPU, Threads: u.Threads, RSS: u.RSS, Latency: lat, Syscalls: -1}
	s.Vol, s.Invol = float64(u.Vol), float64(u.Invol)
	if work > 0 {
		n := float64(work)
		s.CPU = float64(u.CPU) / 1e3 / n
		s.Vol, s.Invol = s.Vol/n, s.Invol/n
	}
	if seconds > 0 {
		s.Throughput = float64(ops) / seconds
		s.Busy = u.CPU.Seconds() / seconds
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
	port  int
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
	if err == nil {
		_, err = fmt.Sscanf(s.hello.Addr, "127.0.0.1:%d", &s.port)
	}
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

func (s *server) pid() int { return s.child.pid() }

// settleTime is how long a server that was asked or traced needs to fall
// asleep again.
const settleTime = 300 * time.Millisecond

// spec is what the load generator has to do in a cell.
func (s *server) spec(c cell, p pace, rate float64) loadSpec {
	p = c.paced(p)
	spec := loadSpec{Kind: c.Kind, Port: s.port, Conns: c.Conns, Size: c.Size, Threads: min(p.threads, c.Conns),
		Warm: p.warm, Measure: p.measure, Rate: rate, Spin: c.Pinned, Bytes: c.Bytes, GiveUp: 20 * time.Second}
	switch c.Kind {
	case kindIdle:
		spec.Warm, spec.Measure = time.Second, p.idle
	case kindRecv, kindSend:
		spec.Threads = 1
	}
	return spec
}

// run runs a load generator against the server.
func (s *server) run(ctx context.Context, c cell, p pace, rate float64) (Sample, error) {
	m := meter{server: s, idle: c.Kind == kindIdle}
	before, err := usageOf(s.pid())
	if err != nil {
		return Sample{}, err
	}
	spec := s.spec(c, p, rate)
	r, err := s.load(ctx, c, spec, m.begin, m.end)
	if err != nil {
		return Sample{}, err
	}
	used := m.after.sub(m.before)
	sample := newSample(r.Ops, r.Work, r.Seconds, used, r.latency())
	sample.Unsent, sample.Lost, sample.Late = r.Unsent, r.Lost, r.Late
	if r.Seconds > 0 {
		sample.LoadBusy = r.CPU / r.Seconds
	}
	if s.ours && m.last.SystemCalls >= 0 {
		sample.Syscalls = float64(m.last.SystemCalls-m.first.SystemCalls) / float64(max(r.Work, 1))
	}
	if m.last.Detail != nil {
		if sample.Detail, err = json.Marshal(m.last.Detail); err != nil {
			return sample, err
		}
	}
	if c.Kind == kindIdle {
		sample.MemPerConn = float64(used.RSS-before.RSS) / float64(c.Conns)
	}
	return sample, nil
}

// meter measures what a server uses between the moments that a load generator
// announces. At both nothing is under way.
type meter struct {
	server        *server
	idle          bool
	first, last   control.Stats
	before, after Usage
}

func (m *meter) begin() (err error) {
	if err := m.server.stats(&m.first); err != nil {
		return err
	}
	if m.idle {
		time.Sleep(settleTime) // the question has cost the server something
	}
	m.before, err = usageOf(m.server.pid())
	return err
}

func (m *meter) end() (err error) {
	if m.after, err = usageOf(m.server.pid()); err != nil {
		return err
	}
	return m.server.stats(&m.last)
}

// load runs the load generator's process and returns its result. begin and end
// are called around what it measures, and it waits for them.
func (s *server) load(ctx context.Context, c cell, spec loadSpec, begin, end func() error) (r loadResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, spec.Warm+spec.Measure+2*spec.GiveUp)
	defer cancel()
	cpu := anyCPU
	if c.Pinned {
		cpu = loadCPU
	}
	gen, err := startChild(ctx, cpu, []string{"GOMAXPROCS=1"}, append(s.lab.loadCommand(c.Kind), spec.args()...)...)
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
			return ev.loadResult, err
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
