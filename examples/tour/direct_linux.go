package main

import (
	"os"
	"syscall"
)

// directFlag opens a file so that it is read past the page cache.
const directFlag = syscall.O_DIRECT

// alignedMemory returns memory that begins with a page, which such reads need.
func alignedMemory(size int) (mem []byte, free func(), err error) {
	mem, err = syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return mem, func() { _ = syscall.Munmap(mem) }, nil
}
