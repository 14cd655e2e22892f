package proactor

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/yamanote-go/yamanote/driver"
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
	shared shared

	// The tables themselves; tablesMu is held for their use.
	tablesMu  sync.Mutex
	fileTable *uring.Files
	bufTable  *uring.Buffers
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

// add makes a driver the next shard. It closes nothing if it fails.
func (rt *Runtime) add(d *driver.Driver) error {
	s := &Shard{rt: rt, index: len(rt.shards), driver: d}
	d.SetOwner(s)
	rt.drivers = append(rt.drivers, d)
	rt.shards = append(rt.shards, s)
	rt.judge(d.Info())
	return s.setup(rt.cfg)
}

// setup registers the tables that are configured.
func (s *Shard) setup(cfg Config) error {
	if cfg.DirectFiles == 0 && cfg.Arenas == 0 {
		return nil
	}
	return s.driver.Use(func(r *uring.Ring) (err error) {
		if cfg.DirectFiles > 0 {
			if s.fileTable, err = r.RegisterFilesSparse(cfg.DirectFiles); err != nil {
				return fmt.Errorf("proactor: registering %d slots for files (Config.DirectFiles, which RLIMIT_NOFILE bounds): %w",
					cfg.DirectFiles, err)
			}
			s.files = &slots{size: cfg.DirectFiles}
		}
		if cfg.Arenas > 0 {
			if s.bufTable, err = r.RegisterBuffersSparse(cfg.Arenas); err != nil {
				return fmt.Errorf("proactor: registering %d slots for buffers (Config.Arenas): %w", cfg.Arenas, err)
			}
			s.bufs = &slots{size: cfg.Arenas}
		}
		return nil
	})
}

// setFile puts an open file into a slot, or with -1 empties the slot.
func (s *Shard) setFile(slot uint32, fd int) error {
	return s.driver.Use(func(*uring.Ring) error {
		s.tablesMu.Lock()
		defer s.tablesMu.Unlock()
		_, err := s.fileTable.Update(int(slot), []int32{int32(fd)})
		return err
	})
}

// setBuffer registers memory in a slot, or with nil empties the slot. The pages
// stay locked until then.
func (s *Shard) setBuffer(slot uint32, mem []byte) error {
	return s.driver.Use(func(*uring.Ring) error {
		s.tablesMu.Lock()
		defer s.tablesMu.Unlock()
		_, err := s.bufTable.Update(int(slot), [][]byte{mem})
		return err
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

// allowedAlways are the kernel operations of chains and streams.
var allowedAlways = []uring.Op{
	uring.IORING_OP_LINK_TIMEOUT,
	uring.IORING_OP_READ_MULTISHOT,
	uring.IORING_OP_RECVMSG,
}

// operations lists the kernel operations that the configuration allows.
func (c Config) operations() []uring.Op {
	list := slices.Concat(allowed, allowedAlways)
	if c.DirectFiles > 0 {
		list = append(list, uring.IORING_OP_FIXED_FD_INSTALL)
	}
	if c.Arenas > 0 {
		list = append(list, uring.IORING_OP_READ_FIXED, uring.IORING_OP_WRITE_FIXED)
	}
	return append(list, c.Extra...)
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

// place returns the driver for a prepared request, or why it cannot be submitted.
func (rt *Runtime) place(ctx context.Context, r *Request) (*driver.Driver, error) {
	if err := rt.ready(ctx); err != nil {
		return nil, err
	}
	if err := rt.refusal(r.SQE.Opcode); err != nil {
		return nil, err
	}
	s, err := rt.home(r)
	if err != nil {
		return nil, err
	}
	s.adopt(r)
	return s.driver, nil
}

// placeAll is place for requests that are submitted together.
func (rt *Runtime) placeAll(ctx context.Context, requests []*Request) (*driver.Driver, error) {
	if err := rt.ready(ctx); err != nil {
		return nil, err
	}
	for i, r := range requests {
		if err := rt.refusal(r.SQE.Opcode); err != nil {
			return nil, nthError(i, len(requests), err)
		}
	}
	s, err := rt.homeOfAll(requests)
	if err != nil {
		return nil, err
	}
	for _, r := range requests {
		s.adopt(r)
	}
	return s.driver, nil
}

// ready returns why nothing can be submitted, or nil.
func (rt *Runtime) ready(ctx context.Context) error {
	if !rt.HasRing() {
		return rt.reason
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	return nil
}

// adopt takes charge of what must outlive a request.
func (s *Shard) adopt(r *Request) {
	if r.lasting != nil {
		s.driver.Keep(r.lasting)
	}
}

// home returns the shard for a prepared request: the one that it is bound to, or
// else the same for all that concern one descriptor or one group of buffers.
func (rt *Runtime) home(r *Request) (*Shard, error) {
	if r.On != nil {
		if r.On.rt != rt {
			return nil, fmt.Errorf("proactor: %v: its shard belongs to another Runtime", r.SQE.Opcode)
		}
		return r.On, nil
	}
	if len(rt.shards) == 1 {
		return rt.shards[0], nil
	}
	switch op := r.SQE.Opcode; {
	case op == uring.IORING_OP_PROVIDE_BUFFERS, op == uring.IORING_OP_REMOVE_BUFFERS:
		return rt.ShardOf(int(r.SQE.BufIndex)), nil
	case !hasFile(op):
		return rt.pick(), nil
	}
	return rt.ShardOf(int(r.SQE.Fd)), nil
}

// homeOfAll returns the shard for requests that are submitted together: the one
// that some are bound to, or else that of the first.
func (rt *Runtime) homeOfAll(requests []*Request) (*Shard, error) {
	first := requests[0]
	for _, r := range requests {
		switch {
		case r.On == nil:
		case first.On == nil:
			first = r
		case first.On != r.On:
			return nil, fmt.Errorf("proactor: operations bound to shards %d and %d: what is submitted together runs on one shard",
				first.On.index, r.On.index)
		}
	}
	return rt.home(first)
}

// hasFile reports whether an entry's Fd is a descriptor; -1 where there is none
// counts as one.
func hasFile(op uring.Op) bool {
	switch op {
	case uring.IORING_OP_SOCKET, uring.IORING_OP_PIPE, uring.IORING_OP_WAITID,
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
