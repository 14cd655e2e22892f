package file_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/faultring"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// faulty starts a runtime on the kernel's ring with faults around it.
func faulty(t *testing.T, seed uint64, faults faultring.Faults, fail func(op string, n uint32) syscall.Errno) *proactor.Runtime {
	t.Helper()
	rt, err := proactor.NewWith(proactor.Config{SQEntries: 2, CQEntries: 4}, faultring.Around(seed, faults, fail))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		testkit.Skip(t, "no ring here: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, rt.Close())
		require.Zero(t, rt.Stats().InFlight)
	})
	return rt
}

// appendAll appends from several goroutines until each has failed or appended
// its records, and returns the offsets of those that were acknowledged and the
// errors of the others.
func appendAll(a *file.Appender, goroutines, records int) (offs map[string]int64, errs []error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	offs = make(map[string]int64)
	for g := range goroutines {
		wg.Go(func() {
			for i := range records {
				content := fmt.Sprintf("%d-%d-%s", g, i, strings.Repeat("x", (g*i)%300))
				off, err := a.Append(context.Background(), framed([]byte(content)))
				mu.Lock()
				if err == nil {
					offs[content] = off
				} else {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return offs, errs
}

// requireAppended checks that what was acknowledged is in the log.
func requireAppended(t *testing.T, path string, offs map[string]int64) {
	t.Helper()
	log, err := os.ReadFile(path)
	require.NoError(t, err)
	for content, off := range offs {
		require.Equal(t, content, string(unframe(log, off)))
	}
}

// Short writes are continued, and a ring that has trouble changes nothing.
func TestAppendOverFaults(t *testing.T) {
	for seed := range uint64(10) {
		faults := faultring.Draw(rand.New(rand.NewPCG(seed, 3)))
		faults.Refused, faults.ShortTransfer = 0, 700
		var short atomic.Int64
		rt := faulty(t, seed, faults, func(op string, n uint32) syscall.Errno {
			if op == "WRITE" {
				short.Inc()
			}
			return 0
		})
		path := filepath.Join(t.TempDir(), "log")
		f := openFile(t, rt, path, os.O_RDWR|os.O_CREATE)
		a := file.NewAppender(f, file.AppendConfig{})
		offs, errs := appendAll(a, 8, 20)
		require.Empty(t, errs)
		require.NoError(t, a.Close())
		requireAppended(t, path, offs)
		require.Greater(t, short.Load(), a.Stats().Writes, "no write was short")
		info, err := f.Stat()
		require.NoError(t, err)
		require.Equal(t, info.Size(), a.Durable())
	}
}

// The first write that fails ends the Appender. Later ones could succeed, but
// are not tried.
func TestAppendFailsForGood(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT} {
		var writes atomic.Int64
		const failing = 10
		rt := faulty(t, 1, faultring.Faults{}, func(op string, _ uint32) syscall.Errno {
			if op == "WRITE" && writes.Inc() == failing {
				return errno
			}
			return 0
		})
		path := filepath.Join(t.TempDir(), "log")
		f := openFile(t, rt, path, os.O_RDWR|os.O_CREATE)
		a := file.NewAppender(f, file.AppendConfig{})
		offs, errs := appendAll(a, 16, 50)
		require.NotEmpty(t, offs)
		require.NotEmpty(t, errs)
		torn := 0
		for _, err := range errs {
			require.ErrorIs(t, err, errno)
			var ae *file.AppendError
			require.ErrorAs(t, err, &ae)
			require.Equal(t, path, ae.Path)
			if ae.Written {
				torn++
			}
		}
		require.Positive(t, torn)
		require.LessOrEqual(t, torn, 16)
		require.EqualValues(t, failing, writes.Load(), "it was tried again")
		require.EqualValues(t, failing-1, a.Stats().Writes)
		require.ErrorIs(t, a.Close(), errno)
		requireAppended(t, path, offs)
		info, err := f.Stat()
		require.NoError(t, err)
		require.Equal(t, info.Size(), a.Durable())
	}
}

// A sync that fails is the error of the call, once.
func TestFailedSyncSurfaces(t *testing.T) {
	var syncs atomic.Int64
	rt := faulty(t, 1, faultring.Faults{}, func(op string, _ uint32) syscall.Errno {
		if op == "FSYNC" && syncs.Inc()%2 == 1 {
			return syscall.EIO
		}
		return 0
	})
	path := filepath.Join(t.TempDir(), "f")
	direct, normal := openFile(t, rt, path, os.O_RDWR|os.O_CREATE|os.O_SYNC), openFile(t, rt, path, os.O_RDWR)
	for name, f := range map[string]*file.File{"chain": direct, "write, then sync": normal} {
		for i, do := range []func() error{
			f.SyncData, f.Sync,
			func() error { _, err := f.WriteAtSync([]byte("abc"), 0); return err },
			func() error { _, err := f.WriteSync([]byte("abc")); return err },
		} {
			require.ErrorIs(t, do(), syscall.EIO, "%s %d", name, i)
			require.NoError(t, do(), "%s %d", name, i)
		}
	}
	// What is not durable does not get its name.
	cfg := file.ReplaceConfig{Runtime: rt}
	var re *file.ReplaceError
	require.ErrorAs(t, cfg.WriteFile(path, []byte("new")), &re)
	require.ErrorIs(t, re, syscall.EIO)
	require.False(t, re.Replaced)
	requireText(t, path, "abcabc")
	// The sync of the content succeeds, that of the directory does not.
	require.ErrorAs(t, cfg.WriteFile(path, []byte("new")), &re)
	require.True(t, re.Replaced)
	requireText(t, path, "new")
	requireNames(t, filepath.Dir(path), "f")
}

// Files may not become larger than a limit of the process, which it exceeds
// without being killed by SIGXFSZ: writing fails, what fits is there.
func TestFileSizeLimit(t *testing.T) {
	if os.Getenv("YAMANOTE_FILE_LIMIT") == "" {
		for _, backend := range []string{"std", "auto"} {
			cmd := exec.Command(os.Args[0], "-test.run=^TestFileSizeLimit$", "-test.count=1")
			cmd.Env = append(os.Environ(), "YAMANOTE_FILE_LIMIT="+t.TempDir(), "YAMANOTE_BACKEND="+backend)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		return
	}
	const limit = 100_000
	var old syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: old.Max}))
	defer func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)) }()
	dir := os.Getenv("YAMANOTE_FILE_LIMIT")
	requireFull(t, dir, syscall.EFBIG)
	_, err := os.Stat(dir + "/log")
	require.NoError(t, err)
}

