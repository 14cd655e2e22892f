package net

import (
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/poll"
)

// ReadFrom implements the io.ReaderFrom ReadFrom method: it sends what it reads
// from r until r ends, which is no error. From another stream connection of this
// package, and from a regular file (an *os.File, or a File of package file), also
// behind an io.LimitedReader, the kernel moves the data on Linux, and they are
// not brought into the process; between connections only when much arrives at a
// time.
//
// Deadlines apply: those for writing here, and those for reading there. If sending fails, up to 256 KiB that have been received by then are lost.
func (c *TCPConn) ReadFrom(r io.Reader) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.std != nil {
		return readFromStd(c.std.(*net.TCPConn), r)
	}
	var (
		n       int64
		handled bool
		err     error
	)
	if v := buffersOf(r); v != nil {
		n, err = c.writeBuffers(v)
		handled = true
	} else {
		n, handled, err = c.readFrom(r)
	}
	if !handled {
		// With its other methods hidden, or io.Copy would call this one.
		n, err = io.Copy(struct{ io.Writer }{c}, r)
	}
	if err != nil && err != io.EOF {
		err = c.opError("readfrom", "readfrom", err)
	}
	return n, err
}

// WriteTo implements the io.WriterTo WriteTo method: it writes what it receives
// to w until the end of the stream, which is no error. To another stream
// connection of this package, the kernel moves the data; see ReadFrom.
func (c *TCPConn) WriteTo(w io.Writer) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.std != nil {
		if to := streamOf(w); to != nil && to.std != nil {
			w = to.std
		}
		return c.std.(*net.TCPConn).WriteTo(w)
	}
	var (
		n       int64
		handled bool
		err     error
	)
	if to := streamOf(w); to != nil && to.fd != nil {
		n, err = poll.Move(to.fd, c.fd, math.MaxInt64)
		handled, err = true, wrapErr("splice", err)
	}
	if !handled {
		n, err = io.Copy(w, struct{ io.Reader }{c})
	}
	if err != nil && err != io.EOF {
		err = c.opError("writeto", "writeto", err)
	}
	return n, err
}

// streamOf returns what is a stream connection of this package, or nil.
func streamOf(v any) *conn {
	switch v := v.(type) {
	case *TCPConn:
		if v.conn.ok() {
			return &v.conn
		}
	case *UnixConn:
		if v.conn.ok() {
			return &v.conn
		}
	}
	return nil
}

// readFromStd makes the standard library see its own connections in r.
func readFromStd(c *net.TCPConn, r io.Reader) (int64, error) {
	return poll.ReadBehind(r, func(r io.Reader) io.Reader {
		if from := streamOf(r); from != nil && from.std != nil {
			return from.std
		}
		return nil
	}, c.ReadFrom)
}

// readFrom has the kernel move the data, and reports whether it can.
func (c *TCPConn) readFrom(r io.Reader) (n int64, handled bool, err error) {
	limit := int64(math.MaxInt64)
	if limited, ok := r.(*io.LimitedReader); ok {
		if limited.N <= 0 {
			return 0, true, nil
		}
		r, limit = limited.R, limited.N
		defer func() { limited.N -= n }()
	}
	if from := streamOf(r); from != nil {
		if from.fd == nil {
			return 0, false, nil
		}
		n, err = poll.Move(c.fd, from.fd, limit)
		return n, true, wrapErr("splice", err)
	}
	f, ok := regular(r)
	if !ok {
		return 0, false, nil
	}
	// The file's lock is held meanwhile, because of its position.
	var sendErr error
	err = f.Read(func(sysfd uintptr) bool {
		n, handled, sendErr = c.fd.SendFile(int(sysfd), limit)
		return true
	})
	if err != nil {
		return 0, false, nil // the Read that follows says why
	}
	return n, handled, wrapErr("sendfile", sendErr)
}

// regular returns access to the descriptor of what is a regular file and reads
// like one. A type of somebody else's that has a file in it need not.
func regular(r io.Reader) (syscall.RawConn, bool) {
	f, ok := r.(interface {
		syscall.Conn
		Stat() (fs.FileInfo, error)
	})
	if !ok || !isFile(r) {
		return nil, false
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	rc, err := f.SyscallConn()
	return rc, err == nil
}

// filePackage is where the files of this module come from, which this package
// must not import.
var filePackage = strings.TrimSuffix(reflect.TypeFor[TCPConn]().PkgPath(), "net") + "file"

// isFile reports whether r is an *os.File, also as it hands itself to ReadFrom in
// its own WriteTo, or a File of package file.
func isFile(r io.Reader) bool {
	if _, ok := r.(*os.File); ok {
		return true
	}
	t := reflect.TypeOf(r)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath() == "os" || t.PkgPath() == filePackage && t.Name() == "File"
}
