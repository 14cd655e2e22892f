package poll

import (
	"errors"
	"io"
	"syscall"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// MaxLease is the most that RecvLease returns where the kernel has no buffers to
// give, in bytes.
const MaxLease = 4096

// RecvLease receives from a stream socket into a buffer that the kernel takes
// from those of the shard, when data have arrived. What is there already is
// received at once, into memory from a pool: that is a system call, and the
// ring's buffers are for those who wait. So is what arrives while the kernel has
// no buffer. It returns io.EOF at the end of the stream, and otherwise at least
// one byte or an error.
//
// It is in pieces for the same reason as Recv.
func (fd *FD) RecvLease() (proactor.Lease, error) {
	l, err := fd.leaseNow()
	if err != errWait {
		return l, err
	}
	s := &fd.rd
	c, err := fd.run(s, s.req)
	if errors.Is(err, syscall.ENOBUFS) {
		return fd.leaseOwn()
	}
	return fd.leased(c, err)
}

// errWait is leaseNow's error when only the ring can go on.
var errWait = errors.New("poll: to be waited for")

// leaseNow does RecvLease if that need not wait. Otherwise it returns errWait,
// with the direction locked and its request prepared.
//
//go:noinline
func (fd *FD) leaseNow() (proactor.Lease, error) {
	s := &fd.rd
	if err := fd.begin(s); err != nil {
		return proactor.Lease{}, err
	}
	group, size, err := fd.buffers()
	if err != nil {
		fd.end(s)
		return proactor.Lease{}, err
	}
	if !s.empty {
		if l, err := fd.leaseInline(s, size); err != errWait {
			fd.end(s)
			return l, err
		}
	}
	r := s.request()
	if group == nil {
		prepareOwn(fd, r, proactor.NewLease(size))
	} else {
		group.PrepareReceive(&r.SQE, fd.sysfd)
	}
	// It will have to wait, so trying first would be for nothing.
	r.SQE.Ioprio |= uint16(uring.IORING_RECVSEND_POLL_FIRST)
	return proactor.Lease{}, errWait
}

// buffers returns the group to receive into and the size of its buffers; nil if
// the kernel cannot do that.
func (fd *FD) buffers() (*proactor.BufferGroup, int, error) {
	shard, err := proactor.ShardOfDriver(fd.driver)
	if err != nil {
		return nil, 0, err
	}
	group, err := shard.ReadBuffers()
	switch {
	case err == nil:
		return group, group.Size(), nil
	case errors.Is(err, proactor.ErrClosed):
		return nil, 0, err
	}
	return nil, MaxLease, nil
}

// leaseInline receives what is there, or returns errWait. The caller has the
// direction's lock.
func (fd *FD) leaseInline(s *side, size int) (proactor.Lease, error) {
	l := proactor.NewLease(size)
	n, errno := sys.RecvNow(fd.sysfd, l.Bytes())
	fd.driver.NoteInline(errno != syscall.EAGAIN)
	switch errno {
	case 0:
		s.empty = n < size
		if n > 0 {
			return l.Slice(0, n), nil
		}
		l.Release()
		return proactor.Lease{}, io.EOF
	case syscall.EAGAIN, syscall.EINTR:
		s.empty = true
		l.Release()
		return proactor.Lease{}, errWait
	}
	l.Release()
	return proactor.Lease{}, errno
}

// prepareOwn prepares a receive into memory that is no group's.
func prepareOwn(fd *FD, r *request, l proactor.Lease) {
	r.Keep, r.Buf = l, l.Bytes()
	r.SQE.PrepRecv(fd.sysfd, r.Buf, 0, 0)
}

// leased ends a RecvLease that has waited.
//
//go:noinline
func (fd *FD) leased(c driver.Completion, err error) (l proactor.Lease, _ error) {
	s := &fd.rd
	own, isOwn := s.req.Keep.(proactor.Lease)
	s.req.Keep = nil
	switch {
	case err != nil:
	case isOwn && c.Res > 0:
		l = own.Slice(0, int(c.Res))
	case isOwn:
		err = io.EOF
	default:
		group, _, _ := fd.buffers()
		l, err = group.Received(c)
	}
	if isOwn && err != nil {
		own.Release()
	}
	if err == nil {
		s.empty = c.Flags&uring.IORING_CQE_F_SOCK_NONEMPTY == 0
	}
	fd.end(s)
	return l, err
}

// leaseOwn goes on where the kernel had no buffer.
//
//go:noinline
func (fd *FD) leaseOwn() (proactor.Lease, error) {
	s := &fd.rd
	group, size, err := fd.buffers()
	if group != nil {
		group.Lacking()
	}
	if err == nil {
		var l proactor.Lease
		if l, err = fd.leaseInline(s, size); err != errWait {
			fd.end(s)
			return l, err
		}
		prepareOwn(fd, s.req, proactor.NewLease(size))
		return fd.leased(fd.run(s, s.req))
	}
	fd.end(s)
	return proactor.Lease{}, err
}
