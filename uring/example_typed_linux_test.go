package uring_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/yamanote-go/yamanote/uring"
)

// newRing returns a ring for an example.
func newRing(entries uint32) *uring.Ring {
	ring, err := uring.New(entries, nil)
	if err != nil {
		log.Fatal(err)
	}
	return ring
}

// scratch returns a file with the given content, which has no name any more.
func scratch(content string) *os.File {
	f, err := os.CreateTemp("", "uring")
	if err != nil {
		log.Fatal(err)
	}
	os.Remove(f.Name())
	if _, err := f.WriteString(content); err != nil {
		log.Fatal(err)
	}
	return f
}

// The type of what is passed chooses the form of the operation: here a slot of
// the registered files, and a part of a registered buffer.
func ExampleRead() {
	ring := newRing(8)
	defer ring.Close()
	f := scratch("0123456789")
	defer f.Close()

	files, err := ring.RegisterFiles([]int32{int32(f.Fd())})
	if err != nil {
		log.Fatal(err)
	}
	buffers, err := ring.RegisterBuffers([][]byte{make([]byte, 4096)})
	if err != nil {
		log.Fatal(err)
	}
	plain, part := make([]byte, 4), buffers.At(0).Slice(100, 108)

	sqe := ring.SQ().Next()
	uring.Read(sqe, uring.FD(int(f.Fd())), plain, 0)
	fmt.Println(sqe.Opcode, sqe.Flags)
	sqe = ring.SQ().Next()
	uring.Read(sqe, files.At(0), part, 2)
	fmt.Println(sqe.Opcode, sqe.Flags)

	if _, err := ring.SubmitAndWait(2, time.Minute); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %s\n", plain, part.Bytes())
	// Output:
	// READ 0
	// READ_FIXED FIXED_FILE
	// 0123 23456789
}

// An operation that cannot take a registered file says so, instead of taking the
// slot for the descriptor of the same number.
func ExampleFileError() {
	var sqe uring.SQE
	path := []byte("name\x00")
	err := uring.Openat(&sqe, uring.Slot(3), &path[0], syscall.O_RDONLY, 0, uring.ToFD)
	fmt.Println(err)
	// Output:
	// uring: OPENAT cannot take a registered file: the kernel would refuse slot 3, or take it for descriptor 3; FIXED_FD_INSTALL makes a descriptor of a slot
}

// A file that never has a descriptor: it is opened into a slot that the kernel
// chooses, used there, and closed.
func ExampleTarget() {
	ring := newRing(8)
	defer ring.Close()
	if _, err := ring.RegisterFilesSparse(16); err != nil {
		log.Fatal(err)
	}
	run := func() uring.CQE {
		if _, err := ring.SubmitAndWait(1, time.Minute); err != nil {
			log.Fatal(err)
		}
		for cqe := range ring.CQ().All() {
			return cqe
		}
		panic("there is one")
	}

	path := []byte("/proc/version\x00")
	to := uring.ToAnySlot
	if err := uring.Openat(ring.SQ().Next(), uring.FD(uring.AtCWD), &path[0], syscall.O_RDONLY, 0, to); err != nil {
		log.Fatal(err)
	}
	file, err := to.File(run())
	if err != nil {
		log.Fatal(err)
	}
	buf := make([]byte, 5)
	uring.Read(ring.SQ().Next(), file, buf, 0)
	run()
	uring.Close(ring.SQ().Next(), file)
	run()
	fmt.Println(file, string(buf))
	// Output: slot 0 Linux
}

// A log record that is durable: a write and a sync that starts when the write has
// succeeded, submitted together or not at all.
func ExampleReservation() {
	ring := newRing(8)
	defer ring.Close()
	f := scratch("")
	defer f.Close()
	file, record := uring.FD(int(f.Fd())), []byte("record\n")

	v, err := ring.Reserve(2)
	if err != nil {
		log.Fatal(err) // ErrQueueFull: submit what there is, and try again
	}
	step := uint64(0)
	for sqe := range v.Linked() {
		switch step {
		case 0:
			uring.Write(sqe, file, record, 0)
		case 1:
			uring.Fsync(sqe, file, uring.IORING_FSYNC_DATASYNC)
		}
		sqe.UserData = step
		step++
	}
	if _, err := ring.SubmitAndWait(2, time.Minute); err != nil {
		log.Fatal(err)
	}
	for cqe := range ring.CQ().All() {
		fmt.Println(cqe.UserData, cqe.Res)
	}
	// Output:
	// 0 7
	// 1 0
}

// An event loop in one range statement. The body prepares further requests, and
// the next wait submits them.
func ExampleRing_WaitCompletions() {
	ring := newRing(8)
	defer ring.Close()
	ring.SQ().Next().PrepNop()
	left := 3
	for cqe, err := range ring.WaitCompletions(1, 10*time.Millisecond) {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			fmt.Println("nothing has come")
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("completed:", cqe.UserData)
		if left--; left > 0 {
			sqe := ring.SQ().Next()
			sqe.PrepNop()
			sqe.UserData = cqe.UserData + 1
		}
	}
	// Output:
	// completed: 0
	// completed: 1
	// completed: 2
	// nothing has come
}

