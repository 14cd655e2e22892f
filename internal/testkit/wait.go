package testkit

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

// eventuallyMax is generous, because it is only ever reached by a failure.
const eventuallyMax = 10 * time.Second

// Eventually waits until cond holds and fails the test with msg if it does not
// within ten seconds. It looks again at once a few times and then every
// millisecond, so a test pays no more than the wait itself. Like T.Fatal it is
// for the goroutine of the test.
func Eventually(t testing.TB, cond func() bool, msg string, args ...any) {
	t.Helper()
	if !poll(cond, eventuallyMax) {
		t.Fatalf("testkit: not within %v: %s", eventuallyMax, fmt.Sprintf(msg, args...))
	}
}

func poll(cond func() bool, d time.Duration) bool {
	deadline := time.Now().Add(d)
	for try := 0; ; try++ {
		// The order matters: a loaded machine may let the deadline pass
		// between two looks, and the last look still counts.
		late := time.Now().After(deadline)
		if cond() {
			return true
		}
		if late {
			return false
		}
		if try < 20 {
			runtime.Gosched()
		} else {
			time.Sleep(time.Millisecond)
		}
	}
}

// Watchdog fails the test, with the stacks of all goroutines on standard
// error, if it is not done within d. A test that hangs does not end by having
// failed, so after another d the watchdog ends the process. Call it outside a
// bubble of testing/synctest, where time is not real.
func Watchdog(t testing.TB, d time.Duration) {
	t.Helper()
	w := &watchdog{}
	name := t.Name()
	w.arm(d, func() {
		fmt.Fprintf(os.Stderr, "testkit: %s is not done after %v; all goroutines:\n\n%s\n", name, d, allStacks())
		t.Errorf("testkit: not done after %v; the stacks of all goroutines are on standard error", d)
		w.timer = time.AfterFunc(d, func() {
			fmt.Fprintf(os.Stderr, "testkit: %s hangs; ending the process\n", name)
			os.Exit(2)
		})
	})
	t.Cleanup(w.stop)
}

// watchdog makes sure that its function does not run, and is not running,
// after stop: a test that has ended must not be marked as failed.
type watchdog struct {
	mu      sync.Mutex
	stopped bool
	timer   *time.Timer
}

func (w *watchdog) arm(d time.Duration, bark func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(d, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.stopped {
			bark()
		}
	})
}

func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.timer.Stop()
}
