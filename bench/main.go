//go:build linux

// Command bench measures this module beside the standard library, programs in
// C and other libraries for Go.
//
//	go run -C bench . -quick               three minutes
//	go run -C bench . -html report.html    everything, in less than an hour
//	go run -C bench . -run '^echo/64B'     some cells
//	go run -C bench . -list                which there are
//
// Every subject is a process of its own, and so is the load. In each round all
// subjects of a cell run once, in random order; what counts is the median of
// the ratios within the rounds. Where those lie too far apart no ratio is
// given. It uses loopback and a directory for temporary files, and nothing
// else.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/bench/internal/control"
)

func main() {
	if len(os.Args) > 1 {
		if role := roles[os.Args[1]]; role != nil {
			if err := role(os.Args[2:]); err != nil {
				control.Fatal(err)
			}
			return
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := bench(ctx, os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\ninterrupted")
		os.Exit(130)
	case err != nil:
		control.Fatal(err)
	}
}

// roles are what this program is in the processes that it starts.
var roles = map[string]func(args []string) error{
	"serve": serveMain,
	"load":  loadMain,
	"read":  func(args []string) error { return workerMain(args, readMain) },
	"file":  func(args []string) error { return workerMain(args, fileMain) },
	"nop":   func(args []string) error { return workerMain(args, nopMain) },
}

// options are the command line.
type options struct {
	run, subjects   string
	list, quick     bool
	rounds          int
	measure         time.Duration
	json, html, dir string
	from            string
	load            string
	threads         int
	strace, profile bool
	seed            uint64
}

func parseOptions(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.run, "run", "", "run the cells that match `regexp`")
	fs.StringVar(&o.subjects, "subjects", "", "measure the subjects that match `regexp`, besides the base")
	fs.BoolVar(&o.list, "list", false, "list cells and subjects")
	fs.BoolVar(&o.quick, "quick", false, "fewer cells, subjects and rounds: three minutes")
	fs.IntVar(&o.rounds, "rounds", 0, "`number` of rounds; 0 means 5, or 3 in a quick run")
	fs.DurationVar(&o.measure, "measure", 0, "`time` to measure in a round; 0 means 600ms, or 400ms in a quick run")
	fs.StringVar(&o.json, "json", "", "write everything to `file`")
	fs.StringVar(&o.html, "html", "", "write a page with plots to `file`")
	fs.StringVar(&o.from, "from", "", "measure nothing: make tables and page of the `file` that -json wrote")
	fs.StringVar(&o.load, "load", "auto", "load generator: c, go, or auto for C where there is a compiler")
	fs.IntVar(&o.threads, "loadthreads", 1, "`number` of threads of the load generator in C")
	fs.BoolVar(&o.profile, "profile", false, "show by perf where the time of an operation goes, in an extra round")
	fs.StringVar(&o.dir, "dir", "", "make the temporary `directory` in this one")
	fs.BoolVar(&o.strace, "strace", false, "count system calls with strace, in an extra round")
	fs.Uint64Var(&o.seed, "seed", 0, "`seed` of the order of subjects; 0 means any")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.rounds < 0 || o.measure < 0 || o.threads < 1 {
		return o, errors.New("-rounds and -measure must not be negative, and -loadthreads must be positive")
	}
	if o.seed == 0 {
		o.seed = uint64(rand.Uint32())
	}
	return o, nil
}

// quickSubjects are those of a quick run.
const quickSubjects = "^(yamanote|c-uring|fio-io_uring|std-group)"

func bench(ctx context.Context, args []string) (err error) {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.from != "" {
		return again(o)
	}
	cells, err := choose(matrix(), o.run, o.quick)
	if err != nil {
		return err
	}
	pattern := o.subjects
	if pattern == "" && o.quick {
		pattern = quickSubjects
	}
	chosen, err := regexp.Compile(pattern)
	if err != nil {
		return fmt.Errorf("-subjects: %w", err)
	}
	raiseFileLimit()
	l := &lab{list: o.list}
	if l.self, err = os.Executable(); err != nil {
		return err
	}
	if l.dir, err = os.MkdirTemp(o.dir, "yamanote-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(l.dir)) }()
	p := paceOf(o.quick)
	if o.rounds > 0 {
		p.rounds = o.rounds
	}
	if o.measure > 0 {
		p.measure = o.measure
	}
	shards := !o.quick || o.subjects != ""
	if o.list {
		list(cells, l.subjects(ctx, chosen, shards))
		return nil
	}
	p.threads = o.threads
	fmt.Println("building the load generator and the subjects")
	load, err := l.prepareLoad(ctx, o.load)
	if err != nil {
		return err
	}
	r := &runner{lab: l, pace: p, strace: o.strace, profile: o.profile, rng: rand.New(rand.NewPCG(o.seed, 0)),
		subjects: l.subjects(ctx, chosen, shards)}
	return r.all(ctx, o, cells, load)
}

// all runs all cells and writes the reports.
func (r *runner) all(ctx context.Context, o options, cells []cell, load string) error {
	env := environment(ctx, r.lab.dir)
	env.LoadGenerator = fmt.Sprintf("%s, %d thread(s)", load, r.pace.threads)
	report := &Report{Env: env, Seed: o.seed, Rounds: r.pace.rounds, Quick: o.quick}
	report.writeEnv(os.Stdout)
	var total time.Duration
	for _, c := range cells {
		total += r.estimate(c)
	}
	fmt.Printf("%d cells, about %v\n", len(cells), total.Round(time.Second))
	r.progress = newProgress(os.Stdout, len(cells), total)
	var stopped error
	for _, c := range cells {
		result, err := r.run(ctx, c)
		r.progress.clear()
		r.progress.done += r.estimate(c)
		if err != nil {
			stopped = err
			break
		}
		report.add(result)
		result.write(os.Stdout)
	}
	report.Took = time.Since(r.progress.start)
	report.Env.LoadEnd = loadAverage()
	report.writeBars(os.Stdout)
	wrong := report.wrong(os.Stdout)
	if err := report.save(o); err != nil {
		return err
	}
	if stopped == nil && wrong {
		return errWrong
	}
	return stopped
}

func (r *Report) add(c *CellReport) {
	r.Cells = append(r.Cells, c)
	for _, s := range c.Subjects {
		if s.Backend != "" && r.Env.Ring[s.Name] == "" {
			r.Env.Ring[s.Name] = s.Backend
		}
	}
}

// save writes the files that were asked for.
func (r *Report) save(o options) error {
	if o.json != "" {
		text, err := json.MarshalIndent(r, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.html != "" {
		page, err := r.page()
		if err != nil {
			return err
		}
		return os.WriteFile(o.html, page, 0o644)
	}
	return nil
}

// again reports an earlier run.
func again(o options) error {
	text, err := os.ReadFile(o.from)
	if err != nil {
		return err
	}
	report := new(Report)
	if err := json.Unmarshal(text, report); err != nil {
		return fmt.Errorf("%s: %w", o.from, err)
	}
	report.writeEnv(os.Stdout)
	for _, c := range report.Cells {
		c.write(os.Stdout)
	}
	report.writeBars(os.Stdout)
	return report.save(o)
}

func list(cells []cell, subjects []subject) {
	fmt.Println("cells:")
	for _, c := range cells {
		fmt.Println("  " + c.Name)
		for _, b := range barsOf(c) {
			fmt.Println("      bar:", b)
		}
	}
	fmt.Println("subjects:")
	for _, s := range subjects {
		if s.Missing != "" {
			fmt.Printf("  %s (%s)\n", s.Name, s.Missing)
			continue
		}
		fmt.Println("  " + s.Name)
	}
}

// raiseFileLimit allows as many descriptors as there may be. Children inherit
// it.
func raiseFileLimit() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil && limit.Cur < limit.Max {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
}

func fileLimit() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return limit.Cur
}
