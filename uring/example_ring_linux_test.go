package uring_test

import (
	"fmt"
	"log"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/uring"
)

// A ring whose queues lie in memory of the program.
func ExampleNewInMemory() {
	params := uring.Params{}
	mem, err := syscall.Mmap(-1, 0, uring.RingMemorySize(8, params),
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		log.Fatal(err)
	}
	defer syscall.Munmap(mem)
	ring, err := uring.NewInMemory(8, &params, mem)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close() // before the memory is unmapped

	ring.SQ().Next().PrepNop()
	if _, err := ring.SubmitAndWait(1, time.Minute); err != nil {
		log.Fatal(err)
	}
	fmt.Println(ring.CQ().Ready(), "completion,", ring.Flags())
	// Output: 1 completion, NO_MMAP
}

// Waiting for a batch: up to 8 completions, but after a millisecond whatever has
// arrived.
func ExampleWait() {
	ring, err := uring.New(8, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()

	var wait uring.Wait
	wait.SetTimeout(time.Minute)
	if ring.Features()&uring.IORING_FEAT_MIN_TIMEOUT != 0 {
		wait.SetMinWait(time.Millisecond)
	} else {
		wait.SetTimeout(time.Millisecond)
	}
	for range 3 {
		ring.SQ().Next().PrepNop()
	}
	for {
		_, errno := ring.EnterWait(ring.SQ().Flush(), 8, 0, &wait)
		if errno == syscall.EINTR {
			continue // signals come all the time in Go
		}
		if errno != 0 && errno != uring.ETIME {
			log.Fatal(errno)
		}
		break
	}
	fmt.Println(ring.CQ().Ready(), "completions")
	// Output: 3 completions
}

// Cancelling and waiting until the request has ended, in one call.
func ExampleRing_SyncCancel() {
	ring, err := uring.New(8, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()
	limit := &uring.Timespec{Sec: 3600}
	sqe := ring.SQ().Next()
	sqe.PrepTimeout(limit, 0, 0)
	sqe.UserData = 7
	if _, err := ring.Submit(); err != nil {
		log.Fatal(err)
	}

	if _, err := ring.SyncCancel(uring.CancelTarget{UserData: 7}, time.Minute); err != nil {
		log.Fatal(err)
	}
	for cqe := range ring.CQ().All() {
		fmt.Println(cqe.UserData, cqe.Errno())
	}
	// Output: 7 operation canceled
}
