package uring

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Region is memory that a ring shares with the kernel beside its queues
// (IORING_REGISTER_MEM_REGION). A ring has at most one.
type Region struct {
	mem  []byte
	lent bool // by the caller, who unmaps it
}

// NewRegion has the kernel allocate a region of at least size bytes, in whole
// pages, registers it with the ring and maps it. With
// IORING_MEM_REGION_REG_WAIT_ARG the region holds the arguments of
// EnterRegistered; it must then be registered before the ring is enabled, that
// is, on one with IORING_SETUP_R_DISABLED.
//
// A second region fails with EBUSY. The region lasts as long as the ring, its
// mapping until Close. Linux 6.13.
func (r *Ring) NewRegion(size int, flags MemRegionFlags) (*Region, error) {
	if size < 1 {
		return nil, fmt.Errorf("uring: a region of %d bytes: %w", size, syscall.EINVAL)
	}
	size = wholePages(size)
	desc := &RegionDesc{Size: uint64(size)}
	if err := r.registerRegion(desc, flags); err != nil {
		return nil, err
	}
	if r.fd < 0 {
		return nil, fmt.Errorf("uring: mapping a region: %w: the ring has no descriptor", syscall.EBADF)
	}
	mem, err := unix.Mmap(r.fd, int64(desc.MmapOffset), size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("uring: mapping a region: %w", os.NewSyscallError("mmap", err))
	}
	return &Region{mem: mem}, nil
}

// NewRegionIn is NewRegion with memory of the caller: whole pages that begin at
// a page boundary and come from mmap, not from Go's heap. The kernel holds the
// pages until the ring has ended, so that they can be unmapped whenever the
// program no longer looks at them; Region.Close leaves that to the caller.
func (r *Ring) NewRegionIn(mem []byte, flags MemRegionFlags) (*Region, error) {
	if len(mem) == 0 {
		return nil, fmt.Errorf("uring: a region in no memory: %w", syscall.EINVAL)
	}
	desc := &RegionDesc{
		UserAddr: address(&mem[0]), Size: uint64(len(mem)), Flags: IORING_MEM_REGION_TYPE_USER,
	}
	if err := r.registerRegion(desc, flags); err != nil {
		return nil, err
	}
	return &Region{mem: mem[:len(mem):len(mem)], lent: true}, nil
}

func (r *Ring) registerRegion(desc *RegionDesc, flags MemRegionFlags) error {
	reg := &MemRegionReg{RegionPtr: address(desc), Flags: flags}
	if _, err := r.Register(IORING_REGISTER_MEM_REGION, unsafe.Pointer(reg), 1); err != nil {
		return err
	}
	if flags&IORING_MEM_REGION_REG_WAIT_ARG != 0 {
		r.waits = waitsIn(int(desc.Size))
	}
	return nil
}

// Bytes returns the memory of the region.
func (g *Region) Bytes() []byte { return g.mem }

// Waits returns the region as the arguments of EnterRegistered. An element must
// not be changed while an enter uses it.
//
// There is one fewer than have room: asked for the last, Linux (6.18) takes the
// first.
func (g *Region) Waits() []RegWait {
	n := waitsIn(len(g.mem))
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*RegWait)(unsafe.Pointer(&g.mem[0])), n)
}

// waitsIn returns how many arguments a region of so many bytes holds.
func waitsIn(size int) int { return max(size/int(unsafe.Sizeof(RegWait{})), 1) - 1 }

// Close unmaps a region that NewRegion has mapped, and lets go of one in memory
// of the caller. What Bytes and Waits have returned must not be used any more.
func (g *Region) Close() error {
	mem := g.mem
	g.mem = nil
	if mem == nil || g.lent {
		return nil
	}
	return os.NewSyscallError("munmap", unix.Munmap(mem))
}

// EnterRegistered is EnterWait with the element of the ring's region that has
// the given index as its argument, which the kernel need not copy: see
// IORING_MEM_REGION_REG_WAIT_ARG. An index beyond the region fails with EFAULT,
// and any without a region with EINVAL. Linux 6.13.
func (r *Ring) EnterRegistered(toSubmit, minComplete uint32, flags EnterFlags, index int) (int, syscall.Errno) {
	const size = unsafe.Sizeof(RegWait{})
	if index < 0 || index >= r.waits {
		if r.waits == 0 {
			return 0, syscall.EINVAL
		}
		return 0, syscall.EFAULT
	}
	n, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFd), uintptr(toSubmit),
		uintptr(minComplete), uintptr(flags|r.enterBase|IORING_ENTER_GETEVENTS|IORING_ENTER_EXT_ARG|IORING_ENTER_EXT_ARG_REG),
		uintptr(index)*size, size)
	return consumed(n, errno), errno
}
