//go:build !linux

package main

// directFlag is 0: files are read through the cache only.
const directFlag = 0

// inMemory does not matter then.
func inMemory(string) bool { return false }

// alignedMemory returns memory.
func alignedMemory(size int) (mem []byte, free func(), err error) {
	return make([]byte, size), func() {}, nil
}
