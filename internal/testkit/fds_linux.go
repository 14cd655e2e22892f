package testkit

import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

// warmRuntime has the Go runtime open the descriptors that it opens at first
// need and keeps for good: the epoll of its poller and the eventfd that wakes
// it. They are then part of every snapshot. Leaving them out by their targets
// instead would hide the eventfd of a driver, which looks the same.
//
// The descriptor by which package os tries pidfd is closed again by os itself
// and needs nothing here.
var warmRuntime = sync.OnceFunc(func() {
	r, w, err := os.Pipe()
	if err != nil {
		return
	}
	_ = r.Close()
	_ = w.Close()
})

// openFds returns the open descriptors of the process and what they lead to.
func openFds() (map[int]string, error) {
	warmRuntime()
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	fds := make(map[int]string, len(entries))
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return nil, fmt.Errorf("%s: not a number: %q", dir, e.Name())
		}
		// The descriptor with which the directory was read is closed by
		// now; so may be one that another goroutine had at that moment.
		if target, err := os.Readlink(dir + "/" + e.Name()); err == nil {
			fds[fd] = target
		}
	}
	return fds, nil
}
