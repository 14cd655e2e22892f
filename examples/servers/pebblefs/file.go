package pebblefs

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/yamanote-go/yamanote/file"
)

// openFile is a file for Pebble. Read, ReadAt, Write, WriteAt, Sync, SyncData,
// Close and Fd are those of package file.
type openFile struct{ *file.File }

var _ vfs.File = (*openFile)(nil)

// Preallocate allocates storage without changing the size, where that can be
// done; it is for speed only.
func (f *openFile) Preallocate(off, n int64) error {
	if n <= 0 {
		return nil
	}
	return unlessUnsupported(f.Reserve(off, n))
}

// Prefetch has the kernel read a part of the file ahead, where that can be
// done.
func (f *openFile) Prefetch(off, n int64) error {
	return unlessUnsupported(f.Advise(off, n, file.AdviceWillNeed))
}

func unlessUnsupported(err error) error {
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// SyncTo has the kernel begin to write the first n bytes to the disk, so that a
// Sync later has little left to do, and waits for those that it has begun with
// before, so that what is on its way stays bounded. Nothing is durable then.
// Where the kernel cannot do that, everything is synced.
func (f *openFile) SyncTo(n int64) (fullSync bool, err error) {
	if n <= 0 {
		return false, nil // to SyncRange it would mean all of the file
	}
	err = f.SyncRange(0, n, file.SyncRangeWaitBefore|file.SyncRangeWrite)
	if !errors.Is(err, errors.ErrUnsupported) {
		return false, err
	}
	if err := f.SyncData(); err != nil {
		return false, err
	}
	return true, nil
}

// Stat returns the attributes of the file.
func (f *openFile) Stat() (vfs.FileInfo, error) {
	i, err := f.File.Stat()
	if err != nil {
		return nil, err
	}
	return info{i, f.Name()}, nil
}

// info are attributes for Pebble.
type info struct {
	os.FileInfo
	path string // by which the file was opened
}

// DeviceID returns which disk the file is on. Only Pebble can make a DeviceID,
// and only for a name; if the file has lost the one that it was opened by, its
// directory answers, and if that is gone, too, the zero DeviceID says so.
func (i info) DeviceID() vfs.DeviceID {
	for _, path := range []string{i.path, filepath.Dir(i.path)} {
		if of, err := vfs.Default.Stat(path); err == nil {
			return of.DeviceID()
		}
	}
	return vfs.DeviceID{}
}
