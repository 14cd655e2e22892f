// Command tour is the first thing to run after cloning: it says whether this
// machine gives a program a ring, and then measures the ring beside the
// standard library, in servers and with files, and prints both.
//
//	go run ./examples/tour
//	go run ./examples/tour -quick
//	go run ./examples/tour -rounds 9 -round 1s
//	go run ./internal/noring -- go run ./examples/tour -quick
//
// Servers, load and files have processes of their own, which are this program
// again; see process.go. All networking is on the loopback device.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/proactor"
)

const usage = `
Usage: tour [flags]

Says whether this machine offers io_uring to a program, and why not if not.
Then it measures an echo server, a web server and random reads of a file, on
the ring and on the standard library, and prints the two side by side. It takes
about half a minute, with -quick a few seconds; it needs a free core or two to
say anything, and disk space for one temporary file.
`

func main() {
	if code, ok := child(); ok {
		os.Exit(code)
	}
	// A reader that has gone must not keep us from cleaning up.
	signal.Ignore(syscall.SIGPIPE)
	kit.Main(run)
}

// options are what the flags say.
type options struct {
	quick  bool
	rounds int
	round  time.Duration
	conns  string
	mib    int
	dir    string
	strace bool
	limit  time.Duration
}

func (o *options) flags(fs *flag.FlagSet) {
	fs.BoolVar(&o.quick, "quick", false, "a few seconds in all: fewer connections, shorter rounds, a smaller file")
	fs.IntVar(&o.rounds, "rounds", 0, "rounds for each measurement and backend (default 5, quick 3)")
	fs.DurationVar(&o.round, "round", 0, "duration of a round (default 300ms, quick 150ms)")
	fs.StringVar(&o.conns, "conns", "", "numbers of echo connections, with commas (default 1,64,256, quick 1,64)")
	fs.IntVar(&o.mib, "mib", 0, "size of the file in MiB (default 256, quick 128)")
	fs.StringVar(&o.dir, "dir", "", "`directory` for the temporary file (default the usual one, or /var/tmp if that is in memory)")
	fs.BoolVar(&o.strace, "strace", true, "where strace is installed, count system calls with it, in one more round")
	fs.DurationVar(&o.limit, "limit", 0, "give up after this time (default 3m, quick 1m)")
}

// complete fills in what was not said and returns the numbers of connections.
func (o *options) complete() (conns []int, err error) {
	rounds, round, list, mib, limit := 5, 300*time.Millisecond, "1,64,256", 256, 3*time.Minute
	if o.quick {
		rounds, round, list, mib, limit = 3, 150*time.Millisecond, "1,64", 128, time.Minute
	}
	orDefault(&o.rounds, rounds)
	orDefault(&o.round, round)
	orDefault(&o.conns, list)
	orDefault(&o.mib, mib)
	orDefault(&o.limit, limit)
	for s := range strings.SplitSeq(o.conns, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 || n > 10_000 {
			return nil, fmt.Errorf("-conns: %q is not a number from 1 to 10000", s)
		}
		conns = append(conns, n)
	}
	if o.rounds < 1 || o.round < time.Millisecond || o.mib < 1 || o.limit < 0 {
		return nil, errors.New("-rounds, -round, -mib and -limit must be more than nothing")
	}
	return conns, nil
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("tour", flag.ContinueOnError)
	var o options
	o.flags(fs)
	if code, done := kit.Parse(fs, args, usage, stdout, stderr); done {
		return code
	}
	conns, err := o.complete()
	if err == nil && fs.NArg() > 0 {
		err = errors.New("it takes flags only")
	}
	if err != nil {
		return kit.Usage(fs, stderr, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("not done after %v (-limit)", o.limit))
	defer cancel()
	t := &tour{options: o, out: stdout, progress: io.Discard, backends: []string{"std"}}
	if kit.IsTerminal(stderr) {
		t.progress = stderr
	}
	if describe(stdout, proactor.Config{Mode: proactor.ModeRing}) {
		t.backends = append(t.backends, "ring")
	}
	err = errors.Join(t.walk(ctx, conns), t.cleanUp())
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		fmt.Fprintf(stderr, "tour: %v\n", context.Cause(ctx))
		return kit.ExitFailed
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "tour: interrupted")
		return kit.ExitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "tour: %v\n", err)
		return kit.ExitFailed
	}
	t.summary(time.Since(t.start))
	return kit.ExitOK
}
