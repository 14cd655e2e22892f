package uring

import (
	"fmt"
	"strconv"
	"syscall"
)

// File names the file that an operation works on: a descriptor of the process
// (FD) or a slot of the ring's table of registered files (Slot, Files.At).
// A program that keeps a File does not care which of the two it is, and the
// slot never passes for the descriptor of the same number.
//
// It is a number and keeps nothing open. The zero File is no file at all: an
// operation on it fails with EBADF.
type File struct {
	inverse int32    // the number with all bits flipped, so that zero is -1
	flags   SQEFlags // IOSQE_FIXED_FILE for a slot
}

// NoFile, in place of a descriptor, leaves a slot of the registered file table
// empty, or empties it.
const NoFile int32 = -1

// FD returns the File of a descriptor, or with AtCWD, for operations on paths,
// the working directory. A number beyond every descriptor is no file, and not
// another one.
func FD(fd int) File {
	if int(int32(fd)) != fd {
		return File{}
	}
	return File{inverse: ^int32(fd)}
}

// Slot returns the File of a slot of the registered file table, such as the
// result of an operation that was given ToAnySlot. A slot beyond every table is
// no file.
func Slot(slot uint32) File {
	return File{inverse: ^int32(min(slot, 1<<31-1)), flags: IOSQE_FIXED_FILE}
}

// Registered reports whether the file is a slot of the registered file table.
func (f File) Registered() bool { return f.flags&IOSQE_FIXED_FILE != 0 }

// Number returns the descriptor, or the slot if Registered says so; -1 for no
// file.
func (f File) Number() int { return int(^f.inverse) }

// String returns the file in words: "descriptor 5", "slot 5".
func (f File) String() string {
	switch {
	case f.Registered():
		return "slot " + strconv.Itoa(f.Number())
	case f == FD(AtCWD):
		return "the working directory"
	case f == File{}:
		return "no file"
	}
	return "descriptor " + strconv.Itoa(f.Number())
}

// setFile puts the file into an entry whose Fd names it.
func (s *SQE) setFile(f File) {
	s.Fd = ^f.inverse
	s.Flags |= f.flags
}

// Target is where an operation that makes a file puts it: into a descriptor
// of the process, or without one into the registered file table (a direct
// descriptor). It is the entry's file index.
//
// The table must be there, as large as the slot and, for ToAnySlot, with an
// empty slot in its range for allocations; otherwise the result is ENXIO,
// EINVAL or ENFILE. The kernel knows nothing to inherit in the table and refuses
// O_CLOEXEC and SOCK_CLOEXEC with EINVAL for both kinds of slots.
type Target uint32

const (
	// ToFD makes a descriptor, which the result is.
	ToFD Target = 0

	// ToAnySlot lets the kernel choose an empty slot, which the result is.
	// Since 5.19.
	ToAnySlot = Target(IORING_FILE_INDEX_ALLOC)
)

// ToSlot uses the given slot; a file that is there is dropped. The result is 0.
// Since 5.15.
func ToSlot(slot uint32) Target {
	// A slot beyond every table stays beyond it, and is not taken for another.
	return Target(min(slot, 1<<31-1) + 1)
}

// File returns the file that a completion hands over: the descriptor or the
// slot that the operation with this target has made. It has an error if the
// operation has failed.
func (t Target) File(cqe CQE) (File, error) {
	if errno := cqe.Errno(); errno != 0 {
		return File{}, errno
	}
	switch t {
	case ToFD:
		return FD(int(cqe.Res)), nil
	case ToAnySlot:
		return Slot(uint32(cqe.Res)), nil
	}
	return Slot(uint32(t - 1)), nil
}

// FileError is the error of preparing an operation for a file that it cannot
// take. It unwraps to EBADF.
type FileError struct {
	Op   Op
	File File
	Use  FileUse // what the operation takes
}

// Error says what the operation would have done with the file, and what to do.
func (e *FileError) Error() string {
	if e.Use == FileSlot {
		return fmt.Sprintf("uring: %v takes only a registered file, not %v", e.Op, e.File)
	}
	return fmt.Sprintf("uring: %v cannot take a registered file: the kernel would refuse %v, or take it for descriptor %d; "+
		"FIXED_FD_INSTALL makes a descriptor of a slot", e.Op, e.File, e.File.Number())
}

// Unwrap returns EBADF, which is what the kernel says of such a file when it
// does not take it for another.
func (e *FileError) Unwrap() error { return syscall.EBADF }

// refuse makes the entry a filler, because it is taken and will be submitted,
// and returns the error.
func (s *SQE) refuse(op Op, f File, use FileUse) error {
	s.prepFiller(0)
	return &FileError{Op: op, File: f, Use: use}
}
