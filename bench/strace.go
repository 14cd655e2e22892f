//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// strace runs a load once more, with strace attached to the server for what is
// measured, and returns how many system calls of each name the server made for
// an operation.
func (s *server) strace(ctx context.Context, c cell, p pace, rate float64) (map[string]float64, error) {
	out := s.lab.path(fmt.Sprintf("strace.%d", s.child.pid()))
	var (
		tracer   *exec.Cmd
		attached time.Time
	)
	argv := []string{"-f", "-c", "-U", "calls,name"}
	if c.Kind == kindIdle {
		argv = []string{"-f", "-ttt"} // to leave out what attaching itself has caused
	}
	argv = append(argv, "-o", out, "-p", fmt.Sprint(s.child.pid()))
	begin := func() error {
		tracer = exec.CommandContext(ctx, "strace", argv...)
		if err := tracer.Start(); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond) // until it is attached
		attached = time.Now()
		return nil
	}
	end := func() error {
		if err := tracer.Process.Signal(os.Interrupt); err != nil {
			return err
		}
		_ = tracer.Wait()
		return nil
	}
	r, err := s.load(ctx, c, s.spec(c, p, rate), begin, end)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	if c.Kind == kindIdle {
		return parseTimes(text, attached.Add(3*settleTime)), os.Remove(out)
	}
	return parseStrace(text, float64(r.Work)), os.Remove(out)
}

// strace runs the work once more under strace, and returns how many system calls
// the process made for an operation, those of its preparation included.
func (w *worker) strace(ctx context.Context, c cell, p pace) (map[string]float64, error) {
	out := w.lab.path("strace.worker")
	traced := *w
	traced.wrap = []string{"strace", "-f", "-c", "-U", "calls,name", "-o", out}
	if _, err := traced.run(ctx, c, p, 0); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	return parseStrace(text, float64(traced.all)), os.Remove(out)
}

// parseTimes counts the system calls that began after a time, in what strace
// -f -ttt writes.
func parseTimes(text []byte, since time.Time) map[string]float64 {
	calls := make(map[string]float64)
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 {
			continue
		}
		at, err := strconv.ParseFloat(fields[1], 64)
		name, _, isCall := strings.Cut(fields[2], "(")
		if err != nil || !isCall || at < float64(since.UnixMicro())/1e6 {
			continue
		}
		calls[name]++
	}
	return calls
}

// parseStrace reads the table that strace -c -U calls,name makes, and divides
// by the number of operations.
func parseStrace(text []byte, ops float64) map[string]float64 {
	calls := make(map[string]float64)
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		n, err := strconv.ParseFloat(fields[0], 64)
		name := fields[len(fields)-1]
		if err != nil || name == "total" {
			continue
		}
		calls[name] += n / max(ops, 1)
	}
	return calls
}

// showCalls lists the most frequent system calls.
func showCalls(calls map[string]float64) string {
	var total float64
	for _, n := range calls {
		total += n
	}
	names := slices.SortedFunc(maps.Keys(calls), func(a, b string) int {
		switch {
		case calls[a] > calls[b]:
			return -1
		case calls[a] < calls[b]:
			return 1
		}
		return strings.Compare(a, b)
	})
	var s strings.Builder
	fmt.Fprintf(&s, "%.3f", total)
	sep := ": "
	for _, name := range names[:min(len(names), 6)] {
		if calls[name] < 0.0005 {
			break
		}
		fmt.Fprintf(&s, "%s%s %.3f", sep, name, calls[name])
		sep = ", "
	}
	return s.String()
}
