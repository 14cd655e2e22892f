//go:build !linux

package testkit

// kernelVersion is older than any Linux where there is no Linux.
func kernelVersion() (major, minor int, err error) { return 0, 0, nil }
