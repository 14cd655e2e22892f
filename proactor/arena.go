package proactor

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/sys"
)

// Arena is memory that is registered with a shard's ring, in blocks of equal
// size. The kernel has pinned and looked up its pages once, and so need not for
// each transfer: ReadBlock and WriteBlock use it, best with files opened with
// O_DIRECT. Blocks begin at multiples of their size from a page boundary.
//
// The memory counts against RLIMIT_MEMLOCK, unless the process has
// CAP_IPC_LOCK.
type Arena struct {
	shard *Shard
	slot  uint32
	size  int
	mem   []byte
	gens  []atomic.Uint32 // odd while a block is in use

	mu     sync.Mutex
	free   []int
	out    int // blocks in use
	closed bool
}

// NewArena makes an arena of blocks of size bytes each. It needs a free slot of
// Config.Arenas; without one the error wraps ErrNoSlot.
func (s *Shard) NewArena(blocks, size int) (*Arena, error) {
	const most = 1 << 30 // the kernel's bound for one registered buffer
	if blocks < 1 || size < 1 || size > most || blocks > most/size {
		return nil, fmt.Errorf("proactor: arena of %d blocks of %d bytes: want at least one of each, and at most 1 GiB", blocks, size)
	}
	if s.bufs == nil {
		return nil, fmt.Errorf("%w: Config.Arenas is 0", ErrNoSlot)
	}
	slot, ok := s.bufs.take()
	if !ok {
		return nil, fmt.Errorf("%w: all %d arenas of shard %d are in use (Config.Arenas)", ErrNoSlot, s.bufs.size, s.index)
	}
	a := &Arena{shard: s, slot: slot, size: size, gens: make([]atomic.Uint32, blocks)}
	var err error
	if a.mem, err = sys.MapAnonymous(blocks * size); err == nil {
		err = s.setBuffer(slot, a.mem)
		if err != nil {
			_ = sys.Unmap(a.mem)
		}
	}
	if err != nil {
		s.bufs.put(slot)
		return nil, fmt.Errorf("proactor: arena of %d bytes (RLIMIT_MEMLOCK bounds them): %w", blocks*size, closedError(err))
	}
	for i := blocks - 1; i >= 0; i-- {
		a.free = append(a.free, i)
	}
	return a, nil
}

// Get returns a block that is not in use, and whether there is one. Its bytes
// are what they were when it was given back.
func (a *Arena) Get() (Block, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := len(a.free)
	if n == 0 || a.closed {
		return Block{}, false
	}
	i := a.free[n-1]
	a.free = a.free[:n-1]
	a.out++
	return Block{a: a, index: i, gen: a.gens[i].Inc(), to: a.size}, true
}

// Close gives the arena up. The memory is freed when the last block has been
// given back. A second Close does nothing.
func (a *Arena) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	err := a.shard.setBuffer(a.slot, nil)
	if err == nil {
		a.shard.bufs.put(a.slot)
	}
	if closedError(err) == ErrClosed {
		err = nil // the registration went with the ring
	}
	return a.freeLocked(err)
}

func (a *Arena) freeLocked(err error) error {
	if a.out > 0 || a.mem == nil || err != nil {
		return err
	}
	mem := a.mem
	a.mem = nil
	return sys.Unmap(mem)
}

// Block is a block of an Arena, or a part of one. Whoever holds it may use its
// Bytes until Release, which must be called once, when no operation uses the
// block any more. Copies and parts of a block are released with it.
type Block struct {
	a        *Arena
	index    int
	gen      uint32
	from, to int
}

// Bytes returns the memory, and nothing beyond it; nil after Release.
func (b Block) Bytes() []byte {
	if b.a == nil || b.a.gens[b.index].Load() != b.gen {
		return nil
	}
	base := b.index * b.a.size
	return b.a.mem[base+b.from : base+b.to : base+b.to]
}

// Len returns the number of bytes.
func (b Block) Len() int { return b.to - b.from }

// Slice returns the part from byte i up to byte j, as b[i:j] would.
func (b Block) Slice(i, j int) Block {
	if i < 0 || j < i || j > b.Len() {
		panic(fmt.Sprintf("proactor: Slice(%d, %d) of a block of %d bytes", i, j, b.Len()))
	}
	b.from, b.to = b.from+i, b.from+j
	return b
}

// Release gives the block back. It reports whether it was the caller's: a second
// Release changes nothing and returns false.
func (b Block) Release() bool {
	if b.a == nil || !b.a.gens[b.index].CompareAndSwap(b.gen, b.gen+1) {
		return false
	}
	b.a.mu.Lock()
	defer b.a.mu.Unlock()
	b.a.out--
	b.a.free = append(b.a.free, b.index)
	if b.a.closed {
		_ = b.a.freeLocked(nil)
	}
	return true
}

// ReadBlock reads from a file at an offset in bytes into a block of an arena.
// The result is the number of bytes, 0 at the end of the file.
type ReadBlock struct {
	count
	FD     int
	Block  Block
	Offset int64
}

// Prepare implements Operation.
func (o ReadBlock) Prepare(r *Request) error {
	mem, err := o.Block.bind(r, o.Offset)
	if err != nil {
		return err
	}
	r.SQE.PrepReadFixed(o.FD, mem, uint64(o.Offset), uint16(o.Block.a.slot))
	err = prepared(r)
	r.Waits = false
	return err
}

// WriteBlock writes a block of an arena to a file at an offset in bytes. The
// result is the number of bytes written.
type WriteBlock struct {
	count
	FD     int
	Block  Block
	Offset int64
}

// Prepare implements Operation.
func (o WriteBlock) Prepare(r *Request) error {
	mem, err := o.Block.bind(r, o.Offset)
	if err != nil {
		return err
	}
	r.SQE.PrepWriteFixed(o.FD, mem, uint64(o.Offset), uint16(o.Block.a.slot))
	err = prepared(r)
	r.Waits = false
	return err
}

// bind makes a request one of the arena's shard.
func (b Block) bind(r *Request, offset int64) ([]byte, error) {
	mem := b.Bytes()
	switch {
	case offset < 0:
		return nil, syscall.EINVAL
	case mem == nil:
		return nil, fmt.Errorf("proactor: block that was given back: %w", os.ErrInvalid)
	case r.On != nil && r.On != b.a.shard:
		return nil, fmt.Errorf("proactor: operation on shard %d with a block of shard %d", r.On.index, b.a.shard.index)
	}
	r.On = b.a.shard
	r.Keep = b.a
	return mem, nil
}
