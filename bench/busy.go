//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// crowded is how many processors others may keep busy before what is measured
// is marked.
const crowded = 0.1

// busyMeter tells the processor time of the bench and its children from that
// of everybody else on the machine.
type busyMeter struct {
	at       time.Time
	all, own time.Duration
}

// startBusy begins to measure. pids are children that live on; those that end
// meanwhile must have been waited for.
func startBusy(pids []int) (busyMeter, error) {
	var m busyMeter
	var err error
	m.at = time.Now()
	if m.own, err = ownTime(pids); err != nil {
		return m, err
	}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return m, err
	}
	m.all, err = busyTime(text)
	return m, err
}

// others returns how many processors others have kept busy since. The kernel
// counts by ticks of 10 ms, so that short times are known roughly.
func (m busyMeter) others(pids []int) (float64, error) {
	now, err := startBusy(pids)
	if err != nil {
		return 0, err
	}
	others := now.all - m.all - (now.own - m.own)
	return max(0, others.Seconds()/now.at.Sub(m.at).Seconds()), nil
}

// busyTime adds up the time in which processors were not idle, or were taken
// away by the host, from /proc/stat.
func busyTime(text []byte) (time.Duration, error) {
	in := bufio.NewScanner(bytes.NewReader(text))
	if !in.Scan() {
		return 0, fmt.Errorf("/proc/stat is empty")
	}
	fields := strings.Fields(in.Text())
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", in.Text())
	}
	var sum time.Duration
	for i, f := range fields[1:9] { // user nice system idle iowait irq softirq steal
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		if i != 3 && i != 4 {
			sum += time.Duration(n) * tick
		}
	}
	return sum, nil
}

// ownTime is the processor time of this process, of its children that have
// ended, and of those in pids.
func ownTime(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var ru unix.Rusage
		if err := unix.Getrusage(who, &ru); err != nil {
			return 0, os.NewSyscallError("getrusage", err)
		}
		sum += time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	for _, pid := range pids {
		d, err := processCPU(pid)
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}
