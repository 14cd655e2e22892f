package driver_test

import (
	"context"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/faultring"
)

// sinkFunc is a Sink that is a function.
type sinkFunc func()

func (f sinkFunc) Complete(*driver.Op, driver.Completion) { f() }

// A cancellation that finds the submission queue full of entries that a lazy
// driver has not handed over yet was put aside, and the driver went to sleep
// with it: the operation was never cancelled.
func TestCancelWhileEntriesWaitToBeHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faultring.New(faultring.Config{SQEntries: 2, CQEntries: 16})
		fd, _ := r.Pair(1)
		d, err := driver.OpenWith(driver.Config{SQEntries: 2}, r)
		require.NoError(t, err)
		submit := func(sink driver.Sink) (*driver.Op, *driver.Waiter) {
			op, w := newOp(true)
			if sink != nil {
				op.Sink = sink
			}
			op.SQE.PrepPollAdd(fd, 1, 0)
			require.NoError(t, d.Submit(context.Background(), op))
			return op, w
		}
		complete := func(n int) { // the oldest n that wait
			for _, ud := range r.Waiting()[:n] {
				r.Complete(ud, 1)
			}
		}
		var a *driver.Op
		// The first completion holds the driver until two operations
		// and a second completion are there; that one cancels.
		hold, held := make(chan struct{}), make(chan struct{})
		seen := 0
		sink := sinkFunc(func() {
			if seen++; seen == 1 {
				close(held)
				<-hold
			} else {
				d.Cancel(a)
			}
		})
		submit(sink)
		submit(sink)
		synctest.Wait()
		complete(1)
		<-held
		a, wa := submit(nil)
		b, wb := submit(nil)
		complete(1)
		close(hold)
		time.Sleep(time.Second) // of virtual time
		select {
		case c := <-wa.Done():
			require.ErrorIs(t, c.Err(), syscall.ECANCELED)
		default:
			t.Error("the driver sleeps and has not cancelled")
		}
		d.Cancel(b)
		<-wb.Done()
		require.NoError(t, d.Close())
	})
}
