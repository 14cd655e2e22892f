package uring

import (
	"fmt"
	"math"
	"syscall"
	"time"
	"unsafe"
)

// SyncCancel cancels requests and waits until they have ended, which an
// IORING_OP_ASYNC_CANCEL does not; their completions are posted as usual. A
// negative timeout waits without bound, and after one that is not it fails with
// ETIME. A signal makes it start over, with the whole timeout.
//
// Success is a nil error, not a number: with CANCEL_ALL or CANCEL_ANY the number
// is how many were cancelled at once, without those that it had to wait for, and
// 0 does not mean that there was nothing. Without the two flags it is 0, and no
// request that fits is ENOENT. Linux 6.0; selecting by operation or by user data
// and something else, 6.6.
func (r *Ring) SyncCancel(target CancelTarget, timeout time.Duration) (int, error) {
	if int64(target.Fd) > math.MaxInt32 || int64(target.Fd) < math.MinInt32 {
		return 0, fmt.Errorf("uring: cancelling by descriptor %d: %w", target.Fd, syscall.EBADF)
	}
	reg := &SyncCancelReg{
		Addr: target.UserData, Fd: int32(target.Fd), Flags: target.Flags, Opcode: target.Op,
		Timeout: Timespec{Sec: -1, Nsec: -1},
	}
	if timeout >= 0 {
		reg.Timeout = Timespec{Sec: int64(timeout / time.Second), Nsec: int64(timeout % time.Second)}
	}
	return r.Register(IORING_REGISTER_SYNC_CANCEL, unsafe.Pointer(reg), 1)
}
