package driver_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/faultring"
	"github.com/yamanote-go/yamanote/uring"
)

// again is a Sink that submits its operation again so many times.
type again struct {
	d    *driver.Driver
	left int
	done chan error
}

func (a *again) Complete(op *driver.Op, c driver.Completion) {
	if a.left--; a.left < 0 || c.Err() != nil {
		a.done <- c.Err()
		return
	}
	if err := a.d.TrySubmit(op); err != nil {
		a.done <- err
	}
}

// What a Sink submits is not forgotten, whoever calls it: a leader that goes on,
// leaves or is about to sleep, one that has borrowed the ring of a sleeper, or
// the goroutine that attends to it while nobody leads.
func TestSubmitFromASink(t *testing.T) {
	forEach(t, func(t *testing.T, d *driver.Driver) {
		run := func(t *testing.T) {
			for range 30 {
				a := &again{d: d, left: 20, done: make(chan error, 1)}
				op := &driver.Op{Sink: a, Waits: true, Lingers: true}
				op.SQE.PrepNop()
				require.NoError(t, d.TrySubmit(op))
				select {
				case err := <-a.done:
					require.NoError(t, err)
				case <-time.After(20 * time.Second):
					t.Fatal("forgotten")
				}
			}
		}
		t.Run("nobody leads", run)
		r, w := pipe(t)
		op, waiter := newOp(true)
		buf := make([]byte, 1)
		op.Buf = buf
		op.SQE.PrepRead(r, buf, uring.CurrentPosition)
		require.NoError(t, d.Enqueue(context.Background(), op))
		result := make(chan driver.Completion, 1)
		go func() { result <- d.Await(waiter) }()
		t.Run("a leader sleeps", run)
		_, err := syscall.Write(w, []byte("x"))
		require.NoError(t, err)
		require.NoError(t, (<-result).Err())
	})
}

// The same in plain Go, with entries for one operation at a time and a kernel
// that refuses now and then.
func TestSubmitFromASinkOfACrowdedRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := faultring.New(faultring.Config{SQEntries: 1, CQEntries: 4})
		ring.FailEnters(syscall.EBUSY, syscall.EAGAIN, syscall.EINTR, syscall.EINTR)
		d, err := driver.OpenWith(driver.Config{}, ring)
		require.NoError(t, err)
		var all []*again
		for range 10 {
			a := &again{d: d, left: 10, done: make(chan error, 1)}
			all = append(all, a)
			op := &driver.Op{Sink: a, Waits: true}
			op.SQE.PrepNop()
			require.NoError(t, d.TrySubmit(op))
		}
		for _, a := range all {
			require.NoError(t, <-a.done)
		}
		require.NoError(t, d.Close())
		require.NoError(t, ring.Err())
	})
}

// TrySubmit does not wait to be admitted, and refuses after a shutdown.
func TestTrySubmitFails(t *testing.T) {
	d := open(t, driver.Config{MaxInFlight: 1<<24 - 1}) // room for one that waits
	defer d.Close()
	r, _ := pipe(t)
	first, w := newOp(true)
	buf := make([]byte, 1)
	first.Buf = buf
	first.SQE.PrepRead(r, buf, uring.CurrentPosition)
	require.NoError(t, d.TrySubmit(first))
	second, w2 := newOp(true)
	second.SQE.PrepNop()
	require.ErrorIs(t, d.TrySubmit(second), driver.ErrFull)
	require.True(t, d.Cancel(first))
	require.ErrorIs(t, wait(t, w).Err(), syscall.ECANCELED)
	require.NoError(t, d.TrySubmit(second))
	require.NoError(t, wait(t, w2).Err())
	require.NoError(t, d.Close())
	require.ErrorIs(t, d.TrySubmit(second), driver.ErrClosed)
	second.Lingers = true
	require.ErrorIs(t, d.TrySubmit(second), driver.ErrClosed)
	require.Zero(t, d.Stats().InFlight)
}

