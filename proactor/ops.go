package proactor

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// The operations of this package are in files by theme: ops_file.go has those
// on open files, ops_fs.go those on paths, ops_net.go those on sockets,
// ops_event.go those that wait for something else, and ops_ring.go those on what
// belongs to a ring.
//
// Each says since which Linux there is one, if that is later than 5.11, which
// this module needs anyway. The descriptors, flags and results are those of the
// system call that an operation stands for.

// syscallName names a kernel operation in errors as the system call that it
// stands for.
func syscallName(op uring.Op) string {
	switch op {
	case uring.IORING_OP_POLL_ADD:
		return "poll"
	case uring.IORING_OP_READ_FIXED:
		return "read"
	case uring.IORING_OP_WRITE_FIXED:
		return "write"
	case uring.IORING_OP_SEND_ZC:
		return "send"
	case uring.IORING_OP_SENDMSG_ZC:
		return "sendmsg"
	case uring.IORING_OP_RENAMEAT:
		return "renameat2"
	case uring.IORING_OP_PIPE:
		return "pipe2"
	}
	return strings.ToLower(op.String())
}

// prepared completes a request from the table of operations.
func prepared(r *Request) error {
	info, _ := r.SQE.Opcode.Info()
	r.Waits = info.Wait != uring.WaitsNever
	r.OwnsFD = info.Result == uring.ResultFD
	r.Notifies = info.Completes == uring.CompletesTwice
	return nil
}

// invalid is the error of an operation that makes no sense.
func invalid(format string, args ...any) error {
	return fmt.Errorf("proactor: "+format+": %w", append(args, error(syscall.EINVAL))...)
}

// count is the result of operations that move bytes.
type count struct{}

func (count) Result(_ *Request, c driver.Completion) (int, error) { return int(c.Res), nil }

// nothing is the result of operations that succeed or fail.
type nothing struct{}

func (nothing) Result(*Request, driver.Completion) (struct{}, error) { return struct{}{}, nil }

// descriptor is the result of operations that yield one.
type descriptor struct{}

func (descriptor) Result(_ *Request, c driver.Completion) (int, error) { return int(c.Res), nil }

// Nop does nothing, by way of the kernel.
type Nop struct{ nothing }

// Prepare implements Operation.
func (o Nop) Prepare(r *Request) error {
	r.SQE.PrepNop()
	return prepared(r)
}
