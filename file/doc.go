// Package file is the part of the standard library's package os that is about
// files, on io_uring: the same names, methods, flags and errors, and no thread
// of the operating system for each goroutine that waits for a disk or a pipe.
//
// Regular files and block devices are read, written and synced by the ring of
// a runtime (see package proactor) wherever they have to wait; what the page
// cache holds is copied without a detour. Pipes, FIFOs, terminals and other
// devices that can be polled are waited for on the ring, with deadlines, and
// Close ends the wait. Directories, other devices, and all files where there is
// no ring, are an os.File underneath.
//
//	f, err := file.Open("data")
//	...
//	n, err := f.ReadAt(buf, offset)
//
// A program that imports "os" for its files can import this package instead. What
// works on names only (Stat, Rename, MkdirAll, …) is package os's own: the ring
// would hand it to a thread of the kernel, which takes longer than the system
// call. Types, constants and errors are those of package os, but for File and
// Root. Files are of the default runtime, or of that in an OpenConfig.
package file
