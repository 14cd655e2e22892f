package uring_test

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/uring"
)

// Probing: the kernel says what it can do. A program asks for what it needs
// before it relies on it, and does not conclude it from the version.
func ExampleRing_Probe() {
	ring, err := uring.New(1, nil)
	if err != nil {
		log.Fatal(err) // says why, and what to do about it
	}
	defer ring.Close()

	ops, err := ring.Probe()
	if err != nil {
		log.Fatal(err)
	}
	for _, op := range []uring.Op{uring.IORING_OP_READ, uring.IORING_OP_RECV, 250} {
		fmt.Println(op, ops.Has(op))
	}
	fmt.Println("keeps completions that do not fit:", ring.Features()&uring.IORING_FEAT_NODROP != 0)
	// Output:
	// READ true
	// RECV true
	// OP(250) false
	// keeps completions that do not fit: true
}

// What is wrong with a setup is in the error.
func ExampleSetupError() {
	_, err := uring.New(8, &uring.Params{Flags: uring.IORING_SETUP_TASKRUN_FLAG})
	var setup *uring.SetupError
	if errors.As(err, &setup) {
		fmt.Println(setup.Cause)
		fmt.Println(setup.Remedy)
	}
	// Output:
	// TASKRUN_FLAG needs COOP_TASKRUN or DEFER_TASKRUN
	// set one of them
}

