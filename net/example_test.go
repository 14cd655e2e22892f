package net_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// An echo server and a client. Nothing but the import path differs from the
// standard library.
func Example() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()

	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "next stop: Shinagawa"); err != nil {
		log.Fatal(err)
	}
	buf := make([]byte, len("next stop: Shinagawa"))
	if _, err := io.ReadFull(c, buf); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", buf)
	// Output: next stop: Shinagawa
}

// The server of net/http takes any listener, and its client any dialer.
func Example_http() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "you asked for %s", r.URL.Path)
	})}
	served := make(chan error)
	go func() { served <- server.Serve(l) }()

	var d net.Dialer
	transport := &http.Transport{DialContext: d.DialContext}
	client := &http.Client{Transport: transport}
	resp, err := client.Get("http://" + l.Addr().String() + "/ueno")
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s\n", resp.Status, body)

	transport.CloseIdleConnections()
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-served)
	// Output:
	// 200 OK: you asked for /ueno
	// http: Server closed
}

// A Dialer bounds the time of a dial, and a deadline that of everything after.
func ExampleDialer() {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts nobody
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	d := net.Dialer{Timeout: 5 * time.Second}
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		log.Fatal(err)
	}
	_, err = c.Read(make([]byte, 1))
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))

	var timeout net.Error
	fmt.Println(errors.As(err, &timeout) && timeout.Timeout())
	// Output:
	// true
	// true
}

// A program chooses what its connections run on: here two rings if the system
// has any, and the standard library otherwise. By default it is one ring for
// the whole program.
func ExampleListenConfig() {
	rt, err := proactor.New(proactor.Config{Shards: 2})
	if err != nil {
		log.Fatal(err)
	}
	lc := net.ListenConfig{Runtime: rt}
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	accepted := make(chan net.Conn)
	go func() {
		c, err := l.Accept()
		if err != nil {
			log.Print(err)
		}
		accepted <- c
	}()

	d := net.Dialer{Runtime: rt}
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	server := <-accepted
	fmt.Println(server.RemoteAddr().String() == c.LocalAddr().String())

	// Close what runs on it, then the runtime.
	if err := errors.Join(c.Close(), server.Close(), l.Close(), rt.Shutdown(context.Background())); err != nil {
		log.Fatal(err)
	}
	// Output: true
}
