//go:build !linux

package sys

import (
	"errors"
	"syscall"

	"github.com/yamanote-go/yamanote/uring"
)

// What changes the space of files, and copies in the kernel, exists on Linux
// only; elsewhere all of it says so.

const (
	AllocKeepSize = 0x01
	AllocPunch    = 0x02
	AllocCollapse = 0x08
	AllocZero     = 0x10
	AllocInsert   = 0x20

	RwfDsync  = 0x02
	RwfSync   = 0x04
	RwfNowait = 0x08
	RwfAppend = 0x10
	RwfAtomic = 0x40

	ODirect = 0
	ENOTSUP = syscall.EINVAL
	ENOSYS  = syscall.EINVAL
)

func Fallocate(int, uint32, int64, int64) error          { return errors.ErrUnsupported }
func Fadvise(int, int64, int64, int) error               { return errors.ErrUnsupported }
func SyncRange(int, int64, int64, int) error             { return errors.ErrUnsupported }
func Fdatasync(int) error                                { return errors.ErrUnsupported }
func Fsync(int) error                                    { return errors.ErrUnsupported }
func Clone(int, int) error                               { return errors.ErrUnsupported }
func CopyRange(int, int64, int, int64, int) (int, error) { return 0, errors.ErrUnsupported }
func SeekData(int, int64) (int64, error)                 { return 0, errors.ErrUnsupported }
func SeekHole(int, int64) (int64, error)                 { return 0, errors.ErrUnsupported }
func Preadv(int, [][]byte, int64, int) (int, error)      { return 0, errors.ErrUnsupported }
func Pwritev(int, [][]byte, int64, int) (int, error)     { return 0, errors.ErrUnsupported }
func Iovecs([][]byte) []uring.Iovec                      { return nil }
func Limits(int) (FileLimits, error)                     { return FileLimits{}, errors.ErrUnsupported }
func Misalignment([]byte, int) int                       { return 0 }
func Owner(any) (uid, gid int, ok bool)                  { return 0, 0, false }
func Blocks(any) (int64, bool)                           { return 0, false }

// FileLimits is what a file asks of transfers.
type FileLimits struct {
	DirectKnown              bool
	MemoryAlign, OffsetAlign uint32
	AtomicMin, AtomicMax     uint32
	AtomicSegments           uint32
	BlockSize                uint32
}

func TryLock(int) (bool, error) { return false, errors.ErrUnsupported }
func Links(int) (int, error)    { return 0, errors.ErrUnsupported }
