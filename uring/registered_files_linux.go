package uring

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Files is a ring's table of registered files. The kernel holds the files, also
// after their descriptors have been closed, until their slots are emptied or
// replaced or the ring ends; requests that are using one then keep it until
// they are done. At and Slots return the slots to give to operations.
//
// A ring has one table at a time. Files is not safe for concurrent use, and
// its methods are registration calls: which threads may make them depends on
// the setup flags.
type Files struct {
	ring *Ring
	n    int
}

// RegisterFiles makes a table with the given descriptors, NoFile for an empty
// slot. The descriptors may be closed afterwards.
//
// It fails with EINVAL for no descriptors, EBADF for one that is not open or is
// itself a ring, EBUSY if the ring has a table already, and EMFILE for more than
// the limit of open files. See io_uring_registered_files(7).
func (r *Ring) RegisterFiles(fds []int32) (*Files, error) {
	err := r.registerPlain(IORING_REGISTER_FILES, unsafe.Pointer(unsafe.SliceData(fds)), len(fds))
	runtime.KeepAlive(fds)
	if err != nil {
		return nil, filesError(fmt.Sprintf("registering %d files", len(fds)), fds, err)
	}
	return &Files{r, len(fds)}, nil
}

// RegisterFilesTagged is RegisterFiles with a tag for each file, as many as
// there are descriptors. When the kernel lets go of a file, because its slot was
// emptied or replaced and no request uses it any more, it posts a completion
// with the tag as user data, unless the tag is 0. An empty slot cannot have a
// tag (EINVAL). Linux 5.13, IORING_FEAT_RSRC_TAGS.
func (r *Ring) RegisterFilesTagged(fds []int32, tags []uint64) (*Files, error) {
	what := fmt.Sprintf("registering %d files", len(fds))
	if len(tags) != len(fds) {
		return nil, tagsError(what, len(tags))
	}
	err := r.registerTable(IORING_REGISTER_FILES2, unsafe.Pointer(unsafe.SliceData(fds)), len(fds), tags)
	runtime.KeepAlive(fds)
	if err != nil {
		return nil, filesError(what, fds, err)
	}
	return &Files{r, len(fds)}, nil
}

// RegisterFilesSparse makes a table of n empty slots, to be filled by Update,
// or by operations with ToSlot or ToAnySlot. Linux 5.19.
func (r *Ring) RegisterFilesSparse(n int) (*Files, error) {
	if err := r.registerSparse(IORING_REGISTER_FILES2, n); err != nil {
		return nil, filesError(fmt.Sprintf("registering %d empty slots for files", n), nil, err)
	}
	return &Files{r, n}, nil
}

// Len returns the number of slots.
func (f *Files) Len() int { return f.n }

// At returns slot i. It panics if there is no such slot.
func (f *Files) At(i int) File {
	checkIndex(i, f.n)
	return Slot(uint32(i))
}

// Slots yields all slots in order.
func (f *Files) Slots() iter.Seq2[int, File] {
	return func(yield func(int, File) bool) {
		for i := range f.n {
			if !yield(i, Slot(uint32(i))) {
				return
			}
		}
	}
}

// Update replaces the files in the slots from at on: NoFile empties a slot, and
// IORING_REGISTER_FILES_SKIP leaves it as it is. It returns how many slots it
// has replaced or left, which are fewer than asked for only with an error; the
// error is about the slot behind them. Linux 5.5.
//
// Requests that have been submitted use the files that they were submitted for.
func (f *Files) Update(at int, fds []int32) (int, error) {
	return f.update(at, fds, nil)
}

// UpdateTagged is Update with a tag for each new file, see RegisterFilesTagged.
// A slot that is skipped must have the tag 0. Linux 5.13.
func (f *Files) UpdateTagged(at int, fds []int32, tags []uint64) (int, error) {
	if len(tags) != len(fds) {
		return 0, tagsError(f.updating(at, len(fds)), len(tags))
	}
	return f.update(at, fds, tags)
}

func (f *Files) updating(at, n int) string {
	return fmt.Sprintf("updating %d of %d slots for files from slot %d on", n, f.n, at)
}

func (f *Files) update(at int, fds []int32, tags []uint64) (int, error) {
	n, err := f.ring.updateTable(IORING_REGISTER_FILES_UPDATE, at, len(fds), func(i int) unsafe.Pointer {
		return unsafe.Pointer(&fds[i])
	}, tags)
	runtime.KeepAlive(fds)
	if err != nil {
		return n, filesError(f.updating(at, len(fds)), fds[n:], err)
	}
	return n, nil
}

// SetAllocRange has the kernel choose only from the n slots from at on for
// ToAnySlot; without it, from all. It does not look at what is in them now.
// Linux 6.0.
func (f *Files) SetAllocRange(at, n int) error {
	// The kernel counts in 32 bits and would take a larger number for another.
	if at < 0 || n < 0 || at > f.n || n > f.n-at {
		return fmt.Errorf("uring: allocating from %d of %d slots for files from slot %d on: %w", n, f.n, at, syscall.EINVAL)
	}
	arg := FileIndexRange{Off: uint32(at), Len: uint32(n)}
	if _, err := f.ring.Register(IORING_REGISTER_FILE_ALLOC_RANGE, unsafe.Pointer(&arg), 0); err != nil {
		return filesError(fmt.Sprintf("allocating from %d of %d slots for files from slot %d on", n, f.n, at), nil, err)
	}
	return nil
}

// Unregister removes the table. Requests that have been submitted keep their
// files. It fails with ENXIO if the ring has no table any more.
func (f *Files) Unregister() error {
	if _, err := f.ring.Register(IORING_UNREGISTER_FILES, nil, 0); err != nil {
		return filesError(fmt.Sprintf("unregistering %d files", f.n), nil, err)
	}
	return nil
}

// filesError says what was asked for, and what the kernel leaves out: which
// descriptor is bad.
func filesError(what string, fds []int32, err error) error {
	switch {
	case errors.Is(err, syscall.EBADF):
		for i, fd := range fds {
			switch {
			case fd == NoFile || fd == IORING_REGISTER_FILES_SKIP:
			case !isOpen(fd):
				return fmt.Errorf("uring: %s: %w: number %d of them, %d, is not open", what, err, i, fd)
			}
		}
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("uring: %s: %w: more than the limit of open files (RLIMIT_NOFILE)", what, err)
	}
	return tableError(what, err)
}

// isOpen reports whether the process has the descriptor.
func isOpen(fd int32) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}
