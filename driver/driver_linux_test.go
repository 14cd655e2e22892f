package driver_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/uring"
)

// variants are the configurations that every test runs on.
func variants() map[string]driver.Config {
	return map[string]driver.Config{
		"default":     {},
		"tiny":        {SQEntries: 2, CQEntries: 4},
		"overflowing": {SQEntries: 1, CQEntries: 1, MaxInFlight: 64},
		"plain":       {Without: driver.FeatureTaskRun | driver.FeatureNoSQArray | driver.FeatureRestrictions},
		"restricted": {Allow: []uring.Op{
			uring.IORING_OP_NOP, uring.IORING_OP_READ, uring.IORING_OP_RECV, uring.IORING_OP_TIMEOUT,
			uring.IORING_OP_SEND, uring.IORING_OP_POLL_ADD}},
	}
}

// forEach runs a test on every variant, each with a driver of its own that
// must end with nothing in flight.
func forEach(t *testing.T, f func(t *testing.T, d *driver.Driver)) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			d := open(t, cfg)
			defer func() {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				require.NoError(t, d.Shutdown(ctx))
				require.Zero(t, d.Stats().InFlight)
				require.Zero(t, d.Stats().Stale)
			}()
			f(t, d)
		})
	}
}

// open opens a driver. Where the system forbids rings there is nothing to test:
// that is a skip, which a run that has a ring does not allow.
func open(t testing.TB, cfg driver.Config) *driver.Driver {
	t.Helper()
	d, err := driver.Open(cfg)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		testkit.Skip(t, "no ring here: %v", err)
	}
	require.NoError(t, err)
	return d
}

func wait(t testing.TB, w *driver.Waiter) driver.Completion {
	t.Helper()
	select {
	case c := <-w.Done():
		return c
	case <-time.After(20 * time.Second):
		buf := make([]byte, 1<<20)
		t.Fatalf("no completion after 20 s\n%s", buf[:runtime.Stack(buf, true)])
		panic("unreachable")
	}
}

// pipe returns the descriptors of a blocking pipe: a read end and a write end.
func pipe(t testing.TB) (r, w int) {
	t.Helper()
	var fds [2]int
	require.NoError(t, syscall.Pipe2(fds[:], syscall.O_CLOEXEC))
	t.Cleanup(func() {
		_ = syscall.Close(fds[0])
		_ = syscall.Close(fds[1])
	})
	return fds[0], fds[1]
}

func TestNop(t *testing.T) {
	forEach(t, func(t *testing.T, d *driver.Driver) {
		op, w := newOp(false)
		for range 100 {
			op.SQE.PrepNop()
			require.NoError(t, d.Submit(context.Background(), op))
			c := wait(t, w)
			require.True(t, c.Last)
			require.NoError(t, c.Err())
			require.False(t, op.Active())
		}
	})
}

