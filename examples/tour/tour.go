package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// tour is one run of the program.
type tour struct {
	options
	out      io.Writer
	progress io.Writer // io.Discard if nobody looks
	backends []string  // "std", and "ring" if there is one
	start    time.Time

	processes []*process
	path      string // of the temporary file
	mark      int    // the last one used in a trace
	outcomes  []*outcome
	skipped   []string // what could not be measured here, and why
}

// readers is the number of goroutines that read the file.
const readers = 64

// walk measures everything and prints a table after each workload.
func (t *tour) walk(ctx context.Context, conns []int) error {
	t.start = time.Now()
	t.straceOrNot(ctx)
	load, err := t.helper(ctx, "load", "std", false)
	if err != nil {
		return err
	}
	sides, traced, err := t.sides(ctx, "serve", func(p *process, name string) side {
		return &netSide{server: p, load: load, name: name}
	})
	if err != nil {
		return err
	}
	t.heading("Servers", "Each runs in its own process; one more makes the load, with clients of the standard library "+
		"that send, wait for the answer and send again. p50 and p99 are their waiting times.")
	for _, w := range netWorkloads(conns) {
		if err := t.one(ctx, w, sides, traced); err != nil {
			return err
		}
	}
	t.dir = tempDir(t.dir)
	t.show("writing a file of %d MiB", t.mib)
	if t.path, err = createFile(ctx, t.dir, t.mib); err != nil {
		return err
	}
	sides, traced, err = t.sides(ctx, "files", func(p *process, _ string) side {
		return &fileSide{files: p, path: t.path}
	})
	if err != nil {
		return err
	}
	t.heading("Files", fmt.Sprintf("%d goroutines read blocks of 4 KiB at random from a file of %d MiB, with ReadAt.", readers, t.mib))
	for _, w := range fileWorkloads() {
		if w.direct && inMemory(t.dir) {
			t.skipped = append(t.skipped, "reading past the page cache, since "+t.dir+" is in memory (-dir takes another directory)")
			continue
		}
		if err := t.one(ctx, w, sides, traced); err != nil {
			return err
		}
	}
	return nil
}

// straceOrNot finds out whether system calls can be counted by strace.
func (t *tour) straceOrNot(ctx context.Context) {
	if !t.strace {
		return
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.strace = false
		t.skipped = append(t.skipped, "the standard library's system calls, since strace is not installed")
		return
	}
	// In some containers it is installed and may not trace.
	if err := exec.CommandContext(ctx, "strace", "-qq", "-o", "/dev/null", "true").Run(); err != nil {
		t.strace = false
		t.skipped = append(t.skipped, "the standard library's system calls, since strace may not trace here")
	}
}

// helper starts a helper that is stopped in the end.
func (t *tour) helper(ctx context.Context, role, backend string, traced bool) (*process, error) {
	p, err := start(ctx, role, backend, traced)
	if err == nil {
		t.processes = append(t.processes, p)
	}
	return p, err
}

// sides starts a helper for each backend, and the same under strace.
func (t *tour) sides(ctx context.Context, role string, wrap func(p *process, name string) side) (sides, traced []side, err error) {
	for _, backend := range t.backends {
		p, err := t.helper(ctx, role, backend, false)
		if err != nil {
			return nil, nil, err
		}
		sides = append(sides, wrap(p, backend))
		if !t.strace {
			continue
		}
		if p, err = t.helper(ctx, role, backend, true); err != nil {
			return nil, nil, err
		}
		traced = append(traced, wrap(p, backend+" traced"))
	}
	return sides, traced, nil
}

// one measures a workload and prints its table.
func (t *tour) one(ctx context.Context, w workload, sides, traced []side) error {
	o, err := t.measure(ctx, w, sides, traced)
	var r *refusal
	if w.direct && errors.As(err, &r) && r.who == who("files", "std") {
		t.skipped = append(t.skipped, "reading past the page cache, which does not work in "+t.dir+" (-dir takes another directory): "+r.text)
		return nil
	}
	if err != nil {
		return err
	}
	t.outcomes = append(t.outcomes, o)
	o.print(t.out)
	return nil
}

// cleanUp ends the helpers and removes the file.
func (t *tour) cleanUp() error {
	t.show("")
	err := stopAll(t.processes)
	if t.path != "" {
		err = errors.Join(err, remove(t.path))
	}
	return err
}

// show replaces the line that says what is going on; empty, it removes it.
func (t *tour) show(format string, args ...any) {
	fmt.Fprintf(t.progress, "\r%-*s\r", lineWidth-1, fmt.Sprintf(format, args...))
}

func netWorkloads(conns []int) []workload {
	var all []workload
	for _, n := range conns {
		all = append(all, workload{
			title: fmt.Sprintf("Echo, %s, %d bytes there and back", plural(n, "connection"), messageSize),
			short: fmt.Sprintf("echo × %d", n),
			kind:  "echo", conns: n, what: echoText(n),
		})
	}
	return append(all, workload{
		title: "HTTP, 64 connections kept alive, net/http unchanged",
		short: "http × 64",
		kind:  "http", conns: 64,
		what: "Much of a request's time is net/http's own, which is the same on both.",
	})
}

// echoText says what an echo of so many connections is about.
func echoText(conns int) string {
	if conns == 1 {
		return "One message at a time: there is nothing to gather, so this is the price of waiting for one answer."
	}
	return "Many wait at once: what becomes ready together can be handed over together."
}

func fileWorkloads() []workload {
	all := []workload{{
		title: "Random reads from the page cache",
		short: "cached reads",
		kind:  "file", conns: readers,
		what: "Nothing has to wait: on either side the calling goroutine copies the block itself.",
	}}
	if directFlag != 0 {
		all = append(all, workload{
			title: "Random reads from the disk (O_DIRECT)",
			short: "direct reads",
			kind:  "file", conns: readers, direct: true,
			what: "Everything waits for the disk: in package os a goroutine that waits holds a thread; the ring has all reads under way at once.",
		})
	}
	return all
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
