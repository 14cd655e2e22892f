package testkit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// childEnv selects what TestChild does in a process of its own. Whether the kit
// fails a test binary can only be seen from outside of it.
const childEnv = "YAMANOTE_TESTKIT_CHILD"

// leakedGoroutine has a name that a report can be searched for.
func leakedGoroutine(stop chan struct{}) { <-stop }

var children = map[string]func(t *testing.T){
	"clean": func(t *testing.T) {
		testkit.OnExit("never leaks", func() error { return nil })
	},
	"failing": func(t *testing.T) {
		go leakedGoroutine(make(chan struct{}))
		t.Error("failed by itself")
	},
	"goroutine": func(t *testing.T) { go leakedGoroutine(make(chan struct{})) },
	"fd":        leakFile,
	"slow to end": func(t *testing.T) {
		go func() { time.Sleep(100 * time.Millisecond) }()
	},
	"signal loop": func(t *testing.T) {
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		signal.Stop(c)
	},
	"signal context": func(t *testing.T) {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		_, _ = ctx, stop
	},
	"source": func(t *testing.T) {
		testkit.OnExit("driver", func() error { return errors.New("2 operations in flight: 1 RECV, 1 ACCEPT") })
	},
	"before check": func(t *testing.T) {
		stop := make(chan struct{})
		go leakedGoroutine(stop)
		order := ""
		testkit.BeforeCheck(func() { close(stop); order += "first added" })
		testkit.BeforeCheck(func() { order += "last added, " })
		testkit.OnExit("order", func() error {
			if order != "last added, first added" {
				return fmt.Errorf("BeforeCheck ran in the order %q", order)
			}
			return nil
		})
	},
	"noleak goroutine": func(t *testing.T) {
		testkit.NoLeak(t)
		stop := make(chan struct{})
		go leakedGoroutine(stop)
		testkit.BeforeCheck(func() { close(stop) })
	},
	"noleak fd":    func(t *testing.T) { testkit.NoLeak(t); leakFile(t) },
	"noleak clean": func(t *testing.T) { testkit.NoLeak(t) },
	"noleak parallel": func(t *testing.T) {
		t.Parallel()
		testkit.NoLeak(t)
	},
	"skip":       func(t *testing.T) { testkit.Skip(t, "no %s here", "ring") },
	"new kernel": func(t *testing.T) { testkit.NeedKernel(t, 99, 1, "teleporting") },
	"old kernel": func(t *testing.T) {
		if runtime.GOOS == "linux" {
			testkit.NeedKernel(t, 2, 6, "pipes")
		}
		fmt.Println("went on")
	},
	"watchdog": func(t *testing.T) {
		testkit.Watchdog(t, 500*time.Millisecond)
		for !t.Failed() { // half a second is left to end in
			time.Sleep(time.Millisecond)
		}
	},
	"watchdog hang": func(t *testing.T) {
		testkit.Watchdog(t, 50*time.Millisecond)
		leakedGoroutine(make(chan struct{}))
	},
	"watchdog in time": func(t *testing.T) { testkit.Watchdog(t, time.Minute) },
}

// leakFile opens a file that stays open whatever the garbage collector does.
func leakFile(t *testing.T) {
	fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0)
	require.NoError(t, err)
	_ = fd
}

// TestChild does nothing unless a test below runs it in a process of its own.
func TestChild(t *testing.T) {
	if mode, ok := os.LookupEnv(childEnv); ok {
		children[mode](t)
	}
}