// Many goroutines, more than any queue has room for.
func TestManyProducers(t *testing.T) {
	forEach(t, func(t *testing.T, d *driver.Driver) {
		const producers, each = 100, 50
		var wg sync.WaitGroup
		var completed atomic.Int64
		for range producers {
			wg.Go(func() {
				op, w := newOp(false)
				for range each {
					op.SQE.PrepNop()
					if err := d.Submit(context.Background(), op); err != nil {
						t.Error(err)
						return
					}
					if c := wait(t, w); c.Res != 0 {
						t.Errorf("nop: %v", c.Err())
						return
					}
					completed.Inc()
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, producers*each, completed.Load())
	})
}

// A read that has to wait is woken by data written long after the driver fell
// asleep.
func TestWaitsForData(t *testing.T) {
	forEach(t, func(t *testing.T, d *driver.Driver) {
		r, w := pipe(t)
		op, done := newOp(true)
		for i := range 10 {
			op.Buf = make([]byte, 16)
			op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
			require.NoError(t, d.Submit(context.Background(), op))
			if i%2 == 0 {
				time.Sleep(2 * time.Millisecond)
			}
			_, err := syscall.Write(w, []byte("hello"))
			require.NoError(t, err)
			c := wait(t, done)
			require.EqualValues(t, 5, c.Res)
			require.Equal(t, "hello", string(op.Buf[:5]))
		}
	})
}

func TestCancelWaiting(t *testing.T) {
	forEach(t, func(t *testing.T, d *driver.Driver) {
		r, w := pipe(t)
		op, done := newOp(true)
		for range 20 {
			op.Buf = make([]byte, 16)
			op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
			require.NoError(t, d.Submit(context.Background(), op))
			require.True(t, d.Cancel(op))
			d.Cancel(op) // a second one is harmless
			c := wait(t, done)
			require.ErrorIs(t, c.Err(), syscall.ECANCELED)
			require.False(t, d.Cancel(op), "cancel of a completed operation")
		}
		// Nothing was consumed, and nothing is armed that would take this.
		_, err := syscall.Write(w, []byte("hello"))
		require.NoError(t, err)
		op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
		require.NoError(t, d.Submit(context.Background(), op))
		require.EqualValues(t, 5, wait(t, done).Res)
	})
}

// Cancellation races with the data: whoever wins, every byte that was written
// is either read by a completed read or still in the pipe.
func TestCancelRace(t *testing.T) {
	forEach(t, func(t *testing.T, d *driver.Driver) {
		const lanes, rounds = 8, 100
		var wg sync.WaitGroup
		for range lanes {
			r, w := pipe(t)
			wg.Go(func() {
				op, done := newOp(true)
				written, read := 0, 0
				for i := range rounds {
					op.Buf = make([]byte, 64)
					op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
					if err := d.Submit(context.Background(), op); err != nil {
						t.Error(err)
						return
					}
					var racers sync.WaitGroup
					racers.Go(func() {
						for range i % 7 {
							runtime.Gosched()
						}
						d.Cancel(op)
					})
					n, err := syscall.Write(w, []byte("x"))
					if err != nil {
						t.Error(err)
					}
					written += n
					c := wait(t, done)
					racers.Wait()
					switch {
					case c.Res > 0:
						read += int(c.Res)
					case !errors.Is(c.Err(), syscall.ECANCELED):
						t.Errorf("read: %v", c.Err())
					}
				}
				for read < written {
					op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
					if err := d.Submit(context.Background(), op); err != nil {
						t.Error(err)
						return
					}
					c := wait(t, done)
					if c.Res <= 0 {
						t.Errorf("%d of %d bytes read, then %v", read, written, c.Err())
						return
					}
					read += int(c.Res)
				}
			})
		}
		wg.Wait()
	})
}

// The same for one goroutine that waits by Await, with nothing else in flight
// that could wake a driver which has missed something: a completion can be held
// back until its canceller has queued it, and then comes without the kernel.
func TestCancelRaceAlone(t *testing.T) {
	forEach(t, func(t *testing.T, d *driver.Driver) {
		rounds := 3000
		if testing.Short() {
			rounds = 500
		}
		r, w := pipe(t)
		op, done := newOp(true)
		op.Buf = make([]byte, 64)
		var round atomic.Int64
		stop := make(chan struct{})
		defer close(stop)
		go func() { // dumps everything if a round does not end
			last := int64(-1)
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Second):
				}
				if now := round.Load(); now == last {
					buf := make([]byte, 1<<20)
					panic("a completion was lost\n" + string(buf[:runtime.Stack(buf, true)]))
				} else {
					last = now
				}
			}
		}()
		written, read := 0, 0
		for range rounds {
			round.Inc()
			op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
			require.NoError(t, d.Enqueue(context.Background(), op))
			var racers sync.WaitGroup
			racers.Go(func() {
				for range rand.IntN(6) {
					runtime.Gosched()
				}
				d.Cancel(op)
			})
			racers.Go(func() {
				for range rand.IntN(6) {
					runtime.Gosched()
				}
				n, _ := syscall.Write(w, []byte("x"))
				written += n
			})
			c := d.Await(done)
			racers.Wait()
			if c.Res > 0 {
				read += int(c.Res)
			} else {
				require.ErrorIs(t, c.Err(), syscall.ECANCELED)
			}
		}
		for read < written {
			op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
			require.NoError(t, d.Enqueue(context.Background(), op))
			read += int(d.Await(done).Res)
		}
		require.Equal(t, written, read)
	})
}

