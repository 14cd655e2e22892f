package file_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestAtomicReplace(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dir := t.TempDir()
		name := dir + "/f"
		cfg := file.ReplaceConfig{Runtime: rt, Perm: 0o640}
		require.NoError(t, cfg.WriteFile(name, []byte("one")))
		mode := func() fs.FileMode {
			info, err := os.Stat(name)
			require.NoError(t, err)
			return info.Mode()
		}
		require.Equal(t, fs.FileMode(0o640), mode())
		require.NoError(t, os.Chmod(name, 0o755|fs.ModeSetgid))
		require.NoError(t, os.Link(name, dir+"/other"))
		require.NoError(t, cfg.WriteFile(name, []byte("two")))
		require.Equal(t, 0o755|fs.ModeSetgid, mode())
		requireText(t, name, "two")
		requireText(t, dir+"/other", "one")
		require.NoError(t, file.ReplaceConfig{Runtime: rt, Mode: 0o600}.WriteFile(name, nil))
		require.Equal(t, fs.FileMode(0o600), mode())
		requireText(t, name, "")

		// A symbolic link stays one.
		require.NoError(t, os.Symlink("f", dir+"/link"))
		require.NoError(t, cfg.WriteFile(dir+"/link", []byte("three")))
		requireText(t, name, "three")
		target, err := os.Readlink(dir + "/link")
		require.NoError(t, err)
		require.Equal(t, "f", target)

		require.NoError(t, os.Symlink("nowhere", dir+"/dangling"))
		for _, bad := range []string{dir, dir + "/dangling", dir + "/no/f", "/dev/null"} {
			var re *file.ReplaceError
			require.ErrorAs(t, cfg.WriteFile(bad, nil), &re)
			require.False(t, re.Replaced)
		}

		// What is not committed changes nothing and leaves nothing.
		r, err := cfg.Begin(name)
		require.NoError(t, err)
		_, err = r.WriteString("four")
		require.NoError(t, err)
		requireText(t, name, "three")
		require.NoError(t, r.Abort())
		require.NoError(t, r.Abort())
		require.ErrorIs(t, r.Commit(), os.ErrClosed)
		requireText(t, name, "three")
		requireNames(t, dir, "dangling", "f", "link", "other")
	})
}

// An owner is kept, or given up when that is asked for.
func TestAtomicReplaceOwner(t *testing.T) {
	if os.Getuid() != 0 {
		return // nobody else can give files away
	}
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name := t.TempDir() + "/f"
		require.NoError(t, os.WriteFile(name, nil, 0o604))
		require.NoError(t, os.Chown(name, 4, 5))
		for i, cfg := range []file.ReplaceConfig{{Runtime: rt}, {Runtime: rt, NewOwner: true}} {
			require.NoError(t, cfg.WriteFile(name, []byte("x")))
			info, err := os.Stat(name)
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o604), info.Mode())
			st := info.Sys().(*syscall.Stat_t)
			require.Equal(t, []uint32{4, 0}[i], st.Uid)
			require.Equal(t, []uint32{5, 0}[i], st.Gid)
		}
	})
}

// Who reads while others replace finds one content or another, never a mixture
// or nothing.
func TestAtomicReplaceRace(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dir := t.TempDir()
		name := dir + "/f"
		cfg := file.ReplaceConfig{Runtime: rt}
		content := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 10_000+i) }
		require.NoError(t, cfg.WriteFile(name, content(0)))
		var writers, others sync.WaitGroup
		stop := make(chan struct{})
		for i := range 4 {
			writers.Go(func() {
				for range 10 {
					if err := cfg.WriteFile(name, content(i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Microsecond): // leave the processor to the writers
				}
				got, err := os.ReadFile(name)
				if err != nil || len(got) == 0 || !bytes.Equal(got, content(int(got[0]-'a'))) {
					t.Errorf("%d bytes, %v", len(got), err)
					return
				}
			}
		})
		others.Go(func() { // which must not take anything away from those at work
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Microsecond): // leave the processor to the writers
				}
				// One that has just been created looks like a leftover, until it
				// is locked; its owner makes another then.
				if _, err := file.RemoveLeftovers(name); err != nil {
					t.Error(err)
					return
				}
			}
		})
		writers.Wait()
		close(stop)
		others.Wait()
		requireNames(t, dir, "f")
	})
}

func TestRemoveLeftovers(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/f"
	for i := range 3 {
		require.NoError(t, os.WriteFile(fmt.Sprintf("%s/.replace-f-%d", dir, i), nil, 0o600))
	}
	require.NoError(t, os.WriteFile(dir+"/.replace-other-1", nil, 0o600))
	r, err := file.ReplaceConfig{}.Begin(name)
	require.NoError(t, err)
	n, err := file.RemoveLeftovers(name)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	requireNames(t, dir, filepath.Base(r.Name()), ".replace-other-1")
	require.NoError(t, r.Commit())
	requireNames(t, dir, ".replace-other-1", "f")

	// A long name is shortened.
	long := dir + "/" + string(bytes.Repeat([]byte("n"), 255))
	require.NoError(t, file.AtomicReplace(long, []byte("x"), 0o600))
	requireText(t, long, "x")
}

func TestSyncDir(t *testing.T) {
	require.NoError(t, file.SyncDir(t.TempDir()))
	require.ErrorIs(t, file.SyncDir(t.TempDir()+"/no"), os.ErrNotExist)
}

func requireText(t *testing.T, name, want string) {
	t.Helper()
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

func requireNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	require.Equal(t, want, got)
}
