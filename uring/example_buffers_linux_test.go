package uring_test

import (
	"fmt"
	"log"
	"syscall"
	"time"
	"unsafe"

	"github.com/yamanote-go/yamanote/uring"
)

// one submits what was prepared and returns its only completion.
func one(ring *uring.Ring) uring.CQE {
	if _, err := ring.SubmitAndWait(1, time.Minute); err != nil {
		log.Fatal(err)
	}
	for cqe := range ring.CQ().All() {
		return cqe
	}
	panic("unreachable: there is one")
}

// pair returns two sockets that are connected to each other.
func pair() (near, far int) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		log.Fatal(err)
	}
	return fds[0], fds[1]
}

// Provided buffers for kernels before 5.19: giving them is a request.
func ExampleBufGroup() {
	ring := newRing(4)
	defer ring.Close()
	near, far := pair()
	defer syscall.Close(near)
	defer syscall.Close(far)
	group, err := uring.NewBufGroup(1, 2, 64)
	if err != nil {
		log.Fatal(err)
	}
	group.Provide(ring.SQ().Next())
	if cqe := one(ring); cqe.Errno() != 0 {
		log.Fatal(cqe.Errno())
	}

	if _, err := syscall.Write(far, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	uring.Recv(ring.SQ().Next(), uring.FD(near), group.Selection(), 0, 0)
	lease, err := group.Lease(one(ring))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", lease.Bytes())
	fmt.Println("returned:", group.Return(ring.SQ().Next(), lease))
	one(ring)

	group.Remove(ring.SQ().Next()) // before the memory is used for anything else
	fmt.Println("taken back:", one(ring).Res)
	// Output:
	// hello
	// returned: true
	// taken back: 2
}

// A bundle is one completion for several buffers. Each is leased by itself.
func ExampleBufRing_AppendLeases() {
	ring := newRing(4)
	defer ring.Close()
	near, far := pair()
	defer syscall.Close(near)
	defer syscall.Close(far)
	bufs, err := ring.NewBufRing(uring.BufRingConfig{Group: 1, Entries: 4, Size: 4})
	if err != nil {
		log.Fatal(err)
	}
	defer bufs.Close()
	const text = "over three buffers"
	if _, err := syscall.Write(far, []byte(text)); err != nil {
		log.Fatal(err)
	}

	var leases []uring.Lease
	received, largest := "", 0
	for len(received) < len(text) { // how many buffers one completion fills is up to the kernel
		uring.Recv(ring.SQ().Next(), uring.FD(near), bufs.Selection(), 0, uring.IORING_RECVSEND_BUNDLE)
		if leases, err = bufs.AppendLeases(leases[:0], one(ring)); err != nil {
			log.Fatal(err)
		}
		largest = max(largest, len(leases))
		for _, lease := range leases {
			received += string(lease.Bytes())
			bufs.Return(lease)
		}
		bufs.Commit() // shows the kernel all that were returned
	}
	fmt.Println(received)
	fmt.Println("several at a time:", largest > 1)
	// Output:
	// over three buffers
	// several at a time: true
}

// The program manages some slots itself, and lets the kernel choose from the
// others.
func ExampleFiles_SetAllocRange() {
	ring := newRing(4)
	defer ring.Close()
	files, err := ring.RegisterFilesSparse(8)
	if err != nil {
		log.Fatal(err)
	}
	if err := files.SetAllocRange(4, 4); err != nil {
		log.Fatal(err)
	}
	uring.Socket(ring.SQ().Next(), syscall.AF_INET, syscall.SOCK_STREAM, 0, uring.ToAnySlot)
	file, err := uring.ToAnySlot.File(one(ring))
	fmt.Println(file, err)
	// Output: slot 4 <nil>
}

// An eventfd that only tells of requests that had to wait: what is complete when
// the enter returns is known without it.
func ExampleRing_RegisterEventfdAsync() {
	ring := newRing(4)
	defer ring.Close()
	const cloexecNonblock = syscall.O_CLOEXEC | syscall.O_NONBLOCK // as EFD_CLOEXEC and EFD_NONBLOCK
	fd, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, cloexecNonblock, 0)
	if errno != 0 {
		log.Fatal(errno)
	}
	defer syscall.Close(int(fd))
	if err := ring.RegisterEventfdAsync(int(fd)); err != nil {
		log.Fatal(err)
	}
	signalled := func() bool {
		var count [8]byte
		n, _ := syscall.Read(int(fd), count[:])
		return n == int(unsafe.Sizeof(count))
	}

	ring.SQ().Next().PrepNop()
	one(ring)
	fmt.Println("done at once:", signalled())
	sqe := ring.SQ().Next()
	sqe.PrepNop()
	sqe.Flags |= uring.IOSQE_ASYNC // by a worker
	one(ring)
	fmt.Println("by a worker:", signalled())
	// Output:
	// done at once: false
	// by a worker: true
}

// A send without copying completes twice: with the number of bytes, and when the
// memory is not used any more.
func ExampleSendZC() {
	server, address := listen()
	defer syscall.Close(server)
	go talk(address, "")
	conn, _, err := syscall.Accept4(server, syscall.SOCK_CLOEXEC)
	if err != nil {
		log.Fatal(err)
	}
	defer syscall.Close(conn)
	ring := newRing(4)
	defer ring.Close()

	text := []byte("hello")
	uring.SendZC(ring.SQ().Next(), uring.FD(conn), text, 0, 0)
	for cqe, err := range ring.WaitCompletions(1, time.Minute) {
		switch {
		case err != nil:
			log.Fatal(err)
		case !cqe.Notif():
			fmt.Println("sent:", cqe.Res, "in use:", cqe.More())
		default:
			fmt.Println("the memory is free")
		}
		if !cqe.More() {
			break
		}
	}
	// Output:
	// sent: 5 in use: true
	// the memory is free
}

// Parts of one registered buffer, as one vector.
func ExampleFixedVector() {
	ring := newRing(4)
	defer ring.Close()
	buffers, err := ring.RegisterBuffers([][]byte{make([]byte, 4096)})
	if err != nil {
		log.Fatal(err)
	}
	buf := buffers.At(0)
	copy(buf.Bytes(), "header")
	copy(buf.Bytes()[1024:], "body")
	iov := make([]uring.Iovec, 2) // as long as the request
	vector, err := uring.NewFixedVector(iov, buf.Slice(0, 6), buf.Slice(1024, 1028))
	if err != nil {
		log.Fatal(err)
	}
	f := scratch("")
	defer f.Close()
	uring.Write(ring.SQ().Next(), uring.FD(int(f.Fd())), vector, 0)
	fmt.Println(one(ring).Res, "bytes")
	// Output: 10 bytes
}
