//go:build !linux

package sys

import (
	"errors"
	"io/fs"
	"syscall"
)

func Open(string, int, uint32) (int, error)                  { return -1, errors.ErrUnsupported }
func FileType(int) (fs.FileMode, error)                      { return 0, errors.ErrUnsupported }
func OpenFileFlags(int) (int, error)                         { return 0, errors.ErrUnsupported }
func Pollable(int) bool                                      { return false }
func OpenPipe() (r, w int, err error)                        { return -1, -1, errors.ErrUnsupported }
func Read(int, []byte) (int, error)                          { return -1, errors.ErrUnsupported }
func Write(int, []byte) (int, error)                         { return -1, errors.ErrUnsupported }
func CopyAlong(dst, src int, n int64) (int64, syscall.Errno) { return 0, syscall.ENOSYS }

// NonblockFlag is the flag of a descriptor that does not wait.
const NonblockFlag = 0