// Thousands of operations wait at once, far beyond the completion queue's
// size, and all are completed by one stroke.
func TestManyWaiting(t *testing.T) {
	forEach(t, func(t *testing.T, d *driver.Driver) {
		const n = 2000
		r, w := pipe(t)
		dones := make([]*driver.Waiter, n)
		for i := range n {
			op, done := newOp(true)
			dones[i] = done
			op.SQE.PrepPollAdd(r, 1, 0)
			require.NoError(t, d.Submit(context.Background(), op))
		}
		_, err := syscall.Write(w, []byte("x"))
		require.NoError(t, err)
		for _, done := range dones {
			require.Positive(t, wait(t, done).Res)
		}
	})
}

func TestShutdownCancelsAll(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			d := open(t, cfg)
			r, _ := pipe(t)
			var dones []*driver.Waiter
			for range 50 {
				op, done := newOp(true)
				op.Buf = make([]byte, 8)
				op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
				require.NoError(t, d.Submit(context.Background(), op))
				dones = append(dones, done)
			}
			require.NoError(t, d.Close())
			for _, done := range dones {
				require.ErrorIs(t, wait(t, done).Err(), syscall.ECANCELED)
			}
			op, _ := newOp(false)
			op.SQE.PrepNop()
			require.ErrorIs(t, d.Submit(context.Background(), op), driver.ErrClosed)
			require.NoError(t, d.Close(), "a second Close")
		})
	}
}

// A Submit that races with Shutdown either is refused or gets its completion.
func TestShutdownRace(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				d := open(t, cfg)
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() {
						op, done := newOp(false)
						for {
							op.SQE.PrepNop()
							if err := d.Submit(context.Background(), op); err != nil {
								if !errors.Is(err, driver.ErrClosed) {
									t.Error(err)
								}
								return
							}
							wait(t, done)
						}
					})
				}
				runtime.Gosched()
				require.NoError(t, d.Close())
				wg.Wait()
			}
		})
	}
}

// MaxInFlight makes producers wait, and lets them go when their context ends.
func TestBackpressure(t *testing.T) {
	d := open(t, driver.Config{MaxInFlight: 2})
	defer d.Close()
	r, w := pipe(t)
	ops := make([]*driver.Op, 2)
	dones := make([]*driver.Waiter, 2)
	for i := range ops {
		ops[i], dones[i] = newOp(false)
		ops[i].Buf = make([]byte, 1)
		ops[i].SQE.PrepRead(r, ops[i].Buf, uring.CurrentPosition)
		require.NoError(t, d.Submit(context.Background(), ops[i]))
	}
	op, done := newOp(false)
	op.SQE.PrepNop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, d.Submit(ctx, op), context.DeadlineExceeded)

	// One that may wait for ever is not held up.
	poll, polled := newOp(true)
	poll.SQE.PrepPollAdd(w, 4, 0)
	require.NoError(t, d.Submit(context.Background(), poll))
	require.Positive(t, wait(t, polled).Res)

	admitted := make(chan error)
	go func() { admitted <- d.Submit(context.Background(), op) }()
	select {
	case <-admitted:
		t.Fatal("admitted over the bound")
	case <-time.After(10 * time.Millisecond):
	}
	_, err := syscall.Write(w, []byte("x"))
	require.NoError(t, err)
	require.NoError(t, <-admitted)
	require.EqualValues(t, 0, wait(t, done).Res)
	require.EqualValues(t, 2, d.Stats().AdmissionWaits)
}

// An idle driver makes no system call, with nothing in flight and with a
// thousand operations waiting.
func TestIdleMakesNoSystemCalls(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			d := open(t, cfg)
			defer d.Close()
			r, _ := pipe(t)
			for _, n := range []int{0, 1000} {
				for range n {
					op, _ := newOp(true)
					op.SQE.PrepPollAdd(r, 1, 0)
					require.NoError(t, d.Submit(context.Background(), op))
				}
				// Asleep once the counter stands still.
				before := d.Stats()
				for {
					time.Sleep(20 * time.Millisecond)
					now := d.Stats()
					if now.Enters == before.Enters && now.Submitted == before.Submitted {
						break
					}
					before = now
				}
				time.Sleep(100 * time.Millisecond)
				require.Equal(t, before.Enters, d.Stats().Enters)
			}
		})
	}
}

