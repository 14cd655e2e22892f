package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/proactor"
)

// An operation is a value; Do submits it and waits for its result.
func ExampleDo() {
	rt := proactor.Default()
	if !rt.HasRing() {
		log.Println(rt.Backend().Reason)
		fmt.Println("package")
		return
	}
	ctx := context.Background()
	fd, err := proactor.Do(ctx, rt, proactor.Open{Path: "doc.go", Flag: os.O_RDONLY})
	if err != nil {
		log.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	n, err := proactor.Do(ctx, rt, proactor.ReadAt{FD: fd, Buf: buf})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := proactor.Do(ctx, rt, proactor.CloseFD{FD: fd}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(buf[n-len("package proactor\n") : n-len(" proactor\n")]))
	// Output: package
}

// Several operations can be under way at once.
func ExampleSubmit() {
	rt := proactor.Default()
	ctx := context.Background()
	var timeouts []*proactor.Completion[struct{}]
	for i := range 3 {
		c, err := proactor.Submit(ctx, rt, proactor.Timeout{After: time.Duration(i) * time.Millisecond})
		if errors.Is(err, proactor.ErrNoRing) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		timeouts = append(timeouts, c)
	}
	for _, c := range timeouts {
		if _, err := c.Wait(ctx); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("all done")
	// Output: all done
}

// When its context ends, an operation is cancelled. Data that came before is
// not lost: then Do returns them, and no error.
func ExampleDo_context() {
	rt := proactor.Default()
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		log.Fatal(err)
	}
	defer syscall.Close(pipe[0])
	defer syscall.Close(pipe[1])

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := proactor.Do(ctx, rt, proactor.Read{FD: pipe[0], Buf: make([]byte, 100)})
	fmt.Println(errors.Is(err, context.DeadlineExceeded) || errors.Is(err, proactor.ErrNoRing))
	// Output: true
}

// Backend says what a runtime stands on, and why there is no ring if there is
// none.
func ExampleRuntime_Backend() {
	rt, err := proactor.New(proactor.Config{Mode: proactor.ModeStd})
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(rt.Backend().Kind)
	// Output: std
}
