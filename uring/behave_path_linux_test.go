package uring

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestOpenAndClose makes descriptors, fills slots, and lets go of both.
func TestOpenAndClose(t *testing.T) {
	p := prove(t, IORING_OP_OPENAT, IORING_OP_CLOSE)
	l := p.ring(8, Params{})
	_, path := newFile(p, "text")
	dir := filepath.Dir(path)
	open := func(name string, flags int32) func(*SQE) {
		return func(s *SQE) { s.PrepOpenat(AtCWD, l.path(name), flags|unix.O_CLOEXEC, 0o600) }
	}
	fd := l.ok(open(path, unix.O_RDONLY))
	require.Equal(p, "text", pread(p, fd))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepClose(fd) }))
	l.fails(syscall.EBADF, func(s *SQE) { s.PrepClose(fd) })

	fd = l.ok(open(dir+"/new", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY))
	require.FileExists(p, dir+"/new")
	require.Zero(p, l.ok(func(s *SQE) { s.PrepClose(fd) }))
	l.fails(syscall.EEXIST, open(dir+"/new", unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY))
	l.fails(syscall.ENOENT, open(dir+"/none", unix.O_RDONLY))
	l.fails(syscall.EFAULT, func(s *SQE) { s.PrepOpenat(AtCWD, nil, 0, 0) })
	l.fails(syscall.EBADF, func(s *SQE) { s.PrepClose(l.Fd()) }) // a ring is not closed through a ring

	needKernel(p, Version{5, 19}, "slots that the kernel chooses")
	files(l)
	direct := func(slot uint32) func(*SQE) {
		return func(s *SQE) { open(path, unix.O_RDONLY)(s); s.OpFlags &^= unix.O_CLOEXEC; s.SetFileSlot(slot) }
	}
	require.Zero(p, l.ok(direct(1)), "into a slot of the program's choice")
	var slots []int
	for range 3 {
		slots = append(slots, l.ok(direct(IORING_FILE_INDEX_ALLOC)))
	}
	require.ElementsMatch(p, []int{0, 2, 3}, slots)
	l.fails(syscall.ENFILE, direct(IORING_FILE_INDEX_ALLOC))
	l.fails(syscall.EINVAL, direct(4))
	buf := make([]byte, 4)
	require.Equal(p, 4, l.ok(flagged(IOSQE_FIXED_FILE, func(s *SQE) { s.PrepRead(2, buf, 0) })))
	require.Equal(p, "text", string(buf))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepCloseDirect(2) }))
	l.fails(syscall.EBADF, flagged(IOSQE_FIXED_FILE, func(s *SQE) { s.PrepRead(2, buf, 0) }))
	l.fails(syscall.EBADF, func(s *SQE) { s.PrepCloseDirect(2) })
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepCloseDirect(4) })
	// A slot is no descriptor: close-on-exec means nothing there.
	l.fails(syscall.EINVAL, func(s *SQE) { open(path, 0)(s); s.SetFileSlot(2) })
}

// pread returns what is at the beginning of a file.
func pread(p *proof, fd int) string {
	p.Helper()
	buf := make([]byte, 64)
	n, err := unix.Pread(fd, buf, 0)
	require.NoError(p, err)
	return string(buf[:n])
}

// TestOpenUseAndCloseInOneChain: a later request of a chain finds the slot that
// an earlier one has filled.
func TestOpenUseAndCloseInOneChain(t *testing.T) {
	needKernel(t, Version{5, 17}, "LINKED_FILE")
	p := explore(t)
	l := p.ring(8, Params{})
	files(l)
	_, path := newFile(p, "text")
	buf := make([]byte, 8)
	open := l.add(flagged(IOSQE_IO_LINK, func(s *SQE) {
		s.PrepOpenat(AtCWD, l.path(path), unix.O_RDONLY, 0)
		s.SetFileSlot(0)
	}))
	// A read that is shorter than asked for would break the chain.
	read := l.add(flagged(IOSQE_FIXED_FILE|IOSQE_IO_LINK, func(s *SQE) { s.PrepRead(0, buf[:4], 0) }))
	closed := l.add(func(s *SQE) { s.PrepCloseDirect(0) })
	l.push()
	require.Zero(p, l.of(open).Res)
	require.Equal(p, int32(4), l.of(read).Res)
	require.Zero(p, l.of(closed).Res)
	require.Equal(p, "text", string(buf[:4]))
}

