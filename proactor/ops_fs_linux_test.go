package proactor_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// tempDir returns a directory, and its descriptor.
func tempDir(t *testing.T) (string, proactor.Dir) {
	t.Helper()
	name := t.TempDir()
	fd, err := syscall.Open(name, syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	require.NoError(t, err)
	fds(t, fd)
	return name, proactor.At(fd)
}

func TestOpen(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name, dir := tempDir(t)
		fd := do(t, rt, proactor.Open{Dir: dir, Path: "f", Flag: os.O_CREATE | os.O_RDWR, Perm: 0o600})
		fds(t, fd)
		require.FileExists(t, filepath.Join(name, "f"))

		require.NoError(t, os.Symlink("f", filepath.Join(name, "s")))
		const noSymlinks = 4 // RESOLVE_NO_SYMLINKS
		fds(t, do(t, rt, proactor.OpenHow{Dir: dir, Path: "s"}))
		fail(t, rt, proactor.OpenHow{Dir: dir, Path: "s", Resolve: noSymlinks}, "openat2", syscall.ELOOP)
		fds(t, do(t, rt, proactor.OpenHow{Dir: dir, Path: "g", Flag: os.O_CREATE | os.O_WRONLY, Perm: 0o640, Resolve: noSymlinks}))
		info, err := os.Stat(filepath.Join(name, "g"))
		require.NoError(t, err)
		require.EqualValues(t, 0o640, info.Mode())
		refuse(t, rt, proactor.OpenHow{Path: "\x00"})
	})
}

func TestStat(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name, dir := tempDir(t)
		path := filepath.Join(name, "f")
		require.NoError(t, os.WriteFile(path, []byte("12345"), 0o600))
		require.NoError(t, os.Chmod(path, 0o640|fs.ModeSetuid|fs.ModeSticky))
		when := time.Date(2020, 1, 2, 3, 4, 5, 6789, time.UTC)
		require.NoError(t, os.Chtimes(path, when.Add(time.Hour), when))
		require.NoError(t, os.Symlink("f", filepath.Join(name, "s")))

		for op, path := range map[proactor.Stat]string{
			{Path: path}:             path,
			{Path: "f", Dir: dir}:    path,
			{Path: "s", Dir: dir}:    path,
			{Dir: dir}:               name,
			{Path: "/dev/null"}:      "/dev/null",
			{Path: "/proc/self/exe"}: "/proc/self/exe",
		} {
			got := do(t, rt, op)
			want, err := os.Stat(path)
			require.NoError(t, err)
			st := want.Sys().(*syscall.Stat_t)
			require.Equal(t, want.Size(), got.Size)
			require.Equal(t, want.Mode(), got.Mode)
			require.True(t, want.ModTime().Equal(got.Modified), "%v %v", want.ModTime(), got.Modified)
			require.True(t, time.Unix(st.Ctim.Unix()).Equal(got.Changed))
			require.EqualValues(t, st.Ino, got.Inode)
			require.EqualValues(t, st.Dev, got.Device)
			require.EqualValues(t, st.Rdev, got.SpecialDevice)
			require.EqualValues(t, st.Nlink, got.Links)
			require.EqualValues(t, st.Uid, got.UID)
			require.EqualValues(t, st.Gid, got.GID)
			require.EqualValues(t, st.Blocks, got.Blocks)
			require.EqualValues(t, st.Blksize, got.BlockSize)
		}
		link := do(t, rt, proactor.Stat{Path: "s", Dir: dir, NoFollow: true})
		require.Equal(t, fs.ModeSymlink, link.Mode.Type())
		fail(t, rt, proactor.Stat{Path: "x", Dir: dir}, "statx", syscall.ENOENT)
		refuse(t, rt, proactor.Stat{Path: "\x00"})
	})
}

