package kit

import (
	"syscall"
	"time"
)

// ProcessorTime returns the user and kernel time that the process has used.
func ProcessorTime() (time.Duration, bool) {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0, false
	}
	var created, exited, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(self, &created, &exited, &kernel, &user); err != nil {
		return 0, false
	}
	return ticks(kernel) + ticks(user), true
}

// ticks turns a span of 100 ns units into a duration. Filetime.Nanoseconds
// takes it for a point in time and would be off by centuries.
func ticks(f syscall.Filetime) time.Duration {
	return time.Duration(int64(f.HighDateTime)<<32|int64(f.LowDateTime)) * 100
}
