package file_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

const killDir = "YAMANOTE_KILL_DIR"

// A process that appends and replaces is killed at a random moment, again and
// again. All that it had acknowledged is there and whole, and what it left is of
// the kind that the documentation says. (This shows what the death of a process
// does. That of a machine also loses what is in the page cache, and so shows
// whether what has been synced was.)
func TestKilled(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 3
	}
	if os.Getenv(killDir) != "" {
		appendUntilKilled(os.Getenv(killDir))
	}
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		if rt.Backend().Ring.SQEntries == 2 {
			return // it is the same, since the process has the default runtime
		}
		mode := "auto"
		if !rt.HasRing() {
			mode = "std"
		}
		dir := t.TempDir()
		w := &witness{dir: dir, replaced: make(map[int]int)}
		for round := range rounds {
			before := w.acknowledged
			w.run(t, mode, time.Duration(rand.Int64N(int64(30*time.Millisecond))))
			w.check(t)
			require.Greater(t, w.acknowledged, before, "nothing was acknowledged in round %d", round)
		}
		t.Logf("%d rounds: %d appends and replacements acknowledged, %d bytes of torn records, %d leftovers",
			rounds, w.acknowledged, w.torn, w.leftovers)
	})
}

// witness knows what has been acknowledged.
type witness struct {
	dir          string
	acknowledged int
	appended     []acknowledged
	replaced     map[int]int // the last of each file
	torn         int64
	leftovers    int
}

type acknowledged struct {
	worker, i int
	off       int64
}

// run runs a process that works until it is killed, a while after its first
// acknowledgement.
func (w *witness) run(t *testing.T, mode string, after time.Duration) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$", "-test.count=1")
	cmd.Env = append(os.Environ(), killDir+"="+w.dir, "YAMANOTE_BACKEND="+mode)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var once sync.Once
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		once.Do(func() { time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) })
		var a acknowledged
		var what string
		_, err := fmt.Sscanf(lines.Text(), "%s %d %d %d", &what, &a.worker, &a.i, &a.off)
		require.NoError(t, err, lines.Text())
		switch what {
		case "appended":
			w.appended = append(w.appended, a)
		case "replaced":
			w.replaced[a.worker] = a.i
		default:
			t.Fatal(lines.Text())
		}
		w.acknowledged++
	}
	err = cmd.Wait()
	require.ErrorContains(t, err, "killed")
}

// check looks at what the process has left, and makes the log ready for the next,
// as a program does that starts after a crash.
func (w *witness) check(t *testing.T) {
	path := filepath.Join(w.dir, "log")
	log, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, a := range w.appended {
		require.Equal(t, killRecord(a.worker, a.i), unframe(log, a.off), "worker %d, record %d", a.worker, a.i)
	}
	end := int64(0)
	for {
		content := unframe(log, end)
		if content == nil {
			break
		}
		end += 8 + int64(len(content))
	}
	for _, a := range w.appended {
		require.Less(t, a.off, end, "it lies behind a gap")
	}
	w.torn += int64(len(log)) - end
	require.NoError(t, os.Truncate(path, end))

	for k := range 2 {
		i, acknowledged := w.replaced[k]
		name := fmt.Sprintf("%s/replaced%d", w.dir, k)
		w.leftovers += removeLeftovers(t, name)
		got, err := os.ReadFile(name)
		if os.IsNotExist(err) && !acknowledged {
			continue
		}
		require.NoError(t, err)
		var now int
		_, err = fmt.Sscanf(string(got), "%d ", &now)
		require.NoError(t, err)
		require.GreaterOrEqual(t, now, i)
		require.True(t, bytes.Equal(killContent(now), got), "a mixture")
		w.replaced[k] = now
	}
}

// removeLeftovers removes the temporary file that the process may have left. It
// is still locked until the kernel has done away with the ring of the process.
func removeLeftovers(t *testing.T, name string) (removed int) {
	testkit.Eventually(t, func() bool {
		n, err := file.RemoveLeftovers(name)
		require.NoError(t, err)
		removed += n
		left, err := filepath.Glob(filepath.Dir(name) + "/.replace-" + filepath.Base(name) + "-*")
		require.NoError(t, err)
		return len(left) == 0
	}, "the leftovers of %s are still in use", name)
	require.LessOrEqual(t, removed, 1)
	return removed
}

