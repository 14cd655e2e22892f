//go:build 386 || arm || mips || mipsle

package uring

// iovecLen is the type of Iovec.Len, the size_t of the machine.
type iovecLen = uint32
