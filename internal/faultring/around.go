package faultring

import (
	"syscall"

	"github.com/yamanote-go/yamanote/driver"
)

// Around returns a function for proactor.NewWith that opens the kernel's ring
// with faults around it, as Wrap does, for tests of packages that know nothing of
// drivers. In addition fail, if not nil, is asked about each operation before the
// kernel sees it, by the name of the operation without its prefix, such as FSYNC,
// and by the entry's length: what it returns, if not zero, is what the operation
// fails with, without having been done. It is called by one goroutine at a time.
func Around(seed uint64, faults Faults, fail func(op string, n uint32) syscall.Errno) func(driver.Config) (driver.Ring, error) {
	return func(cfg driver.Config) (driver.Ring, error) {
		inner, err := driver.OpenRing(cfg)
		if err != nil {
			return nil, err
		}
		w := Wrap(inner, seed, faults).(*wrapped)
		w.fail = fail
		return w, nil
	}
}

// failSome has those operations fail that a test wants to.
func (w *wrapped) failSome() {
	if w.fail == nil {
		return
	}
	for _, sqe := range w.filled {
		if errno := w.fail(sqe.Opcode.String(), sqe.Len); errno != 0 {
			links := sqe.Flags & linkFlags
			w.replace(sqe, -int32(errno))
			sqe.Flags = links // what follows in a chain is done all the same
		}
	}
}