// TestOpenat2 opens only what the limits on the way allow.
func TestOpenat2(t *testing.T) {
	p := prove(t, IORING_OP_OPENAT2)
	l := p.ring(8, Params{})
	_, path := newFile(p, "text")
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Close(dir) })
	require.NoError(p, os.Symlink("file", filepath.Dir(path)+"/link"))
	open := func(name string, how OpenHow) func(*SQE) {
		how.Flags |= unix.O_CLOEXEC
		return func(s *SQE) { s.PrepOpenat2(dir, l.path(name), keep(l, how)) }
	}
	for _, name := range []string{"file", "link"} {
		fd := l.ok(open(name, OpenHow{Resolve: unix.RESOLVE_BENEATH}))
		require.Equal(p, "text", pread(p, fd))
		require.NoError(p, unix.Close(fd))
	}
	l.fails(syscall.ELOOP, open("link", OpenHow{Resolve: unix.RESOLVE_NO_SYMLINKS}))
	l.fails(syscall.EXDEV, open("../"+filepath.Base(filepath.Dir(path))+"/file", OpenHow{Resolve: unix.RESOLVE_BENEATH}))
	fd := l.ok(open("/../file", OpenHow{Resolve: unix.RESOLVE_IN_ROOT}))
	require.NoError(p, unix.Close(fd))
	l.fails(syscall.EXDEV, open("/etc/passwd", OpenHow{Resolve: unix.RESOLVE_BENEATH}))
	l.fails(syscall.EINVAL, open("file", OpenHow{Mode: 0o600}))
	l.fails(syscall.EINVAL, open("file", OpenHow{Flags: 1 << 40}))
	l.fails(syscall.E2BIG, func(s *SQE) {
		big := make([]OpenHow, 2)
		big[1].Flags = 1
		l.kept = append(l.kept, big)
		s.PrepOpenat2(dir, l.path("file"), &big[0])
		s.Len *= 2
	})
}

// TestFilesUpdate replaces slots of the registered files.
func TestFilesUpdate(t *testing.T) {
	p := prove(t, IORING_OP_FILES_UPDATE)
	l := p.ring(4, Params{})
	fd, _ := newFile(p, "text")
	update := func(offset uint32, fds ...int32) func(*SQE) {
		l.kept = append(l.kept, fds)
		return func(s *SQE) { s.PrepFilesUpdate(&fds[0], len(fds), offset) }
	}
	l.fails(syscall.ENXIO, update(0, int32(fd))) // no table yet
	files(l)
	require.Equal(p, 2, l.ok(update(1, int32(fd), int32(fd))))
	buf := make([]byte, 8)
	read := func(slot int) func(*SQE) {
		return flagged(IOSQE_FIXED_FILE, func(s *SQE) { s.PrepRead(slot, buf, 0) })
	}
	require.Equal(p, 4, l.ok(read(1)))
	require.Equal(p, 4, l.ok(read(2)))
	require.Equal(p, 2, l.ok(update(1, -1, IORING_REGISTER_FILES_SKIP)))
	l.fails(syscall.EBADF, read(1))
	require.Equal(p, 4, l.ok(read(2)), "was skipped")
	l.fails(syscall.EINVAL, update(4, int32(fd)))
	l.fails(syscall.EBADF, update(0, 1<<20))

	needKernel(p, Version{5, 19}, "slots that the kernel chooses")
	fds := []int32{int32(fd), int32(fd)}
	require.Equal(p, 2, l.ok(func(s *SQE) { s.PrepFilesUpdate(&fds[0], 2, IORING_FILE_INDEX_ALLOC) }))
	require.NotEqual(p, fds[0], fds[1])
	for _, slot := range fds { // told in place of the descriptors
		require.Contains(p, []int32{0, 1, 3}, slot)
		require.Equal(p, 4, l.ok(read(int(slot))))
	}
}

// TestFixedFDInstall makes a descriptor of a slot.
func TestFixedFDInstall(t *testing.T) {
	p := prove(t, IORING_OP_FIXED_FD_INSTALL)
	l := p.ring(4, Params{})
	fd, _ := newFile(p, "text")
	files(l, int32(fd))
	for flags, want := range map[InstallFDFlags]int{0: unix.FD_CLOEXEC, IORING_FIXED_FD_NO_CLOEXEC: 0} {
		got := l.ok(func(s *SQE) { s.PrepFixedFDInstall(0, flags) })
		require.NotEqual(p, fd, got)
		require.Equal(p, "text", pread(p, got))
		cloexec, err := unix.FcntlInt(uintptr(got), unix.F_GETFD, 0)
		require.NoError(p, err)
		require.Equal(p, want, cloexec)
		require.NoError(p, unix.Close(got))
	}
	l.fails(syscall.EBADF, func(s *SQE) { s.PrepFixedFDInstall(1, 0) })
	l.fails(syscall.EBADF, func(s *SQE) { s.PrepFixedFDInstall(0, 0); s.Flags = 0; s.Fd = int32(fd) })
	l.fails(syscall.EINVAL, func(s *SQE) { s.PrepFixedFDInstall(0, 1<<31) })
}

