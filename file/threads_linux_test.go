package file_test

import (
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// A thousand goroutines wait to read from a pipe each, of which every second was
// opened by somebody else and is blocking, on a handful of threads.
func TestManyBlockedPipes(t *testing.T) {
	const pipes = 1000
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		if !rt.HasRing() {
			return // package os has a thread for each descriptor that is blocking
		}
		testkit.Watchdog(t, time.Minute)
		cfg := file.OpenConfig{Runtime: rt}
		before := threads(t)
		var wg sync.WaitGroup
		var writers []io.WriteCloser
		for i := range pipes {
			r, w, err := cfg.Pipe()
			require.NoError(t, err)
			if i%2 == 1 {
				r.Fd()
			}
			writers = append(writers, w)
			wg.Go(func() {
				defer r.Close()
				b := make([]byte, 2)
				if n, err := r.Read(b); n != 1 || err != nil || b[0] != byte(i) {
					t.Errorf("read %v %d: %v", b, n, err)
				}
			})
		}
		testkit.Eventually(t, func() bool { return rt.Stats().InFlight >= pipes }, "all wait")
		waiting := threads(t)
		for i, w := range writers {
			_, err := w.Write([]byte{byte(i)})
			require.NoError(t, err)
		}
		wg.Wait()
		for _, w := range writers {
			require.NoError(t, w.Close())
		}
		t.Logf("%d threads before, %d while %d goroutines wait", before, waiting, pipes)
		require.LessOrEqual(t, waiting, before+2*runtime.GOMAXPROCS(0)+8)
	})
}

// threads returns how many threads the process has.
func threads(t testing.TB) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	return len(tasks)
}
