package uring

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// register is io_uring_register(2) on any descriptor.
func register(fd int, op RegisterOp, arg unsafe.Pointer, n uint32) (int, error) {
	for {
		ret, _, errno := syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), uintptr(op),
			uintptr(arg), uintptr(n), 0, 0)
		switch errno {
		case 0:
			return int(ret), nil
		case syscall.EINTR:
		default:
			return 0, os.NewSyscallError("io_uring_register", errno)
		}
	}
}

// Register makes an io_uring_register(2) call on the ring. arg is the
// argument as the operation defines it; pointers inside it are the caller's to
// keep alive. The error is an *os.SyscallError.
func (r *Ring) Register(op RegisterOp, arg unsafe.Pointer, n uint32) (int, error) {
	if r.fd < 0 {
		// The kernel would take it for a call without a ring.
		return 0, os.NewSyscallError("io_uring_register", syscall.EBADF)
	}
	return register(r.fd, op, arg, n)
}

// Enable starts a ring that was created with SETUP_R_DISABLED. With
// SETUP_SINGLE_ISSUER the calling thread becomes its only issuer. Linux 5.10.
func (r *Ring) Enable() error {
	_, err := r.Register(IORING_REGISTER_ENABLE_RINGS, nil, 0)
	return err
}

// RegisterEventfd makes the kernel signal the eventfd for every completion.
func (r *Ring) RegisterEventfd(fd int) error {
	v := int32(fd)
	_, err := r.Register(IORING_REGISTER_EVENTFD, unsafe.Pointer(&v), 1)
	return err
}

// UnregisterEventfd undoes RegisterEventfd.
func (r *Ring) UnregisterEventfd() error {
	_, err := r.Register(IORING_UNREGISTER_EVENTFD, nil, 0)
	return err
}

// RegisterRestrictions limits what the ring may be asked to do, for the rest
// of its life. The ring must have been created with SETUP_R_DISABLED and not
// yet be enabled; what is not listed then fails with EACCES, at the ring or in
// the completion. It can be done once, and an empty list is an error. Linux 5.10.
func (r *Ring) RegisterRestrictions(list []Restriction) error {
	if len(list) == 0 {
		return os.NewSyscallError("io_uring_register", syscall.EINVAL)
	}
	_, err := r.Register(IORING_REGISTER_RESTRICTIONS, unsafe.Pointer(unsafe.SliceData(list)), uint32(len(list)))
	runtime.KeepAlive(list)
	return err
}

// RegisterRingFd registers the ring's own descriptor with the calling thread
// and uses it for all later Enter calls, which saves the kernel a look-up.
// Calling it again on the same thread changes nothing. Linux 5.18.
//
// Only this thread may enter the ring afterwards: on another the registered
// index means nothing, or even another ring. The goroutine must therefore be
// locked to its thread, and undo this on the same thread.
func (r *Ring) RegisterRingFd() error {
	tid := unix.Gettid()
	if r.enterBase != 0 && r.enterTid == tid {
		return nil
	}
	up := RsrcUpdate{Offset: ^uint32(0), Data: uint64(r.fd)}
	if _, err := r.Register(IORING_REGISTER_RING_FDS, unsafe.Pointer(&up), 1); err != nil {
		return err
	}
	r.enterFd, r.enterBase, r.enterTid = int(up.Offset), IORING_ENTER_REGISTERED_RING, tid
	return nil
}

// UnregisterRingFd undoes RegisterRingFd and has later Enter calls use the
// descriptor again. On another thread than the one that registered it fails,
// after it has done the latter: the registration then lasts, and keeps the ring
// in the kernel, until that thread ends.
func (r *Ring) UnregisterRingFd() error {
	if r.enterBase == 0 {
		return nil
	}
	up := RsrcUpdate{Offset: uint32(r.enterFd)}
	r.enterFd, r.enterBase = r.fd, 0
	if tid := unix.Gettid(); tid != r.enterTid {
		// Here the index may be that of another ring.
		return fmt.Errorf("uring: unregistering a ring descriptor on thread %d: %w: thread %d registered it",
			tid, syscall.EINVAL, r.enterTid)
	}
	_, err := r.Register(IORING_UNREGISTER_RING_FDS, unsafe.Pointer(&up), 1)
	return err
}

// SetMaxWorkers bounds the kernel worker threads of the calling thread's
// rings: bounded ones do regular file I/O, unbounded ones everything that may
// wait for ever. Zero leaves a bound as it is. It returns the previous bounds,
// in the same order. Linux 5.15.
func (r *Ring) SetMaxWorkers(bounded, unbounded uint32) ([2]uint32, error) {
	v := [2]uint32{bounded, unbounded}
	_, err := r.Register(IORING_REGISTER_IOWQ_MAX_WORKERS, unsafe.Pointer(&v), 2)
	return v, err
}

// SendMsgRing posts a completion with the given user data and result on the
// ring with descriptor target, from any thread and without a ring of its own.
// It fails with EINVAL before Linux 6.13.
func SendMsgRing(target int, userData uint64, res uint32) error {
	var sqe SQE
	sqe.PrepMsgRing(target, res, userData, 0)
	_, err := register(-1, IORING_REGISTER_SEND_MSG_RING, unsafe.Pointer(&sqe), 1)
	return err
}
