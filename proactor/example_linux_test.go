package proactor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
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

// Several operations can be handed over with one system call. That one fails
// does not stop the others.
func ExampleDoAll() {
	rt := proactor.Default()
	if !rt.HasRing() {
		log.Println(rt.Backend().Reason)
		fmt.Println("descriptor <nil>\ndescriptor openat: no such file or directory")
		return
	}
	outcomes, _ := proactor.DoAll(context.Background(), rt,
		proactor.Open{Path: "doc.go"},
		proactor.Open{Path: "no such file"},
	)
	for _, o := range outcomes {
		fmt.Println("descriptor", o.Err)
		if o.Err == nil {
			syscall.Close(o.Value)
		}
	}
	// Output:
	// descriptor <nil>
	// descriptor openat: no such file or directory
}

// Completed yields operations in the order in which they complete.
func ExampleSubmitAll() {
	rt := proactor.Default()
	if !rt.HasRing() {
		log.Println(rt.Backend().Reason)
		fmt.Println("1\n2\n0")
		return
	}
	ctx := context.Background()
	batch, err := proactor.SubmitAll(ctx, rt,
		proactor.Timeout{After: 200 * time.Millisecond},
		proactor.Timeout{After: time.Millisecond},
		proactor.Timeout{After: 100 * time.Millisecond},
	)
	if err != nil {
		log.Fatal(err)
	}
	for i := range batch.Completed(ctx) {
		fmt.Println(i)
	}
	// Output:
	// 1
	// 2
	// 0
}

// append1 is an operation that the package does not have: it writes at the end
// of a file, wherever that is by then. Its flag needs a write of several
// buffers, of which it has one.
type append1 struct {
	fd   int
	data []byte
}

// Prepare says what to submit, and keeps reachable what the kernel reads.
func (o append1) Prepare(r *proactor.Request) error {
	if len(o.data) == 0 {
		return errors.New("nothing to append")
	}
	const rwfAppend = 0x10
	iov := new(uring.Iovec) // not on the stack, which can move
	iov.SetBytes(o.data)
	r.Keep = iov // which refers to the data
	r.SQE.PrepWritev(o.fd, iov, 1, 0, rwfAppend)
	return nil
}

// Result turns the completion into what Do returns.
func (o append1) Result(_ *proactor.Request, c driver.Completion) (int, error) {
	if int(c.Res) < len(o.data) {
		return int(c.Res), io.ErrShortWrite
	}
	return int(c.Res), nil
}

// Any type with the two methods is an operation. What the ring shall do besides
// what packages net and file need is said when it is made.
func ExampleOperation() {
	rt, err := proactor.New(proactor.Config{Extra: []uring.Op{uring.IORING_OP_WRITEV}})
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	if !rt.HasRing() {
		log.Println(rt.Backend().Reason)
		fmt.Println("hello, world")
		return
	}
	f, err := os.CreateTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	for _, s := range []string{"hello, ", "world"} {
		if _, err := proactor.Do(context.Background(), rt, append1{int(f.Fd()), []byte(s)}); err != nil {
			log.Fatal(err)
		}
	}
	content, err := os.ReadFile(f.Name())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(content))
	// Output: hello, world
}
