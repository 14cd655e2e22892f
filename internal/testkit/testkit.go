// Package testkit holds what the tests of every package share: the check that
// a test binary leaves nothing behind, and the few helpers that keep tests
// from sleeping, hanging or skipping in silence.
//
// Every package has a file with
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
// and then its test binary fails if goroutines, file descriptors or anything
// registered with [OnExit] is still there when its tests have ended.
//
// Two environment variables belong to it:
//
//   - YAMANOTE_TEST_NOSKIP=1 makes [Skip] fail. The run that has io_uring sets
//     it, because there a skipped test is a test nobody runs.
//   - YAMANOTE_TEST_SETTLE=DURATION is how long a leak may take to go away by
//     itself before it counts (5 s).
package testkit

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// settleDefault is what a goroutine that was told to stop may need on a
	// loaded machine under the race detector.
	settleDefault = 5 * time.Second

	// beforeCheckMax bounds the functions of BeforeCheck. The alarm of
	// -test.timeout is already off when they run.
	beforeCheckMax = 30 * time.Second

	settleEnv = "YAMANOTE_TEST_SETTLE"
)

// leakSource is something that can leak and that only its owner can count.
type leakSource struct {
	name  string
	check func() error
}

var exit struct {
	mu      sync.Mutex
	before  []func()
	sources []leakSource
}

// OnExit adds a source of leaks: [Main] calls check when the tests have ended
// and the functions of [BeforeCheck] have run, and fails if it still returns
// an error after the time to settle. The error is the report, so it should say
// what is left and of which kind ("2 operations in flight: 1 RECV, 1 ACCEPT").
func OnExit(name string, check func() error) {
	exit.mu.Lock()
	defer exit.mu.Unlock()
	exit.sources = append(exit.sources, leakSource{name, check})
}

// BeforeCheck adds a function that [Main] calls when the tests have ended and
// before it counts: the place to close what lives as long as the process, such
// as a default runtime or the idle connections of a default HTTP client. The
// last one added runs first.
func BeforeCheck(f func()) {
	exit.mu.Lock()
	defer exit.mu.Unlock()
	exit.before = append(exit.before, f)
}

// Main runs the tests of a package and ends the process. The exit code is that
// of the tests, or 1 if they passed but left something behind.
func Main(m *testing.M) {
	os.Exit(runMain(m.Run, os.Stderr))
}

func runMain(tests func() int, report io.Writer) int {
	start := takeSnapshot()
	code := tests()
	runBeforeCheck()
	leaks := start.settle(settleTime(), checkSources)
	if len(leaks) == 0 {
		return code
	}
	writeReport(report, "after the tests of this package", leaks)
	if code == 0 {
		code = 1
	}
	return code
}

func runBeforeCheck() {
	exit.mu.Lock()
	before := exit.before
	exit.mu.Unlock()
	alarm := time.AfterFunc(beforeCheckMax, func() {
		fmt.Fprintf(os.Stderr, "testkit: the functions of BeforeCheck did not return within %v; all goroutines:\n\n%s\n",
			beforeCheckMax, allStacks())
		os.Exit(2)
	})
	defer alarm.Stop()
	for i := len(before) - 1; i >= 0; i-- {
		before[i]()
	}
}

// checkSources returns one line for each registered source that has a leak.
func checkSources() []string {
	exit.mu.Lock()
	sources := exit.sources
	exit.mu.Unlock()
	var leaks []string
	for _, s := range sources {
		if err := s.check(); err != nil {
			leaks = append(leaks, fmt.Sprintf("%s: %v", s.name, err))
		}
	}
	return leaks
}

// NoLeak fails the test if it ends with goroutines or file descriptors that
// were not there when NoLeak was called. Call it first, so that its check runs
// after every other cleanup. What a test starts for the whole process (a
// default runtime) counts as a leak here: start it before.
//
// A test that uses NoLeak cannot be parallel, nor can the tests around it: the
// resources of its neighbours could not be told from its own. Like T.Setenv,
// it panics then.
func NoLeak(t testing.TB) {
	t.Helper()
	// The one public way to have the testing package refuse a parallel test.
	t.Setenv("YAMANOTE_TEST_NOLEAK", "1")
	start := takeSnapshot()
	t.Cleanup(func() {
		t.Helper()
		if leaks := start.settle(settleTime(), nil); len(leaks) > 0 {
			var b strings.Builder
			writeReport(&b, "after "+t.Name(), leaks)
			t.Error(b.String())
		}
	})
}

// snapshot is what the process held at one moment.
type snapshot struct {
	goroutines map[uint64]bool
	fds        map[int]string
	fdsErr     error
}

func takeSnapshot() snapshot {
	s := snapshot{goroutines: make(map[uint64]bool)}
	for _, g := range parseStacks(allStacks()) {
		s.goroutines[g.id] = true
	}
	s.fds, s.fdsErr = openFds()
	return s
}

// leaks returns what is there now and was not there at the snapshot, and
// whether goroutines are among it.
func (s snapshot) leaks() (list []string, goroutines bool) {
	now, err := openFds()
	switch {
	case s.fdsErr != nil:
		list = append(list, fmt.Sprintf("file descriptors could not be counted at the start: %v", s.fdsErr))
	case err != nil:
		list = append(list, fmt.Sprintf("file descriptors could not be counted: %v", err))
	default:
		list = append(list, newFds(s.fds, now)...)
	}
	for _, g := range parseStacks(allStacks()) {
		if !s.goroutines[g.id] && !g.harmless() {
			list = append(list, g.text)
			goroutines = true
		}
	}
	return list, goroutines
}

// settle waits until nothing is leaked, at most for d, and returns what is.
//
// It collects garbage only to let a goroutine end that waits for a cleanup.
// While only descriptors are left it does not: a descriptor that is closed by
// nothing but the garbage collector is a leak, and collecting would hide it.
func (s snapshot) settle(d time.Duration, sources func() []string) []string {
	deadline := time.Now().Add(d)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		leaks, goroutines := s.leaks()
		if sources != nil {
			leaks = append(leaks, sources()...)
		}
		if len(leaks) == 0 || time.Now().After(deadline) {
			return leaks
		}
		if goroutines {
			runtime.GC()
		}
		time.Sleep(pause)
	}
}

func settleTime() time.Duration {
	if d, err := time.ParseDuration(os.Getenv(settleEnv)); err == nil {
		return d
	}
	return settleDefault
}

func writeReport(w io.Writer, when string, leaks []string) {
	fmt.Fprintf(w, "testkit: leaked %s (%d):\n", when, len(leaks))
	for _, l := range leaks {
		fmt.Fprintf(w, "\n  %s\n", strings.ReplaceAll(strings.TrimSpace(l), "\n", "\n  "))
	}
	fmt.Fprintln(w)
}
