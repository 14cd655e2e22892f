package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// DirFS returns a file system of the tree at dir, whose files are of the default
// runtime. As with os.DirFS, symbolic links in the tree may lead out of it; see
// Root.FS for one that does not allow that. The result implements fs.StatFS,
// fs.ReadFileFS, fs.ReadDirFS and fs.ReadLinkFS.
func DirFS(dir string) fs.FS { return OpenConfig{}.DirFS(dir) }

// DirFS is the function DirFS on c.Runtime.
func (c OpenConfig) DirFS(dir string) fs.FS { return dirFS{c, dir} }

type dirFS struct {
	config OpenConfig
	dir    string
}

var (
	_ fs.StatFS     = dirFS{}
	_ fs.ReadFileFS = dirFS{}
	_ fs.ReadDirFS  = dirFS{}
	_ fs.ReadLinkFS = dirFS{}
)

var errEmptyRoot = errors.New("os: DirFS with empty root")

// at calls f with the full name, and makes its error have the name that it was
// called by.
func at[T any](fsys dirFS, op, name string, f func(full string) (T, error)) (T, error) {
	var none T
	if fsys.dir == "" {
		return none, &PathError{Op: op, Path: name, Err: errEmptyRoot}
	}
	local, err := filepath.Localize(name)
	if err != nil {
		return none, &PathError{Op: op, Path: name, Err: ErrInvalid}
	}
	full := fsys.dir + string(os.PathSeparator) + local
	if os.IsPathSeparator(fsys.dir[len(fsys.dir)-1]) {
		full = fsys.dir + local
	}
	v, err := f(full)
	if err == nil {
		return v, nil
	}
	if pe, ok := err.(*PathError); ok && op != "readlink" { // as package os
		pe.Path = name
	}
	return none, err
}

// Open implements fs.FS.
func (fsys dirFS) Open(name string) (fs.File, error) {
	// A nil *File must not become an fs.File.
	return at(fsys, "open", name, func(full string) (fs.File, error) {
		f, err := fsys.config.Open(full)
		if err != nil {
			return nil, err
		}
		return f, nil
	})
}

// Stat implements fs.StatFS.
func (fsys dirFS) Stat(name string) (FileInfo, error) { return at(fsys, "stat", name, os.Stat) }

// Lstat implements fs.ReadLinkFS.
func (fsys dirFS) Lstat(name string) (FileInfo, error) { return at(fsys, "lstat", name, os.Lstat) }

// ReadFile implements fs.ReadFileFS.
func (fsys dirFS) ReadFile(name string) ([]byte, error) {
	return at(fsys, "readfile", name, fsys.config.ReadFile)
}

// ReadDir implements fs.ReadDirFS.
func (fsys dirFS) ReadDir(name string) ([]DirEntry, error) {
	return at(fsys, "readdir", name, os.ReadDir)
}

// ReadLink implements fs.ReadLinkFS.
func (fsys dirFS) ReadLink(name string) (string, error) {
	return at(fsys, "readlink", name, os.Readlink)
}
