// Package file is the standard library's os.File on io_uring: the same
// methods, flags and errors, and no thread of the operating system for each
// goroutine that waits for a disk.
//
// Regular files and block devices are read, written and synced by the ring of
// a runtime (see package proactor) wherever they have to wait; what the page
// cache holds is copied without a detour. Everything else (pipes, terminals,
// directories, and all files where there is no ring) is an os.File underneath.
//
//	f, err := file.Open("data")
//	...
//	n, err := f.ReadAt(buf, offset)
package file
