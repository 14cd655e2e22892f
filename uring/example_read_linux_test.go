package uring_test

import (
	"fmt"
	"log"
	"os"

	"github.com/yamanote-go/yamanote/uring"
)

// The whole of a program that reads the beginning of a file.
func Example() {
	file, err := os.Open("/proc/version")
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()

	ring, err := uring.New(8, nil)
	if err != nil {
		log.Fatal(err) // says why, and what to do about it
	}
	defer ring.Close()

	// Take an entry, fill it, and mark it to know its completion by.
	buf := make([]byte, 13)
	sqe := ring.SQ().Next() // nil while 8 entries wait to be submitted
	sqe.PrepRead(int(file.Fd()), buf, 0)
	sqe.UserData = 42

	// Submit it, and wait for one completion without a time limit.
	if _, err := ring.SubmitAndWait(1, -1); err != nil {
		log.Fatal(err)
	}
	for cqe := range ring.CQ().All() {
		if errno := cqe.Errno(); errno != 0 {
			log.Fatal(errno)
		}
		fmt.Printf("request %d: %s\n", cqe.UserData, buf[:cqe.Res])
	}
	// Output: request 42: Linux version
}
