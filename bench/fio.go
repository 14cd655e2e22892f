//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
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
	s.suits = func(c cell) bool { return c.Kind == kindRead && (engine == "io_uring" || c.Conns <= maxThreads) }
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
	if err := f.lab.dataFile(ctx, p.fileSize); err != nil {
		return Sample{}, err
	}
	// fio counts whole seconds of what it warms up.
	ctx, cancel := context.WithTimeout(ctx, p.warm+p.measure+30*time.Second)
	defer cancel()
	direct, depth, jobs := "0", c.Conns, 1
	if c.Direct {
		direct = "1"
	}
	if f.engine == "psync" {
		depth, jobs = 1, c.Conns
	}
	out, err := exec.CommandContext(ctx, "fio", "--name=randread", "--filename="+f.lab.data, "--readonly",
		"--rw=randread", "--bs=4k", "--direct="+direct, "--ioengine="+f.engine,
		fmt.Sprintf("--iodepth=%d", depth), fmt.Sprintf("--numjobs=%d", jobs), "--thread", "--group_reporting",
		"--time_based", fmt.Sprintf("--runtime=%dms", (p.warm+p.measure).Milliseconds()), "--norandommap",
		"--randrepeat=0", "--invalidate=0", "--output-format=json").Output()
	if err != nil {
		return Sample{}, fmt.Errorf("fio: %w", err)
	}
	return parseFio(out, jobs)
}

// parseFio reads fio's report.
func parseFio(out []byte, jobs int) (Sample, error) {
	var report struct {
		Jobs []struct {
			Error      int
			JobRuntime float64 `json:"job_runtime"` // milliseconds, of all threads
			Ctx        float64
			UsrCPU     float64 `json:"usr_cpu"` // percent
			SysCPU     float64 `json:"sys_cpu"`
			Read       struct {
				IOPS     float64
				TotalIOs int64   `json:"total_ios"`
				Runtime  float64 // milliseconds
				Clat     struct {
					Max        float64
					Percentile map[string]float64
				} `json:"clat_ns"`
			}
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return Sample{}, fmt.Errorf("fio's report: %w", err)
	}
	if len(report.Jobs) != 1 || report.Jobs[0].Error != 0 || report.Jobs[0].Read.TotalIOs == 0 {
		return Sample{}, fmt.Errorf("fio's report has no result")
	}
	j := report.Jobs[0]
	q := func(p string) time.Duration { return time.Duration(j.Read.Clat.Percentile[p]) }
	u := Usage{Threads: jobs,
		CPU:    time.Duration((j.UsrCPU + j.SysCPU) / 100 * j.JobRuntime * 1e6),
		User:   time.Duration(j.UsrCPU / 100 * j.JobRuntime * 1e6),
		System: time.Duration(j.SysCPU / 100 * j.JobRuntime * 1e6),
		Vol:    int64(j.Ctx)}
	s := newSample(j.Read.TotalIOs, j.Read.TotalIOs, j.Read.Runtime/1e3, u, Latency{P50: q("50.000000"), P90: q("90.000000"),
		P99: q("99.000000"), P999: q("99.900000"), Max: time.Duration(j.Read.Clat.Max)})
	s.Throughput = j.Read.IOPS
	return s, nil
}
