package uring

import (
	"fmt"
	"math"
	"os"
	"syscall"
	"unsafe"
)

// What the tables of registered files and of registered buffers have in common.

// registerPlain makes a table of n entries at data, without tags. Without entries
// the kernel says EFAULT or EINVAL, depending on whether the slice is nil.
func (r *Ring) registerPlain(op RegisterOp, data unsafe.Pointer, n int) error {
	if n == 0 {
		return os.NewSyscallError("io_uring_register", syscall.EINVAL)
	}
	_, err := r.Register(op, data, uint32(n))
	return err
}

// registerTable makes a table of n entries at data, with tags.
func (r *Ring) registerTable(op RegisterOp, data unsafe.Pointer, n int, tags []uint64) error {
	reg := RsrcRegister{
		Nr:   uint32(n),
		Data: rawAddress(data),
		Tags: address(unsafe.SliceData(tags)),
	}
	_, err := r.Register(op, unsafe.Pointer(&reg), uint32(unsafe.Sizeof(reg)))
	return err
}

// registerSparse makes a table of n empty slots.
func (r *Ring) registerSparse(op RegisterOp, n int) error {
	if n < 0 || uint64(n) > math.MaxUint32 {
		return os.NewSyscallError("io_uring_register", syscall.EINVAL)
	}
	reg := RsrcRegister{Nr: uint32(n), Flags: IORING_RSRC_REGISTER_SPARSE}
	_, err := r.Register(op, unsafe.Pointer(&reg), uint32(unsafe.Sizeof(reg)))
	return err
}

// updateTable replaces n slots from at on by the entries at data(0), data(1) and
// so forth, and returns how many it has replaced. The kernel tells of an error
// only when it is the first slot of a call that has it, and otherwise of fewer
// slots than asked for, so the rest is asked for again.
func (r *Ring) updateTable(op RegisterOp, at, n int, data func(i int) unsafe.Pointer, tags []uint64) (int, error) {
	if at < 0 || at > math.MaxInt32 || n < 1 || n > math.MaxInt32 {
		return 0, os.NewSyscallError("io_uring_register", syscall.EINVAL)
	}
	for done := 0; ; {
		got, err := r.updateOnce(op, at+done, n-done, data(done), tags[min(done, len(tags)):])
		if err != nil {
			return done, err
		}
		if done += got; done >= n || got == 0 {
			return done, nil
		}
	}
}

func (r *Ring) updateOnce(op RegisterOp, at, n int, data unsafe.Pointer, tags []uint64) (int, error) {
	if op == IORING_REGISTER_FILES_UPDATE && len(tags) == 0 {
		up := RsrcUpdate{Offset: uint32(at), Data: rawAddress(data)}
		return r.Register(op, unsafe.Pointer(&up), uint32(n))
	}
	if op == IORING_REGISTER_FILES_UPDATE {
		op = IORING_REGISTER_FILES_UPDATE2
	}
	up := RsrcUpdate2{Offset: uint32(at), Data: rawAddress(data), Nr: uint32(n)}
	if len(tags) > 0 {
		up.Tags = address(&tags[0])
	}
	return r.Register(op, unsafe.Pointer(&up), uint32(unsafe.Sizeof(up)))
}

func tagsError(what string, tags int) error {
	return fmt.Errorf("uring: %s: %d tags: want one for each", what, tags)
}

// tableError says what was asked for.
func tableError(what string, err error) error { return fmt.Errorf("uring: %s: %w", what, err) }
