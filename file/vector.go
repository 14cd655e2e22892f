package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/sys"
)

// Readv reads from the file's position into several buffers, one after the other,
// as one Read: it can read less than they hold. At the end of the file it returns
// 0 and io.EOF. At most the first 1024 buffers that are not empty are used.
func (f *File) Readv(bufs [][]byte) (int64, error) {
	if f == nil {
		return 0, os.ErrInvalid
	}
	part := rest(bufs, 0)
	if len(part) == 0 {
		return 0, nil
	}
	if f.ring == nil && !f.vectors() {
		n, err := f.Read(part[0])
		return int64(n), err
	}
	n, err := f.readVec(part, sys.CurrentPosition, 0)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return int64(n), f.pathError("read", err)
}

// Writev writes all of several buffers, one after the other, at the file's
// position, or at its end if it was opened with O_APPEND. Each 1024 buffers are
// written as by one Write, so that nobody else's data come between them unless a
// file system writes only part of them at once.
func (f *File) Writev(bufs [][]byte) (int64, error) {
	return f.writeAllVec(bufs, sys.CurrentPosition)
}

// ReadvAt fills several buffers, one after the other, from offset off in bytes.
// It returns an error if there are fewer bytes, at the end of the file io.EOF.
func (f *File) ReadvAt(bufs [][]byte, off int64) (n int64, err error) {
	if f == nil {
		return 0, os.ErrInvalid
	}
	if off < 0 {
		return 0, f.pathError("readat", errNegativeOffset)
	}
	if !f.vectors() {
		for _, b := range bufs {
			m, err := f.ReadAt(b, off+n)
			if n += int64(m); err != nil {
				return n, err
			}
		}
		return n, nil
	}
	for {
		part := rest(bufs, n)
		if len(part) == 0 {
			return n, nil
		}
		m, err := f.readVec(part, off+n, 0)
		if n += int64(m); err != nil {
			return n, f.pathError("read", err)
		}
		if m == 0 {
			return n, io.EOF
		}
	}
}

// WritevAt writes all of several buffers, one after the other, at offset off in
// bytes. It cannot be used with a file that was opened with O_APPEND.
func (f *File) WritevAt(bufs [][]byte, off int64) (int64, error) {
	switch {
	case f == nil:
		return 0, os.ErrInvalid
	case f.append: // which WriteAt refuses
		n, err := f.std.WriteAt(nil, off)
		return int64(n), err
	case off < 0:
		return 0, f.pathError("writeat", errNegativeOffset)
	}
	return f.writeAllVec(bufs, off)
}

func (f *File) writeAllVec(bufs [][]byte, off int64) (n int64, err error) {
	if f == nil {
		return 0, os.ErrInvalid
	}
	if !f.vectors() {
		for _, b := range bufs {
			var m int
			if off == sys.CurrentPosition {
				m, err = f.Write(b)
			} else {
				m, err = f.WriteAt(b, off+n)
			}
			if n += int64(m); err != nil {
				return n, err
			}
		}
		return n, nil
	}
	for {
		part := rest(bufs, n)
		if len(part) == 0 {
			return n, nil
		}
		at := off
		if off != sys.CurrentPosition {
			at += n
		}
		m, err := f.writeVec(part, at, 0)
		if n += int64(m); err != nil {
			return n, f.pathError("write", err)
		}
		if m == 0 {
			return n, f.pathError("write", io.ErrUnexpectedEOF)
		}
	}
}

// vectors reports whether the system takes several buffers for this file.
func (f *File) vectors() bool { return f.ring != nil || onLinux && f.offsets() }

// offsets reports whether the file is read and written at offsets.
func (f *File) offsets() bool {
	if f.ring != nil {
		return true
	}
	info, err := f.std.Stat()
	return err == nil && hasOffsets(info.Mode().Type())
}

// rest returns what is left of buffers behind their first n bytes, without those
// that are empty, and not more than the kernel takes at once.
func rest(bufs [][]byte, n int64) [][]byte {
	var part [][]byte
	for _, b := range bufs {
		if n >= int64(len(b)) {
			n -= int64(len(b))
			continue
		}
		part = append(part, b[n:])
		n = 0
		if len(part) == poll.MaxVector {
			break
		}
	}
	return part
}

// readVec reads once, by the ring or a system call.
func (f *File) readVec(bufs [][]byte, off int64, flags int) (n int, err error) {
	if f.ring != nil {
		return f.ring.ReadVec(bufs, off, flags)
	}
	err = f.raw(func(sysfd int) error {
		n, err = sys.Preadv(sysfd, bufs, off, flags)
		return err
	})
	return n, err
}

// writeVec is readVec for writing.
func (f *File) writeVec(bufs [][]byte, off int64, flags int) (n int, err error) {
	if f.ring != nil {
		return f.ring.WriteVec(bufs, off, flags)
	}
	err = f.raw(func(sysfd int) error {
		n, err = sys.Pwritev(sysfd, bufs, off, flags)
		return err
	})
	return n, err
}

