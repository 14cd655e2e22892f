package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

const chunk = 1 << 20

// job is one copy.
type job struct {
	rt       *proactor.Runtime
	workers  int
	verify   bool
	progress io.Writer

	done   atomic.Int64  // bytes copied so far
	copied time.Duration // until the copy was on the disk
	sum    []byte        // SHA-256 of both files, if verified
}

func (j *job) open(name string, flag int, perm fs.FileMode) (*file.File, error) {
	return file.OpenConfig{Runtime: j.rt}.OpenFile(name, flag, perm)
}

// copy copies one file to another and returns the size.
func (j *job) copy(ctx context.Context, srcName, dstName string) (size int64, err error) {
	start := time.Now()
	info, err := j.checkSource(srcName)
	if err != nil {
		return 0, err
	}
	dstName, err = checkTarget(srcName, dstName, info)
	if err != nil {
		return 0, err
	}
	src, err := j.open(srcName, file.O_RDONLY, 0)
	if err != nil {
		return 0, err
	}
	defer src.Close()

	tmpName := filepath.Join(filepath.Dir(dstName), "."+filepath.Base(dstName)+"."+rand.Text()[:10]+".tmp")
	tmp, err := j.open(tmpName, file.O_RDWR|file.O_CREATE|file.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("creating the copy beside its target: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tmp.Close() // again, most of the time
			if removeErr := os.Remove(tmpName); removeErr != nil {
				err = fmt.Errorf("%w; and what there is of the copy stays: %w", err, removeErr)
			}
		}
	}()
	if err := j.chunks(ctx, src, tmp, info.Size()); err != nil {
		return 0, err
	}
	if err := unchanged(src, info); err != nil {
		return 0, err
	}
	if err := os.Chmod(tmpName, info.Mode().Perm()); err != nil {
		return 0, err
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return 0, err
	}
	j.copied = time.Since(start)
	if j.verify {
		if j.sum, err = j.compare(ctx, srcName, tmpName); err != nil {
			return 0, err
		}
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := os.Rename(tmpName, dstName); err != nil {
		return 0, err
	}
	syncDir(filepath.Dir(dstName))
	return info.Size(), nil
}

// checkSource says why a source cannot be copied. It looks before opening,
// which on a named pipe would wait for somebody to write.
func (j *job) checkSource(name string) (fs.FileInfo, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory; this copies one file at a time", name)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file (%v)", name, info.Mode().Type())
	}
	return info, nil
}

// checkTarget says why a target cannot be replaced, and returns the name to
// replace: not that of a link, but of what it leads to.
func checkTarget(srcName, dstName string, src fs.FileInfo) (string, error) {
	info, err := os.Stat(dstName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(dstName); err == nil {
			return "", fmt.Errorf("%s is a link that leads nowhere; remove it first", dstName)
		}
		return dstName, nil
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%s is a directory; name the file: %s", dstName, filepath.Join(dstName, filepath.Base(srcName)))
	case os.SameFile(src, info):
		return "", fmt.Errorf("%s and %s are the same file", srcName, dstName)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file (%v)", dstName, info.Mode().Type())
	}
	return filepath.EvalSymlinks(dstName)
}

// unchanged says whether the source is what it was when the copy began.
func unchanged(src *file.File, before fs.FileInfo) error {
	now, err := src.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(before, now) || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) {
		return fmt.Errorf("%s changed while it was copied; try again when nobody writes to it", src.Name())
	}
	return nil
}

// syncDir makes a rename durable where directories can be synced. The copy
// itself already is, so a failure is no reason to take it back.
func syncDir(name string) {
	if d, err := os.Open(name); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
