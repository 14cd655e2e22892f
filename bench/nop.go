//go:build linux

package main

import (
	"context"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/proactor"
)

// nopMain is the process that measures what an operation costs that does
// nothing: by way of a driver and its ring, or of another goroutine and two
// channels.
func nopMain(w *workload) error {
	if w.flags.std {
		return w.measure(nil, func(int) func() error { return pingPong() })
	}
	rt, err := w.flags.open()
	if err != nil {
		return err
	}
	return w.measure(rt, func(int) func() error { return nop(rt) })
}

// nop returns a round trip through a driver.
func nop(rt *proactor.Runtime) func() error {
	d := rt.Pick()
	waiter := driver.NewWaiter()
	op := &driver.Op{Sink: waiter}
	return func() error {
		op.SQE.PrepNop()
		if err := d.Enqueue(context.Background(), op); err != nil {
			return err
		}
		return d.Await(waiter).Err()
	}
}

// pingPong returns a round trip to another goroutine, which stays for as long
// as the process.
func pingPong() func() error {
	there, back := make(chan struct{}), make(chan struct{})
	go func() {
		for range there {
			back <- struct{}{}
		}
	}()
	return func() error {
		there <- struct{}{}
		<-back
		return nil
	}
}
