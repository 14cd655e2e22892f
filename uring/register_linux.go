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
func register(fd int, op RegisterOp, arg unsafe.Pointer, n uint32) (int, syscall.Errno) {
	for {
		ret, _, errno := syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), uintptr(op),
			uintptr(arg), uintptr(n), 0, 0)
		if registered != nil {
			registered(op&^IORING_REGISTER_USE_REGISTERED_RING, errno)
		}
		switch errno {
		case 0:
			return int(ret), 0
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// registered is told of every call, by tests that keep account of them.
var registered func(op RegisterOp, errno syscall.Errno)

// registerAlone is a registration call that needs no ring.
func registerAlone(op RegisterOp, arg unsafe.Pointer, n uint32) (int, error) {
	ret, errno := register(-1, op, arg, n)
	if errno != 0 {
		return 0, registerError(nil, op, errno)
	}
	return ret, nil
}

// Register makes an io_uring_register(2) call on the ring. arg is the
// argument as the operation defines it; pointers inside it are the caller's to
// keep alive. The error wraps an *os.SyscallError and says what it means, also
// since which kernel the call exists if this one does not know it.
func (r *Ring) Register(op RegisterOp, arg unsafe.Pointer, n uint32) (int, error) {
	if r.closed {
		// The kernel would take the number -1 for a call without a ring.
		return 0, fmt.Errorf("%w: %w", os.NewSyscallError("io_uring_register("+op.String()+")", syscall.EBADF), errClosed)
	}
	fd := r.fd
	if fd < 0 {
		fd, op = r.enterFd, op|IORING_REGISTER_USE_REGISTERED_RING
	}
	ret, errno := register(fd, op, arg, n)
	if errno != 0 {
		return 0, registerError(r, op, errno)
	}
	return ret, nil
}

// Enable starts a ring that was created with SETUP_R_DISABLED. With
// SETUP_SINGLE_ISSUER the calling thread becomes its only issuer. Linux 5.10.
func (r *Ring) Enable() error {
	_, err := r.Register(IORING_REGISTER_ENABLE_RINGS, nil, 0)
	return err
}

// RegisterEventfd makes the kernel signal the eventfd for every completion;
// CompletionQueue.SetEventfd mutes it. A ring has one at a time, and a second
// fails with EBUSY. The ring keeps the file: the descriptor may be closed.
// Linux 5.2.
func (r *Ring) RegisterEventfd(fd int) error {
	v := int32(fd)
	_, err := r.Register(IORING_REGISTER_EVENTFD, unsafe.Pointer(&v), 1)
	return err
}

// RegisterEventfdAsync is RegisterEventfd for those completions only that were
// not there when the enter that submitted them returned, because their requests
// had to wait or went to a worker. Linux 5.6.
func (r *Ring) RegisterEventfdAsync(fd int) error {
	v := int32(fd)
	_, err := r.Register(IORING_REGISTER_EVENTFD_ASYNC, unsafe.Pointer(&v), 1)
	return err
}

// UnregisterEventfd undoes either. Without an eventfd it fails with ENXIO.
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
// in the kernel, until that thread ends. A ring without a descriptor cannot do
// without the registration, and fails with EBADF.
func (r *Ring) UnregisterRingFd() error {
	if r.enterBase == 0 {
		return nil
	}
	if r.fd < 0 {
		return fmt.Errorf("uring: unregistering a ring descriptor: %w: the ring has no other", syscall.EBADF)
	}
	return r.dropRingFd()
}

// dropRingFd ends the registration of the ring's descriptor.
func (r *Ring) dropRingFd() error {
	up := RsrcUpdate{Offset: uint32(r.enterFd)}
	if tid := unix.Gettid(); tid != r.enterTid {
		r.enterFd, r.enterBase = r.fd, 0
		// Here the index may be that of another ring.
		return fmt.Errorf("uring: unregistering a ring descriptor on thread %d: %w: thread %d registered it",
			tid, syscall.EINVAL, r.enterTid)
	}
	_, err := r.Register(IORING_UNREGISTER_RING_FDS, unsafe.Pointer(&up), 1)
	r.enterFd, r.enterBase = r.fd, 0
	return err
}

// CloseFd closes the ring's descriptor, after RegisterRingFd: the ring goes on
// by its registered index, on the thread that has registered it, and does not
// count against the limit of descriptors any more. Nobody can send it messages
// or poll it by descriptor then. Linux 6.3, IORING_FEAT_REG_REG_RING.
func (r *Ring) CloseFd() error {
	switch {
	case r.closed:
		return errClosed
	case r.fd < 0:
		return nil
	case r.enterBase == 0:
		return fmt.Errorf("uring: closing a ring's descriptor: %w: it is not registered, call RegisterRingFd", syscall.EINVAL)
	case r.params.Features&IORING_FEAT_REG_REG_RING == 0:
		return fmt.Errorf("uring: closing a ring's descriptor: %w: it needs Linux 6.3", syscall.EOPNOTSUPP)
	}
	fd := r.fd
	r.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
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
// It fails with EINVAL before Linux 6.13, and with EBADFD if target is no ring
// or one that is not enabled yet.
func SendMsgRing(target int, userData uint64, res uint32) error {
	var sqe SQE
	sqe.PrepMsgRing(target, res, userData, 0)
	_, err := registerAlone(IORING_REGISTER_SEND_MSG_RING, unsafe.Pointer(&sqe), 1)
	return err
}
