package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what a process has used so far.
type usage struct {
	cpu      time.Duration
	switches int64
	threads  int
	rss      float64 // MiB
	syscalls int64   // by its own counters, -1 if it has none
}

// usageOf reads a process's use from /proc, all threads together. What a thread
// has used that has ended since is lost.
func usageOf(pid int) (usage, error) {
	u := usage{syscalls: -1}
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return u, err
	}
	for _, t := range tasks {
		b, err := os.ReadFile(dir + "/" + t.Name() + "/schedstat")
		if err != nil {
			continue // it has ended
		}
		run, _, _ := strings.Cut(string(b), " ")
		ns, _ := strconv.ParseInt(run, 10, 64)
		u.cpu += time.Duration(ns)
		status, err := os.ReadFile(dir + "/" + t.Name() + "/status")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(status)) {
			if key, value, _ := strings.Cut(line, ":"); strings.HasSuffix(key, "ctxt_switches") {
				n, _ := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
				u.switches += n
			}
		}
	}
	u.threads = len(tasks)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			u.rss = kib / 1024
		}
	}
	return u, nil
}

// pinTo makes the calling process run on one processor.
func pinTo(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	// All threads of the process, of which there are few at its start.
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		tid, _ := strconv.Atoi(t.Name())
		if err := unix.SchedSetaffinity(tid, &set); err != nil {
			return err
		}
	}
	return nil
}
