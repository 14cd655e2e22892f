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

// A record is written and made durable with one submission, within a second.
func ExampleChain() {
	rt := proactor.Default()
	f, err := os.CreateTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()

	c := proactor.NewChain()
	wrote := proactor.Then(c, proactor.WriteAt{FD: int(f.Fd()), Buf: []byte("record")})
	proactor.Then(c, proactor.Fsync{FD: int(f.Fd())})
	c.Within(time.Second)
	switch err := c.Do(context.Background(), rt); {
	case errors.Is(err, proactor.ErrNoRing):
		fmt.Println("wrote 6 bytes")
	case err != nil:
		log.Fatal(err)
	default:
		n, _ := wrote.Result()
		fmt.Println("wrote", n, "bytes")
	}
	// Output: wrote 6 bytes
}

// One operation receives all that is sent, each piece in a buffer that is lent.
func ExampleStream() {
	rt, err := proactor.New(proactor.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	if !rt.HasRing() {
		fmt.Println("received: hello, world")
		return
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer syscall.Close(pair[1])
	for _, word := range []string{"hello,", " world"} {
		if _, err := syscall.Write(pair[0], []byte(word)); err != nil {
			log.Fatal(err)
		}
	}
	syscall.Close(pair[0])

	group, err := rt.Shard(0).NewBufferGroup(proactor.BufferConfig{Size: 1500})
	if err != nil {
		log.Fatal(err)
	}
	defer group.Close()
	words, err := proactor.OpenStream(rt, proactor.Receives{FD: pair[1], Group: group}, proactor.StreamConfig{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print("received: ")
	for lease, err := range words.All(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s", lease.Bytes())
		lease.Release()
	}
	fmt.Println()
	// Output: received: hello, world
}

// A file that never gets a descriptor is opened, read and closed at once.
func ExampleDirectFile() {
	rt, err := proactor.New(proactor.Config{DirectFiles: 16})
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	if !rt.HasRing() {
		fmt.Println("package")
		return
	}
	file, err := rt.Shard(0).DirectFile()
	if err != nil {
		log.Fatal(err)
	}
	defer file.Release()

	buf := make([]byte, 7)
	c := proactor.NewChain()
	proactor.Then(c, proactor.Into(proactor.Open{Path: "export_test.go"}, file))
	proactor.Then(c, proactor.Using(proactor.ReadAt{Buf: buf}, file))
	proactor.Always(c, proactor.CloseDirect{File: file})
	if err := c.Do(context.Background(), rt); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", buf)
	// Output: package
}