// Late sees what has come between Submit and the kernel.
func TestLate(t *testing.T) {
	forEach(t, func(t *testing.T, d *driver.Driver) {
		r, w := pipe(t)
		data := []byte("early and late")
		size := atomic.NewInt64(5)
		// Its sink holds the ring until there is more to write.
		held, more := make(chan struct{}), make(chan struct{})
		hold := &driver.Op{Sink: onEnd(func(driver.Completion) { close(held); <-more })}
		hold.SQE.PrepNop()
		submitted := make(chan error, 1)
		go func() { submitted <- d.Submit(context.Background(), hold) }()
		<-held
		require.True(t, d.Gathering())

		op, waiter := newOp(true)
		op.Buf = data
		op.SQE.Opcode = uring.IORING_OP_SEND
		op.Late = func(op *driver.Op) { op.SQE.PrepRead(r, op.Buf[:size.Load()], uring.CurrentPosition) }
		require.NoError(t, d.TrySubmit(op))
		size.Store(int64(len(data)))
		_, err := syscall.Write(w, make([]byte, 100))
		require.NoError(t, err)
		close(more)
		require.NoError(t, <-submitted)
		require.EqualValues(t, len(data), wait(t, waiter).Res)
	})
}

type onEnd func(driver.Completion)

func (f onEnd) Complete(_ *driver.Op, c driver.Completion) { f(c) }

// Shutdown gives operations that linger the time to end, and what they submit
// from their Sink; those that wait without lingering are cancelled after that,
// and new ones are refused at once.
func TestShutdownWaitsForWhatLingers(t *testing.T) {
	for name, ends := range map[string]bool{"ends": true, "context": false} {
		t.Run(name, func(t *testing.T) {
			d := open(t, driver.Config{})
			defer d.Close()
			r, w := pipe(t)
			r2, _ := pipe(t)
			buf, buf2 := make([]byte, 1), make([]byte, 1)
			a := &again{d: d, left: 3, done: make(chan error, 1)}
			op := &driver.Op{Sink: a, Waits: true, Lingers: true, Buf: buf}
			op.SQE.PrepRead(r, buf, uring.CurrentPosition)
			require.NoError(t, d.TrySubmit(op))
			other, waiter := newOp(true)
			other.Buf = buf2
			other.SQE.PrepRead(r2, buf2, uring.CurrentPosition)
			require.NoError(t, d.TrySubmit(other))

			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			if !ends {
				ctx, cancel = context.WithTimeout(context.Background(), 20*time.Millisecond)
			}
			defer cancel()
			down := make(chan error, 2)
			for range 2 {
				go func() { down <- d.Shutdown(ctx) }()
			}
			time.Sleep(2 * time.Millisecond)
			if ends {
				for range 4 {
					require.True(t, other.Active())
					_, err := syscall.Write(w, []byte("x"))
					require.NoError(t, err)
					time.Sleep(time.Millisecond)
				}
				require.NoError(t, <-a.done)
			}
			for range 2 {
				var left *driver.ShutdownError
				if err := <-down; ends || !errors.As(err, &left) {
					require.NoError(t, err)
				}
			}
			if !ends {
				require.Error(t, <-a.done)
			}
			require.ErrorIs(t, wait(t, waiter).Err(), syscall.ECANCELED)
			require.ErrorIs(t, d.TrySubmit(other), driver.ErrClosed)
			require.NoError(t, d.Close())
			require.Zero(t, d.Stats().InFlight)
		})
	}
}

// A chain lingers if one of its members does: Shutdown lets it come to its end.
func TestShutdownWaitsForAChainThatLingers(t *testing.T) {
	forEachChain(t, func(t *testing.T, d *driver.Driver) {
		r, w := pipe(t)
		steps := newChain(2, soft, func(i int, op *driver.Op) {
			if op.SQE.PrepNop(); i == 0 {
				op.Waits = true
				op.SQE.PrepPollAdd(r, 1, 0) // POLLIN
			}
		})
		steps[1].Lingers = true
		require.NoError(t, submitChain(d, steps))
		time.AfterFunc(2*time.Millisecond, func() { _, _ = syscall.Write(w, []byte("x")) })
		require.NoError(t, d.Close())
		require.Equal(t, []int32{1, 0}, results(t, steps))
		require.ErrorIs(t, submitChain(d, steps), driver.ErrClosed)
	})
}

// Late fills in a member of a chain as well, and cannot unlink it.
func TestLateInAChain(t *testing.T) {
	forEachChain(t, func(t *testing.T, d *driver.Driver) {
		for range 20 {
			steps := newChain(2, soft, func(_ int, op *driver.Op) { op.SQE.PrepNop() })
			late := false
			steps[0].Late = func(op *driver.Op) {
				late = true
				op.SQE.PrepPollAdd(-1, 1, 0)
			}
			require.NoError(t, submitChain(d, steps))
			require.Equal(t, []int32{ebadf, ecanceled}, results(t, steps))
			require.True(t, late)
		}
	})
}
