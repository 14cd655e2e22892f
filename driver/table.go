package driver

import "go.uber.org/atomic"

// User data says what a completion is about without pointing at anything:
// 8 bits of kind, 32 bits of generation, 24 bits of slot. A slot's generation
// changes whenever it is freed, so that a late or foreign completion can be
// told from the one that is expected.
const (
	slotBits = 24
	slotMask = 1<<slotBits - 1
	genShift = slotBits
	kindBits = 56

	// maxSlots bounds the operations that one driver can have in the kernel.
	maxSlots = 1 << slotBits
)

type kind uint8

const (
	kindOp     kind = 1
	kindCancel kind = 2 // slot and generation of the operation that it cancels
	kindWake   kind = 3
)

func userData(k kind, slot, gen uint32) uint64 {
	return uint64(k)<<kindBits | uint64(gen)<<genShift | uint64(slot)
}

func kindOf(ud uint64) kind { return kind(ud >> kindBits) }

// asKind returns the same slot and generation under another kind.
func asKind(ud uint64, k kind) uint64 {
	return ud&(1<<kindBits-1) | uint64(k)<<kindBits
}

// table holds the operations that are in the kernel. It belongs to the driver
// goroutine and grows on demand.
type table struct {
	slots []slot
	free  []uint32

	peak  atomic.Int64 // len(slots), for Stats
	fresh []uint32     // slots filled since the clock was last looked at
}

type slot struct {
	op  *Op
	gen uint32
}

// add puts an operation into a free slot and sets its user data.
func (t *table) add(op *Op) {
	var i uint32
	if n := len(t.free); n > 0 {
		i = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		i = uint32(len(t.slots))
		t.slots = append(t.slots, slot{})
		t.peak.Store(int64(len(t.slots)))
	}
	s := &t.slots[i]
	s.op = op
	op.ud = userData(kindOp, i, s.gen)
	t.fresh = append(t.fresh, i)
}

// get returns the operation that user data of any kind refers to, or nil if it
// has completed since.
func (t *table) get(ud uint64) *Op {
	i := ud & slotMask
	if i >= uint64(len(t.slots)) {
		return nil
	}
	s := &t.slots[i]
	if s.gen != uint32(ud>>genShift) {
		return nil
	}
	return s.op
}

// remove frees an operation's slot.
func (t *table) remove(op *Op) {
	i := uint32(op.ud & slotMask)
	s := &t.slots[i]
	s.op = nil
	s.gen++
	t.free = append(t.free, i)
	op.ud = 0
}

// each calls f for every operation in the table; f may remove it.
func (t *table) each(f func(*Op)) {
	for i := range t.slots {
		if op := t.slots[i].op; op != nil {
			f(op)
		}
	}
}