// Buffers are leased with the completion that has filled them, and returned once.
func ExampleLease() {
	ring := newRing(8)
	defer ring.Close()
	bufs, err := ring.NewBufRing(uring.BufRingConfig{Group: 1, Entries: 4, Size: 64})
	if err != nil {
		log.Fatal(err)
	}
	defer bufs.Close()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer syscall.Close(fds[0])
	defer syscall.Close(fds[1])
	if _, err := syscall.Write(fds[1], []byte("hello")); err != nil {
		log.Fatal(err)
	}

	uring.Recv(ring.SQ().Next(), uring.FD(fds[0]), bufs.Selection(), 0, 0)
	for cqe, err := range ring.WaitCompletions(1, time.Minute) {
		if err != nil {
			log.Fatal(err)
		}
		lease, err := bufs.Lease(cqe)
		if err != nil {
			log.Fatal(err) // ErrNoBuffer for a completion without
		}
		fmt.Printf("%s\n", lease.Bytes())
		fmt.Println(lease.Release(), lease.Release())
		break
	}
	// Output:
	// hello
	// true false
}

// Slots of a table are filled, emptied and left alone by updates, and a tag tells
// when the kernel has let go of a file.
func ExampleFiles_UpdateTagged() {
	ring := newRing(8)
	defer ring.Close()
	f := scratch("")
	defer f.Close()
	files, err := ring.RegisterFilesSparse(4)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := files.UpdateTagged(2, []int32{int32(f.Fd())}, []uint64{77}); err != nil {
		log.Fatal(err)
	}
	if _, err := files.Update(1, []int32{uring.IORING_REGISTER_FILES_SKIP, uring.NoFile}); err != nil {
		log.Fatal(err)
	}
	for cqe, err := range ring.WaitCompletions(1, time.Minute) {
		fmt.Println("tag", cqe.UserData, err)
		break
	}
	_, err = files.Update(3, []int32{-1, -1})
	fmt.Println(errors.Is(err, syscall.EINVAL))
	// Output:
	// tag 77 <nil>
	// true
}

// Rings share registered memory without pinning it twice.
func ExampleRing_CloneBuffers() {
	a, b := newRing(4), newRing(4)
	defer a.Close()
	defer b.Close()
	buffers, err := a.RegisterBuffers([][]byte{make([]byte, 64)})
	if err != nil {
		log.Fatal(err)
	}
	clone, err := b.CloneBuffers(buffers)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(&buffers.At(0).Bytes()[0] == &clone.At(0).Bytes()[0])
	// Output: true
}

// A request is carried out with credentials that were registered before, here
// those of the thread itself.
func ExampleRing_RegisterPersonality() {
	ring := newRing(4)
	defer ring.Close()
	self, err := ring.RegisterPersonality()
	if err != nil {
		log.Fatal(err)
	}
	sqe := ring.SQ().Next()
	sqe.PrepNop()
	sqe.SetPersonality(self)
	for cqe, err := range ring.WaitCompletions(1, time.Minute) {
		fmt.Println(cqe.Errno() == 0, err)
		break
	}
	fmt.Println(ring.UnregisterPersonality(self))
	// Output:
	// true <nil>
	// <nil>
}

// An eventfd tells another event loop that there are completions. While the ring's
// own loop is looking anyway, it is muted, which costs no system call.
func ExampleRing_RegisterEventfd() {
	ring := newRing(4)
	defer ring.Close()
	const cloexecNonblock = syscall.O_CLOEXEC | syscall.O_NONBLOCK // as EFD_CLOEXEC and EFD_NONBLOCK
	fd, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, cloexecNonblock, 0)
	if errno != 0 {
		log.Fatal(errno)
	}
	defer syscall.Close(int(fd))
	signalled := func() bool {
		var count [8]byte
		n, _ := syscall.Read(int(fd), count[:])
		return n == int(unsafe.Sizeof(count)) && binary.NativeEndian.Uint64(count[:]) > 0
	}
	if err := ring.RegisterEventfd(int(fd)); err != nil {
		log.Fatal(err)
	}
	complete := func() {
		ring.SQ().Next().PrepNop()
		if _, err := ring.SubmitAndWait(1, time.Minute); err != nil {
			log.Fatal(err)
		}
		for range ring.CQ().All() {
		}
	}
	complete()
	fmt.Println("signalled:", signalled())
	ring.CQ().SetEventfd(false)
	complete()
	fmt.Println("muted:", signalled())
	ring.CQ().SetEventfd(true)
	complete()
	fmt.Println("again:", signalled())
	// Output:
	// signalled: true
	// muted: false
	// again: true
}
