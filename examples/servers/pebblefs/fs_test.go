package pebblefs_test

import (
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

const category = vfs.WriteCategoryUnspecified

// put makes a file.
func put(t *testing.T, fs vfs.FS, name, content string) {
	t.Helper()
	f, err := fs.Create(name, category)
	require.NoError(t, err)
	n, err := f.Write([]byte(content))
	require.NoError(t, err)
	require.Equal(t, len(content), n)
	require.NoError(t, f.Close())
}

// get reads one.
func get(t *testing.T, fs vfs.FS, name string) string {
	t.Helper()
	f, err := fs.Open(name)
	require.NoError(t, err)
	all, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return string(all)
}

// What is created is new: other names of the old file keep what it has.
func TestCreate(t *testing.T) {
	forEach(t, true, func(t *testing.T, fsys vfs.FS) {
		dir := t.TempDir()
		a, b := fsys.PathJoin(dir, "a"), fsys.PathJoin(dir, "b")
		put(t, fsys, a, "old")
		require.NoError(t, fsys.Link(a, b))
		require.ErrorIs(t, fsys.Link(a, b), fs.ErrExist)
		put(t, fsys, a, "new")
		require.Equal(t, "new", get(t, fsys, a))
		require.Equal(t, "old", get(t, fsys, b))

		_, err := fsys.Create(fsys.PathJoin(dir, "none", "x"), category)
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = fsys.Create(dir, category)
		require.Error(t, err, "a directory that is not empty was replaced")
	})
}

func TestOpen(t *testing.T) {
	forEach(t, true, func(t *testing.T, fsys vfs.FS) {
		dir := t.TempDir()
		name := fsys.PathJoin(dir, "f")
		f, err := fsys.Open(name)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.Nil(t, f)

		put(t, fsys, name, "0123456789")
		f, err = fsys.Open(name, vfs.RandomReadsOption, vfs.SequentialReadsOption)
		require.NoError(t, err)
		_, err = f.Write([]byte("x"))
		require.Error(t, err, "it is open for reading only")
		b := make([]byte, 4)
		n, err := f.ReadAt(b, 3)
		require.NoError(t, err)
		require.Equal(t, "3456", string(b[:n]))
		n, err = f.ReadAt(b, 8)
		require.Equal(t, io.EOF, err)
		require.Equal(t, "89", string(b[:n]))
		n, err = f.Read(b)
		require.NoError(t, err)
		require.Equal(t, "0123", string(b[:n]), "ReadAt moves nothing")
		if err := f.Prefetch(0, 10); fsys != vfs.Default {
			require.NoError(t, err) // that of Pebble returns errno 0
		}
		require.NotEqual(t, vfs.InvalidFd, f.Fd())
		require.NoError(t, f.Close())
		require.Error(t, f.Close())
	})
}

func TestOpenReadWrite(t *testing.T) {
	forEach(t, true, func(t *testing.T, fsys vfs.FS) {
		name := fsys.PathJoin(t.TempDir(), "f")
		for _, want := range []string{"\x00\x00ab", "\x00\x00ab"} {
			f, err := fsys.OpenReadWrite(name, category, vfs.RandomReadsOption)
			require.NoError(t, err)
			n, err := f.WriteAt([]byte("ab"), 2)
			require.NoError(t, err)
			require.Equal(t, 2, n)
			require.NoError(t, f.Sync())
			require.NoError(t, f.Close())
			require.Equal(t, want, get(t, fsys, name))
		}
	})
}

// The options are applied to the file that the caller gets.
func TestOptions(t *testing.T) {
	forEach(t, true, func(t *testing.T, fsys vfs.FS) {
		name := fsys.PathJoin(t.TempDir(), "f")
		put(t, fsys, name, "x")
		var seen option
		f, err := fsys.Open(name, &seen)
		require.NoError(t, err)
		g, err := fsys.OpenReadWrite(name, category, &seen)
		require.NoError(t, err)
		require.Equal(t, option{f, g}, seen)
		require.NoError(t, f.Close())
		require.NoError(t, g.Close())
	})
}

type option []vfs.File

func (o *option) Apply(f vfs.File) { *o = append(*o, f) }

// A log that is used again has its old content until that is overwritten.
func TestReuseForWrite(t *testing.T) {
	forEach(t, true, func(t *testing.T, fsys vfs.FS) {
		dir := t.TempDir()
		a, b := fsys.PathJoin(dir, "a"), fsys.PathJoin(dir, "b")
		put(t, fsys, a, "old content")
		f, err := fsys.ReuseForWrite(a, b, category)
		require.NoError(t, err)
		_, err = f.Write([]byte("new"))
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.Equal(t, "new content", get(t, fsys, b))
		_, err = fsys.Stat(a)
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = fsys.ReuseForWrite(a, b, category)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.Equal(t, "new content", get(t, fsys, b))
	})
}

func TestSyncs(t *testing.T) {
	forEach(t, true, func(t *testing.T, fsys vfs.FS) {
		dir := t.TempDir()
		f, err := fsys.Create(fsys.PathJoin(dir, "f"), category)
		require.NoError(t, err)
		require.NoError(t, f.Preallocate(0, 1<<20))
		info, err := f.Stat()
		require.NoError(t, err)
		require.Zero(t, info.Size(), "allocating makes nothing longer")
		_, err = f.Write(make([]byte, 300_000))
		require.NoError(t, err)
		_, err = f.SyncTo(200_000)
		require.NoError(t, err)
		require.NoError(t, f.SyncData())
		require.NoError(t, f.Sync())
		require.NoError(t, f.Close())
		require.ErrorIs(t, f.Sync(), fs.ErrClosed)

		d, err := fsys.OpenDir(dir)
		require.NoError(t, err)
		if runtime.GOOS != "windows" {
			require.NoError(t, d.Sync())
		}
		full, err := d.SyncTo(1)
		require.NoError(t, err)
		require.False(t, full)
		require.NoError(t, d.Close())
	})
}

func TestNames(t *testing.T) {
	forEach(t, true, func(t *testing.T, fsys vfs.FS) {
		dir := t.TempDir()
		sub := fsys.PathJoin(dir, "x", "y")
		require.NoError(t, fsys.MkdirAll(sub, 0o755))
		require.NoError(t, fsys.MkdirAll(sub, 0o755))
		put(t, fsys, fsys.PathJoin(sub, "a"), "a")
		put(t, fsys, fsys.PathJoin(sub, "b"), "b")
		require.NoError(t, fsys.Rename(fsys.PathJoin(sub, "a"), fsys.PathJoin(sub, "b")))
		require.Equal(t, "a", get(t, fsys, fsys.PathJoin(sub, "b")))
		put(t, fsys, fsys.PathJoin(sub, "c"), "")
		names, err := fsys.List(sub)
		require.NoError(t, err)
		slices.Sort(names)
		require.Equal(t, []string{"b", "c"}, names)
		_, err = fsys.List(fsys.PathJoin(dir, "none"))
		require.ErrorIs(t, err, fs.ErrNotExist)

		require.Error(t, fsys.Remove(sub), "it is not empty")
		require.NoError(t, fsys.Remove(fsys.PathJoin(sub, "c")))
		require.ErrorIs(t, fsys.Remove(fsys.PathJoin(sub, "c")), fs.ErrNotExist)
		require.NoError(t, fsys.RemoveAll(fsys.PathJoin(dir, "x")))
		require.NoError(t, fsys.RemoveAll(fsys.PathJoin(dir, "x")))
		info, err := fsys.Stat(dir)
		require.NoError(t, err)
		require.True(t, info.IsDir())

		require.Equal(t, "y", fsys.PathBase(sub))
		require.Equal(t, fsys.PathJoin(dir, "x"), fsys.PathDir(sub))
		usage, err := fsys.GetDiskUsage(dir)
		require.NoError(t, err)
		require.Positive(t, usage.TotalBytes)
		require.Nil(t, fsys.Unwrap())
		require.True(t, vfs.Root(fsys) == fsys)
	})
}

// An open file tells its disk as its name does, also when it has lost that.
func TestDeviceID(t *testing.T) {
	forEach(t, true, func(t *testing.T, fsys vfs.FS) {
		name := fsys.PathJoin(t.TempDir(), "f")
		f, err := fsys.Create(name, category)
		require.NoError(t, err)
		defer f.Close()
		byName, err := fsys.Stat(name)
		require.NoError(t, err)
		want := byName.DeviceID()
		for range 2 {
			open, err := f.Stat()
			require.NoError(t, err)
			require.Equal(t, want, open.DeviceID())
			_ = fsys.Remove(name)
		}
	})
}

func TestLock(t *testing.T) {
	forEach(t, true, func(t *testing.T, fsys vfs.FS) {
		name := fsys.PathJoin(t.TempDir(), "LOCK")
		l, err := fsys.Lock(name)
		require.NoError(t, err)
		_, err = fsys.Lock(name)
		require.Error(t, err, "it is taken")
		require.NoError(t, l.Close())
		l, err = fsys.Lock(name)
		require.NoError(t, err)
		require.NoError(t, l.Close())
		_, err = os.Stat(name)
		require.NoError(t, err)
	})
}
