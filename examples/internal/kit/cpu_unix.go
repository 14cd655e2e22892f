//go:build unix

package kit

import (
	"syscall"
	"time"
)

// ProcessorTime returns the user and system time that the process has used.
func ProcessorTime() (time.Duration, bool) {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0, false
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano()), true
}
