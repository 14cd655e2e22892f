package proactor_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// ticks is an operation with several completions: it counts them, and so knows
// how often its time has come.
type ticks struct {
	every time.Duration
	n     int
}

type tickMemory struct {
	ts   uring.Timespec
	seen int // by the goroutine that drives the ring, until the operation ends
}

func (o ticks) Prepare(r *proactor.Request) error {
	m := &tickMemory{ts: uring.Timespec{Nsec: int64(o.every)}}
	r.Keep, r.Waits, r.Expected = m, true, uring.ETIME
	r.SQE.PrepTimeout(&m.ts, uint64(o.n), uring.IORING_TIMEOUT_MULTISHOT)
	r.Interim = func(_ *proactor.Request, c driver.Completion) {
		if c.Err() == error(uring.ETIME) {
			m.seen++
		}
	}
	return nil
}

func (o ticks) Result(r *proactor.Request, _ driver.Completion) (int, error) {
	return r.Keep.(*tickMemory).seen + 1, nil
}

func TestSeveralCompletions(t *testing.T) {
	testkit.NeedKernel(t, 6, 4, "multishot timeouts")
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		op := ticks{every: time.Millisecond, n: 5}
		require.Equal(t, 5, do(t, rt, op))
		c, err := proactor.Submit(t.Context(), rt, op)
		require.NoError(t, err)
		n, err := c.Result()
		require.NoError(t, err)
		require.Equal(t, 5, n)
		endless, err := proactor.Submit(t.Context(), rt, ticks{every: time.Millisecond})
		require.NoError(t, err)
		time.Sleep(5 * time.Millisecond)
		endless.Cancel()
		_, err = endless.Result()
		require.ErrorIs(t, err, proactor.ErrCanceled)
	})
}

// picky opens a file and does not like it.
type picky struct{ proactor.Open }

var errPicky = errors.New("picky")

func (picky) Result(*proactor.Request, driver.Completion) (int, error) { return 0, errPicky }

// A result that its operation refuses is nobody's, and so is its descriptor.
func TestRefusedResult(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		op := picky{proactor.Open{Path: os.DevNull}}
		before := len(testkit.Fds(t))
		_, err := proactor.Do(t.Context(), rt, op)
		require.ErrorIs(t, err, errPicky)
		_, err = proactor.DoAll(t.Context(), rt, op, op)
		require.ErrorIs(t, err, errPicky)
		c, err := proactor.Submit(t.Context(), rt, op)
		require.NoError(t, err)
		for range 2 {
			_, err = c.Result()
			require.ErrorIs(t, err, errPicky)
		}
		require.Len(t, testkit.Fds(t), before)
	})
}
