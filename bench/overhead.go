package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/yamanote-go/yamanote/driver"
)

// nops does operations that do nothing, with an Op that is used again and
// again, as connections do.
func nops(d *driver.Driver) func(int, *atomic.Bool, time.Time) (int64, error) {
	return func(_ int, counting *atomic.Bool, end time.Time) (int64, error) {
		w := driver.NewWaiter()
		op := &driver.Op{Sink: w}
		n := int64(0)
		for time.Now().Before(end) {
			for range 64 {
				op.SQE.PrepNop()
				if err := d.Enqueue(context.Background(), op); err != nil {
					return n, err
				}
				if err := d.Await(w).Err(); err != nil {
					return n, err
				}
			}
			if counting.Load() {
				n += 64
			}
		}
		return n, nil
	}
}