func TestRestricted(t *testing.T) {
	d := open(t, driver.Config{Allow: []uring.Op{uring.IORING_OP_NOP}})
	require.True(t, d.Info().Restricted)
	op, done := newOp(false)
	op.Buf = make([]byte, 1)
	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	op.SQE.PrepRead(int(f.Fd()), op.Buf, 0)
	require.NoError(t, d.Submit(context.Background(), op))
	require.ErrorIs(t, wait(t, done).Err(), syscall.EACCES)
	op.SQE.PrepNop()
	require.NoError(t, d.Submit(context.Background(), op))
	require.NoError(t, wait(t, done).Err())
	require.NoError(t, f.Close())
	require.NoError(t, d.Close())
}

// A shutdown that cannot end in time says what is left, and ends later.
func TestShutdownReportsWhatIsLeft(t *testing.T) {
	d := open(t, driver.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, _ := pipe(t)
	op, done := newOp(true)
	op.SQE.PrepPollAdd(r, 1, 0)
	require.NoError(t, d.Submit(context.Background(), op))
	err := d.Shutdown(ctx)
	var left *driver.ShutdownError
	if errors.As(err, &left) {
		require.ErrorIs(t, err, context.Canceled)
		require.LessOrEqual(t, left.Left[uring.IORING_OP_POLL_ADD], 1)
	} else {
		require.NoError(t, err) // it was quick enough
	}
	require.ErrorIs(t, wait(t, done).Err(), syscall.ECANCELED)
	require.NoError(t, d.Close())
}

// Completions come at every moment of the driver's going to sleep, and none is
// missed. YAMANOTE_STRESS makes it last longer, for instance 10m.
func TestNoLostWakes(t *testing.T) {
	last := 100 * time.Millisecond
	if s := os.Getenv("YAMANOTE_STRESS"); s != "" {
		var err error
		last, err = time.ParseDuration(s)
		require.NoError(t, err)
	}
	forEach(t, func(t *testing.T, d *driver.Driver) {
		const lanes = 4
		end := time.Now().Add(last)
		var wg sync.WaitGroup
		for lane := range lanes {
			r, w := pipe(t)
			got := make(chan struct{})
			wg.Go(func() { // reads
				defer close(got)
				op, done := newOp(true)
				op.Buf = make([]byte, 1)
				for {
					op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
					if err := d.Enqueue(context.Background(), op); err != nil {
						t.Error(err)
						return
					}
					if c := d.Await(done); c.Res != 1 {
						t.Errorf("read: %v", c.Err())
						return
					}
					if op.Buf[0] == 0 {
						return
					}
					got <- struct{}{}
				}
			})
			wg.Go(func() { // writes, sooner or later
				rnd := rand.New(rand.NewPCG(uint64(lane), 1))
				watchdog := time.NewTimer(time.Hour)
				for time.Now().Before(end) {
					switch rnd.IntN(4) {
					case 0:
						time.Sleep(time.Duration(rnd.IntN(50)) * time.Microsecond)
					case 1:
						for range rnd.IntN(5) {
							runtime.Gosched()
						}
					case 2:
						for start := time.Now(); time.Since(start) < time.Duration(rnd.IntN(20))*time.Microsecond; {
						}
					}
					if _, err := syscall.Write(w, []byte{1}); err != nil {
						t.Error(err)
						return
					}
					watchdog.Reset(20 * time.Second)
					select {
					case _, ok := <-got:
						if !ok {
							return
						}
					case <-watchdog.C:
						buf := make([]byte, 1<<20)
						panic("a completion was lost\n" + string(buf[:runtime.Stack(buf, true)]))
					}
				}
				_, _ = syscall.Write(w, []byte{0})
				<-got
			})
		}
		wg.Wait()
	})
}

// Operations that reuse their Op allocate nothing.
func TestNoAllocations(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			d := open(t, cfg)
			defer d.Close()
			op, w := newOp(false)
			require.Zero(t, testing.AllocsPerRun(100, func() {
				op.SQE.PrepNop()
				if err := d.Enqueue(t.Context(), op); err != nil {
					t.Fatal(err)
				}
				if err := d.Await(w).Err(); err != nil {
					t.Fatal(err)
				}
			}))
		})
	}
}
