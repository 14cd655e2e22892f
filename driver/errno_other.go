//go:build !linux

package driver

import "syscall"

// errLost is EBADR of Linux; nothing returns it elsewhere.
const errLost = syscall.Errno(53)
