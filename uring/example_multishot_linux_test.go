package uring_test

import (
	"fmt"
	"log"
	"time"

	"github.com/yamanote-go/yamanote/uring"
)

// A multishot timeout ticks without being submitted again.
func ExampleSQE_PrepTimeoutMultishot() {
	ring, err := uring.New(4, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = ring.Close() }()

	// On the heap, and reachable until the last completion.
	every := new(uring.Timespec)
	*every = uring.TimespecOf(time.Millisecond)
	ring.SQ().Next().PrepTimeoutMultishot(every, 3, 0)

	for more := true; more; {
		if _, err := ring.SubmitAndWait(1, time.Minute); err != nil {
			log.Fatal(err)
		}
		for cqe := range ring.CQ().All() {
			more = cqe.More()
			fmt.Println(cqe.Errno() == uring.ETIME, "more:", more)
		}
	}
	fmt.Println("every", every.Duration())
	// Output:
	// true more: true
	// true more: true
	// true more: false
	// every 1ms
}
