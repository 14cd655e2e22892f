//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// fioEngine is the program fio with one of its engines: what C reaches.
type fioEngine struct {
	lab    *lab
	engine string
}

// maxThreads bounds the threads of an engine that needs one for each read
// under way.
const maxThreads = 128

func (l *lab) fio(engine string) subject {
	s := subject{Name: "fio-" + engine}
	s.suits = func(c cell) bool {
		switch c.Kind {
		case kindRead:
			return engine == "io_uring" || c.Conns <= maxThreads
		case kindSeqRead, kindSeqWrite:
			// One at a time needs no ring, and cold it is in the first pass only.
			return engine == "psync" && !c.Cold
		case kindAppend:
			return engine == "psync" && c.Conns == 1 // fio has no group commit
		}
		return false
	}
	s.open = func(context.Context, cell, pace) (session, error) { return &fioEngine{lab: l, engine: engine}, nil }
	if _, err := exec.LookPath("fio"); err != nil {
		s.Missing = fmt.Sprintf("not there: %v", err)
	}
	return s
}

func (f *fioEngine) backend() string { return "fio, ioengine " + f.engine }

func (f *fioEngine) close() {}

func (f *fioEngine) pid() int { return 0 }

func (f *fioEngine) run(ctx context.Context, c cell, p pace, _ float64) (Sample, error) {
	spec, err := f.lab.workerSpec(ctx, c, p)
	if err != nil {
		return Sample{}, err
	}
	if c.Kind == kindAppend {
		defer os.Remove(spec.File)
	}
	// fio counts whole seconds of what it warms up.
	ctx, cancel := context.WithTimeout(ctx, p.warm+p.measure+30*time.Second)
	defer cancel()
	args, jobs := f.args(c, spec)
	args = append(args, "--name=bench", "--filename="+spec.File, "--ioengine="+f.engine, fmt.Sprintf("--numjobs=%d", jobs),
		"--thread", "--group_reporting", "--time_based", fmt.Sprintf("--runtime=%dms", (p.warm+p.measure).Milliseconds()),
		"--output-format=json")
	out, err := exec.CommandContext(ctx, "fio", args...).Output()
	if err != nil {
		return Sample{}, fmt.Errorf("fio: %w", err)
	}
	unit := 1.0
	if c.fileUnit() == "MiB" {
		unit = float64(c.Size) / mib
	}
	return parseFio(out, jobs, unit)
}

// args are the arguments that say what to do, and the number of jobs.
func (f *fioEngine) args(c cell, spec workerSpec) (args []string, jobs int) {
	depth, jobs := c.Conns, 1
	if f.engine == "psync" {
		depth, jobs = 1, c.Conns
	}
	args = []string{fmt.Sprintf("--iodepth=%d", depth), fmt.Sprintf("--bs=%d", c.Size), "--invalidate=0"}
	if c.Direct {
		args = append(args, "--direct=1")
	}
	size := fmt.Sprintf("--size=%d", spec.Size)
	switch c.Kind {
	case kindRead:
		args = append(args, "--rw=randread", "--readonly", "--norandommap", "--randrepeat=0")
	case kindSeqRead:
		args = append(args, "--rw=read", "--readonly", size)
		if !c.Direct {
			args = append(args, "--pre_read=1")
		}
	case kindSeqWrite:
		args = append(args, "--rw=write", size)
	case kindAppend:
		args = append(args, "--rw=write", fmt.Sprintf("--size=%d", mostAppended), "--fsync=1", "--fallocate=none")
	}
	return args, jobs
}

// fioSide is what fio says of reads or of writes.
type fioSide struct {
	IOPS     float64
	TotalIOs int64   `json:"total_ios"`
	Runtime  float64 // milliseconds
	Clat     struct {
		Max        float64
		Percentile map[string]float64
	} `json:"clat_ns"`
}

// parseFio reads fio's report. Each of its operations is so many of ours.
func parseFio(out []byte, jobs int, unit float64) (Sample, error) {
	var report struct {
		Jobs []struct {
			Error      int
			JobRuntime float64 `json:"job_runtime"` // milliseconds, of all threads
			Ctx        float64
			UsrCPU     float64 `json:"usr_cpu"` // percent
			SysCPU     float64 `json:"sys_cpu"`
			Read       fioSide
			Write      fioSide
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return Sample{}, fmt.Errorf("fio's report: %w", err)
	}
	if len(report.Jobs) != 1 || report.Jobs[0].Error != 0 {
		return Sample{}, errors.New("fio's report has no result")
	}
	j := report.Jobs[0]
	side := j.Read
	if side.TotalIOs == 0 {
		side = j.Write
	}
	if side.TotalIOs == 0 {
		return Sample{}, errors.New("fio's report has no operation")
	}
	q := func(p string) time.Duration { return time.Duration(side.Clat.Percentile[p]) }
	u := Usage{Threads: jobs,
		CPU:    time.Duration((j.UsrCPU + j.SysCPU) / 100 * j.JobRuntime * 1e6),
		User:   time.Duration(j.UsrCPU / 100 * j.JobRuntime * 1e6),
		System: time.Duration(j.SysCPU / 100 * j.JobRuntime * 1e6),
		Vol:    int64(j.Ctx)}
	n := int64(float64(side.TotalIOs) * unit)
	s := newSample(n, n, side.Runtime/1e3, u, Latency{P50: q("50.000000"), P90: q("90.000000"),
		P99: q("99.000000"), P999: q("99.900000"), Max: time.Duration(side.Clat.Max)})
	s.Throughput = side.IOPS * unit
	if unit != 1 {
		s.Latency = Latency{} // it is of fio's operations, not of ours
	}
	return s, nil
}
