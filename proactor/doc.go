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
// or hand over many with one system call, by DoAll and SubmitAll. Packages net
// and file of this module are built on it; most programs use those, with the
// process-wide Default runtime.
//
// There is a type for every operation of the kernel that makes sense here. Those
// that act on other operations (cancelling, changing a timeout) are not among
// them, because they name their target by what the driver calls it: use
// contexts, Cancel, and a new operation.
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
// # Operations of your own
//
// Any type that can prepare a submission and turn its completion into a result
// is an Operation; nothing in this package is reserved to its own. What it owes
// is said at Operation and Request: all memory that the kernel touches is
// reachable from the Request, a new descriptor is announced by OwnsFD or
// Discard, and one that completes twice by Notifies. Submissions must not carry
// IOSQE_CQE_SKIP_SUCCESS, since each ends with its completion.
//
// A ring takes only what packages net and file, chains and streams need, and a
// Runtime says so with an error that matches os.ErrPermission; Config.Extra adds
// to that.
//
// # Memory
//
// From Submit until the completion is done, the kernel may read and write the
// memory that an operation names. Do not touch a buffer in that time. A wait
// whose context ends does not end that time by itself: Wait asks the kernel to
// cancel and returns when the kernel has let go. Abandon leaves the memory to
// the operation, which keeps it reachable.
//
// # Cancellation
//
// An operation ends early when its context does, or by Cancel, Abandon or the
// end of the Runtime. All of them ask the kernel, at once: by a system call of
// whoever cancels, or by the next one of whoever drives the ring, before
// anything else that is queued. Then the completion tells: a result that was
// there first is delivered as such, and beats the end of the context.
//
// How long that takes depends on what the operation is doing:
//
//   - Not yet with the kernel: it ends without having been done.
//   - Waiting for a peer, a clock or a lock (sockets, pipes, Poll, Timeout,
//     FutexWait, WaitChild): it ends at once. If the request comes at a moment in
//     which the kernel has the operation in hand, it is repeated after 1 ms, 2 ms
//     and so on up to once a second, so an operation that can be cancelled is,
//     within a second of the time when it can.
//   - Queued for a thread of the kernel (paths, Fsync, Splice, files without
//     support for asynchronous I/O): it ends at once. If a thread is at it, the
//     thread is interrupted, which ends waiting for a pipe, and not work on a
//     local disk.
//   - Being read or written by a device: nothing can interrupt it. It ends when
//     the device answers, or fails, which the block layer's timeout bounds, by
//     default 30 seconds for each attempt of a disk. A network file system may
//     take as long as its server.
//   - A zero-copy send that is under way: when the peer has acknowledged what
//     went out, or the connection is reset.
//
// Until then Do and Wait do not return, since the kernel uses their memory.
// Whoever cannot wait that long submits the operation and abandons it. Shutdown
// waits in the same way, until its context ends.
//
// # Watching
//
// Runtime.Stats counts what the rings do; Stats.Sub gives what has happened
// between two looks. Runtime.Dump lists the operations that are under way, with
// their descriptors and ages. Config.Trace is told of every operation. Package
// proactor/debug shows all of it in a web page and by expvar, and logs what is
// slow.
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
//   - YAMANOTE_WRITE_BEHIND: "1" is Config.WriteBehind; "0" leaves the choice to
//     the program.
package proactor
