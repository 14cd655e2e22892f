package file_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

func allocated(t *testing.T, f *file.File) (size, bytes int64) {
	t.Helper()
	info, err := f.Stat()
	require.NoError(t, err)
	return info.Size(), info.Sys().(*syscall.Stat_t).Blocks * 512
}

func TestSpace(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f := openFile(t, rt, filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE)
		const block = 64 << 10
		require.NoError(t, f.Reserve(0, 4*block))
		size, used := allocated(t, f)
		require.Zero(t, size)
		require.GreaterOrEqual(t, used, int64(4*block))
		require.NoError(t, f.Fallocate(0, 4*block))
		size, _ = allocated(t, f)
		require.EqualValues(t, 4*block, size)

		content := bytes.Repeat([]byte("x"), 4*block)
		_, err := f.WriteAt(content, 0)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
		require.NoError(t, f.PunchHole(block, block))
		require.NoError(t, f.ZeroRange(3*block-5, 10))
		clear(content[block : 2*block])
		clear(content[3*block-5 : 3*block+5])
		got := make([]byte, 4*block)
		_, err = f.ReadAt(got, 0)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))
		_, after := allocated(t, f)
		require.Less(t, after, used)

		require.NoError(t, f.Advise(0, 0, file.AdviceDontNeed))
		require.NoError(t, f.Advise(block, block, file.AdviceWillNeed))
		for _, flags := range []file.SyncRangeFlags{file.SyncRangeWrite, 7} {
			require.NoError(t, f.SyncRange(0, block, flags))
			require.NoError(t, f.SyncRange(0, 1<<40, flags))
		}
		for _, err := range []error{
			f.Fallocate(-1, 5), f.PunchHole(0, 0), f.Reserve(1<<62, 1<<62), f.Advise(0, -1, 0),
			f.Advise(0, 0, 17), f.SyncRange(0, 0, 8), f.SyncRange(-1, 0, 0),
		} {
			require.ErrorIs(t, err, os.ErrInvalid)
		}

		if err := f.CollapseRange(block, block); errors.Is(err, errors.ErrUnsupported) {
			require.ErrorIs(t, f.InsertRange(block, block), errors.ErrUnsupported)
		} else {
			require.NoError(t, err)
			size, _ = allocated(t, f)
			require.EqualValues(t, 3*block, size)
			require.NoError(t, f.InsertRange(block, block))
			require.ErrorContains(t, f.InsertRange(5, block), "multiples of the block size")
			_, err = f.ReadAt(got, 0)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, got))
		}
		require.NoError(t, f.Close())
		require.ErrorIs(t, f.PunchHole(0, 1), os.ErrClosed)
		require.ErrorIs(t, f.SyncRange(0, 1, 7), os.ErrClosed)
		require.ErrorIs(t, f.SyncData(), os.ErrClosed)
	})
}

// What a file system does not have is done by other means, or an error that says
// so.
func TestSpaceOnTmpfs(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	f, err := file.Create(dir + "/f")
	require.NoError(t, err)
	defer f.Close()
	content := bytes.Repeat([]byte("x"), 1<<20)
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, f.ZeroRange(100, 900_000))
	clear(content[100:900_100])
	require.ErrorIs(t, f.CollapseRange(0, 4096), errors.ErrUnsupported)
	got, err := os.ReadFile(dir + "/f")
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
}

func TestWriteSync(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, flag := range map[string]int{"plain": 0, "append": os.O_APPEND, "sync": os.O_SYNC} {
			path := filepath.Join(t.TempDir(), name)
			f := openFile(t, rt, path, os.O_RDWR|os.O_CREATE|flag)
			big := bytes.Repeat([]byte("big"), 100_000)
			for _, b := range [][]byte{[]byte("head"), nil, big} {
				n, err := f.WriteSync(b)
				require.NoError(t, err)
				require.Equal(t, len(b), n)
			}
			n, err := f.WriteAtSync([]byte("HE"), 0)
			want := "head" + string(big)
			if flag == os.O_APPEND {
				require.ErrorContains(t, err, "O_APPEND")
			} else {
				require.NoError(t, err)
				require.Equal(t, 2, n)
				want = "HEad" + string(big)
			}
			requireText(t, path, want)
			_, err = f.WriteAtSync(nil, -1)
			require.Error(t, err)
		}
	})
}