// TestNames makes, changes and removes them.
func TestNames(t *testing.T) {
	p := prove(t, IORING_OP_MKDIRAT, IORING_OP_SYMLINKAT, IORING_OP_LINKAT, IORING_OP_RENAMEAT, IORING_OP_UNLINKAT)
	l := p.ring(8, Params{})
	_, file := newFile(p, "text")
	root := filepath.Dir(file)
	in := func(name string) *byte { return l.path(filepath.Join(root, name)) }

	require.Zero(p, l.ok(func(s *SQE) { s.PrepMkdirat(AtCWD, in("dir"), 0o700) }))
	require.DirExists(p, root+"/dir")
	l.fails(syscall.EEXIST, func(s *SQE) { s.PrepMkdirat(AtCWD, in("dir"), 0o700) })
	dir, err := unix.Open(root+"/dir", unix.O_PATH|unix.O_CLOEXEC, 0)
	require.NoError(p, err)
	p.Cleanup(func() { _ = unix.Close(dir) })

	require.Zero(p, l.ok(func(s *SQE) { s.PrepSymlinkat(l.path("../file"), dir, l.path("symlink")) }))
	require.Equal(p, "text", contents(p, root+"/dir/symlink"))
	l.fails(syscall.EEXIST, func(s *SQE) { s.PrepSymlinkat(l.path("x"), dir, l.path("symlink")) })

	require.Zero(p, l.ok(func(s *SQE) { s.PrepLinkat(AtCWD, in("file"), dir, l.path("hard"), 0) }))
	require.Zero(p, l.ok(func(s *SQE) {
		s.PrepLinkat(dir, l.path("symlink"), dir, l.path("followed"), unix.AT_SYMLINK_FOLLOW)
	}))
	require.Zero(p, l.ok(func(s *SQE) { s.PrepLinkat(dir, l.path("symlink"), dir, l.path("again"), 0) }))
	kind := func(name string) os.FileMode {
		info, err := os.Lstat(filepath.Join(root, "dir", name))
		require.NoError(p, err)
		return info.Mode().Type()
	}
	require.Zero(p, kind("hard"))
	require.Zero(p, kind("followed"))
	require.Equal(p, os.ModeSymlink, kind("again"), "a name of the link itself")
	l.fails(syscall.EEXIST, func(s *SQE) { s.PrepLinkat(AtCWD, in("file"), dir, l.path("hard"), 0) })

	rename := func(from, to string, flags uint32) func(*SQE) {
		return func(s *SQE) { s.PrepRenameat(dir, l.path(from), dir, l.path(to), flags) }
	}
	require.Zero(p, l.ok(rename("hard", "renamed", 0)))
	l.fails(syscall.ENOENT, rename("hard", "renamed", 0))
	l.fails(syscall.EEXIST, rename("renamed", "again", unix.RENAME_NOREPLACE))
	require.Zero(p, l.ok(rename("renamed", "again", unix.RENAME_EXCHANGE)))
	require.Zero(p, kind("again"))
	require.Equal(p, os.ModeSymlink, kind("renamed"))

	unlink := func(name string, flags int32) func(*SQE) {
		return func(s *SQE) { s.PrepUnlinkat(AtCWD, in(name), flags) }
	}
	l.fails(syscall.EISDIR, unlink("dir", 0))
	l.fails(syscall.ENOTEMPTY, unlink("dir", unix.AT_REMOVEDIR))
	for _, name := range []string{"symlink", "again", "followed", "renamed"} {
		require.Zero(p, l.ok(unlink("dir/"+name, 0)))
	}
	require.Zero(p, l.ok(unlink("dir", unix.AT_REMOVEDIR)))
	require.NoDirExists(p, root+"/dir")
	l.fails(syscall.ENOENT, unlink("dir", unix.AT_REMOVEDIR))
}

// TestExtendedAttributes sets and reads them, by descriptor and by path.
func TestExtendedAttributes(t *testing.T) {
	p := prove(t, IORING_OP_FSETXATTR, IORING_OP_SETXATTR, IORING_OP_FGETXATTR, IORING_OP_GETXATTR)
	l := p.ring(8, Params{})
	fd, path := newFile(p, "text")
	name := func(s string) *byte { return l.path("user." + s) }
	value, room := []byte("value"), make([]byte, 16)
	byFd := func(flags uint32) func(*SQE) {
		return func(s *SQE) { s.PrepFsetxattr(fd, name("a"), value, flags) }
	}
	byPath := func(flags uint32) func(*SQE) {
		return func(s *SQE) { s.PrepSetxattr(l.path(path), name("b"), value, flags) }
	}
	require.Zero(p, l.ok(byFd(unix.XATTR_CREATE)))
	l.fails(syscall.EEXIST, byFd(unix.XATTR_CREATE))
	l.fails(syscall.ENODATA, byPath(unix.XATTR_REPLACE))
	require.Zero(p, l.ok(byPath(0)))

	require.Equal(p, 5, l.ok(func(s *SQE) { s.PrepFgetxattr(fd, name("b"), room) }))
	require.Equal(p, "value", string(room[:5]))
	require.Equal(p, 5, l.ok(func(s *SQE) { s.PrepGetxattr(l.path(path), name("a"), room[8:]) }))
	require.Equal(p, "value", string(room[8:13]))
	require.Equal(p, 5, l.ok(func(s *SQE) { s.PrepFgetxattr(fd, name("a"), nil) }), "the size alone")
	l.fails(syscall.ERANGE, func(s *SQE) { s.PrepFgetxattr(fd, name("a"), room[:2]) })
	l.fails(syscall.ENODATA, func(s *SQE) { s.PrepGetxattr(l.path(path), name("none"), room) })
	l.fails(syscall.ENOENT, func(s *SQE) { s.PrepGetxattr(l.path(path+"x"), name("a"), room) })
}
