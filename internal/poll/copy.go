package poll

import (
	"io"
	"syscall"

	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
)

// fullLeases is how many buffers in a row must be full for Move to go on by
// Splice.
const fullLeases = 2

// Move moves up to limit bytes from one stream socket to another, or all until
// the end of the stream: through the buffers of RecvLease while little arrives at
// a time, which is faster and needs no pipe, and by Splice from when much does.
// It returns how many have been sent. If it fails to send, some that it has
// received can be lost.
func Move(dst, src *FD, limit int64) (sent int64, err error) {
	if _, err := dst.Send(nil); err != nil {
		return 0, err // nothing must be received in vain
	}
	for full := 0; sent < limit; {
		if full == fullLeases {
			n, handled, err := Splice(dst, src, limit-sent)
			if sent += n; handled {
				return sent, err
			}
		}
		l, whole, err := src.recvLease(limit - sent)
		if err == io.EOF {
			break
		} else if err != nil {
			return sent, err
		}
		n, err := dst.Send(l.Bytes())
		l.Release()
		if sent += int64(n); err != nil {
			return sent, err
		}
		if whole {
			full++
		} else {
			full = 0
		}
	}
	return sent, nil
}

// recvLease is RecvLease of at most limit bytes, and says whether the buffer is
// full.
func (fd *FD) recvLease(limit int64) (l proactor.Lease, full bool, err error) {
	_, size, err := fd.buffers()
	if err != nil {
		return proactor.Lease{}, false, err
	}
	if limit >= int64(size) {
		l, err = fd.RecvLease()
		return l, l.Len() == size, err
	}
	l = proactor.NewLease(int(limit))
	n, err := fd.Recv(l.Bytes())
	if err != nil {
		l.Release()
		return proactor.Lease{}, false, err
	}
	return l.Slice(0, n), false, nil
}

// Splice moves up to limit bytes from one stream socket to another, or all
// until the end of the stream, without bringing them into the process. It
// returns how many have been sent. If it fails to send, some that it has
// received can be lost, as when who receives and sends by itself fails.
//
// Each socket is its caller's only while it is waited for, so that the other can
// be closed meanwhile.
//
// It reports false, and has moved nothing, if the kernel or a limit of the
// process does not allow it.
func Splice(dst, src *FD, limit int64) (sent int64, handled bool, err error) {
	if err := dst.turn(&dst.wr, func() error { return nil }); err != nil {
		return 0, true, err // nothing must be received in vain
	}
	p, err := sys.NewPipe()
	if err != nil {
		return 0, false, nil // there are no descriptors left, most likely
	}
	defer p.Close()
	for sent < limit {
		var held int64
		err := src.turn(&src.rd, func() (err error) {
			held, err = src.move(&src.rd, eventIn, p.FromSocket, limit-sent)
			return err
		})
		if err != nil {
			return sent, sent > 0 || !cannot(err), err
		}
		if held == 0 {
			break
		}
		n, err := dst.drain(p, held)
		if sent += n; err != nil {
			return sent, true, err
		}
	}
	return sent, true, nil
}

// drain sends the n bytes that a pipe holds.
func (fd *FD) drain(p *sys.Pipe, n int64) (sent int64, err error) {
	err = fd.turn(&fd.wr, func() error {
		for sent < n {
			m, err := fd.move(&fd.wr, eventOut, p.ToSocket, n-sent)
			if err != nil {
				return err
			}
			if m == 0 {
				return io.ErrUnexpectedEOF
			}
			sent += m
		}
		return nil
	})
	return sent, err
}

// SendFile sends up to limit bytes of a file, from its position on, or all until
// its end, without bringing them into the process. It returns how many have been
// sent, by which the file's position has moved. Waiting for the disk, it keeps
// its thread.
//
// It reports false, and has sent nothing, if the kernel cannot do that with the
// file.
func (fd *FD) SendFile(file int, limit int64) (sent int64, handled bool, err error) {
	handled = true
	err = fd.turn(&fd.wr, func() error {
		send := func(socket int, n int64) (int64, syscall.Errno) { return sys.SendFile(socket, file, n) }
		for sent < limit {
			n, err := fd.move(&fd.wr, eventOut, send, limit-sent)
			if err != nil {
				handled = sent > 0 || !cannot(err)
				return err
			}
			if n == 0 {
				break
			}
			sent += n
		}
		return nil
	})
	return sent, handled, err
}

// maxMove is the most that one system call is asked to move, in which a
// connection that is closed in the meantime is not noticed.
const maxMove = 1 << 20

// move calls step, which does not wait, with the descriptor, until it has moved
// something, is at the end, or fails. The caller has the direction's lock.
func (fd *FD) move(s *side, event uint32, step func(sysfd int, n int64) (int64, syscall.Errno), n int64) (int64, error) {
	var p patience
	for {
		if err := s.check(); err != nil {
			return 0, err
		}
		moved, errno := step(fd.sysfd, min(n, maxMove))
		switch errno {
		case 0:
			return moved, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			if err := fd.ready(s, event, &p); err != nil {
				return 0, err
			}
		default:
			return 0, errno
		}
	}
}

// cannot reports whether an error of a first call says that the kernel, or what
// restricts the process, does not allow it with these descriptors.
func cannot(err error) bool {
	switch err {
	case syscall.EINVAL, syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.EPERM:
		return true
	}
	return false
}

// ReadBehind calls read with what stands behind r, or behind the reader that r
// limits, so that the standard library sees objects of its own in it. behind
// returns that, or nil if there is nothing, and read gets r as it is.
func ReadBehind(r io.Reader, behind func(io.Reader) io.Reader, read func(io.Reader) (int64, error)) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		if std := behind(r); std != nil {
			r = std
		}
		return read(r)
	}
	std := behind(limited.R)
	if std == nil {
		return read(r)
	}
	inner := &io.LimitedReader{R: std, N: limited.N}
	n, err := read(inner)
	limited.N = inner.N
	return n, err
}
