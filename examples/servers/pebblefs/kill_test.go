package pebblefs_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/servers/pebblefs"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// killDir is the variable of the environment that makes a process commit until
// it is killed.
const killDir = "YAMANOTE_PEBBLE_KILL_DIR"

const killWorkers = 8

// A process that commits with a sync is killed at a random moment, again and
// again, while logs rotate and tables are flushed and compacted. The engine
// opens afterwards, and has all that was acknowledged, whole.
func TestKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		testkit.Skip(t, "a process cannot be killed by a signal there")
	}
	testkit.Watchdog(t, 5*time.Minute)
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	for mode, cfg := range configs(t) {
		if cfg.SQEntries != 0 {
			continue // the mode is all that the environment hands over
		}
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			var last [killWorkers]int // how far what is there goes, by worker
			for round := range rounds {
				before := last
				runAndKill(t, dir, mode, time.Duration(rand.Int64N(int64(150*time.Millisecond))), &last)
				require.NotEqual(t, before, last, "nothing was acknowledged in round %d", round)
				checkKilled(t, dir, &last)
			}
			t.Logf("%d rounds, commits that are there: %v", rounds, last)
		})
	}
}

// runAndKill runs a process until a while after its first acknowledgement, and
// notes what it has acknowledged.
func runAndKill(t *testing.T, dir, mode string, after time.Duration, last *[killWorkers]int) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+dir, "YAMANOTE_BACKEND="+mode)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for first := true; lines.Scan(); first = false {
		if first {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		worker, i, ok := strings.Cut(lines.Text(), " ")
		require.True(t, ok, "a line was torn: %q", lines.Text())
		w, err := strconv.Atoi(worker)
		require.NoError(t, err)
		n, err := strconv.Atoi(i)
		require.NoError(t, err)
		require.Equal(t, last[w]+1, n, "worker %d", w)
		last[w] = n
	}
	require.ErrorContains(t, cmd.Wait(), "killed")
}

// checkKilled opens what the process has left. What was committed but not
// acknowledged can be there; the next process goes on behind it.
func checkKilled(t *testing.T, dir string, last *[killWorkers]int) {
	rt, err := proactor.New(proactor.Config{Mode: proactor.ModeStd})
	require.NoError(t, err)
	defer rt.Close()
	// The engine's lock ends with the process, so with the last of its ring.
	var db *pebble.DB
	testkit.Eventually(t, func() bool {
		db, err = pebble.Open(dir, small(pebblefs.New(rt)))
		return err == nil
	}, "the engine does not open: %v", err)
	for w := range last {
		for i := 1; i <= last[w]; i++ {
			value, closer, err := db.Get(killKey(w, i))
			require.NoError(t, err, "worker %d: %d of %d is lost", w, i, last[w])
			require.NoError(t, checkValue(value, w, i))
			require.NoError(t, closer.Close())
		}
		last[w] = lastOf(db, w)
	}
	require.NoError(t, db.Close())
}

// lastOf returns how far a worker's records go.
func lastOf(db *pebble.DB, worker int) int {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: killKey(worker, 0), UpperBound: killKey(worker+1, 0)})
	if err != nil {
		panic(err)
	}
	defer it.Close()
	if !it.Last() {
		return 0
	}
	return int(binary.BigEndian.Uint64(it.Key()[1:]))
}

func killKey(worker, i int) []byte {
	return binary.BigEndian.AppendUint64([]byte{byte(worker)}, uint64(i))
}

// killValue returns a value whose content follows from its place.
func killValue(worker, i int) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("%d.%d ", worker, i), 1+(worker*31+i*17)%200))
}

func checkValue(value []byte, worker, i int) error {
	if want := killValue(worker, i); string(want) != string(value) {
		return fmt.Errorf("worker %d, %d: %q instead of %q", worker, i, value, want)
	}
	return nil
}

// commitUntilKilled commits from several goroutines, and says what is durable,
// each in one write(2).
func commitUntilKilled(dir string) {
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	db, err := pebble.Open(dir, small(pebblefs.New(nil)))
	must(err)
	var wg sync.WaitGroup
	for w := range killWorkers {
		wg.Go(func() {
			for i := lastOf(db, w) + 1; ; i++ {
				must(db.Set(killKey(w, i), killValue(w, i), pebble.Sync))
				fmt.Printf("%d %d\n", w, i)
			}
		})
	}
	wg.Wait()
}
