package proactor

import (
	"math"
	"os"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// CurrentPosition, as the offset of a vectored operation or a splice, means the
// position of the file, which then advances. It is also the offset of files that
// have no position, such as pipes.
//
// A read or write at the current position that the kernel cannot complete at
// once, as with O_DIRECT, does not advance it (Linux 6.18): the next one is at the
// same place again. Those in flight at the same time can be at the same place,
// too. For files that have a position, keep it yourself and use ReadAt, WriteAt or
// an Offset; package file does that for its Read and Write.
const CurrentPosition = -1

// ReadAt reads up to len(Buf) bytes of a file at an offset in bytes. The
// result is the number of bytes, 0 at the end of the file; it can be less than
// asked for. At most 2 GiB minus one page are read at once.
type ReadAt struct {
	count
	FD     int
	Buf    []byte
	Offset int64
}

// Prepare implements Operation.
func (o ReadAt) Prepare(r *Request) error {
	if o.Offset < 0 {
		return invalid("ReadAt at the negative offset %d", o.Offset)
	}
	r.Buf = o.Buf
	r.SQE.PrepRead(o.FD, o.Buf, uint64(o.Offset))
	err := prepared(r)
	r.Waits = false // a file that has offsets has its data
	return err
}

// WriteAt writes up to len(Buf) bytes of a file at an offset in bytes. The
// result is the number of bytes written, which can be less.
type WriteAt struct {
	count
	FD     int
	Buf    []byte
	Offset int64
}

// Prepare implements Operation.
func (o WriteAt) Prepare(r *Request) error {
	if o.Offset < 0 {
		return invalid("WriteAt at the negative offset %d", o.Offset)
	}
	r.Buf = o.Buf
	r.SQE.PrepWrite(o.FD, o.Buf, uint64(o.Offset))
	err := prepared(r)
	r.Waits = false
	return err
}

// Read reads from a file's current position, a pipe or a device. The result is
// the number of bytes, 0 at the end. See CurrentPosition for when the position
// does not advance.
type Read struct {
	count
	FD  int
	Buf []byte
}

// Prepare implements Operation.
func (o Read) Prepare(r *Request) error {
	r.Buf = o.Buf
	r.SQE.PrepRead(o.FD, o.Buf, uring.CurrentPosition)
	return prepared(r)
}

// Write writes at a file's current position, to a pipe or to a device. The
// result is the number of bytes written. See CurrentPosition for when the position
// does not advance.
type Write struct {
	count
	FD  int
	Buf []byte
}

// Prepare implements Operation.
func (o Write) Prepare(r *Request) error {
	r.Buf = o.Buf
	r.SQE.PrepWrite(o.FD, o.Buf, uring.CurrentPosition)
	return prepared(r)
}

// maxVector is the number of buffers that the kernel takes at once.
const maxVector = 1024

// vector makes the iovecs for buffers, which stay with the Request.
func (r *Request) vector(bufs [][]byte, offset int64) (*uring.Iovec, error) {
	if len(bufs) > maxVector {
		return nil, invalid("%d buffers at once: at most %d are possible", len(bufs), maxVector)
	}
	if offset < CurrentPosition {
		return nil, invalid("the offset %d is negative and not CurrentPosition", offset)
	}
	for _, b := range bufs {
		var v uring.Iovec
		v.SetBytes(b)
		r.iovecs = append(r.iovecs, v)
	}
	r.Waits = offset == CurrentPosition
	if len(bufs) == 0 {
		return nil, nil
	}
	return &r.iovecs[0], nil
}

// ReadVec reads into several buffers, one after the other, at an offset in
// bytes or at the CurrentPosition. At most 1024 buffers are possible; Flags are
// the RWF_ flags of preadv2(2). The result is the number of bytes, 0 at the end.
type ReadVec struct {
	count
	FD     int
	Bufs   [][]byte
	Offset int64
	Flags  int32
}

// Prepare implements Operation.
func (o ReadVec) Prepare(r *Request) error {
	iov, err := r.vector(o.Bufs, o.Offset)
	if err != nil {
		return err
	}
	r.SQE.PrepReadv(o.FD, iov, len(o.Bufs), uint64(o.Offset), o.Flags)
	return nil
}

// WriteVec writes several buffers, one after the other, at an offset in bytes
// or at the CurrentPosition. At most 1024 buffers are possible; Flags are the
// RWF_ flags of pwritev2(2). The result is the number of bytes written.
type WriteVec struct {
	count
	FD     int
	Bufs   [][]byte
	Offset int64
	Flags  int32
}

// Prepare implements Operation.
func (o WriteVec) Prepare(r *Request) error {
	iov, err := r.vector(o.Bufs, o.Offset)
	if err != nil {
		return err
	}
	r.SQE.PrepWritev(o.FD, iov, len(o.Bufs), uint64(o.Offset), o.Flags)
	return nil
}

// ReadFixed is ReadAt into a part of a buffer that is registered with the ring
// under an index, or with CurrentPosition Read. The buffer must stay registered
// until the completion.
type ReadFixed struct {
	count
	FD     int
	Buf    []byte
	Offset int64
	Index  uint16
}

// Prepare implements Operation.
func (o ReadFixed) Prepare(r *Request) error {
	if o.Offset < CurrentPosition {
		return invalid("ReadFixed at the negative offset %d", o.Offset)
	}
	r.Buf = o.Buf
	r.SQE.PrepReadFixed(o.FD, o.Buf, uint64(o.Offset), o.Index)
	r.Waits = o.Offset == CurrentPosition
	return nil
}

// WriteFixed is WriteAt from a part of a buffer that is registered with the
// ring under an index, or with CurrentPosition Write. The buffer must stay
// registered until the completion.
type WriteFixed struct {
	count
	FD     int
	Buf    []byte
	Offset int64
	Index  uint16
}

// Prepare implements Operation.
func (o WriteFixed) Prepare(r *Request) error {
	if o.Offset < CurrentPosition {
		return invalid("WriteFixed at the negative offset %d", o.Offset)
	}
	r.Buf = o.Buf
	r.SQE.PrepWriteFixed(o.FD, o.Buf, uint64(o.Offset), o.Index)
	r.Waits = o.Offset == CurrentPosition
	return nil
}

// Fsync makes what has been written to a file durable.
type Fsync struct {
	nothing
	FD       int
	DataOnly bool // leave out metadata that is not needed to read the data
}

// Prepare implements Operation.
func (o Fsync) Prepare(r *Request) error {
	var flags uring.FsyncFlags
	if o.DataOnly {
		flags = uring.IORING_FSYNC_DATASYNC
	}
	r.SQE.PrepFsync(o.FD, flags)
	return prepared(r)
}

// SyncRange starts or awaits writing a part of a file to the disk, as the flags
// of sync_file_range(2) say. It makes nothing durable: metadata and the disk's
// own cache are left out. Len is in bytes, 0 for all that follows Offset, and
// less than 4 GiB.
type SyncRange struct {
	nothing
	FD          int
	Offset, Len int64
	Flags       uint32
}

// Prepare implements Operation.
func (o SyncRange) Prepare(r *Request) error {
	if err := checkRange("SyncRange", o.Offset, o.Len); err != nil {
		return err
	}
	r.SQE.PrepSyncFileRange(o.FD, uint64(o.Offset), uint32(o.Len), o.Flags)
	return prepared(r)
}

// checkRange refuses a part of a file that an entry cannot describe.
func checkRange(name string, offset, n int64) error {
	if offset < 0 || n < 0 || n > math.MaxUint32 {
		return invalid("%s of %d bytes at %d: want less than 4 GiB, and nothing negative", name, n, offset)
	}
	return nil
}

// Truncate sets the size of a file. It needs Linux 6.9.
type Truncate struct {
	nothing
	FD   int
	Size int64
}

// Prepare implements Operation.
func (o Truncate) Prepare(r *Request) error {
	r.SQE.PrepFtruncate(o.FD, o.Size)
	return prepared(r)
}

// Allocate changes the space of a file, as fallocate(2) does and its mode says:
// 0 reserves Len bytes from Offset on, and extends the file if need be.
type Allocate struct {
	nothing
	FD          int
	Mode        uint32
	Offset, Len int64
}

// Prepare implements Operation.
func (o Allocate) Prepare(r *Request) error {
	r.SQE.PrepFallocate(o.FD, o.Mode, o.Offset, o.Len)
	return prepared(r)
}

// Advise announces how a part of a file will be used, with an advice of
// posix_fadvise(2). Len is in bytes, 0 for all that follows Offset, and less
// than 4 GiB.
type Advise struct {
	nothing
	FD          int
	Offset, Len int64
	Advice      int
}

// Prepare implements Operation.
func (o Advise) Prepare(r *Request) error {
	if err := checkRange("Advise", o.Offset, o.Len); err != nil {
		return err
	}
	r.SQE.PrepFadvise(o.FD, uint64(o.Offset), uint32(o.Len), int32(o.Advice))
	return prepared(r)
}

// AdviseMemory announces how memory will be used, with an advice of madvise(2).
// The memory has to be whole pages, so that no other is affected, and comes from
// a mapping of the program, not from Go's heap, if the advice is one that
// changes what it contains or how it can be used.
type AdviseMemory struct {
	nothing
	Memory []byte
	Advice int
}

// Prepare implements Operation.
func (o AdviseMemory) Prepare(r *Request) error {
	if page := os.Getpagesize(); len(o.Memory)%page != 0 || sys.PageOffset(o.Memory) != 0 || int64(len(o.Memory)) > math.MaxUint32 {
		return invalid("AdviseMemory of %d bytes, %d into a page: want whole pages of %d, and less than 4 GiB",
			len(o.Memory), sys.PageOffset(o.Memory), page)
	}
	r.Buf = o.Memory
	sys.PrepMadvise(&r.SQE, o.Memory, o.Advice)
	return prepared(r)
}

// Splice moves up to Len bytes between two descriptors of which at least one is
// a pipe, as splice(2) does. The offset of a pipe is CurrentPosition. The result
// is the number of bytes moved, 0 at the end. A splice runs in a thread of the
// kernel, and one that waits for its pipe occupies it.
type Splice struct {
	count
	From, To             int
	FromOffset, ToOffset int64
	Len                  int
	Flags                uring.SpliceFlags
}

// Prepare implements Operation.
func (o Splice) Prepare(r *Request) error {
	if o.Len < 0 || o.Len > math.MaxInt32 {
		return invalid("Splice of %d bytes: want 0 to 2 GiB", o.Len)
	}
	r.SQE.PrepSplice(o.From, o.FromOffset, o.To, o.ToOffset, uint32(o.Len), o.Flags)
	return prepared(r)
}

// Tee copies up to Len bytes from one pipe to another, where they can be read
// as well, as tee(2) does. The result is the number of bytes. Like Splice, it
// runs in a thread of the kernel.
type Tee struct {
	count
	From, To int
	Len      int
	Flags    uring.SpliceFlags
}

// Prepare implements Operation.
func (o Tee) Prepare(r *Request) error {
	if o.Len < 0 || o.Len > math.MaxInt32 {
		return invalid("Tee of %d bytes: want 0 to 2 GiB", o.Len)
	}
	r.SQE.PrepTee(o.From, o.To, uint32(o.Len), o.Flags)
	return prepared(r)
}

// CloseFD closes a descriptor. Nothing else may be under way on it.
type CloseFD struct {
	nothing
	FD int
}

// Prepare implements Operation.
func (o CloseFD) Prepare(r *Request) error {
	r.SQE.PrepClose(o.FD)
	return prepared(r)
}
