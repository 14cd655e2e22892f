package file

import (
	"io/fs"
	"os"
	"time"
)

// Root is a directory whose methods work on nothing outside it: not by "..", not
// by an absolute name, and not by a symbolic link, also one that is put there
// while a method runs. It is os.Root, which resolves names one by one from the
// directory's descriptor, with files of this package.
//
// The kernel could resolve a name by itself, by openat2 with RESOLVE_BENEATH,
// but it then refuses absolute links that stay inside and fails where somebody
// renames at the same time, and only opening could be done that way: this is the
// same for all methods, on all systems.
//
// A Root may be used by several goroutines at once.
type Root struct {
	std    *os.Root
	config OpenConfig
}

// OpenRoot opens a directory as a Root, with files of the default runtime. A
// symbolic link to a directory is followed.
func OpenRoot(name string) (*Root, error) { return OpenConfig{}.OpenRoot(name) }

// OpenRoot is the function OpenRoot on c.Runtime.
func (c OpenConfig) OpenRoot(name string) (*Root, error) {
	std, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &Root{std, c}, nil
}

// OpenInRoot opens the file name in the directory dir for reading, like Open on a
// Root of dir.
func OpenInRoot(dir, name string) (*File, error) { return OpenConfig{}.OpenInRoot(dir, name) }

// OpenInRoot is the function OpenInRoot on c.Runtime.
func (c OpenConfig) OpenInRoot(dir, name string) (*File, error) {
	return c.fromNew(os.OpenInRoot(dir, name))
}

// fromNew makes a file that has just been opened, unless that failed, one of
// this package.
func (c OpenConfig) fromNew(std *os.File, err error) (*File, error) {
	if err != nil {
		return nil, err
	}
	f, err := c.FromOS(std)
	if err != nil {
		_ = std.Close()
		return nil, err
	}
	return f, nil
}

// Name returns the name of the directory as it was given to OpenRoot.
func (r *Root) Name() string { return r.std.Name() }

// Close closes the Root; its files stay open.
func (r *Root) Close() error { return r.std.Close() }

// Open opens a file in the root for reading.
func (r *Root) Open(name string) (*File, error) { return r.config.fromNew(r.std.Open(name)) }

// Create creates or truncates a file in the root, for reading and writing.
func (r *Root) Create(name string) (*File, error) { return r.config.fromNew(r.std.Create(name)) }

// OpenFile opens a file in the root; see os.Root.OpenFile.
func (r *Root) OpenFile(name string, flag int, perm FileMode) (*File, error) {
	return r.config.fromNew(r.std.OpenFile(name, flag, perm))
}

// OpenRoot opens a directory in the root as a Root.
func (r *Root) OpenRoot(name string) (*Root, error) {
	std, err := r.std.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &Root{std, r.config}, nil
}

// ReadFile returns the contents of a file in the root.
func (r *Root) ReadFile(name string) ([]byte, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.readAll()
}

// WriteFile writes a file in the root; see the function WriteFile.
func (r *Root) WriteFile(name string, data []byte, perm FileMode) error {
	f, err := r.OpenFile(name, O_WRONLY|O_CREATE|O_TRUNC, perm)
	return f.writeAllAndClose(data, err)
}

// Stat returns the attributes of a file in the root, following links.
func (r *Root) Stat(name string) (FileInfo, error) { return r.std.Stat(name) }

// Lstat returns the attributes of a file in the root, or of a link itself.
func (r *Root) Lstat(name string) (FileInfo, error) { return r.std.Lstat(name) }

// Chmod changes the mode of a file in the root.
func (r *Root) Chmod(name string, mode FileMode) error { return r.std.Chmod(name, mode) }

// Chown changes the user and the group of a file in the root.
func (r *Root) Chown(name string, uid, gid int) error { return r.std.Chown(name, uid, gid) }

// Lchown is Chown, for a link itself.
func (r *Root) Lchown(name string, uid, gid int) error { return r.std.Lchown(name, uid, gid) }

// Chtimes changes the times of a file in the root; a zero time stays as it is.
func (r *Root) Chtimes(name string, atime, mtime time.Time) error {
	return r.std.Chtimes(name, atime, mtime)
}

// Mkdir makes a directory in the root.
func (r *Root) Mkdir(name string, perm FileMode) error { return r.std.Mkdir(name, perm) }

// MkdirAll makes a directory in the root, with those above it.
func (r *Root) MkdirAll(name string, perm FileMode) error { return r.std.MkdirAll(name, perm) }

// Remove removes a file or an empty directory in the root.
func (r *Root) Remove(name string) error { return r.std.Remove(name) }

// RemoveAll removes a file or a directory in the root with all that it contains.
func (r *Root) RemoveAll(name string) error { return r.std.RemoveAll(name) }

// Rename gives a file in the root another name in the root.
func (r *Root) Rename(oldname, newname string) error { return r.std.Rename(oldname, newname) }

// Link gives a file in the root a further name in the root.
func (r *Root) Link(oldname, newname string) error { return r.std.Link(oldname, newname) }

// Symlink makes newname in the root a symbolic link that says oldname, which is
// not looked at.
func (r *Root) Symlink(oldname, newname string) error { return r.std.Symlink(oldname, newname) }

// Readlink returns what a symbolic link in the root says.
func (r *Root) Readlink(name string) (string, error) { return r.std.Readlink(name) }

// FS returns a file system of the tree in the root. It implements fs.StatFS,
// fs.ReadFileFS, fs.ReadDirFS and fs.ReadLinkFS.
func (r *Root) FS() fs.FS { return rootFS{r.std.FS().(stdRootFS), r} }

// stdRootFS is what os.Root.FS returns.
type stdRootFS interface {
	fs.StatFS
	fs.ReadFileFS
	fs.ReadDirFS
	fs.ReadLinkFS
}

// rootFS is that of package os, but for opening and reading files.
type rootFS struct {
	stdRootFS
	root *Root
}

// Open implements fs.FS.
func (fsys rootFS) Open(name string) (fs.File, error) {
	std, err := fsys.stdRootFS.Open(name)
	if err != nil {
		return nil, err
	}
	f, err := fsys.root.config.fromNew(std.(*os.File), nil)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ReadFile implements fs.ReadFileFS.
func (fsys rootFS) ReadFile(name string) ([]byte, error) {
	std, err := fsys.stdRootFS.Open(name)
	if err != nil {
		return nil, err
	}
	f, err := fsys.root.config.fromNew(std.(*os.File), nil)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.readAll()
}