// killRecord is the content of a worker's record.
func killRecord(worker, i int) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("%d.%d ", worker, i)), 1+(worker*31+i*17)%400)
}

// killContent is the content of a file that is replaced.
func killContent(i int) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("%d ", i)), 1+(i*7919)%20_000)
}

// appendUntilKilled appends and replaces, and says what it has done.
func appendUntilKilled(dir string) {
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	f, err := file.OpenFile(dir+"/log", os.O_RDWR|os.O_CREATE, 0o600)
	must(err)
	a := file.NewAppender(f, file.AppendConfig{MaxBatch: 8 << 10})
	var wg sync.WaitGroup
	for worker := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				off, err := a.Append(context.Background(), framed(killRecord(worker, i)))
				must(err)
				fmt.Printf("appended %d %d %d\n", worker, i, off) // in one write(2)
			}
		})
	}
	for k := range 2 {
		wg.Go(func() {
			name := fmt.Sprintf("%s/replaced%d", dir, k)
			last := 0
			if old, err := os.ReadFile(name); err == nil {
				_, err := fmt.Sscanf(string(old), "%d ", &last)
				must(err)
			}
			for i := last + 1; ; i++ {
				must(file.AtomicReplace(name, killContent(i), 0o600))
				fmt.Printf("replaced %d %d 0\n", k, i)
			}
		})
	}
	wg.Wait()
}

// What happens to a file while it is open is told as package os tells it.
func TestFilesChangeUnderneath(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dir := t.TempDir()
		name := dir + "/f"
		content := pattern(1 << 20)
		require.NoError(t, os.WriteFile(name, content, 0o600))
		f := openFile(t, rt, name, os.O_RDWR)

		// Truncated while it is read: what is there, then the end.
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				buf := make([]byte, 64<<10)
				for off := int64(0); off < 1<<20; off += 64 << 10 {
					n, err := f.ReadAt(buf, off)
					if !bytes.Equal(buf[:n], content[off:off+int64(n)]) || err == nil && n < len(buf) {
						t.Errorf("%d bytes at %d, %v", n, off, err)
					}
				}
			})
		}
		require.NoError(t, os.Truncate(name, 100_000))
		readers.Wait()

		// Removed: who has it open has it still, and syncs it.
		require.NoError(t, os.Remove(name))
		n, err := f.WriteAtSync([]byte("x"), 99_999)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		a := file.NewAppender(f, file.AppendConfig{})
		off, err := a.Append(t.Context(), []byte("yz"))
		require.NoError(t, err)
		require.EqualValues(t, 100_000, off)
		require.NoError(t, a.Close())
		buf := make([]byte, 3)
		_, err = f.ReadAt(buf, 99_999)
		require.NoError(t, err)
		require.Equal(t, "xyz", string(buf))
		requireNames(t, dir)
	})
}

// A program that runs cannot be written to, but replaced.
func TestRunningProgram(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name := t.TempDir() + "/sleep"
		program, err := exec.LookPath("sleep")
		require.NoError(t, err)
		content, err := os.ReadFile(program)
		require.NoError(t, err)
		require.NoError(t, file.ReplaceConfig{Runtime: rt, Mode: 0o700}.WriteFile(name, content))
		cmd := exec.Command(name, "60")
		require.NoError(t, cmd.Start())
		defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
		_, theirs := os.OpenFile(name, os.O_WRONLY, 0)
		_, ours := file.OpenConfig{Runtime: rt}.OpenFile(name, os.O_WRONLY, 0)
		require.ErrorContains(t, ours, "text file busy")
		require.Equal(t, theirs, ours)
		require.NoError(t, file.ReplaceConfig{Runtime: rt}.WriteFile(name, []byte("#!/bin/sh\n")))
	})
}
