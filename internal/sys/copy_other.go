//go:build !linux

package sys

import (
	"errors"
	"syscall"
)

// Pipe is room in the kernel for data on their way between two sockets.
type Pipe struct{}

func NewPipe() (*Pipe, error)                                { return nil, errors.ErrUnsupported }
func (p *Pipe) Close()                                       {}
func (p *Pipe) FromSocket(int, int64) (int64, syscall.Errno) { return 0, syscall.EINVAL }
func (p *Pipe) ToSocket(int, int64) (int64, syscall.Errno)   { return 0, syscall.EINVAL }
func SendFile(int, int, int64) (int64, syscall.Errno)        { return 0, syscall.EINVAL }
func (p *Pipe) ToFile(int, int64) (int64, syscall.Errno)     { return 0, syscall.EINVAL }
