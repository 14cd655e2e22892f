// Package sys holds the memory that the kernel sees and the raw system calls
// that the library makes outside a ring; together with package uring it is the
// only place where unsafe and raw system calls are allowed.
package sys
