package net

import (
	"syscall"

	"github.com/yamanote-go/yamanote/internal/poll"
	"github.com/yamanote-go/yamanote/proactor"
)

// Lease is data that were received into a buffer of the runtime. Whoever has it
// may read and write its Bytes until Release, which is to be called once, from
// any goroutine.
type Lease = proactor.Lease

// ReadLease is Read for those who need no memory of their own to receive into: it
// waits for data, and returns them where the kernel has put them. The kernel
// takes a buffer only when data have arrived, from those that all connections of
// a shard share (proactor.Config.ReadBuffers), so that connections that wait hold
// none. It returns at least one byte and at most one buffer, io.EOF at the end of
// the stream, or an error as Read does. Deadlines and Close apply, and it can be
// mixed with all else that receives: nothing is received ahead.
//
// The buffer is the caller's until he gives it back by Release; it stays valid
// when the connection is closed. What is there already, and what arrives while
// most buffers are out or the kernel finds none, is in memory from a pool
// instead: who keeps leases takes nothing from others.
//
// Without a ring, and before Linux 5.19, a ReadLease that waits holds memory from
// the pool.
func (c *conn) ReadLease() (Lease, error) {
	if !c.ok() {
		return Lease{}, syscall.EINVAL
	}
	if c.std != nil {
		l := proactor.NewLease(poll.MaxLease)
		n, err := c.std.Read(l.Bytes())
		if err != nil {
			l.Release()
			return Lease{}, err
		}
		return l.Slice(0, n), nil
	}
	l, err := c.fd.RecvLease()
	if err != nil {
		err = c.readError(err)
	}
	return l, err
}
