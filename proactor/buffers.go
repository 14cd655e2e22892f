package proactor

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
)

// BufferConfig sizes a BufferGroup. The zero value is a good default.
type BufferConfig struct {
	// Size is the size of a buffer in bytes, and so the most that arrives at
	// once; default 4096.
	Size int

	// Count is how many buffers the kernel has at first, default 64, and Max
	// how many there may be, default 16 times Count: when few are left, their
	// number is doubled until it is Max. At most 32768.
	Count, Max int
}

func (c BufferConfig) withDefaults() (BufferConfig, error) {
	if c.Size == 0 {
		c.Size = 4096
	}
	if c.Count == 0 {
		c.Count = 64
		if c.Max > 0 {
			c.Count = min(c.Count, c.Max)
		}
	}
	if c.Max == 0 {
		c.Max = min(16*c.Count, maxBuffers)
	}
	if c.Size < 1 || c.Count < 1 || c.Max < c.Count || c.Max > maxBuffers {
		return c, fmt.Errorf("proactor: buffer group of %d buffers of %d bytes, growing to %d: want at least one byte and one buffer, and at most %d",
			c.Count, c.Size, c.Max, maxBuffers)
	}
	return c, nil
}

const maxBuffers = 1 << 15

// BufferGroup is memory into which the kernel receives what has arrived,
// instead of holding a buffer for each stream that waits: see Receives, Reads
// and Datagrams. Each piece of data comes as a Lease, whose holder gives the
// buffer back by Release.
//
// When more than three quarters of the buffers are in use, the group grows, up to
// BufferConfig.Max; then what arrives is copied out at once, and its buffer given
// back, so that neither a slow consumer's queue nor leases that are held for long
// keep buffers from others. A burst may still take all there are before anybody
// can do something about it: then streams wait, in turn, until one is given back,
// and what their peers send waits in the socket.
//
// A build with the tag yamanote_invariants fills a buffer that is given back
// with a pattern, keeps it back for a while, and panics if it was written to
// meanwhile, or a Lease is used that was given back.
type BufferGroup struct {
	shard *Shard
	id    uint16
	cfg   BufferConfig

	buffers []buffer     // Max of them
	leased  atomic.Int64 // buffers that somebody has; lowered under mu

	mu         sync.Mutex
	ring       driver.BufferRing
	given      int // buffers that the kernel has ever got
	users      int // streams
	waiting    []*driver.Waiter
	quarantine []*buffer // given back, but not to the kernel yet
	closed     bool
	stats      BufferStats
	copied     atomic.Uint64
	doubles    atomic.Uint64
}

// BufferStats counts what a BufferGroup has done.
type BufferStats struct {
	Buffers int // that the kernel has got, of at most BufferConfig.Max
	Leased  int // of which somebody holds

	Leases    uint64 // buffers given out
	Grown     uint64 // times that buffers were added
	Copied    uint64 // pieces of data copied out because buffers were short
	Exhausted uint64 // times that the kernel had no buffer left (ENOBUFS)
	Waits     uint64 // of which a stream had to wait for one to be given back
	Doubles   uint64 // leases given back a second time, which has no effect
}

// buffer is one buffer, or a copy of what was in one. Its generation is odd
// while it is leased.
type buffer struct {
	group    *BufferGroup // nil for a copy
	id       uint16
	gen      atomic.Uint32
	mem      []byte
	poisoned bool // the pattern was written to it; only with invariants
	spare    bool // it goes into a pool when it is given back
}

// NewBufferGroup makes a group of buffers for streams on this shard. It needs
// Linux 5.19.
func (s *Shard) NewBufferGroup(cfg BufferConfig) (*BufferGroup, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &BufferGroup{shard: s, cfg: cfg, given: cfg.Count, buffers: make([]buffer, cfg.Max)}
	// The end of the Runtime, which frees the groups that it finds, waits until this
	// one is complete.
	g.mu.Lock()
	defer g.mu.Unlock()
	entries := 1 << bits.Len(uint(cfg.Max-1))
	for range 1 << 16 {
		if g.id, err = s.groups.add(g); err != nil {
			return nil, err
		}
		g.ring, err = s.driver.NewBufferRing(g.id, entries, cfg.Size, cfg.Count)
		if err == nil {
			break
		}
		s.groups.remove(g)
		if !errors.Is(err, syscall.EEXIST) { // else the program has provided buffers by that number
			return nil, fmt.Errorf("proactor: %w", closedError(err))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("proactor: no number left for a group of buffers: %w", err)
	}
	for i := range g.buffers {
		b := &g.buffers[i]
		b.group, b.id, b.mem = g, uint16(i), g.ring.Bytes(uint16(i), cfg.Size)
	}
	return g, nil
}

// Shard returns the shard that the group belongs to. Streams that use the group
// run there.
func (g *BufferGroup) Shard() *Shard { return g.shard }

// Stats returns the group's counters.
func (g *BufferGroup) Stats() BufferStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.stats
	s.Buffers, s.Leased = g.given, int(g.leased.Load())
	for i := range g.buffers[:g.given] {
		s.Leases += uint64(g.buffers[i].gen.Load()+1) / 2
	}
	s.Copied, s.Doubles = g.copied.Load(), g.doubles.Load()
	return s
}