func TestNames(t *testing.T) {
	testkit.NeedKernel(t, 5, 15, "MKDIRAT, LINKAT and SYMLINKAT")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name, dir := tempDir(t)
		in := func(s string) string { return filepath.Join(name, s) }
		do(t, rt, proactor.Mkdir{Path: "d", Dir: dir, Perm: 0o700})
		fail(t, rt, proactor.Mkdir{Path: in("d"), Perm: 0o700}, "mkdirat", syscall.EEXIST)
		require.NoError(t, os.WriteFile(in("f"), []byte("x"), 0o600))
		do(t, rt, proactor.Link{Old: "f", OldDir: dir, New: in("d/g")})
		info, err := os.Stat(in("d/g"))
		require.NoError(t, err)
		require.EqualValues(t, 2, info.Sys().(*syscall.Stat_t).Nlink)
		fail(t, rt, proactor.Link{Old: in("f"), New: in("d/g")}, "linkat", syscall.EEXIST)
		do(t, rt, proactor.Symlink{Target: "../f", Path: "d/s", Dir: dir})
		target, err := os.Readlink(in("d/s"))
		require.NoError(t, err)
		require.Equal(t, "../f", target)
		fail(t, rt, proactor.Symlink{Target: "x", Path: in("d/s")}, "symlinkat", syscall.EEXIST)
		do(t, rt, proactor.Rename{Old: "d/g", OldDir: dir, New: "h", NewDir: dir})
		require.NoFileExists(t, in("d/g"))
		require.FileExists(t, in("h"))
		const noReplace = 1 // RENAME_NOREPLACE
		fail(t, rt, proactor.Rename{Old: in("f"), New: in("h"), Flags: noReplace}, "renameat2", syscall.EEXIST)
		fail(t, rt, proactor.Unlink{Path: "d", Dir: dir}, "unlinkat", syscall.EISDIR)
		do(t, rt, proactor.Unlink{Path: "d/s", Dir: dir})
		do(t, rt, proactor.Unlink{Path: "d", Dir: dir, Directory: true})
		require.NoDirExists(t, in("d"))
		refuse(t, rt, proactor.Rename{Old: "a", New: "\x00"})
		refuse(t, rt, proactor.Link{Old: "\x00"})
		refuse(t, rt, proactor.Symlink{Path: "\x00"})
		refuse(t, rt, proactor.Unlink{Path: "\x00"})
		refuse(t, rt, proactor.Mkdir{Path: "\x00"})
	})
}

func TestXattr(t *testing.T) {
	testkit.NeedKernel(t, 5, 19, "the operations on extended attributes")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f := tempFile(t)
		fd, path := int(f.Fd()), f.Name()
		if err := syscall.Setxattr(path, "user.probe", nil, 0); err == syscall.EOPNOTSUPP {
			testkit.Skip(t, "the file system of %s has no extended attributes", path)
		}
		buf := make([]byte, 32)
		do(t, rt, proactor.SetXattr{Path: path, Name: "user.a", Value: []byte("one")})
		n := do(t, rt, proactor.FgetXattr{FD: fd, Name: "user.a", Value: buf})
		require.Equal(t, "one", string(buf[:n]))
		do(t, rt, proactor.FsetXattr{FD: fd, Name: "user.a", Value: []byte("other")})
		n = do(t, rt, proactor.GetXattr{Path: path, Name: "user.a", Value: buf})
		require.Equal(t, "other", string(buf[:n]))
		require.Equal(t, 5, do(t, rt, proactor.GetXattr{Path: path, Name: "user.a"}), "its size")
		const create = 1 // XATTR_CREATE
		fail(t, rt, proactor.SetXattr{Path: path, Name: "user.a", Flags: create}, "setxattr", syscall.EEXIST)
		fail(t, rt, proactor.FsetXattr{FD: fd, Name: "user.a", Flags: create}, "fsetxattr", syscall.EEXIST)
		fail(t, rt, proactor.GetXattr{Path: path, Name: "user.b", Value: buf}, "getxattr", syscall.ENODATA)
		fail(t, rt, proactor.FgetXattr{FD: fd, Name: "user.a", Value: buf[:2]}, "fgetxattr", syscall.ERANGE)
		refuse(t, rt, proactor.SetXattr{Path: path, Name: "\x00"})
		refuse(t, rt, proactor.GetXattr{Path: "\x00", Name: "user.a"})
		refuse(t, rt, proactor.FsetXattr{FD: fd, Name: "\x00"})
		refuse(t, rt, proactor.FgetXattr{FD: fd, Name: "\x00"})
	})
}

func TestPipe(t *testing.T) {
	testkit.NeedKernel(t, 6, 16, "PIPE")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		p := do(t, rt, proactor.Pipe{})
		fds(t, p.Read, p.Write)
		require.Equal(t, 3, do(t, rt, proactor.Write{FD: p.Write, Buf: []byte("abc")}))
		buf := make([]byte, 8)
		require.Equal(t, 3, do(t, rt, proactor.Read{FD: p.Read, Buf: buf}))

		before := len(testkit.Fds(t))
		c, err := proactor.Submit(t.Context(), rt, proactor.Pipe{})
		require.NoError(t, err)
		<-c.Done()
		require.Len(t, testkit.Fds(t), before+2)
		c.Abandon()
		require.Len(t, testkit.Fds(t), before, "both ends are closed")
	})
}
