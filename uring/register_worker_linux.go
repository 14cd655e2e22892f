package uring

import (
	"fmt"
	"syscall"
	"unsafe"
)

// cpuMax bounds the numbers of processors, as the kernel's largest
// configuration does.
const cpuMax = 8192

// SetWorkerAffinity binds the kernel's worker threads of the calling thread's
// rings to the given processors, with IORING_SETUP_SQPOLL those of the polling
// thread. It holds for workers that are started from now on. Linux 5.14.
func (r *Ring) SetWorkerAffinity(cpus ...int) error {
	var mask [cpuMax / 8]byte
	size := 0
	for _, cpu := range cpus {
		if cpu < 0 || cpu >= cpuMax {
			return fmt.Errorf("uring: binding workers to processor %d: %w", cpu, syscall.EINVAL)
		}
		// The kernel's mask is one of long words, so the byte of a bit depends
		// on the order of bytes.
		at := cpu / 8
		if bigEndian {
			at ^= int(unsafe.Sizeof(uintptr(0))) - 1
		}
		mask[at] |= 1 << (cpu % 8)
		size = max(size, (cpu/64+1)*8)
	}
	_, err := r.Register(IORING_REGISTER_IOWQ_AFF, unsafe.Pointer(&mask[0]), uint32(size))
	return err
}

// ClearWorkerAffinity lets the worker threads run where the ring's threads may
// run. Linux 5.14.
func (r *Ring) ClearWorkerAffinity() error {
	_, err := r.Register(IORING_UNREGISTER_IOWQ_AFF, nil, 0)
	return err
}

// SetClock chooses the clock for the timeouts of waits, CLOCK_MONOTONIC by
// default; any but the two fails with EINVAL. Requests name their clock
// themselves. Linux 6.12.
func (r *Ring) SetClock(clock uint32) error {
	_, err := r.Register(IORING_REGISTER_CLOCK, unsafe.Pointer(&ClockRegister{Clockid: clock}), 0)
	return err
}
