//go:build !linux

package file

// onLinux says that the system calls of Linux are not there.
const onLinux = false
