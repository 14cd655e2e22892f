package proactor

import (
	"errors"
	"fmt"
	"sync"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// Size returns the size of the group's buffers in bytes.
func (g *BufferGroup) Size() int { return g.cfg.Size }

// PrepareReceive prepares a receive from a connected socket into a buffer of the
// group, for those who submit operations by themselves, to the driver of the
// group's shard. The kernel takes the buffer when data have arrived. A completion
// that is a success is to be given to Received, and ENOBUFS reported by Lacking.
func (g *BufferGroup) PrepareReceive(sqe *uring.SQE, fd int) {
	sqe.PrepRecvMultishot(fd, g.id, 0, 0)
	sqe.Ioprio = 0 // once
}

// Received returns the data of an operation that PrepareReceive has prepared, or
// io.EOF. When buffers are short, it is a copy, and the buffer is given back.
func (g *BufferGroup) Received(c driver.Completion) (Lease, error) {
	l, err := leaseOf(g, c)
	if err == nil && g.short() {
		l = l.copyOut()
	}
	return l, err
}

// Lacking notes that the kernel had no buffer left for what had arrived, which is
// still to be received, and adds some if there may be more.
func (g *BufferGroup) Lacking() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.stats.Exhausted++
	g.drainLocked()
	g.growLocked()
}

// spares are buffers that are no group's.
var spares = sync.Pool{New: func() any { return &buffer{spare: true} }}

// NewLease returns a Lease of size bytes that are no group's, to be filled by the
// caller. What is in them is undefined. Release makes the memory available to
// others.
func NewLease(size int) Lease {
	b := spares.Get().(*buffer)
	if cap(b.mem) < size {
		b.mem = make([]byte, size)
	}
	b.mem = b.mem[:size]
	return Lease{b: b, gen: b.gen.Inc(), n: size}
}

// shared is the group of buffers that all connections of a shard receive into.
type shared struct {
	once  sync.Once
	group *BufferGroup
	err   error
}

// ReadBuffers returns the group of buffers that the connections of package net
// on this shard share for ReadLease; see Config.ReadBuffers. It is made when it
// is first asked for, and lives as long as the Runtime. It needs Linux 5.19.
func (s *Shard) ReadBuffers() (*BufferGroup, error) {
	s.shared.once.Do(func() { s.shared.group, s.shared.err = s.NewBufferGroup(s.rt.cfg.ReadBuffers) })
	return s.shared.group, s.shared.err
}

// ShardOfDriver returns the shard that a driver belongs to. The driver must be a
// Runtime's.
func ShardOfDriver(d *driver.Driver) (*Shard, error) {
	s, ok := d.Owner().(*Shard)
	if !ok {
		return nil, fmt.Errorf("proactor: the driver belongs to no Runtime: %w", errors.ErrUnsupported)
	}
	return s, nil
}
