package proactor

import (
	"fmt"
	"sync"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// Shard is one ring of a Runtime, with its driver. What is registered with a
// ring (buffers, files, credentials) can be used on that ring only, and so
// belongs to a Shard.
type Shard struct {
	rt     *Runtime
	index  int
	driver *driver.Driver
	files  *slots // for direct files, nil without Config.DirectFiles
	bufs   *slots // for arenas, nil without Config.Arenas
	groups groupTable
}

// slots hands out the numbers of a table that is registered with a ring.
type slots struct {
	size int
	mu   sync.Mutex
	free []uint32 // given back
	used uint32   // given out at least once
}

// take returns a free slot, if there is one.
func (t *slots) take() (uint32, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.free); n > 0 {
		slot := t.free[n-1]
		t.free = t.free[:n-1]
		return slot, true
	}
	if int(t.used) == t.size {
		return 0, false
	}
	t.used++
	return t.used - 1, true
}

func (t *slots) put(slot uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free = append(t.free, slot)
}

const (
	maxDirectFiles = 1 << 16
	maxArenas      = 1 << 10
)

// setup registers the tables that are configured.
func (s *Shard) setup(cfg Config) error {
	return s.driver.Use(func(r *uring.Ring) error {
		if cfg.DirectFiles > 0 {
			if err := sys.RegisterFiles(r, uint32(cfg.DirectFiles)); err != nil {
				return fmt.Errorf("proactor: registering %d slots for files (Config.DirectFiles, which RLIMIT_NOFILE bounds): %w",
					cfg.DirectFiles, err)
			}
			s.files = &slots{size: cfg.DirectFiles}
		}
		if cfg.Arenas > 0 {
			if err := sys.RegisterBuffers(r, uint32(cfg.Arenas)); err != nil {
				return fmt.Errorf("proactor: registering %d slots for buffers (Config.Arenas): %w", cfg.Arenas, err)
			}
			s.bufs = &slots{size: cfg.Arenas}
		}
		return nil
	})
}

// registrations lists what the configuration has to register with a ring.
func (c Config) registrations() []uring.RegisterOp {
	var list []uring.RegisterOp
	if c.DirectFiles > 0 {
		list = append(list, uring.IORING_REGISTER_FILES2, uring.IORING_REGISTER_FILES_UPDATE)
	}
	if c.Arenas > 0 {
		list = append(list, uring.IORING_REGISTER_BUFFERS2, uring.IORING_REGISTER_BUFFERS_UPDATE)
	}
	if c.Personalities {
		list = append(list, uring.IORING_REGISTER_PERSONALITY, uring.IORING_UNREGISTER_PERSONALITY)
	}
	return list
}

// allowedRegistered are the kernel operations of chains, streams and what is
// registered with a ring.
var allowedRegistered = []uring.Op{
	uring.IORING_OP_LINK_TIMEOUT,
	uring.IORING_OP_READ_MULTISHOT,
	uring.IORING_OP_RECVMSG,
	uring.IORING_OP_READ_FIXED,
	uring.IORING_OP_WRITE_FIXED,
	uring.IORING_OP_FIXED_FD_INSTALL,
}

// release frees what was registered with the ring, if its driver has ended.
func (s *Shard) release() {
	select {
	case <-s.driver.Done():
		s.groups.close()
	default: // operations were left, which use it
	}
}

// Placement says which shard gets a new descriptor.
type Placement uint8

const (
	// RoundRobin gives each shard a descriptor in turn.
	RoundRobin Placement = iota
	// LeastLoaded gives a descriptor to the shard with the fewest operations
	// under way, which is better where some connections are much busier, or
	// live much longer, than others, and costs a look at every shard.
	LeastLoaded
)

// String returns the name of the policy.
func (p Placement) String() string {
	switch p {
	case RoundRobin:
		return "round robin"
	case LeastLoaded:
		return "least loaded"
	}
	return fmt.Sprintf("Placement(%d)", uint8(p))
}

// Shards returns the number of shards; 0 without a ring.
func (rt *Runtime) Shards() int { return len(rt.shards) }

// Shard returns a shard by its number, from 0. It panics if there is none.
func (rt *Runtime) Shard(i int) *Shard { return rt.shards[i] }

// ShardOf returns the shard on which operations of this package on a
// descriptor are done unless On says otherwise: always the same for the same
// number, so that they keep their order and a cancellation finds them. It
// panics without a ring.
func (rt *Runtime) ShardOf(fd int) *Shard {
	if fd < 0 {
		return rt.pick()
	}
	return rt.shards[fd%len(rt.shards)]
}

// pick returns the shard for something new, by the configured policy.
func (rt *Runtime) pick() *Shard {
	if len(rt.shards) == 1 {
		return rt.shards[0]
	}
	// Who is first among equals changes, so that a burst is spread.
	turn := int(rt.next.Inc()-1) % len(rt.shards)
	best := rt.shards[turn]
	if rt.cfg.Placement == RoundRobin {
		return best
	}
	least := best.driver.InFlight()
	for i := 1; i < len(rt.shards) && least > 0; i++ {
		s := rt.shards[(turn+i)%len(rt.shards)]
		if load := s.driver.InFlight(); load < least {
			best, least = s, load
		}
	}
	return best
}

// home returns the shard for a prepared request.
func (rt *Runtime) home(r *Request) (*Shard, error) {
	if r.On != nil {
		if r.On.rt != rt {
			return nil, fmt.Errorf("proactor: %v: its shard belongs to another Runtime", r.SQE.Opcode)
		}
		return r.On, nil
	}
	if len(rt.shards) == 1 || !hasFile(r.SQE.Opcode) {
		return rt.pick(), nil
	}
	return rt.ShardOf(int(r.SQE.Fd)), nil
}

// hasFile reports whether an entry's Fd is a descriptor.
func hasFile(op uring.Op) bool {
	switch op {
	case uring.IORING_OP_NOP, uring.IORING_OP_SOCKET, uring.IORING_OP_PIPE, uring.IORING_OP_WAITID,
		uring.IORING_OP_PROVIDE_BUFFERS, uring.IORING_OP_REMOVE_BUFFERS,
		uring.IORING_OP_FUTEX_WAIT, uring.IORING_OP_FUTEX_WAKE, uring.IORING_OP_FUTEX_WAITV:
		return false
	}
	return true
}

// Index returns the shard's number.
func (s *Shard) Index() int { return s.index }

// Runtime returns the Runtime that the shard is part of.
func (s *Shard) Runtime() *Runtime { return s.rt }

// Driver returns the shard's driver.
func (s *Shard) Driver() *driver.Driver { return s.driver }

// Stats returns the counters of the shard's driver.
func (s *Shard) Stats() Stats { return s.driver.Stats() }

// On returns the operation bound to a shard.
func On[T any](s *Shard, operation Operation[T]) Operation[T] {
	return placed[T]{operation, s}
}

type placed[T any] struct {
	Operation[T]
	shard *Shard
}

// Prepare implements Operation.
func (o placed[T]) Prepare(r *Request) error {
	r.On = o.shard
	return o.Operation.Prepare(r)
}