// There are three kinds of time limits: of a wait, of a request, and as a
// request of its own.
func ExampleRing_SubmitAndWait_timeout() {
	ring, err := uring.New(4, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()
	r, w, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	defer w.Close()

	// Of a wait: nothing happens to requests that are in flight.
	_, err = ring.SubmitAndWait(1, time.Millisecond)
	fmt.Println("wait:", errors.Is(err, os.ErrDeadlineExceeded))

	// Of a request: a linked timeout cancels the one before it.
	buf := make([]byte, 8)
	limit := &uring.Timespec{Nsec: int64(time.Millisecond)}
	sqe := ring.SQ().Next()
	sqe.PrepRead(int(r.Fd()), buf, uring.CurrentPosition)
	sqe.Flags |= uring.IOSQE_IO_LINK
	sqe.UserData = 1
	sqe = ring.SQ().Next()
	sqe.PrepLinkTimeout(limit, 0)
	sqe.UserData = 2

	// As a request of its own.
	after := &uring.Timespec{Nsec: int64(20 * time.Millisecond)}
	sqe = ring.SQ().Next()
	sqe.PrepTimeout(after, 0, 0)
	sqe.UserData = 3

	if _, err := ring.SubmitAndWait(3, time.Minute); err != nil {
		log.Fatal(err)
	}
	// Entries keep nothing alive, and all three have completed only now.
	runtime.KeepAlive(buf)
	runtime.KeepAlive(limit)
	runtime.KeepAlive(after)

	var results [4]syscall.Errno
	for cqe := range ring.CQ().All() {
		results[cqe.UserData] = cqe.Errno()
	}
	fmt.Println("read:", results[1] == syscall.ECANCELED || results[1] == syscall.EINTR)
	fmt.Println("limit:", results[2] == syscall.ETIME || results[2] == syscall.EALREADY)
	fmt.Println("timeout:", results[3] == syscall.ETIME)
	// Output:
	// wait: true
	// read: true
	// limit: true
	// timeout: true
}

// A server that accepts a connection and echoes what it receives, with one
// request in flight at a time. User data says which of the requests completes.
func Example_echo() {
	const (
		accept = iota
		recv
		send
	)
	listener, address := listen()
	defer syscall.Close(listener)
	client := make(chan string)
	go func() { client <- talk(address, "hello") }()

	ring, err := uring.New(8, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()

	conn, buf := -1, make([]byte, 64)
	sqe := ring.SQ().Next()
	sqe.PrepAccept(listener, nil, nil, syscall.SOCK_CLOEXEC, 0)
	sqe.UserData = accept

	for done := false; !done; {
		if _, err := ring.SubmitAndWait(1, time.Minute); err != nil {
			log.Fatal(err)
		}
		for cqe := range ring.CQ().All() {
			if errno := cqe.Errno(); errno != 0 {
				log.Fatal(errno)
			}
			sqe := ring.SQ().Next()
			switch cqe.UserData {
			case accept:
				conn = int(cqe.Res)
				sqe.PrepRecv(conn, buf, 0, 0)
				sqe.UserData = recv
			case recv:
				if cqe.Res == 0 { // the client has ended its side
					done = true
					sqe.PrepNop() // an entry that was taken must be filled
					break
				}
				sqe.PrepSend(conn, buf[:cqe.Res], syscall.MSG_WAITALL, 0)
				sqe.UserData = send
			case send:
				sqe.PrepRecv(conn, buf, 0, 0)
				sqe.UserData = recv
			}
		}
	}
	syscall.Close(conn)
	fmt.Println("the client got back:", <-client)
	// Output: the client got back: hello
}

// Provided buffers: one multishot request receives again and again, into
// buffers that the kernel picks when there is something to put into them.
func ExampleBufRing() {
	const (
		group   = 1
		buffers = 4
		size    = 16
	)
	ring, err := uring.New(8, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()
	bufs, err := uring.NewBufRing(ring, group, buffers, size)
	if err != nil {
		log.Fatal(err)
	}
	defer bufs.Close()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer syscall.Close(fds[0])
	go func() {
		for i := range 10 {
			if _, err := syscall.Write(fds[1], fmt.Appendf(nil, "packet %d", i)); err != nil {
				log.Fatal(err)
			}
		}
		syscall.Close(fds[1])
	}()

	received := 0
	for armed, ended := false, false; !ended; {
		if !armed {
			ring.SQ().Next().PrepRecvMultishot(fds[0], group, 0, 0)
			armed = true
		}
		if _, err := ring.SubmitAndWait(1, time.Minute); err != nil {
			log.Fatal(err)
		}
		for cqe := range ring.CQ().All() {
			armed = cqe.More()
			switch errno := cqe.Errno(); {
			case errno == syscall.ENOBUFS:
				continue // all are in use here: give some back, then go on
			case errno != 0:
				log.Fatal(errno)
			}
			bid, ok := cqe.BufferID()
			if n := int(cqe.Res); n > 0 {
				received++
				if received == 10 {
					fmt.Printf("%s\n", bufs.Bytes(bid, n))
				}
			} else {
				ended = true
			}
			if ok {
				bufs.Add(bid)
			}
		}
		bufs.Commit()
	}
	fmt.Println(received, "packets in", bufs.Entries(), "buffers")
	// Output:
	// packet 9
	// 10 packets in 4 buffers
}

// A ring that may do only what it was made for, whoever gets hold of it.
func ExampleRing_RegisterRestrictions() {
	ring, err := uring.New(4, &uring.Params{Flags: uring.IORING_SETUP_R_DISABLED})
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Close()
	if err := ring.RegisterRestrictions([]uring.Restriction{uring.AllowOp(uring.IORING_OP_NOP)}); err != nil {
		log.Fatal(err)
	}
	if err := ring.Enable(); err != nil {
		log.Fatal(err)
	}

	ring.SQ().Next().PrepNop()
	ring.SQ().Next().PrepClose(0)
	// Without SETUP_SUBMIT_ALL an entry that is refused ends the batch.
	if _, err := ring.SubmitAndWait(2, time.Minute); err != nil {
		log.Fatal(err)
	}
	for cqe := range ring.CQ().All() {
		if errno := cqe.Errno(); errno != 0 {
			fmt.Println(errno)
		} else {
			fmt.Println("done")
		}
	}
	// Output:
	// done
	// permission denied
}

// listen returns a listening socket on the loopback address. It is blocking:
// for one that is not, a request fails with EAGAIN instead of waiting.
func listen() (fd int, address string) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		log.Fatal(err)
	}
	loopback := &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if err := errors.Join(syscall.Bind(fd, loopback), syscall.Listen(fd, 1)); err != nil {
		log.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		log.Fatal(err)
	}
	return fd, fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}

// talk sends a text and returns the answer, which is as long.
func talk(address, text string) string {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	answer := make([]byte, len(text))
	if _, err := conn.Write([]byte(text)); err != nil {
		log.Fatal(err)
	}
	if _, err := conn.Read(answer); err != nil {
		log.Fatal(err)
	}
	return string(answer)
}
