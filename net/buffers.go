package net

import (
	"io"
	"net"
	"syscall"
)

// Buffers is a list of pieces of data to be written one after the other.
//
// To the stream connections of this package, of which WriteTo is given one, all
// pieces go by one system call if the connection has room for them (up to 1024
// of them), and by few otherwise. Any other connection of the standard library
// is treated as by net.Buffers, and any other Writer gets one Write for each.
//
// A TCPConn does the same with a *Buffers, or a *net.Buffers of the standard
// library, that its ReadFrom is given.
type Buffers [][]byte

var (
	_ io.WriterTo = (*Buffers)(nil)
	_ io.Reader   = (*Buffers)(nil)
)

// buffersWriter is what sends several pieces at once. The list is consumed as
// far as it has been sent.
type buffersWriter interface {
	writeBuffers(v *Buffers) (int64, error)
}

// WriteTo writes the contents of the list to w, and takes out of the list what
// has been written, also if it fails in the middle. The pieces' bytes are not
// modified, and are the caller's again when WriteTo returns.
func (v *Buffers) WriteTo(w io.Writer) (int64, error) {
	if to, ok := w.(buffersWriter); ok {
		return to.writeBuffers(v)
	}
	return (*net.Buffers)(v).WriteTo(w)
}

// Read copies from the list into p and takes that out of the list. It returns
// io.EOF when the list has become shorter than p.
func (v *Buffers) Read(p []byte) (int, error) { return (*net.Buffers)(v).Read(p) }

func (c *conn) writeBuffers(v *Buffers) (int64, error) {
	if !c.ok() {
		return 0, syscall.EINVAL
	}
	if c.std != nil {
		return (*net.Buffers)(v).WriteTo(c.std)
	}
	n, err := c.fd.SendBuffers((*[][]byte)(v))
	if err != nil {
		err = c.opError("writev", "writev", err)
	}
	return n, err
}

// buffersOf returns the list that r is, or nil.
func buffersOf(r io.Reader) *Buffers {
	switch r := r.(type) {
	case *Buffers:
		return r
	case *net.Buffers:
		return (*Buffers)(r)
	}
	return nil
}
