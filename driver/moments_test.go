package driver_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/faultring"
)

// While a goroutine that waits for a receive goes about leading, sleeping and
// leaving, each call to the ring taking its time, something else happens at any
// moment of that, and nothing after it: a send that the receive needs, a
// cancellation, the end of the stream, a shutdown. If the driver missed it, all
// would hang, which the bubble notices.
func TestNothingIsMissedAtAnyMoment(t *testing.T) {
	moments := map[string]func(t *testing.T, r *faultring.Ring, d *driver.Driver, near int, op *driver.Op, pause time.Duration) error{
		"send": func(t *testing.T, r *faultring.Ring, d *driver.Driver, near int, _ *driver.Op, _ time.Duration) error {
			send, w := newOp(true)
			send.Buf = []byte{1}
			send.SQE.PrepSend(near, send.Buf, 0, 0)
			require.NoError(t, d.Submit(context.Background(), send))
			require.NoError(t, (<-w.Done()).Err())
			return nil
		},
		"cancel": func(_ *testing.T, _ *faultring.Ring, d *driver.Driver, _ int, op *driver.Op, _ time.Duration) error {
			for !d.Cancel(op) {
				time.Sleep(time.Microsecond) // not submitted yet
			}
			return syscall.ECANCELED
		},
		"end of stream": func(_ *testing.T, r *faultring.Ring, _ *driver.Driver, near int, _ *driver.Op, _ time.Duration) error {
			r.EndOutput(near)
			return nil
		},
		"shutdown": func(t *testing.T, _ *faultring.Ring, d *driver.Driver, _ int, _ *driver.Op, _ time.Duration) error {
			require.NoError(t, d.Close())
			return driver.ErrClosed // or ECANCELED
		},
		"completion and shutdown": func(t *testing.T, r *faultring.Ring, d *driver.Driver, near int, _ *driver.Op, pause time.Duration) error {
			r.EndOutput(near)
			time.Sleep(pause)
			require.NoError(t, d.Close()) // while the leader leaves
			return errAny
		},
	}
	rounds := uint64(300)
	if testing.Short() {
		rounds = 100
	}
	for name, happens := range moments {
		t.Run(name, func(t *testing.T) {
			for seed := range rounds {
				synctest.Test(t, func(t *testing.T) { atAMoment(t, seed, happens) })
			}
		})
	}
}

// errAny stands for any result.
var errAny = errors.New("any result")

func atAMoment(t *testing.T, seed uint64,
	happens func(*testing.T, *faultring.Ring, *driver.Driver, int, *driver.Op, time.Duration) error) {
	rng := rand.New(rand.NewPCG(seed, 4))
	r := faultring.New(faultring.Config{
		Seed: seed, SQEntries: 1 + rng.IntN(2), CQEntries: 4,
		Faults: faultring.Faults{Slow: 100 + rng.IntN(700), DelayMax: 100 * time.Microsecond, Inline: 500, Deferred: rng.IntN(2) * 500},
	})
	d, err := driver.OpenWith(driver.Config{SQEntries: 2}, r)
	require.NoError(t, err)
	near, far := r.Pair(1)
	op, w := newOp(true)
	op.Buf = make([]byte, 1)
	op.SQE.PrepRecv(far, op.Buf, 0, 0)
	result := make(chan error, 1)
	go func() {
		if err := d.Enqueue(context.Background(), op); err != nil {
			result <- err
			return
		}
		result <- d.Await(w).Err()
	}()
	time.Sleep(time.Duration(rng.IntN(int(1500 * time.Microsecond))))
	want := happens(t, r, d, near, op, time.Duration(rng.IntN(int(500*time.Microsecond))))
	got := <-result
	switch {
	case want == errAny:
	case errors.Is(want, driver.ErrClosed):
		require.True(t, errors.Is(got, driver.ErrClosed) || errors.Is(got, syscall.ECANCELED), "%v", got)
	default:
		require.Equal(t, want == nil, got == nil, "%v", got)
	}
	require.NoError(t, d.Close())
	require.NoError(t, r.Err())
}

// slowToLook is a ring whose Ready takes a millisecond.
type slowToLook struct{ *faultring.Ring }

func (r slowToLook) Ready() bool {
	time.Sleep(time.Millisecond)
	return r.Ring.Ready()
}

// A ring is not closed while somebody who has just given up the lead looks at it
// for the last time.
func TestRingIsNotClosedUnderALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := slowToLook{faultring.New(faultring.Config{SQEntries: 4, CQEntries: 4})}
		d, err := driver.OpenWith(driver.Config{}, r)
		require.NoError(t, err)
		op, w := newOp(false)
		op.SQE.PrepNop()
		require.NoError(t, d.Enqueue(context.Background(), op))
		result := make(chan error, 1)
		go func() { result <- d.Await(w).Err() }()
		time.Sleep(time.Millisecond / 2)
		require.NoError(t, d.Close())
		require.NoError(t, <-result)
		require.NoError(t, r.Err())
	})
}
