package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// outcome is what was measured in a cell.
type outcome struct {
	Cell     cell                `json:"cell"`
	Load     string              `json:"load"` // the load average before
	Samples  map[string][]sample `json:"samples"`
	Backends map[string]string   `json:"backends,omitempty"`
	Errors   map[string]string   `json:"errors,omitempty"`
}

// bench is one run.
type bench struct {
	dir      string // for what is built and written
	subjects []subject
	rounds   int
	rnd      *rand.Rand
	progress func(format string, args ...any)

	file     string // for the file cells, written when first needed
	fileSize int64
}

// server is a subject's server process in a cell.
type server struct {
	*child
	ready
}

// measure runs a cell: all subjects in every round, in random order.
func (b *bench) measure(ctx context.Context, c cell) (outcome, error) {
	out := outcome{Cell: c, Load: loadAverage(), Samples: map[string][]sample{},
		Backends: map[string]string{}, Errors: map[string]string{}}
	var taking []subject
	for _, s := range b.subjects {
		if s.fits(c) {
			taking = append(taking, s)
		}
	}
	if c.Kind == randread && b.file == "" {
		b.progress("writing a file of %d MiB", b.fileSize>>20)
		path := filepath.Join(b.dir, "data")
		if err := writeTestFile(path, b.fileSize, c.Size); err != nil {
			return out, err
		}
		b.file = path
	}
	servers := map[string]*server{}
	defer func() {
		for _, s := range servers {
			s.stop()
		}
	}()
	for round := range b.rounds {
		b.rnd.Shuffle(len(taking), func(i, j int) { taking[i], taking[j] = taking[j], taking[i] })
		for _, s := range taking {
			if err := ctx.Err(); err != nil {
				return out, err
			}
			if out.Errors[s.Name] != "" {
				continue
			}
			b.progress("%s: round %d of %d: %s", c.Name, round+1, b.rounds, s.Name)
			smp, err := b.once(c, s, servers)
			if err != nil {
				out.Errors[s.Name] = err.Error()
				continue
			}
			out.Samples[s.Name] = append(out.Samples[s.Name], smp)
		}
	}
	for name, s := range servers {
		out.Backends[name] = s.Backend
	}
	return out, nil
}

// once measures a subject in one round.
func (b *bench) once(c cell, s subject, servers map[string]*server) (sample, error) {
	switch c.Kind {
	case randread, overhead:
		if engine, ok := strings.CutPrefix(s.Name, "fio-"); ok {
			if engine == "uring" {
				engine = "io_uring"
			}
			return runFio(engine, c, b.file)
		}
		role := "files"
		if c.Kind == overhead {
			role = "overhead"
		}
		return runOnce(role, order{CPU: -1, Subject: s.Name, Path: b.file, Direct: c.Direct, Size: c.Size,
			Goroutines: c.Goroutines, Seconds: c.Seconds})
	}
	sv := servers[s.Name]
	if sv == nil {
		var err error
		if sv, err = startServer(c, s); err != nil {
			return nil, err
		}
		servers[s.Name] = sv
	}
	return b.drive(c, sv)
}

// runOnce runs a child that measures itself.
func runOnce(role string, o order) (sample, error) {
	ch, err := startSelf(role, o)
	if err != nil {
		return nil, err
	}
	defer ch.stop()
	var r result
	if err := ch.read(&r, time.Duration(o.Seconds*float64(time.Second))+30*time.Second); err != nil {
		return nil, err
	}
	smp := sample{throughput: r.Units / r.Seconds, threads: float64(r.Threads), rss: r.RSS}
	if r.Units > 0 {
		smp[cpu] = r.CPU * 1e6 / r.Units
		smp[switches] = float64(r.Switches) / r.Units
		if r.Syscalls >= 0 {
			smp[syscalls] = float64(r.Syscalls) / r.Units
		}
	}
	return smp, nil
}

func startServer(c cell, s subject) (*server, error) {
	where := -1
	if c.Pinned {
		where = 0
	}
	var ch *child
	var err error
	if s.command != nil {
		cmd := s.command(c)
		if where >= 0 {
			cmd = exec.Command("taskset", append([]string{"-c", fmt.Sprint(where)}, cmd.Args...)...)
		}
		ch, err = start(cmd)
	} else {
		ch, err = startSelf("server", order{CPU: where, Subject: s.Name, Mode: c.Kind})
	}
	if err != nil {
		return nil, err
	}
	sv := &server{child: ch}
	if err := ch.read(&sv.ready, 10*time.Second); err != nil {
		return nil, err
	}
	return sv, nil
}

// calls asks a server for the system calls it has counted, -1 for none.
func (s *server) calls() (int64, error) {
	if _, err := s.in.Write([]byte("\n")); err != nil {
		return -1, err
	}
	var n int64
	err := s.read(&n, 10*time.Second)
	return n, err
}

// drive puts load on a server and looks at what it used.
func (b *bench) drive(c cell, sv *server) (sample, error) {
	where := -1
	if c.Pinned {
		where = 1
	}
	ld, err := startSelf("load", order{CPU: where, Mode: c.Kind, Addr: sv.Addr, Conns: c.Conns, Size: c.Size,
		Rate: c.Rate, Seconds: c.Seconds})
	if err != nil {
		return nil, err
	}
	defer ld.stop()
	if c.Kind == idle {
		// The load says when all is quiet.
		if err := ld.read(&result{}, 30*time.Second); err != nil {
			return nil, err
		}
	}
	pid := sv.cmd.Process.Pid
	before, err := usageOf(pid)
	if err != nil {
		return nil, err
	}
	callsBefore, err := sv.calls()
	if err != nil {
		return nil, err
	}
	if c.Kind == idle {
		// Asking was something to do, too.
		time.Sleep(100 * time.Millisecond)
		if before, err = usageOf(pid); err != nil {
			return nil, err
		}
		time.Sleep(time.Duration((c.Seconds - 0.5) * float64(time.Second)))
		after, err := usageOf(pid)
		if err != nil {
			return nil, err
		}
		callsAfter, err := sv.calls()
		if err != nil {
			return nil, err
		}
		smp := sample{cpu: float64((after.cpu - before.cpu).Microseconds()), switches: float64(after.switches - before.switches),
			threads: float64(after.threads), rss: after.rss}
		if callsAfter >= 0 {
			smp[syscalls] = float64(callsAfter - callsBefore)
		}
		return smp, nil
	}
	var r result
	if err := ld.read(&r, time.Duration(3*c.Seconds*float64(time.Second))+30*time.Second); err != nil {
		return nil, err
	}
	after, err := usageOf(pid)
	if err != nil {
		return nil, err
	}
	callsAfter, err := sv.calls()
	if err != nil {
		return nil, err
	}
	if r.Units == 0 {
		return nil, errors.New("nothing came back")
	}
	smp := sample{throughput: r.Units / r.Seconds, p50: r.P50, p99: r.P99, p999: r.P999,
		threads: float64(after.threads), rss: after.rss}
	// The server was also at work while the load warmed up: its share of that
	// is in proportion.
	units := r.Units * (1 + warmUp)
	smp[cpu] = float64((after.cpu - before.cpu).Microseconds()) / units
	smp[switches] = float64(after.switches-before.switches) / units
	if callsAfter >= 0 {
		smp[syscalls] = float64(callsAfter-callsBefore) / units
	}
	if c.Kind != echo {
		delete(smp, p50)
		delete(smp, p99)
		delete(smp, p999)
	}
	return smp, nil
}
