package sys

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/uring"
)

// CloseOnExec is the flag that makes a new descriptor close-on-exec; the kernel
// refuses it for one that goes into a slot of a ring.
const CloseOnExec = unix.O_CLOEXEC

// RegisterFiles gives the ring a table of n empty slots for files. Linux 5.19.
func RegisterFiles(r *uring.Ring, n uint32) error {
	return registerSparse(r, uring.IORING_REGISTER_FILES2, n)
}

// RegisterBuffers gives the ring a table of n empty slots for buffers. Linux
// 5.19.
func RegisterBuffers(r *uring.Ring, n uint32) error {
	return registerSparse(r, uring.IORING_REGISTER_BUFFERS2, n)
}

func registerSparse(r *uring.Ring, op uring.RegisterOp, n uint32) error {
	reg := uring.RsrcRegister{Nr: n, Flags: uring.IORING_RSRC_REGISTER_SPARSE}
	_, err := r.Register(op, unsafe.Pointer(&reg), uint32(unsafe.Sizeof(reg)))
	return err
}

// UpdateFile puts an open file into a slot, or with -1 empties the slot.
func UpdateFile(r *uring.Ring, slot uint32, fd int) error {
	fds := []int32{int32(fd)}
	update := uring.RsrcUpdate{Offset: slot, Data: address(unsafe.Pointer(&fds[0]))}
	_, err := r.Register(uring.IORING_REGISTER_FILES_UPDATE, unsafe.Pointer(&update), 1)
	runtime.KeepAlive(fds)
	return err
}

// UpdateBuffer registers memory from MapAnonymous in a slot, or with nil empties
// the slot. The pages stay locked until then.
func UpdateBuffer(r *uring.Ring, slot uint32, mem []byte) error {
	iov := &unix.Iovec{}
	if len(mem) > 0 {
		iov.Base = &mem[0]
		iov.SetLen(len(mem))
	}
	update := uring.RsrcUpdate2{Offset: slot, Data: address(unsafe.Pointer(iov)), Nr: 1}
	_, err := r.Register(uring.IORING_REGISTER_BUFFERS_UPDATE, unsafe.Pointer(&update), uint32(unsafe.Sizeof(update)))
	runtime.KeepAlive(iov)
	return err
}

func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

// RegisterPersonality registers the credentials of the calling thread with the
// ring, and returns their number.
func RegisterPersonality(r *uring.Ring) (int, error) {
	return r.Register(uring.IORING_REGISTER_PERSONALITY, nil, 0)
}

// UnregisterPersonality undoes RegisterPersonality.
func UnregisterPersonality(r *uring.Ring, id int) error {
	_, err := r.Register(uring.IORING_UNREGISTER_PERSONALITY, nil, uint32(id))
	return err
}

// MapAnonymous returns zeroed memory outside Go's heap, a multiple of the page
// size.
func MapAnonymous(size int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	return mem, os.NewSyscallError("mmap", err)
}

// Unmap frees memory from MapAnonymous.
func Unmap(mem []byte) error { return os.NewSyscallError("munmap", unix.Munmap(mem)) }
