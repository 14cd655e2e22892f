package main

import (
	"os"
	"syscall"
)

// directFlag opens a file so that it is read past the page cache.
const directFlag = syscall.O_DIRECT

// inMemory reports whether a directory is on a file system that has no disk, so
// that there is no reading past its cache.
func inMemory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return false
	}
	magic := uint32(fs.Type)
	return magic == tmpfs || magic == ramfs
}

// alignedMemory returns memory that begins with a page, which such reads need.
func alignedMemory(size int) (mem []byte, free func(), err error) {
	mem, err = syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return mem, func() { _ = syscall.Munmap(mem) }, nil
}
