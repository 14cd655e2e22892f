package uring

import (
	"errors"
	"fmt"
)

// OpSet is the set of operations that a kernel supports.
type OpSet struct{ bits [4]uint64 }

// Has reports whether the set contains the operation.
func (s *OpSet) Has(op Op) bool { return s.bits[op/64]&(1<<(op%64)) != 0 }

func (s *OpSet) add(op Op) { s.bits[op/64] |= 1 << (op % 64) }

// Len returns the number of operations in the set.
func (s *OpSet) Len() int {
	n := 0
	for op := range 256 {
		if s.Has(Op(op)) {
			n++
		}
	}
	return n
}

// supported returns the operations that a kernel has marked.
func (p *Probe) supported() OpSet {
	var set OpSet
	for _, op := range p.Ops[:p.OpsLen] {
		if op.Flags&IO_URING_OP_SUPPORTED != 0 {
			set.add(op.Op)
		}
	}
	return set
}

// UnsupportedError says that the running kernel lacks an operation. It is
// errors.ErrUnsupported to errors.Is.
type UnsupportedError struct {
	Op     Op
	Since  Version // the first release with it, zero if this package does not know
	Kernel string  // the running one, as in "Linux 6.18.44"
}

// Error says which operation is missing and what it needs.
func (e *UnsupportedError) Error() string {
	if e.Since == (Version{}) {
		return fmt.Sprintf("uring: %s does not have operation %v", e.Kernel, e.Op)
	}
	return fmt.Sprintf("uring: %v needs Linux %v, and this is %s", e.Op, e.Since, e.Kernel)
}

// Is reports whether target is errors.ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

// Require returns an *UnsupportedError for the first of the operations that is
// not in the set, and nil if all are.
func (s *OpSet) Require(ops ...Op) error {
	for _, op := range ops {
		if s.Has(op) {
			continue
		}
		info, _ := op.Info()
		return &UnsupportedError{Op: op, Since: info.Since, Kernel: kernelRelease()}
	}
	return nil
}
