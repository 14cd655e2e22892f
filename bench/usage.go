//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process has used so far, seen from outside.
type Usage struct {
	CPU     time.Duration // of all threads, also of those that have ended
	User    time.Duration // in clock ticks, good enough to split CPU
	System  time.Duration // likewise
	Vol     int64         // voluntary context switches of the threads alive
	Invol   int64         // involuntary ones
	Threads int
	RSS     int64 // bytes
}

// sub returns what was used between two samples; threads and memory are those
// of the later.
func (u Usage) sub(before Usage) Usage {
	u.CPU -= before.CPU
	u.User -= before.User
	u.System -= before.System
	u.Vol -= before.Vol
	u.Invol -= before.Invol
	return u
}

const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux

// usageOf samples a process.
func usageOf(pid int) (Usage, error) {
	var u Usage
	var err error
	if u.CPU, err = processCPU(pid); err != nil {
		return u, err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The name in parentheses may contain anything; the fields after it do not.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 22 {
		return u, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return n
	}
	u.User = time.Duration(number(11)) * tick
	u.System = time.Duration(number(12)) * tick
	u.RSS = number(21) * int64(os.Getpagesize())
	return u, u.addTasks(pid)
}

// addTasks adds what is known of each thread.
func (u *Usage) addTasks(pid int) error {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	u.Threads = len(tasks)
	for _, t := range tasks {
		status, err := os.ReadFile(dir + "/" + t.Name() + "/status")
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // has just ended
		}
		if err != nil {
			return err
		}
		u.Vol += statusField(status, "\nvoluntary_ctxt_switches:")
		u.Invol += statusField(status, "\nnonvoluntary_ctxt_switches:")
	}
	return nil
}

func statusField(status []byte, key string) int64 {
	i := bytes.Index(status, []byte(key))
	if i < 0 {
		return 0
	}
	rest := status[i+len(key):]
	if j := bytes.IndexByte(rest, '\n'); j >= 0 {
		rest = rest[:j]
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(rest)), 10, 64)
	return n
}

// processCPU reads another process's clock: exact to the nanosecond, where
// /proc counts hundredths of a second.
func processCPU(pid int) (time.Duration, error) {
	const schedClock = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &ts); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}
