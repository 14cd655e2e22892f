package net_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/yamanote-go/yamanote/net"
)

// A server that ends without cutting anybody off: those who wait to be accepted
// are served, and Drain returns when the last request is done.
func ExampleTCPListener_Drain() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	})}
	go func() { _ = srv.Serve(l) }()

	resp, err := http.Get("http://" + l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	fmt.Println(string(body))

	// Idle connections are closed, others after their request.
	srv.SetKeepAlivesEnabled(false)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	listener := l.(net.DrainListener)
	fmt.Println(listener.Drain(ctx), listener.Stats().Active)
	// Output:
	// hello
	// <nil> 0
}
