package uring_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/uring"
)

// What is there is reaped without waiting; the loop ends when nothing is left.
func ExampleRing_Completions() {
	ring := newRing(8)
	defer ring.Close()
	for i := range uint64(3) {
		sqe := ring.SQ().Next()
		sqe.PrepNop()
		sqe.UserData = i
	}
	if _, err := ring.SubmitAndWait(3, time.Minute); err != nil {
		log.Fatal(err)
	}
	for cqe, err := range ring.Completions() {
		if err != nil {
			log.Fatal(err) // entering the ring has failed
		}
		fmt.Println("completed:", cqe.UserData)
	}
	for range ring.Completions() {
		fmt.Println("this is not reached")
	}
	// Output:
	// completed: 0
	// completed: 1
	// completed: 2
}

// Many completions at a time, and one store to give back their slots.
func ExampleCompletionQueue_Batches() {
	ring := newRing(8)
	defer ring.Close()
	for range 5 {
		ring.SQ().Next().PrepNop()
	}
	if _, err := ring.SubmitAndWait(5, time.Minute); err != nil {
		log.Fatal(err)
	}
	var buf [4]uring.CQE
	for batch := range ring.CQ().Batches(buf[:]) {
		fmt.Println(len(batch), "completions")
	}
	// Output:
	// 4 completions
	// 1 completions
}

// A queue turns out to be too small, and is replaced while a request is under
// way. It takes a ring that belongs to one thread.
func ExampleRing_Resize() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ring, err := uring.New(2, &uring.Params{Flags: uring.IORING_SETUP_SINGLE_ISSUER | uring.IORING_SETUP_DEFER_TASKRUN})
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()
	limit := &uring.Timespec{Nsec: 1_000_000}
	ring.SQ().Next().PrepTimeout(limit, 0, 0)
	if _, err := ring.Submit(); err != nil {
		log.Fatal(err)
	}
	if err := ring.Resize(64, 256); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ring.SQ().Entries(), ring.CQ().Entries())
	for cqe, err := range ring.WaitCompletions(1, time.Minute) {
		fmt.Println(cqe.Errno() == uring.ETIME, err)
		break
	}
	runtime.KeepAlive(limit)
	// Output:
	// 64 256
	// true <nil>
}

// The arguments of waits lie in memory that the kernel has mapped, so that it
// need not copy them. Such memory is registered before the ring is enabled.
func ExampleRing_EnterRegistered() {
	ring, err := uring.New(4, &uring.Params{Flags: uring.IORING_SETUP_R_DISABLED})
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()
	region, err := ring.NewRegion(4096, uring.IORING_MEM_REGION_REG_WAIT_ARG)
	if err != nil {
		log.Fatal(err)
	}
	defer region.Close()
	if err := ring.Enable(); err != nil {
		log.Fatal(err)
	}

	region.Waits()[0].SetTimeout(time.Minute)
	region.Waits()[1].SetTimeout(time.Millisecond)
	ring.SQ().Next().PrepNop()
	for wait := range 2 {
		for {
			_, errno := ring.EnterRegistered(ring.SQ().Flush(), 1, 0, wait)
			if errno == syscall.EINTR {
				continue // a signal came
			}
			fmt.Println("timed out:", errno == uring.ETIME, "completions:", ring.CQ().Ready())
			break
		}
		for range ring.CQ().All() {
		}
	}
	// Output:
	// timed out: false completions: 1
	// timed out: true completions: 0
}

// A thread that enters its ring very often saves the kernel the look-up of the
// descriptor, and can then do without it.
func ExampleRing_RegisterRingFd() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ring := newRing(4)
	defer ring.Close()
	if err := ring.RegisterRingFd(); err != nil {
		log.Fatal(err)
	}
	if err := ring.CloseFd(); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		log.Fatal(err)
	}
	ring.SQ().Next().PrepNop()
	n, err := ring.SubmitAndWait(1, time.Minute)
	fmt.Println(n, err)
	// Output: 1 <nil>
}

// The threads with which the kernel does what cannot be done without waiting are
// bounded, and bound to a processor.
func ExampleRing_SetMaxWorkers() {
	runtime.LockOSThread() // the threads are those of the thread that submits
	defer runtime.UnlockOSThread()
	ring := newRing(4)
	defer ring.Close()
	if _, err := ring.SetMaxWorkers(2, 4); err != nil {
		log.Fatal(err)
	}
	now, err := ring.SetMaxWorkers(0, 0) // changes nothing and tells
	fmt.Println(now, err)
	if err := ring.SetWorkerAffinity(0); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ring.ClearWorkerAffinity())
	// Output:
	// [2 4] <nil>
	// <nil>
}

// Another goroutine wakes the one that waits for completions.
func ExampleSendMsgRing() {
	ring := newRing(4)
	defer ring.Close()
	fd := ring.Fd()
	go func() {
		if err := uring.SendMsgRing(fd, 99, 1); err != nil {
			log.Fatal(err)
		}
	}()
	for cqe, err := range ring.WaitCompletions(1, time.Minute) {
		fmt.Println(cqe.UserData, cqe.Res, err)
		break
	}
	// Output: 99 1 <nil>
}

// With SQPOLL a thread of the kernel takes the entries: as long as it is awake,
// submitting is no system call. This one goes to sleep after two seconds.
func ExampleParams() {
	ring, err := uring.New(8, &uring.Params{
		Flags:        uring.IORING_SETUP_SQPOLL | uring.IORING_SETUP_CQSIZE,
		SqThreadIdle: 2000,
		CqEntries:    64,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()
	ring.SQ().Next().PrepNop()
	if _, err := ring.SubmitAndWait(1, time.Minute); err != nil {
		log.Fatal(err)
	}
	cqe, ok := ring.CQ().Peek()
	fmt.Println(ok, cqe.Errno() == 0, ring.CQ().Entries())
	// Output: true true 64
}

// Completions of 32 bytes carry two more words. Only some operations use them.
func ExampleCompletionQueue_All32() {
	ring, err := uring.New(4, &uring.Params{Flags: uring.IORING_SETUP_CQE32 | uring.IORING_SETUP_SQE128})
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()
	large, err := ring.SQ128()
	if err != nil {
		log.Fatal(err)
	}
	sqe := large.Next()
	sqe.PrepNop()
	if _, err := ring.SubmitAndWait(1, time.Minute); err != nil {
		log.Fatal(err)
	}
	for cqe := range ring.CQ().All32() {
		fmt.Println(len(sqe.Cmd()), "bytes for commands,", len(cqe.Extra), "more words of result")
	}
	// Output: 80 bytes for commands, 2 more words of result
}

// What a kernel can do, asked without a ring. Before Linux 6.18 it takes a ring:
// see Ring.Probe and Ring.Features.
func ExampleQuery() {
	kernel, err := uring.Query()
	if err != nil {
		fmt.Fprintln(os.Stderr, err) // says since when the kernel can be asked
		return
	}
	fmt.Println(kernel.NrRequestOpcodes > uint32(uring.IORING_OP_PIPE))
	// Output: true
}
