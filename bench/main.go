// Bench measures Yamanote beside the standard library, C programs and other
// Go libraries, each in a process of its own, driven by a load process that
// checks every byte.
//
//	go run -C bench . -quick           three minutes
//	go run -C bench .                  the whole matrix, most of an hour
//	go run -C bench . -run echo/64B    some cells
//	go run -C bench . -list            what there is
//	go run -C bench . -html out.html -json out.json
//
// Subjects take part in every round in random order, and what counts is the
// ratio of two subjects within a round: the table shows its median and
// quartiles, and says "noisy" where they are too far apart to mean anything.
// Nothing but the loopback and temporary files is used.
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
	"strings"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/proactor"
)

func main() {
	if role := os.Getenv(childEnv); role != "" {
		if err := runChild(role); err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", role, err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	run, subjects  string
	quick, list    bool
	rounds         int
	seconds        float64
	seed           uint64
	jsonTo, htmlTo string
}

func parseOptions() options {
	var o options
	flag.StringVar(&o.run, "run", "", "measure cells whose names match this `regexp`")
	flag.StringVar(&o.subjects, "subjects", "", "measure only these, separated by commas")
	flag.BoolVar(&o.quick, "quick", false, "a smaller matrix with short rounds: about three minutes")
	flag.BoolVar(&o.list, "list", false, "list cells and subjects")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds of each cell (7; quick: 3)")
	flag.Float64Var(&o.seconds, "seconds", 0, "seconds of each measurement (1; quick: 0.3)")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the order of subjects")
	flag.StringVar(&o.jsonTo, "json", "", "write everything to this `file`")
	flag.StringVar(&o.htmlTo, "html", "", "write a page with plots to this `file`")
	flag.Parse()
	return o
}

// choose returns the cells that the options ask for.
func (o options) choose(all []cell) ([]cell, error) {
	match, err := regexp.Compile(o.run)
	if err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	var out []cell
	for _, c := range all {
		if !match.MatchString(c.Name) || o.quick && o.run == "" && !c.quick {
			continue
		}
		switch {
		case o.seconds > 0:
			c.Seconds = o.seconds
		case o.quick && c.Kind != idle:
			c.Seconds = 0.3
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no cell matches %q; -list shows them", o.run)
	}
	return out, nil
}

// pick returns the subjects that the options ask for; std is always among
// them, since the ratios are to it.
func (o options) pick(all []subject) ([]subject, error) {
	if o.subjects == "" {
		if !o.quick {
			return all, nil
		}
		o.subjects = "yamanote,channel,c-uring,c-epoll,fio-uring"
	}
	wanted := map[string]bool{"std": true}
	for name := range strings.SplitSeq(o.subjects, ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	var out []subject
	for _, s := range all {
		if wanted[s.Name] {
			out = append(out, s)
			delete(wanted, s.Name)
		}
	}
	for name := range wanted {
		return nil, fmt.Errorf("no subject %q; -list shows them", name)
	}
	return out, nil
}

func run() error {
	o := parseOptions()
	dir, err := os.MkdirTemp("", "yamanote-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	all := subjects(dir)
	if o.list {
		for _, c := range cells() {
			fmt.Println(c.Name, c.Bars)
		}
		for _, s := range all {
			fmt.Println(s.Name, s.Kinds, s.why)
		}
		return nil
	}
	chosen, err := o.choose(cells())
	if err != nil {
		return err
	}
	taking, err := o.pick(all)
	if err != nil {
		return err
	}
	b := &bench{dir: dir, subjects: taking, rounds: o.rounds, rnd: rand.New(rand.NewPCG(o.seed, 0)), fileSize: 1 << 30}
	if o.quick {
		b.fileSize = 256 << 20
	}
	if b.rounds == 0 {
		b.rounds = 7
		if o.quick {
			b.rounds = 3
		}
	}
	env := describe(o.seed, b.rounds)
	env.Files = raiseFileLimit()
	if err := proactor.ShutdownDefault(ctx); err != nil {
		return err
	}
	outcomes, err := b.all(ctx, chosen, env)
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	writeSummary(os.Stdout, outcomes)
	return save(o, env, outcomes)
}

// all measures the cells one after the other and prints each as it is done.
func (b *bench) all(ctx context.Context, chosen []cell, env environment) ([]outcome, error) {
	fmt.Printf("%s, %s × %d, %s, commit %s, seed %d\nring: %s\n", env.Kernel, env.CPU, env.CPUs, env.Go, env.Commit, env.Seed, env.Backend)
	for _, s := range b.subjects {
		if s.why != "" {
			fmt.Printf("without %s: %s\n", s.Name, s.why)
		}
	}
	terminal := isTerminal(os.Stderr)
	clear := func() {
		if terminal {
			fmt.Fprint(os.Stderr, "\r\033[K")
		}
	}
	var outcomes []outcome
	for i, c := range chosen {
		b.progress = func(format string, args ...any) {
			if terminal {
				clear()
				fmt.Fprintf(os.Stderr, "[%d of %d] "+format, append([]any{i + 1, len(chosen)}, args...)...)
			}
		}
		if !terminal {
			fmt.Fprintf(os.Stderr, "[%d of %d] %s\n", i+1, len(chosen), c.Name)
		}
		o, err := b.measure(ctx, c)
		clear()
		if err != nil {
			return outcomes, err
		}
		outcomes = append(outcomes, o)
		writeOutcome(os.Stdout, o)
	}
	return outcomes, nil
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// save writes the files that were asked for.
func save(o options, env environment, outcomes []outcome) error {
	if o.jsonTo != "" {
		doc, err := json.MarshalIndent(map[string]any{"environment": env, "outcomes": outcomes}, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.jsonTo, append(doc, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.htmlTo != "" {
		page, err := htmlPage(env, outcomes)
		if err != nil {
			return err
		}
		return os.WriteFile(o.htmlTo, page, 0o644)
	}
	return nil
}
