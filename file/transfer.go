package file

import (
	"io"
	"math"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/internal/sys"
)

// ReadFrom implements the io.ReaderFrom ReadFrom method: it writes what it reads
// from r until r ends, which is no error. From another file with offsets, of this
// package or of package os, and from a stream socket, of package net or of this
// module's, also behind an io.LimitedReader, the kernel moves the data on Linux,
// and they are not brought into the process.
//
// If writing fails, up to 256 KiB that have been received from a socket by then
// are lost.
func (f *File) ReadFrom(r io.Reader) (int64, error) {
	if f == nil {
		return 0, os.ErrInvalid
	}
	if f.ring == nil && f.stream == nil {
		return readFromStd(f.std, r)
	}
	n, handled, err := f.readFrom(r)
	if handled {
		return n, f.pathError("write", err)
	}
	// With its other methods hidden, or io.Copy would call this one.
	return io.Copy(struct{ io.Writer }{f}, r)
}

// WriteTo implements the io.WriterTo WriteTo method: it writes to w what it reads
// from the file's position on until the file ends, which is no error. From a file
// with offsets to a stream socket, of package net or of this module's, the kernel
// moves the data on Linux.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	if f == nil {
		return 0, os.ErrInvalid
	}
	if f.ring == nil && f.stream == nil {
		if to, ok := w.(*File); ok && to != nil && to.ring == nil && to.stream == nil {
			w = to.std
		}
		return f.std.WriteTo(w)
	}
	if f.ring != nil && isStreamSocket(w) {
		n, handled, err := f.sendTo(w.(syscall.Conn))
		if handled {
			return n, f.pathError("read", err)
		}
	}
	return io.Copy(w, struct{ io.Reader }{f})
}

// readFromStd makes package os see its own files in r.
func readFromStd(std *os.File, r io.Reader) (int64, error) {
	return poll.ReadBehind(r, func(r io.Reader) io.Reader {
		if from, ok := r.(*File); ok && from != nil && from.ring == nil && from.stream == nil {
			return from.std
		}
		return nil
	}, std.ReadFrom)
}

// readFrom has the kernel move the data, and reports whether it can.
func (f *File) readFrom(r io.Reader) (n int64, handled bool, err error) {
	if f.ring == nil || f.append {
		return 0, false, nil // the kernel refuses
	}
	limit := int64(math.MaxInt64)
	if limited, ok := r.(*io.LimitedReader); ok {
		if limited.N <= 0 {
			return 0, true, nil
		}
		r, limit = limited.R, limited.N
		defer func() { limited.N -= n }()
	}
	switch src := r.(type) {
	case *File:
		switch {
		case src == nil, src.stream != nil:
			return 0, false, nil
		case src.ring != nil:
			n, handled, err = f.ring.CopyFrom(src.ring, limit)
			return n, handled, callError("copy_file_range", err)
		}
		return f.copyFromOS(src.std, limit)
	case *os.File:
		return f.copyFromOS(src, limit)
	}
	if isStreamSocket(r) {
		return f.spliceFrom(r.(syscall.Conn), limit)
	}
	return 0, false, nil
}

func (f *File) copyFromOS(src *os.File, limit int64) (n int64, handled bool, err error) {
	rc, err := src.SyscallConn()
	if err != nil {
		return 0, false, nil // the Read that follows says why
	}
	// The source's lock is held meanwhile, because of its position.
	err = rc.Read(func(sysfd uintptr) bool {
		n, handled, err = f.ring.CopyFromDescriptor(int(sysfd), limit)
		return true
	})
	return n, handled, callError("copy_file_range", err)
}

// spliceFrom moves up to limit bytes from a socket. The file is only taken when
// there is something to write.
func (f *File) spliceFrom(conn syscall.Conn, limit int64) (n int64, handled bool, err error) {
	rc, err := conn.SyscallConn()
	if err != nil {
		return 0, false, nil
	}
	p, err := sys.NewPipe()
	if err != nil {
		return 0, false, nil // there are no descriptors left, most likely
	}
	defer p.Close()
	for n < limit {
		var held int64
		var errno syscall.Errno
		err := rc.Read(func(sysfd uintptr) bool {
			held, errno = p.FromSocket(int(sysfd), min(limit-n, maxMove))
			return errno != syscall.EAGAIN && errno != syscall.EINTR
		})
		switch {
		case err != nil:
			return n, true, err
		case errno != 0:
			return n, n > 0 || !poll.Cannot(errno), os.NewSyscallError("splice", errno)
		case held == 0:
			return n, true, nil
		}
		m, err := f.ring.Drain(p, held)
		if n += m; err != nil {
			return n, true, callError("splice", err)
		}
	}
	return n, true, nil
}

// sendTo sends the file to a socket. The file is not taken while the socket has no
// room.
func (f *File) sendTo(conn syscall.Conn) (n int64, handled bool, err error) {
	rc, err := conn.SyscallConn()
	if err != nil {
		return 0, false, nil // the Write that follows says why
	}
	for {
		var sent int64
		var errno syscall.Errno
		var failed error
		err := rc.Write(func(sysfd uintptr) bool {
			failed = f.ring.Control(func(file int) error {
				return f.ring.Alone(func() error {
					sent, errno = sys.SendFile(int(sysfd), file, maxMove)
					return nil
				})
			})
			return failed != nil || errno != syscall.EAGAIN && errno != syscall.EINTR
		})
		switch {
		case err != nil:
			return n, true, err
		case failed != nil:
			return n, true, failed
		case errno != 0:
			return n, n > 0 || !poll.Cannot(errno), os.NewSyscallError("sendfile", errno)
		case sent == 0:
			return n, true, nil
		}
		n += sent
	}
}

// callError is the error of a system call, as package os has it, or another.
func callError(name string, err error) error {
	if _, ok := err.(syscall.Errno); ok {
		return os.NewSyscallError(name, err)
	}
	return err
}

// maxMove is the most that one system call is asked to move to or from a socket,
// in which a deadline or Close is not noticed.
const maxMove = 1 << 20

// netPackage is where the connections of this module come from, which this
// package must not import.
var netPackage = strings.TrimSuffix(reflect.TypeFor[File]().PkgPath(), "file") + "net"

// isStreamSocket reports whether v is a stream connection of package net or of this
// module's. A type of somebody else's that has one in it need not read and write
// like it.
func isStreamSocket(v any) bool {
	switch c := v.(type) {
	case nil, *File:
		return false
	case *net.TCPConn:
		return c != nil
	case *net.UnixConn:
		return c != nil && c.LocalAddr() != nil && c.LocalAddr().Network() == "unix"
	}
	t := reflect.TypeOf(v)
	if t.Kind() != reflect.Pointer || t.Elem().PkgPath() != netPackage {
		return false
	}
	c, ok := v.(interface {
		syscall.Conn
		LocalAddr() net.Addr
	})
	if !ok || c.LocalAddr() == nil {
		return false
	}
	switch c.LocalAddr().Network() {
	case "tcp", "unix":
		return true
	}
	return false
}