// requireFull appends, writes and replaces until there is no room.
func requireFull(t *testing.T, dir string, want syscall.Errno) {
	t.Helper()
	require.NoError(t, file.AtomicReplace(dir+"/kept", []byte("kept"), 0o600))
	f, err := file.Create(dir + "/log")
	require.NoError(t, err)
	defer f.Close()
	a := file.NewAppender(f, file.AppendConfig{Preallocate: 1 << 20})
	offs, errs := appendAll(a, 8, 2000)
	require.NotEmpty(t, offs)
	require.NotEmpty(t, errs)
	for _, err := range errs {
		require.ErrorIs(t, err, want)
	}
	require.ErrorIs(t, a.Close(), want)
	requireAppended(t, dir+"/log", offs)

	// Who starts over where the log was certain loses nothing.
	require.NoError(t, f.Truncate(a.Durable()))
	requireAppended(t, dir+"/log", offs)
	big := bytes.Repeat([]byte("big"), 1<<20)
	_, err = f.WriteAtSync(big, 0)
	require.ErrorIs(t, err, want)
	err = file.AtomicReplace(dir+"/kept", big, 0o600)
	require.ErrorIs(t, err, want)
	requireText(t, dir+"/kept", "kept")
	requireNames(t, dir, "kept", "log")
}

// A file system without room.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
		testkit.Skip(t, "mounting a small tmpfs: %v", err)
	}
	defer func() { require.NoError(t, syscall.Unmount(dir, 0)) }()
	requireFull(t, dir, syscall.ENOSPC)
}
