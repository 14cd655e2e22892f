package testkit

import (
	"fmt"
	"maps"
	"slices"
	"testing"
)

// Fds returns the open file descriptors of the process, number to target
// ("socket:[4711]", "anon_inode:[io_uring]", a path). Where the system has no
// list of them the map is empty.
func Fds(t testing.TB) map[int]string {
	t.Helper()
	fds, err := openFds()
	if err != nil {
		t.Fatalf("testkit: listing the file descriptors: %v", err)
	}
	return fds
}

// newFds returns one line for each descriptor that is open now and was not
// open before, or led elsewhere.
func newFds(before, now map[int]string) []string {
	var lines []string
	for _, fd := range slices.Sorted(maps.Keys(now)) {
		if before[fd] != now[fd] {
			lines = append(lines, fmt.Sprintf("fd %d -> %s", fd, now[fd]))
		}
	}
	return lines
}
