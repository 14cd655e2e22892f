//go:build !linux

package driver

import "syscall"

// errLost and errTime are EBADR and ETIME of Linux; nothing returns them
// elsewhere.
const (
	errLost = syscall.Errno(53)
	errTime = syscall.Errno(62)
)
