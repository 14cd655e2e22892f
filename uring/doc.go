// Package uring is a typed binding of Linux io_uring: rings, submission and
// completion queue entries, registration and probing, without cgo.
//
// It holds no policy, starts no goroutine and takes no lock. Package driver
// builds the event loop on top of it; a program that wants its own loop can
// use this package alone. Constants have the names that the kernel gives them,
// so that what its manual pages say can be looked up.
//
// # A complete program
//
// A ring has two queues that program and kernel share. The program fills
// entries of the submission queue (SQE) and enters the ring; the kernel carries
// the requests out, in any order, and puts one entry for each into the
// completion queue (CQE).
//
//	package main
//
//	import (
//		"fmt"
//		"log"
//		"os"
//
//		"github.com/yamanote-go/yamanote/uring"
//	)
//
//	func main() {
//		file, err := os.Open("/proc/version")
//		if err != nil {
//			log.Fatal(err)
//		}
//		defer file.Close()
//
//		ring, err := uring.New(8, nil)
//		if err != nil {
//			log.Fatal(err) // says why, and what to do about it
//		}
//		defer ring.Close()
//
//		// Take an entry, fill it, and mark it to know its completion by.
//		buf := make([]byte, 13)
//		sqe := ring.SQ().Next() // nil while 8 entries wait to be submitted
//		sqe.PrepRead(int(file.Fd()), buf, 0)
//		sqe.UserData = 42
//
//		// Submit it, and wait for one completion without a time limit.
//		if _, err := ring.SubmitAndWait(1, -1); err != nil {
//			log.Fatal(err)
//		}
//		for cqe := range ring.CQ().All() {
//			if errno := cqe.Errno(); errno != 0 {
//				log.Fatal(errno)
//			}
//			fmt.Printf("request %d: %s\n", cqe.UserData, buf[:cqe.Res])
//		}
//	}
//
// The order is always the same: Next, one of the Prep methods, then what applies
// to every operation (UserData, SQEFlags), then Submit, SubmitAndWait, or Flush
// and one of the Enter methods. An entry that was taken must be filled: it is
// submitted with the others, and holds what it held the last time.
//
// # Files and buffers by their types
//
// The Prep methods are one for each form of an operation. On top of them, the
// functions Read, Write, Recv, Send, Accept, Openat and so forth choose the form
// by the types of what they are given:
//
//	uring.Read(sqe, uring.FD(fd), buf, off)         // READ
//	uring.Read(sqe, files.At(3), buf, off)          // READ of a registered file
//	uring.Read(sqe, file, buffers.At(0), off)       // READ_FIXED
//	uring.Recv(sqe, file, bufRing.Selection(), 0, 0) // into a buffer that the kernel picks
//	uring.Accept(sqe, file, nil, nil, 0, 0, uring.ToAnySlot)
//
// A File is a descriptor or a slot of the registered files, and an operation that
// cannot take a slot says so. Ring.RegisterFiles and Ring.RegisterBuffers make
// tables whose slots are such values, Ring.NewBufRing makes provided buffers,
// which come with completions as a Lease, and Ring.Reserve takes several entries
// at once, for chains. Ring.WaitCompletions is an event loop in one statement.
//
// UserData comes back in the completion and is the only link between the two.
// A result is what the system call of that name would return, or a negative
// error number, for which there is CQE.Errno. A request completes once, unless
// CQE.More announces further completions.
//
// # Memory
//
// An entry holds addresses as numbers. The garbage collector does not see them,
// so everything that a Prep method takes by address must be
//
//   - reachable through something else, or kept by runtime.KeepAlive, until the
//     request has completed for the last time, also if it was cancelled;
//   - not written to, and not read if the kernel writes to it, until then;
//   - not on a stack, which the Prep methods see to for their own arguments but
//     not for addresses that somebody computes by himself.
//
// Closing the ring does not end requests at once: wait for their completions
// before their memory is used for something else. A BufRing brings memory of
// its own, as do buffers that are registered.
//
// Completions are copied out of the ring. The pointer that Next returns is into
// the ring, and not the caller's any more once the entry has been flushed.
//
// # Kinds of ring
//
// The setup flags in Params decide what a ring is like. Most programs that have a
// thread for a ring want SINGLE_ISSUER, DEFER_TASKRUN and NO_SQARRAY; with
// SUBMIT_ALL an entry that is refused does not end a batch. With SQPOLL a thread
// of the kernel takes the entries, and only has to be woken when it sleeps,
// which Submit and SubmitAndWait see to. CQSIZE gives the completion queue the
// size in Params.CqEntries.
//
// Entries have 64 bytes and completions 16. Where a command or its result needs
// more, SQE128 makes all entries 128 bytes long, which Ring.SQ128 hands out, and
// CQE32 all completions 32 bytes, which Reap32, Peek32 and All32 deliver as
// CQE32; CQE_MIXED does so for those that need it. The methods for small ones
// work in every kind of ring.
//
// The kernel allocates the queues, or NewInMemory puts them into memory of the
// caller. Resize gives a ring with DEFER_TASKRUN queues of another size while it
// works.
//
// # Waiting
//
// There are three levels, and a program uses one of them.
//
//   - Loops: WaitCompletions submits, waits and yields completions without end;
//     Completions yields what is there. They leave out fillers, and enter the
//     ring for completions that do not appear by themselves.
//   - Calls: Submit and SubmitAndWait enter the ring as often as it takes, deal
//     with signals, and take a time limit. CompletionQueue.All, Reap and Batches
//     then deliver what is in the queue, without a system call.
//   - System calls: SubmissionQueue.Flush and one of the Enter methods, for loops
//     that count them. Each is io_uring_enter once, and returns its bare error.
//
// Of the last there is Enter, which submits, and waits without a time limit if it
// is asked to; EnterNow, which does not wait, and of which Go's scheduler is not
// told; EnterTimeout, with a time limit; EnterWait, which takes a Wait: a timeout,
// a deadline by the clock that SetClock has chosen, a least time to gather
// completions, a signal mask; and EnterRegistered, which takes the same from
// memory shared with the kernel.
//
// # Threads
//
// The kernel knows threads, and Go moves goroutines between them. Which threads
// may use a ring is a matter of its setup flags; all others get EEXIST.
//
//	flags                          submit    get events   register
//	none, COOP_TASKRUN             any       any          any
//	SINGLE_ISSUER                  issuer    any          issuer
//	SINGLE_ISSUER, DEFER_TASKRUN   issuer    issuer       issuer
//	SINGLE_ISSUER, SQPOLL          any       any          issuer
//
// The issuer is the thread that created the ring or, with R_DISABLED, the one
// that called Enable. To get events is to enter with IORING_ENTER_GETEVENTS and
// nothing to submit. Three consequences:
//
//   - The goroutine of a ring with an issuer calls runtime.LockOSThread before
//     it creates or enables it. The same holds after RegisterRingFd.
//   - Requests do not outlive the thread that has submitted them: after its end
//     they complete with ECANCELED, perhaps not before what they wait for
//     happens. A goroutine that is still locked when it returns ends its thread.
//   - Whoever wants something from the ring's goroutine while it waits wakes it
//     by SendMsgRing, or a registered eventfd or a poll on one.
//
// Within what the table allows, one goroutine at a time may use the submission
// queue and submit, and one at a time the completion queue; they may be two,
// if they use Enter. Submit and SubmitAndWait use both queues, and of
// EnterTimeout there can be one at a time; any number of threads may be in
// EnterWait, each with a Wait of its own. SendMsgRing may be called by
// everybody, as may what only tells about a ring, such as Fd and Features.
//
// # Errors
//
// New returns a *SetupError, which has looked around on the system for the
// cause: a sysctl, a seccomp filter, a limit, flags that do not go together.
// The errors of registration, and those of Submit and SubmitAndWait, wrap an
// *os.SyscallError and say what the number means there; a call that the kernel
// does not know is named with the release that brought it. The latter two deal
// with signals themselves, and say os.ErrDeadlineExceeded when a timeout has
// passed. A ring that was closed says os.ErrClosed.
// The Enter methods return the bare number:
//
//	EINTR    a signal came, which happens all the time in Go: try again
//	ETIME    the time of EnterTimeout is up and nothing has completed
//	EAGAIN   no memory for a request: reap, then try again
//	EBUSY    too many completions wait in the kernel: reap, then try again
//	EBADR    completions were lost, because memory was short
//	EEXIST   this thread is not the ring's issuer
//	EBADFD   the ring is not enabled yet
//	EBADF    the ring is closed
//
// A completion queue that is too small loses nothing (IORING_FEAT_NODROP): the
// kernel keeps what does not fit, sets IORING_SQ_CQ_OVERFLOW, and hands it over
// when the ring is entered with IORING_ENTER_GETEVENTS. It is slow, and takes
// memory of the kernel: give the queue room for what is in flight.
//
// What a kernel can do is asked of it, not concluded from its version: the
// flags by New, the features by Ring.Features, the operations by Ring.Probe, and
// since Linux 6.18 all of it by Query. Op.Info tells what this package knows of
// an operation.
//
// # Where to find what
//
//   - Rings: [New], [NewInMemory], [Params], [SetupFlags], [SetupError], [Ring.Resize],
//     [Ring.Enable], [Ring.RegisterRestrictions].
//   - Entries: [Ring.SQ], [SubmissionQueue.Next], the Prep methods of [SQE], the
//     functions that choose the form by type ([Read] to [Accept]), [Ring.SQ128].
//   - Chains: [Ring.Reserve], [Reservation.Linked], [Reservation.HardLinked].
//   - Completions: [Ring.CQ], [CQE], [CQE32], [Ring.WaitCompletions]; what is in them:
//     [ParseRecvmsg], [ControlMessages], [Target.File], [Lease].
//   - Cancelling: [SQE.PrepCancel] and its like, [Ring.SyncCancel].
//   - Files: [File], [FD], [Slot], [Target], [Ring.RegisterFiles], [Files].
//   - Buffers: [Ring.RegisterBuffers], [Buffers], [FixedBuf], [FixedVector]; provided
//     ones: [Ring.NewBufRing], [BufRing], [Lease], and [BufGroup] for old kernels.
//   - Waking: [SendMsgRing], [SQE.PrepMsgRing], [Ring.RegisterEventfd],
//     [CompletionQueue.SetEventfd].
//   - What the kernel does on its own: [Ring.SetMaxWorkers],
//     [Ring.SetWorkerAffinity], [Ring.RegisterNAPI], [Ring.SetClock], [Ring.NewRegion].
//   - What a kernel has: [Ring.Probe], [OpSet], [Ring.Features], [Query], [Op.Info], [Ops],
//     and the Since methods of flags.
//   - What has no method of its own: [Ring.Register].
//
// # Other operating systems
//
// A program that uses this package compiles for all of them. Elsewhere than on
// Linux New fails, as does whatever else needs the kernel, with an error that is
// errors.ErrUnsupported; entries can be prepared and completions decoded.
package uring
