// Package proactor is the safe way to use io_uring from Go: operations as
// typed values, completions that arrive exactly once, and cancellation that
// loses neither data nor descriptors.
//
// A Runtime owns one ring or more, each with a driver. Ordinary
// goroutines submit operations to it and wait for their results:
//
//	n, err := proactor.Do(ctx, rt, proactor.ReadAt{FD: fd, Buf: buf, Offset: 0})
//
// or submit now and wait later:
//
//	c, err := proactor.Submit(ctx, rt, proactor.Recv{FD: fd, Buf: buf})
//	...
//	n, err := c.Wait(ctx)
//
// A Chain is operations that the kernel does one after the other, submitted in
// one piece. A Stream is an operation that completes again and again, such as an
// accept of all connections, as something to range over; a BufferGroup is the
// memory into which streams receive.
//
// Operations on a descriptor run on one ring, which its number decides, so that
// they keep their order; see Runtime.ShardOf. Files, memory and credentials can
// be registered with a ring, if Config says so: DirectFile, Arena, Personality.
//
// Packages net and file of this module are built on it; most programs use
// those, with the process-wide Default runtime.
//
// # Memory
//
// From Submit until the completion is done, the kernel may read and write the
// memory that an operation names. Do not touch a buffer in that time. A wait
// whose context ends does not end that time by itself: Wait asks the kernel to
// cancel and returns when the kernel has let go. Abandon leaves the memory to
// the operation, which keeps it reachable.
//
// # Without a ring
//
// Where the system offers no ring, New and Default return a Runtime that says
// so: Backend tells the kind and the reason. Operations of this package then
// fail with ErrNoRing; packages net and file work all the same, on the
// standard library.
//
// # Environment
//
// These variables are read when a Runtime is made, for tests and emergencies:
//
//   - YAMANOTE_BACKEND: "std" never uses a ring; "ring" makes New fail where
//     there is none; "auto" is the default.
//   - YAMANOTE_DISABLE: features to do without, separated by commas:
//     nosqarray, taskrun, restrictions.
package proactor
