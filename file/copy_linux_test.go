package file_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// Copies are the same, on one file system and across two, where the kernel does
// not copy.
func TestCopyFile(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "")
	require.NoError(t, err)
	defer os.RemoveAll(shm)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dir := t.TempDir()
		for _, size := range []int{0, 1, 256 << 10, 9_000_001} {
			content := pattern(size)
			require.NoError(t, os.WriteFile(dir+"/src", content, 0o600))
			require.NoError(t, os.Chmod(dir+"/src", 0o641))
			for _, dst := range []string{dir + "/dst", shm + "/dst", dir + "/atomic"} {
				require.NoError(t, os.RemoveAll(dst))
				calls, last := 0, int64(0)
				cfg := file.CopyConfig{
					Runtime: rt, Atomic: dst == dir+"/atomic", Sparse: size%2 == 0,
					Progress: func(done, total int64) {
						require.GreaterOrEqual(t, done, last)
						require.EqualValues(t, size, total)
						calls, last = calls+1, done
					},
				}
				n, err := cfg.CopyFile(t.Context(), dst, dir+"/src")
				require.NoError(t, err)
				require.EqualValues(t, size, n)
				require.EqualValues(t, size, last)
				require.Positive(t, calls)
				got, err := os.ReadFile(dst)
				require.NoError(t, err)
				require.True(t, bytes.Equal(content, got))
				info, err := os.Stat(dst)
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o641)&^umask(), info.Mode()&^umask())
				// A copy over a longer file is not longer.
				require.NoError(t, os.WriteFile(dst, pattern(size+100_000), 0o600))
				last = 0
				_, err = cfg.CopyFile(context.Background(), dst, dir+"/src")
				require.NoError(t, err)
				info, err = os.Stat(dst)
				require.NoError(t, err)
				require.EqualValues(t, size, info.Size())
			}
		}
		_, err := file.CopyFile(t.Context(), dir+"/./src", dir+"/src")
		require.ErrorContains(t, err, "the same file")
		_, err = file.CopyFile(t.Context(), dir+"/x", dir)
		require.ErrorContains(t, err, "not a regular file")
		_, err = file.CopyFile(t.Context(), dir+"/x", dir+"/no")
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}

func umask() os.FileMode {
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	return os.FileMode(mask)
}

// Holes stay holes if that is asked for.
func TestCopySparse(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dir := t.TempDir()
		src := openFile(t, rt, dir+"/src", os.O_RDWR|os.O_CREATE)
		want := make([]byte, 6<<20)
		for _, off := range []int{1 << 20, 3<<20 + 5} {
			copy(want[off:], pattern(100_000))
			_, err := src.WriteAt(pattern(100_000), int64(off))
			require.NoError(t, err)
		}
		require.NoError(t, src.Truncate(6<<20))
		require.NoError(t, src.Sync())
		dst := openFile(t, rt, dir+"/dst", os.O_RDWR|os.O_CREATE)
		_, err := dst.Write(pattern(10 << 20))
		require.NoError(t, err)
		n, err := file.CopyConfig{Sparse: true, NoClone: true}.Copy(t.Context(), dst, src)
		require.NoError(t, err)
		require.EqualValues(t, 6<<20, n)
		got, err := os.ReadFile(dir + "/dst")
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		require.NoError(t, dst.Sync())
		_, used := allocated(t, dst)
		require.Less(t, used, int64(1<<20))
		pos, err := src.Seek(0, 1)
		require.NoError(t, err)
		require.Zero(t, pos, "the position of the source has moved")
	})
}

// The end of a context ends a copy in the middle.
func TestCopyContext(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "")
	require.NoError(t, err)
	defer os.RemoveAll(shm)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dir := t.TempDir()
		const size = 40 << 20
		require.NoError(t, os.WriteFile(dir+"/src", pattern(size), 0o600))
		for _, dst := range []string{dir + "/dst", shm + "/dst"} {
			ctx, cancel := context.WithCancelCause(t.Context())
			cfg := file.CopyConfig{Runtime: rt, NoClone: true, Atomic: true, Progress: func(done, total int64) {
				if done > 1<<20 {
					cancel(syscall.ECONNABORTED)
				}
			}}
			n, err := cfg.CopyFile(ctx, dst, dir+"/src")
			require.ErrorIs(t, err, context.Canceled)
			require.ErrorIs(t, err, syscall.ECONNABORTED)
			require.Greater(t, n, int64(1<<20))
			require.Less(t, n, int64(size))
			requireNames(t, filepath.Dir(dst), map[bool][]string{true: {"src"}, false: nil}[filepath.Dir(dst) == dir]...)
			_, err = cfg.CopyFile(ctx, dst, dir+"/src")
			require.ErrorIs(t, err, context.Canceled)
		}
	})
}

// A file without a size, as those of /proc, is copied until its end.
func TestCopyProc(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dst := t.TempDir() + "/version"
		n, err := file.CopyConfig{Runtime: rt}.CopyFile(t.Context(), dst, "/proc/version")
		require.NoError(t, err)
		want, err := os.ReadFile("/proc/version")
		require.NoError(t, err)
		require.EqualValues(t, len(want), n)
		requireText(t, dst, string(want))
	})
}
