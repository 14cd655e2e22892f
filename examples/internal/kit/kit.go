// Package kit is what the examples share and what is not their point: flags
// that choose a backend, help texts, statistics, signals.
package kit

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

	"github.com/yamanote-go/yamanote/proactor"
)

// The exit codes of the examples.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitInterrupted = 130 // what a shell reports for SIGINT
)

// Main runs an example until it ends by itself or SIGINT or SIGTERM ends its
// context. A second signal ends the process at once.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Parse parses the arguments of an example. If done, the process ends with
// code: help was asked for, or the arguments make no sense. The usage is what
// -h prints before the list of flags.
func Parse(fs *flag.FlagSet, args []string, usage string, stdout, stderr io.Writer) (code int, done bool) {
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	switch {
	case err == nil:
		return ExitOK, false
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, strings.TrimSpace(usage))
		fmt.Fprintln(stdout, "\nFlags:")
		fs.SetOutput(stdout)
		fs.PrintDefaults()
		return ExitOK, true
	}
	return Usage(fs, stderr, err), true
}

// Usage reports arguments that make no sense and returns the exit code.
func Usage(fs *flag.FlagSet, stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "%s: %v\n%s: -h explains the arguments\n", fs.Name(), err, fs.Name())
	return ExitUsage
}

// Backend holds the flags that say what an example runs on.
type Backend struct{ cfg proactor.Config }

// Flags adds -backend, and with shards also -shards.
func (b *Backend) Flags(fs *flag.FlagSet, shards bool) {
	fs.Func("backend", "what to run on: `auto` takes a ring where there is one, ring insists on it, std is the standard library (default auto)",
		func(name string) (err error) {
			b.cfg.Mode, err = proactor.ParseMode(name)
			return err
		})
	if shards {
		fs.IntVar(&b.cfg.Shards, "shards", 1, "number of rings, each with a driver")
	}
}

// Args returns arguments that say the same to another process.
func (b *Backend) Args() []string {
	args := []string{"-backend", b.cfg.Mode.String()}
	if b.cfg.Shards > 1 {
		args = append(args, "-shards", strconv.Itoa(b.cfg.Shards))
	}
	return args
}

// Open starts the runtime that the flags describe. The error says what to do.
func (b *Backend) Open() (*proactor.Runtime, error) {
	rt, err := proactor.New(b.cfg)
	if errors.Is(err, proactor.ErrNoRing) {
		return nil, fmt.Errorf("%w (-backend auto or std runs without a ring)", err)
	}
	return rt, err
}

// shutdownMax is what a runtime may take to end when nobody uses it any more.
const shutdownMax = 5 * time.Second

// Shutdown ends a runtime.
func Shutdown(rt *proactor.Runtime) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownMax)
	defer cancel()
	return rt.Shutdown(ctx)
}

// Operations returns how many operations the counters stand for: those that
// the ring finished and those that a system call did at once.
func Operations(s proactor.Stats) uint64 { return s.Finished + s.InlineDone }

// Report prints what a runtime has done, and what the process has used for it.
func Report(w io.Writer, rt *proactor.Runtime) {
	s := rt.Stats()
	if ops := Operations(s); rt.HasRing() && ops > 0 {
		fmt.Fprintf(w, "operations:     %d (%d by the ring, %d at once by a system call of their goroutine)\n",
			ops, s.Finished, s.InlineDone)
		fmt.Fprintf(w, "system calls:   %d, %.2f per operation (%d entered the ring, %d woke its driver, %d tried at once)\n",
			s.SystemCalls(), float64(s.SystemCalls())/float64(ops), s.Enters, s.Wakes, s.InlineTried)
	}
	if cpu, ok := ProcessorTime(); ok {
		fmt.Fprintf(w, "processor time: %.3f s", cpu.Seconds())
		if ops := Operations(s); ops > 0 {
			fmt.Fprintf(w, ", %.1f µs per operation", float64(cpu.Nanoseconds())/1e3/float64(ops))
		}
		fmt.Fprintln(w)
	}
	if n := Threads(); n > 0 {
		fmt.Fprintf(w, "threads:        %d\n", n)
	}
}

// IsTerminal reports whether w is a terminal: a character device that is not
// the null device.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// Threads returns the number of threads that the process has, or 0 where that
// is not known.
func Threads() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var n int
		if _, err := fmt.Sscanf(line, "Threads: %d", &n); err == nil {
			return n
		}
	}
	return 0
}
