package proactor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// allowed are the kernel operations that packages net and file submit, and the
// most ordinary ones of this package. A ring refuses all others, so that a bug
// or an intruder cannot use it for more.
var allowed = []uring.Op{
	uring.IORING_OP_NOP,
	uring.IORING_OP_READ,
	uring.IORING_OP_WRITE,
	uring.IORING_OP_READV,
	uring.IORING_OP_WRITEV,
	uring.IORING_OP_FSYNC,
	uring.IORING_OP_SYNC_FILE_RANGE,
	uring.IORING_OP_FTRUNCATE,
	uring.IORING_OP_OPENAT,
	uring.IORING_OP_CLOSE,
	uring.IORING_OP_RECV,
	uring.IORING_OP_SEND,
	uring.IORING_OP_RECVMSG,
	uring.IORING_OP_SEND_ZC,
	uring.IORING_OP_SENDMSG_ZC,
	uring.IORING_OP_ACCEPT,
	uring.IORING_OP_CONNECT,
	uring.IORING_OP_SHUTDOWN,
	uring.IORING_OP_POLL_ADD,
	uring.IORING_OP_TIMEOUT,
	uring.IORING_OP_ASYNC_CANCEL,
}

// AllOps returns every kernel operation that this module knows, for
// Config.Extra. Those that the running kernel does not have are left out when
// the ring is made.
func AllOps() []uring.Op {
	var all []uring.Op
	for info := range uring.Ops() {
		all = append(all, info.Op)
	}
	return all
}

// verdict says whether a Runtime can submit an operation.
type verdict uint8

const (
	accepted verdict = iota
	forbidden
	unsupported
)

// judge sets the verdicts for rings as described.
func (rt *Runtime) judge(info driver.Info) {
	allow := rt.cfg.driver().Allow
	for i := range rt.verdicts {
		op := uring.Op(i)
		_, known := slices.BinarySearch(info.Supported, op)
		switch {
		case info.Supported != nil && !known:
			rt.verdicts[i] = unsupported
		case info.Restricted && !slices.Contains(allow, op):
			rt.verdicts[i] = forbidden
		default:
			rt.verdicts[i] = accepted
		}
	}
}

// refusal returns why an operation cannot be submitted, or nil.
func (rt *Runtime) refusal(op uring.Op) error {
	switch rt.verdicts[op] {
	case unsupported:
		if info, ok := op.Info(); ok {
			return fmt.Errorf("proactor: the running kernel does not have %v, which came with Linux %v: %w", op, info.Since, errors.ErrUnsupported)
		}
		return fmt.Errorf("proactor: the running kernel does not have %v: %w", op, errors.ErrUnsupported)
	case forbidden:
		return fmt.Errorf("proactor: the Runtime's ring is not set up for %v: add uring.IORING_OP_%v to Config.Extra: %w",
			op, op, os.NewSyscallError(syscallName(op), syscall.EACCES))
	}
	return nil
}
