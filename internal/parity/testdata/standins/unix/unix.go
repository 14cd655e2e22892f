// Package unix stands in for internal/syscall/unix of the toolchain.
package unix

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// IsNonblock reports whether a descriptor is non-blocking.
func IsNonblock(fd int) (bool, error) {
	flags, err := info(fd)
	return flags&syscall.O_NONBLOCK != 0, err
}

// Fcntl knows F_GETFD.
func Fcntl(fd, cmd, _ int) (int, error) {
	if cmd != syscall.F_GETFD {
		return 0, syscall.EINVAL
	}
	flags, err := info(fd)
	if flags&syscall.O_CLOEXEC != 0 {
		return syscall.FD_CLOEXEC, err
	}
	return 0, err
}

// info returns the flags of a descriptor as the process file system has them.
func info(fd int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if octal, ok := strings.CutPrefix(line, "flags:"); ok {
			flags, err := strconv.ParseInt(strings.TrimSpace(octal), 8, 64)
			return int(flags), err
		}
	}
	return 0, fmt.Errorf("no flags of descriptor %d", fd)
}

// KernelVersionGE says that the kernel is new enough for what is asked of it.
func KernelVersionGE(int, int) bool { return true }