// IOFlags change what one read or write does; they can be combined.
type IOFlags int

// The flags of ReadAtWith and WriteAtWith.
const (
	// IODataSync makes a write durable before it returns, with the metadata that
	// are needed to read it: what SyncData does, for these bytes only.
	IODataSync IOFlags = sys.RwfDsync

	// IOSync makes a write durable before it returns, with all metadata.
	IOSync IOFlags = sys.RwfSync

	// IONoWait reads or writes only as much as needs no waiting. If that is less
	// than asked for, the error matches syscall.EAGAIN. Some file systems cannot
	// tell; their error matches errors.ErrUnsupported.
	IONoWait IOFlags = sys.RwfNowait

	// IOAppend makes a write go to the end of the file, whatever the offset.
	// Linux 4.16.
	IOAppend IOFlags = sys.RwfAppend

	// IOAtomic makes a write happen as a whole or not at all, even if the power
	// fails: a disk tears nothing that is within the limits that AtomicLimits
	// returns. It needs a Direct file, and Linux 6.11. Anything else is an error.
	IOAtomic IOFlags = sys.RwfAtomic
)

// ReadAtWith is ReadAt with flags, of which only IONoWait makes sense. It needs
// Linux; elsewhere the error matches errors.ErrUnsupported.
func (f *File) ReadAtWith(b []byte, off int64, flags IOFlags) (n int, err error) {
	if err := f.checkFlags("readat", off, flags, IONoWait); err != nil {
		return 0, err
	}
	for n < len(b) {
		m, err := f.readVec([][]byte{b[n:]}, off+int64(n), int(flags))
		if err != nil {
			return n, f.pathError("read", err)
		}
		if n += m; m == 0 {
			return n, io.EOF
		}
	}
	return n, nil
}

// WriteAtWith is WriteAt with flags. It needs Linux; elsewhere the error matches
// errors.ErrUnsupported. For a file that was opened with O_APPEND, off has to be
// 0 and means nothing.
func (f *File) WriteAtWith(b []byte, off int64, flags IOFlags) (n int, err error) {
	if err := f.checkFlags("writeat", off, flags, IODataSync|IOSync|IONoWait|IOAppend|IOAtomic); err != nil {
		return 0, err
	}
	if f.append && off != 0 {
		return f.std.WriteAt(b, off) // which refuses it
	}
	if flags&IOAtomic != 0 {
		if err := f.checkAtomic(b, off); err != nil {
			return 0, f.pathError("write", err)
		}
	}
	for n < len(b) {
		m, err := f.writeVec([][]byte{b[n:]}, off+int64(n), int(flags))
		if n += m; err != nil {
			return n, f.pathError("write", err)
		}
		if m == 0 || flags&IOAtomic != 0 && n < len(b) {
			return n, f.pathError("write", io.ErrUnexpectedEOF)
		}
	}
	return n, nil
}

func (f *File) checkFlags(op string, off int64, flags, possible IOFlags) error {
	switch {
	case f == nil:
		return os.ErrInvalid
	case off < 0:
		return f.pathError(op, errNegativeOffset)
	case flags&^possible != 0:
		return f.pathError(op, fmt.Errorf("flags %#x: only %#x are possible: %w", int(flags), int(possible), os.ErrInvalid))
	case !f.vectors():
		return f.pathError(op, errors.ErrUnsupported)
	}
	return nil
}

// AtomicLimits returns between which sizes, in bytes, a write with IOAtomic can
// be. It has to be a power of two, at an offset that is a multiple of it. Both are
// 0 if the file, its file system or its disk cannot write atomically; Linux 6.11
// tells.
func (f *File) AtomicLimits() (least, most int, err error) {
	var l sys.FileLimits
	err = f.control("stat", func(sysfd int) error {
		l, err = sys.Limits(sysfd)
		return err
	})
	return int(l.AtomicMin), int(l.AtomicMax), err
}

// checkAtomic refuses what the kernel would, and says why.
func (f *File) checkAtomic(b []byte, off int64) error {
	least, most, err := f.AtomicLimits()
	if err != nil {
		return err
	}
	n := len(b)
	switch {
	case most == 0:
		return fmt.Errorf("the file cannot be written atomically (is it a Direct file, on a disk that can?): %w", syscall.EOPNOTSUPP)
	case n < least || n > most || n&(n-1) != 0:
		return fmt.Errorf("atomic write of %d bytes: want a power of two from %d to %d: %w", n, least, most, syscall.EINVAL)
	case off%int64(n) != 0:
		return fmt.Errorf("atomic write of %d bytes at offset %d, which is no multiple of that: %w", n, off, syscall.EINVAL)
	}
	return nil
}
