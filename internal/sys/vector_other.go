//go:build !linux

package sys

import "syscall"

// MaxVector is how many pieces one system call takes.
const MaxVector = 1024

// Vector is a list of pieces of memory.
type Vector struct{}

func (v *Vector) Set([][]byte, int) int            { return 0 }
func (v *Vector) Clear()                           {}
func (v *Vector) SendNow(int) (int, syscall.Errno) { return -1, syscall.EAGAIN }