// Close gives the group up. It fails while a stream uses it. The memory is
// freed when the last lease has been given back. A second Close does nothing.
func (g *BufferGroup) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	if g.users > 0 {
		return fmt.Errorf("proactor: closing a buffer group that %d streams use", g.users)
	}
	g.closed = true
	return g.freeLocked()
}

// freeLocked frees a closed group that nobody uses any more.
func (g *BufferGroup) freeLocked() error {
	if !g.closed || g.leased.Load() > 0 || g.ring == nil {
		return nil
	}
	ring := g.ring
	g.ring = nil
	g.shard.groups.remove(g)
	return ring.Close()
}

// join and leave count the streams that may have an operation under way.
func (g *BufferGroup) join() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return fmt.Errorf("proactor: stream on a buffer group that is closed: %w", ErrClosed)
	}
	g.users++
	return nil
}

func (g *BufferGroup) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users--
}

// take returns a lease of the first n bytes of the buffer that a completion
// names. It is called by whoever drives the ring, before the next completion.
func (g *BufferGroup) take(id uint16, n int) Lease {
	b := &g.buffers[id]
	if invariants {
		b.checkTail(n)
	}
	gen := b.gen.Inc()
	g.leased.Inc()
	return Lease{b: b, gen: gen, n: n}
}

// short reports whether so few buffers are left, and no more can be had, that
// none should wait in a queue.
func (g *BufferGroup) short() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if 4*g.leased.Load() <= 3*int64(g.given) {
		return false
	}
	return !g.growLocked()
}

// back takes a buffer back from whoever had its lease.
func (g *BufferGroup) back(b *buffer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leased.Dec()
	if g.closed {
		_ = g.freeLocked()
		return
	}
	if invariants {
		b.poison()
		g.quarantine = append(g.quarantine, b)
		if len(g.quarantine) <= min(quarantined, g.given/4) && len(g.waiting) == 0 {
			return
		}
		b = g.quarantine[0]
		g.quarantine = g.quarantine[1:]
		b.checkTail(0)
	}
	g.ring.Add(b.id)
	g.ring.Commit()
	if len(g.waiting) > 0 {
		g.waiting[0].Wake()
		g.waiting = slices.Delete(g.waiting, 0, 1)
	}
}

// quarantined is how many buffers are kept back in a build with invariants.
const quarantined = 16

// exhausted answers the kernel's want of buffers. It reports whether it is worth
// asking again at once: there are some, or the ring has ended, which is to be
// found out. Otherwise w is woken when it may be.
func (g *BufferGroup) exhausted(w *driver.Waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return true
	}
	g.stats.Exhausted++
	g.drainLocked()
	if g.growLocked() {
		return true
	}
	if g.leased.Load() < int64(g.given) {
		return true // given back in the meantime
	}
	g.stats.Waits++
	g.waiting = append(g.waiting, w)
	return false
}

// growLocked adds buffers, and reports whether there were any to add.
func (g *BufferGroup) growLocked() bool {
	more := min(g.given, g.cfg.Max-g.given)
	if more == 0 {
		return false
	}
	for id := g.given; id < g.given+more; id++ {
		g.ring.Add(uint16(id))
	}
	g.ring.Commit()
	g.given += more
	g.stats.Grown++
	return true
}

// drainLocked gives the kernel what is in quarantine.
func (g *BufferGroup) drainLocked() {
	for _, b := range g.quarantine {
		b.checkTail(0)
		g.ring.Add(b.id)
	}
	g.quarantine = nil
	g.ring.Commit()
}

// forget takes a Waiter that waits no more out of the queue, and lets the next
// one have what woke it.
func (g *BufferGroup) forget(w *driver.Waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, w); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	} else if len(g.waiting) > 0 && g.leased.Load() < int64(g.given) {
		g.waiting[0].Wake()
		g.waiting = slices.Delete(g.waiting, 0, 1)
	}
}

// groupTable holds a shard's groups by their kernel ids. Those are given out from
// the highest down, out of the way of programs that provide buffers by ids of
// their own.
type groupTable struct {
	mu     sync.Mutex
	groups map[uint16]*BufferGroup
	given  uint16 // ids, modulo all there are
}

func (t *groupTable) add(g *BufferGroup) (uint16, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.groups) == 1<<16 {
		return 0, fmt.Errorf("proactor: %d buffer groups on one shard: there can be no more", 1<<16)
	}
	for t.groups[^t.given] != nil {
		t.given++
	}
	if t.groups == nil {
		t.groups = make(map[uint16]*BufferGroup)
	}
	id := ^t.given
	t.groups[id] = g
	t.given++
	return id, nil
}

func (t *groupTable) remove(g *BufferGroup) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.groups, g.id)
}

// close gives up all groups of a shard whose driver has ended.
func (t *groupTable) close() {
	t.mu.Lock()
	groups := make([]*BufferGroup, 0, len(t.groups))
	for _, g := range t.groups {
		groups = append(groups, g)
	}
	t.mu.Unlock()
	for _, g := range groups {
		g.mu.Lock()
		g.closed = true
		for _, w := range g.waiting {
			w.Wake()
		}
		g.waiting = nil
		_ = g.freeLocked()
		g.mu.Unlock()
	}
}
