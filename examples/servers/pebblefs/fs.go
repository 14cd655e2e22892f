// Package pebblefs lets the storage engine Pebble read and write its files by
// package file: its write-ahead log is synced by the ring, reads of tables that
// have to wait keep no thread, and what the page cache has is copied at once.
//
//	db, err := pebble.Open(dir, &pebble.Options{FS: pebblefs.New(rt)})
//
// What works on names only, and directories, are those of package os, as they
// are in package file; locks, which package file does not have, are Pebble's.
//
// # Other engines
//
// go.etcd.io/bbolt cannot be used in this way. Its Options.OpenFile has to
// return an *os.File, which [file.File.OS] could make, but then its writes are
// that file's own, its syncs are fdatasync(2) on the descriptor, and it reads
// by mapping the file into memory, where a page that is missing stops the
// thread. Nothing of that would pass through a ring.
package pebblefs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// FS is a file system for Pebble whose files are of package file. Its methods
// may be called from any goroutine.
type FS struct{ open file.OpenConfig }

var _ vfs.FS = (*FS)(nil)

// New returns a file system with files of a runtime; nil means the default
// runtime. The runtime has to outlive the files.
func New(rt *proactor.Runtime) *FS { return &FS{file.OpenConfig{Runtime: rt}} }

// permissions are those of new files, before umask.
const permissions = 0o666

// Create creates a file. One that has the name loses it and is not truncated,
// since it may have other names.
func (f *FS) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	for {
		created, err := f.openFile(name, file.O_RDWR|file.O_CREATE|file.O_EXCL)
		if !errors.Is(err, fs.ErrExist) {
			return created, err
		}
		// Somebody else may create it again before we do, or remove it.
		if err := file.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

// Open opens a file for reading.
func (f *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.openFile(name, file.O_RDONLY, opts...)
}

// OpenReadWrite opens a file for reading and writing, and creates it if it does
// not exist.
func (f *FS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.openFile(name, file.O_RDWR|file.O_CREATE, opts...)
}

// ReuseForWrite renames a file and opens it for writing over what it has, which
// spares the file system to allocate blocks for a log.
func (f *FS) ReuseForWrite(oldname, newname string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	if err := file.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return f.openFile(newname, file.O_RDWR|file.O_CREATE)
}

func (f *FS) openFile(name string, flag int, opts ...vfs.OpenOption) (vfs.File, error) {
	opened, err := f.open.OpenFile(name, flag, permissions)
	if err != nil {
		return nil, err // and not a nil pointer in an interface
	}
	of := &openFile{opened}
	for _, o := range opts {
		o.Apply(of)
	}
	return of, nil
}

// OpenDir opens a directory to sync it.
func (*FS) OpenDir(name string) (vfs.File, error) { return vfs.Default.OpenDir(name) }

// Link gives a file a further name.
func (*FS) Link(oldname, newname string) error { return file.Link(oldname, newname) }

// Remove removes a file or an empty directory.
func (*FS) Remove(name string) error { return file.Remove(name) }

// RemoveAll removes a file, or a directory with all that it contains.
func (*FS) RemoveAll(name string) error { return file.RemoveAll(name) }

// Rename gives a file another name, in place of the one that has it.
func (*FS) Rename(oldname, newname string) error { return file.Rename(oldname, newname) }

// MkdirAll makes a directory, with those above it.
func (*FS) MkdirAll(dir string, perm os.FileMode) error { return file.MkdirAll(dir, perm) }

// Lock takes a lock that ends with the process or by Close.
func (*FS) Lock(name string) (io.Closer, error) { return vfs.Default.Lock(name) }

// List returns the names in a directory, in no order.
func (f *FS) List(dir string) ([]string, error) {
	d, err := f.open.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// Stat returns the attributes of a file.
func (*FS) Stat(name string) (vfs.FileInfo, error) { return vfs.Default.Stat(name) }

// PathBase is filepath.Base.
func (*FS) PathBase(path string) string { return filepath.Base(path) }

// PathJoin is filepath.Join.
func (*FS) PathJoin(elem ...string) string { return filepath.Join(elem...) }

// PathDir is filepath.Dir.
func (*FS) PathDir(path string) string { return filepath.Dir(path) }

// GetDiskUsage says how full the file system is that holds a file.
func (*FS) GetDiskUsage(path string) (vfs.DiskUsage, error) { return vfs.Default.GetDiskUsage(path) }

// Unwrap returns nil: there is no other file system below.
func (*FS) Unwrap() vfs.FS { return nil }
