package proactor

import (
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// syscallName names a kernel operation in errors as the system call that it
// stands for.
func syscallName(op uring.Op) string { return strings.ToLower(op.String()) }

// prepared completes a request from the table of operations.
func prepared(r *Request) error {
	info, _ := r.SQE.Opcode.Info()
	r.Waits = info.Wait != uring.WaitsNever
	r.OwnsFD = info.ReturnsFD()
	return nil
}

// count is the result of operations that move bytes.
type count struct{}

func (count) Result(_ *Request, c driver.Completion) (int, error) { return int(c.Res), nil }

// nothing is the result of operations that succeed or fail.
type nothing struct{}

func (nothing) Result(*Request, driver.Completion) (struct{}, error) { return struct{}{}, nil }

// Nop does nothing, by way of the kernel.
type Nop struct{ nothing }

// Prepare implements Operation.
func (o Nop) Prepare(r *Request) error {
	r.SQE.PrepNop()
	return prepared(r)
}

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
		return syscall.EINVAL
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
		return syscall.EINVAL
	}
	r.Buf = o.Buf
	r.SQE.PrepWrite(o.FD, o.Buf, uint64(o.Offset))
	err := prepared(r)
	r.Waits = false
	return err
}

// Read reads from a file's current position, a pipe or a device. The result is
// the number of bytes, 0 at the end.
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
// result is the number of bytes written.
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

// Recv receives from a connected socket, with the flags of recv(2). The result
// is the number of bytes, 0 at the end of the stream.
type Recv struct {
	count
	FD    int
	Buf   []byte
	Flags uint32
}

// Prepare implements Operation.
func (o Recv) Prepare(r *Request) error {
	r.Buf = o.Buf
	r.SQE.PrepRecv(o.FD, o.Buf, o.Flags, 0)
	return prepared(r)
}

// Send sends to a connected socket, with the flags of send(2) and
// MSG_NOSIGNAL. The result is the number of bytes sent.
type Send struct {
	count
	FD    int
	Buf   []byte
	Flags uint32
}

// msgNoSignal is MSG_NOSIGNAL, the same on every Linux.
const msgNoSignal = 0x4000

// Prepare implements Operation.
func (o Send) Prepare(r *Request) error {
	r.Buf = o.Buf
	r.SQE.PrepSend(o.FD, o.Buf, o.Flags|msgNoSignal, 0)
	return prepared(r)
}

// Accept waits for a connection on a listening socket. The result's
// descriptor is close-on-exec and belongs to whoever takes the result.
type Accept struct{ FD int }

// Accepted is the result of Accept.
type Accepted struct {
	FD   int
	Peer net.Addr // a *net.TCPAddr or *net.UnixAddr
}

// Prepare implements Operation.
func (o Accept) Prepare(r *Request) error {
	sa := new(sys.Sockaddr)
	r.Keep = sa
	sys.PrepAccept(&r.SQE, o.FD, sa)
	return prepared(r)
}

// Result implements Operation.
func (o Accept) Result(r *Request, c driver.Completion) (Accepted, error) {
	sa := r.Keep.(*sys.Sockaddr)
	if addr := sa.TCPAddr(); addr != nil {
		return Accepted{FD: int(c.Res), Peer: addr}, nil
	}
	return Accepted{FD: int(c.Res), Peer: sa.UnixAddr("unix")}, nil
}

// Open opens a file relative to the current directory, close-on-exec. The
// result is its descriptor.
type Open struct {
	Path string
	Flag int    // as for os.OpenFile
	Perm uint32 // permission bits of a file that is created, before umask
}

// Prepare implements Operation.
func (o Open) Prepare(r *Request) error {
	path, err := sys.PathBytes(o.Path)
	if err != nil {
		return err
	}
	r.Keep = path
	sys.PrepOpenat(&r.SQE, sys.AtFdcwd, path, o.Flag, o.Perm)
	return prepared(r)
}

// Result implements Operation.
func (o Open) Result(_ *Request, c driver.Completion) (int, error) { return int(c.Res), nil }

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

// Shutdown closes one or both directions of a connected socket: How is
// syscall.SHUT_RD, SHUT_WR or SHUT_RDWR.
type Shutdown struct {
	nothing
	FD, How int
}

// Prepare implements Operation.
func (o Shutdown) Prepare(r *Request) error {
	r.SQE.PrepShutdown(o.FD, o.How)
	return prepared(r)
}

// Poll waits until a descriptor is ready for one of the poll(2) events. The
// result are the events it is ready for.
type Poll struct {
	FD     int
	Events uint32
}

// Prepare implements Operation.
func (o Poll) Prepare(r *Request) error {
	r.SQE.PrepPollAdd(o.FD, o.Events, 0)
	return prepared(r)
}

// Result implements Operation.
func (o Poll) Result(_ *Request, c driver.Completion) (uint32, error) { return uint32(c.Res), nil }

// Timeout completes after a duration, by the kernel's monotonic clock.
type Timeout struct {
	nothing
	After time.Duration
}

// Prepare implements Operation.
func (o Timeout) Prepare(r *Request) error {
	after := max(o.After, 0)
	ts := &uring.Timespec{Sec: int64(after / time.Second), Nsec: int64(after % time.Second)}
	r.Keep = ts
	r.Expected = uring.ETIME
	r.SQE.PrepTimeout(ts, 0, 0)
	return prepared(r)
}
