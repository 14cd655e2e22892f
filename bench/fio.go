package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"strings"
)

// fioOutput is the part of fio's JSON that is used.
type fioOutput struct {
	Jobs []struct {
		Read struct {
			IOPS float64 `json:"iops"`
		} `json:"read"`
		Usr float64 `json:"usr_cpu"` // per cent of one processor
		Sys float64 `json:"sys_cpu"`
	} `json:"jobs"`
}

// runFio reads the file by fio: one job at a depth with io_uring, or a job for
// each read under way with psync.
func runFio(engine string, c cell, path string) (sample, error) {
	depth, jobs := c.Goroutines, 1
	if engine == "psync" {
		depth, jobs = 1, c.Goroutines
	}
	args := []string{
		"--name=bench", "--filename=" + path, "--rw=randread", "--readonly", "--output-format=json",
		"--ioengine=" + engine, fmt.Sprintf("--bs=%d", c.Size), fmt.Sprintf("--iodepth=%d", depth),
		fmt.Sprintf("--numjobs=%d", jobs), "--group_reporting", "--time_based",
		fmt.Sprintf("--runtime=%d", int(math.Ceil(c.Seconds))), "--ramp_time=200ms",
	}
	if c.Direct {
		args = append(args, "--direct=1")
	}
	out, err := exec.Command("fio", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("fio: %w", err)
	}
	return parseFio(string(out), jobs)
}

// parseFio reads fio's report on a group of jobs, whose processor time it gives
// as their mean.
func parseFio(out string, jobs int) (sample, error) {
	// Some versions print notes before the JSON.
	if i := strings.IndexByte(out, '{'); i > 0 {
		out = out[i:]
	}
	var f fioOutput
	if err := json.Unmarshal([]byte(out), &f); err != nil || len(f.Jobs) == 0 || f.Jobs[0].Read.IOPS == 0 {
		return nil, fmt.Errorf("fio's output is not understood: %w", err)
	}
	j := f.Jobs[0]
	return sample{throughput: j.Read.IOPS, cpu: float64(jobs) * (j.Usr + j.Sys) / 100 * 1e6 / j.Read.IOPS}, nil
}
