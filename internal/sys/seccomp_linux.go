package sys

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// auditArchs are the architectures that a process may make system calls as:
// its own, and the 32-bit one that the same kernel also serves. The three
// system calls have the same numbers in all of them.
var auditArchs = map[string][2]uint32{
	"amd64": {unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386},
	"arm64": {unix.AUDIT_ARCH_AARCH64, unix.AUDIT_ARCH_ARM},
}

// x32Bit marks a system call of the x32 ABI, which amd64 kernels serve under
// the same architecture as the native one.
const x32Bit = 0x40000000

// DenyRing makes io_uring_setup, io_uring_enter and io_uring_register fail
// with EPERM in every thread of this process and in all that it starts, as the
// default seccomp profiles of container engines do. It cannot be undone. Like
// them it sets no_new_privs.
func DenyRing() error {
	filter, err := denyRingFilter(runtime.GOARCH)
	if err != nil {
		return err
	}

	// no_new_privs belongs to one thread and seccomp asks the thread that
	// calls it, so both calls are made by the same one. TSYNC then gives
	// filter and no_new_privs to all the others.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl PR_SET_NO_NEW_PRIVS", err)
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	tid, _, errno := unix.Syscall(unix.SYS_SECCOMP,
		unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	if tid != 0 {
		return fmt.Errorf("seccomp: thread %d has a filter of its own", tid)
	}
	return nil
}

// denyRingFilter returns the filter as a program of classic BPF over struct
// seccomp_data: the number of the call at offset 0, the architecture at 4.
func denyRingFilter(goarch string) ([]unix.SockFilter, error) {
	archs, ok := auditArchs[goarch]
	if !ok {
		return nil, fmt.Errorf("seccomp filter for %s: %w", goarch, errors.ErrUnsupported)
	}
	const (
		offsetNr, offsetArch = 0, 4

		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		and   = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
		ifEq  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ifGe  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		ifGt  = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
		yield = unix.BPF_RET | unix.BPF_K
	)
	return []unix.SockFilter{
		0: {Code: load, K: offsetArch},
		1: {Code: ifEq, K: archs[0], Jt: 1},        // to 3
		2: {Code: ifEq, K: archs[1], Jt: 0, Jf: 5}, // an architecture that cannot be: to 8
		3: {Code: load, K: offsetNr},
		4: {Code: and, K: ^uint32(x32Bit)},
		5: {Code: ifGe, K: unix.SYS_IO_URING_SETUP, Jt: 0, Jf: 1},
		6: {Code: ifGt, K: unix.SYS_IO_URING_REGISTER, Jt: 0, Jf: 1}, // setup, enter, register: to 8
		7: {Code: yield, K: unix.SECCOMP_RET_ALLOW},
		8: {Code: yield, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
	}, nil
}

// TryRing makes the smallest ring there is and closes it again. Its error is
// what the kernel says: nil, EPERM where it is forbidden, ENOSYS where it does
// not exist. It is for tools and tests; the library probes in package uring.
func TryRing() error {
	var params [120]byte // struct io_uring_params, all of it zero
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		return os.NewSyscallError("io_uring_setup", errno)
	}
	return unix.Close(int(fd))
}