// runChild runs TestChild in another process and returns its exit code and all
// that it printed.
func runChild(t *testing.T, mode string, env ...string) (int, string) {
	t.Helper()
	require.Contains(t, children, mode)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestChild$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), childEnv+"="+mode, "YAMANOTE_TEST_SETTLE=2s", "YAMANOTE_TEST_NOSKIP=",
		"GORACE=atexit_sleep_ms=0") // a process that passes would wait a second
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); !exited {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestMainPassesWhatIsClean(t *testing.T) {
	for _, mode := range []string{"clean", "slow to end", "signal loop", "before check", "noleak clean", "watchdog in time", "old kernel"} {
		t.Run(mode, func(t *testing.T) {
			code, out := runChild(t, mode)
			require.Zero(t, code, out)
			require.Contains(t, out, "--- PASS: TestChild")
		})
	}
}

func TestMainFailsOnALeakAndNamesIt(t *testing.T) {
	tests := []struct {
		mode  string
		linux bool
		want  []string
	}{
		{mode: "goroutine", want: []string{"leaked after the tests of this package (1)", "testkit_test.leakedGoroutine", "created by"}},
		{mode: "fd", linux: true, want: []string{"leaked after the tests of this package (1)", " -> /dev/null"}},
		{mode: "source", want: []string{"driver: 2 operations in flight: 1 RECV, 1 ACCEPT"}},
		{mode: "signal context", want: []string{"os/signal.NotifyContext"}},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			if tt.linux && runtime.GOOS != "linux" {
				testkit.Skip(t, "file descriptors are counted on Linux only")
			}
			code, out := runChild(t, tt.mode, "YAMANOTE_TEST_SETTLE=200ms")
			require.Equal(t, 1, code, out)
			require.Contains(t, out, "--- PASS: TestChild", "the test itself passed")
			for _, want := range tt.want {
				require.Contains(t, out, want)
			}
		})
	}
}

func TestMainKeepsTheCodeOfFailedTestsAndStillReports(t *testing.T) {
	code, out := runChild(t, "failing", "YAMANOTE_TEST_SETTLE=200ms")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "failed by itself")
	require.Contains(t, out, "testkit_test.leakedGoroutine")
}

func TestNoLeakFailsTheTestThatLeaks(t *testing.T) {
	code, out := runChild(t, "noleak goroutine", "YAMANOTE_TEST_SETTLE=200ms")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "--- FAIL: TestChild")
	require.Contains(t, out, "leaked after TestChild (1)")
	require.Contains(t, out, "testkit_test.leakedGoroutine")

	if runtime.GOOS == "linux" {
		code, out = runChild(t, "noleak fd", "YAMANOTE_TEST_SETTLE=200ms")
		require.Equal(t, 1, code, out)
		require.Contains(t, out, "--- FAIL: TestChild")
		require.Contains(t, out, " -> /dev/null")
	}
}

func TestNoLeakRefusesAParallelTest(t *testing.T) {
	code, out := runChild(t, "noleak parallel")
	require.NotZero(t, code, out)
	require.Contains(t, out, "panic")
}

func TestSkipFailsWhereNothingMaySkip(t *testing.T) {
	code, out := runChild(t, "skip")
	require.Zero(t, code, out)
	require.Contains(t, out, "--- SKIP: TestChild")
	require.Contains(t, out, "no ring here")

	code, out = runChild(t, "skip", "YAMANOTE_TEST_NOSKIP=1")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "--- FAIL: TestChild")
	require.Contains(t, out, "no ring here")
}

func TestNeedKernelSkipsOnAnOlderKernelOnly(t *testing.T) {
	code, out := runChild(t, "new kernel", "YAMANOTE_TEST_NOSKIP=1")
	require.Zero(t, code, out)
	require.Contains(t, out, "--- SKIP: TestChild")
	require.Contains(t, out, "teleporting needs Linux 99.1")

	_, out = runChild(t, "old kernel")
	require.Contains(t, out, "went on")
}

func TestWatchdog(t *testing.T) {
	code, out := runChild(t, "watchdog")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "--- FAIL: TestChild")
	require.Contains(t, out, "TestChild is not done after 500ms")
	require.Contains(t, out, "testkit_test.TestChild(", "the stack of the test")

	code, out = runChild(t, "watchdog hang")
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "testkit_test.leakedGoroutine(")
	require.Contains(t, out, "hangs; ending the process")
}

func TestEventually(t *testing.T) {
	calls := 0
	testkit.Eventually(t, func() bool { calls++; return calls == 30 }, "the thirtieth look")
	require.Equal(t, 30, calls)
}

func TestFdsSeesAnOpenFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		testkit.Skip(t, "file descriptors are counted on Linux only")
	}
	before := testkit.Fds(t)
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	fd := int(f.Fd())
	require.NotContains(t, before, fd)
	require.Equal(t, f.Name(), testkit.Fds(t)[fd])
	require.NoError(t, f.Close())
	require.NotContains(t, testkit.Fds(t), fd)

	eventpoll := 0
	for _, target := range before {
		if strings.Contains(target, "eventpoll") {
			eventpoll++
		}
	}
	require.Equal(t, 1, eventpoll, "the runtime's poller is in every snapshot: %v", before)
}
