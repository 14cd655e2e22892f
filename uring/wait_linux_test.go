package uring

import (
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// enterWait is EnterWait that begins again after signals.
func enterWait(r *Ring, n uint32, flags EnterFlags, w *Wait) syscall.Errno {
	for {
		pending := r.SQ().Flush()
		if r.SQ().Flags()&IORING_SQ_NEED_WAKEUP != 0 {
			flags |= IORING_ENTER_SQ_WAKEUP
		}
		if _, errno := r.EnterWait(pending, n, flags, w); errno != syscall.EINTR {
			return errno
		}
	}
}

// now returns the time of a clock.
func now(t testing.TB, clock int32) Timespec {
	t.Helper()
	var ts unix.Timespec
	require.NoError(t, unix.ClockGettime(clock, &ts))
	return Timespec{Sec: int64(ts.Sec), Nsec: int64(ts.Nsec)}
}

// in returns a point in time later by less than a second.
func (ts Timespec) in(d time.Duration) Timespec {
	ns := ts.Nsec + int64(d)
	return Timespec{Sec: ts.Sec + ns/1e9, Nsec: ns % 1e9}
}

func TestWaitTimeout(t *testing.T) {
	testkit.NeedKernel(t, 5, 11, "EXT_ARG")
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		var w Wait
		for _, timeout := range []time.Duration{2 * time.Millisecond, 0, -time.Hour, 2 * time.Millisecond} {
			w.SetTimeout(timeout)
			start := time.Now()
			require.Equal(t, syscall.ETIME, enterWait(r, 1, 0, &w))
			require.GreaterOrEqual(t, time.Since(start), timeout)
		}
		nop(t, r, 1)
		w.SetTimeout(hang)
		require.Zero(t, enterWait(r, 1, 0, &w))
		w.Reset()
		require.Equal(t, Wait{}, w)
		nop(t, r, 2)
		require.Zero(t, enterWait(r, 2, 0, &w), "without a bound")
		nop(t, r, 3)
		require.Zero(t, enterWait(r, 3, 0, nil), "without a Wait")
		require.Equal(t, uint32(3), r.CQ().Ready())
	})
}

// TestWaitDeadline waits until points in time, by each of the two clocks.
func TestWaitDeadline(t *testing.T) {
	testkit.NeedKernel(t, 6, 12, "ABS_TIMER")
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		var w Wait
		for _, clock := range []int32{unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_MONOTONIC} {
			require.NoError(t, r.SetClock(uint32(clock)))
			start := time.Now()
			w.SetDeadline(now(t, clock).in(3 * time.Millisecond))
			require.Equal(t, syscall.ETIME, enterWait(r, 1, 0, &w))
			require.GreaterOrEqual(t, time.Since(start), 3*time.Millisecond)
			w.SetDeadline(now(t, clock))
			require.Equal(t, syscall.ETIME, enterWait(r, 1, 0, &w), "in the past")
		}
		start := time.Now()
		w.SetTimeout(3 * time.Millisecond)
		require.Equal(t, syscall.ETIME, enterWait(r, 1, 0, &w), "a timeout again")
		require.GreaterOrEqual(t, time.Since(start), 3*time.Millisecond, "and not a deadline long ago")
		require.ErrorIs(t, r.SetClock(unix.CLOCK_REALTIME), syscall.EINVAL)
		require.ErrorContains(t, r.SetClock(unix.CLOCK_REALTIME), "CLOCK_MONOTONIC or CLOCK_BOOTTIME")
	})
}

// TestMinWait asks for more than there is: the wait ends after the least time
// with what has arrived, and goes on to the timeout if that is nothing.
func TestMinWait(t *testing.T) {
	testkit.NeedKernel(t, 6, 12, "MIN_TIMEOUT")
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		require.NotZero(t, r.Features()&IORING_FEAT_MIN_TIMEOUT)
		var w Wait
		w.SetTimeout(hang)
		w.SetMinWait(5 * time.Millisecond)
		nop(t, r, 1)
		start := time.Now()
		require.Zero(t, enterWait(r, 2, 0, &w))
		require.GreaterOrEqual(t, time.Since(start), 5*time.Millisecond)
		require.Less(t, time.Since(start), hang/2)
		require.Equal(t, uint64(1), one(t, r).UserData)

		// All that was asked for ends it at once.
		w.SetMinWait(hang / 2)
		nop(t, r, 2)
		start = time.Now()
		require.Zero(t, enterWait(r, 1, 0, &w))
		require.Less(t, time.Since(start), hang/2)
		require.Equal(t, uint64(2), one(t, r).UserData)

		w.SetTimeout(4 * time.Millisecond)
		w.SetMinWait(time.Millisecond)
		start = time.Now()
		require.Equal(t, syscall.ETIME, enterWait(r, 2, 0, &w))
		require.GreaterOrEqual(t, time.Since(start), 4*time.Millisecond)
	})
}

// TestWaitWithSignalsBlocked storms the waiting thread with the signal of Go's
// scheduler, which interrupts a wait, but not one that blocks it.
func TestWaitWithSignalsBlocked(t *testing.T) {
	testkit.NeedKernel(t, 6, 13, "a message without a ring")
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		tid, ringFd := unix.Gettid(), r.Fd()
		// interruptions waits for a message that comes after the storm.
		interruptions := func(w *Wait) (n int) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 50 {
					if err := unix.Tgkill(os.Getpid(), tid, unix.SIGURG); err != nil {
						t.Error(err)
					}
					time.Sleep(100 * time.Microsecond)
				}
				if err := SendMsgRing(ringFd, 7, 0); err != nil {
					t.Error(err)
				}
			}()
			for r.CQ().Ready() == 0 {
				if _, errno := r.EnterWait(0, 1, 0, w); errno == syscall.EINTR {
					n++
				} else {
					require.Zero(t, errno)
				}
			}
			<-done
			require.Equal(t, 1, r.CQ().Reap(make([]CQE, 4)))
			return n
		}
		var w Wait
		w.SetTimeout(hang)
		require.NotZero(t, interruptions(&w))
		w.SetSigmask(1 << (unix.SIGURG - 1))
		require.Zero(t, interruptions(&w))
	})
}

// TestWaitThatIsNotIO is told from a wait for a disk by a flag. What it changes
// is in the kernel's accounts only.
func TestWaitThatIsNotIO(t *testing.T) {
	testkit.NeedKernel(t, 6, 15, "NO_IOWAIT")
	r := newRing(t, 4, Params{})
	require.NotZero(t, r.Features()&IORING_FEAT_NO_IOWAIT)
	var w Wait
	w.SetTimeout(time.Millisecond)
	require.Equal(t, syscall.ETIME, enterWait(r, 1, IORING_ENTER_NO_IOWAIT, &w))
	nop(t, r, 1)
	require.Zero(t, enterWait(r, 1, IORING_ENTER_NO_IOWAIT, nil))
}

// TestManyThreadsWait has several threads wait on one ring: each wait ends when
// as many completions are there as it has asked for.
func TestManyThreadsWait(t *testing.T) {
	testkit.NeedKernel(t, 6, 13, "a message without a ring")
	testkit.Watchdog(t, hang)
	r := newRing(t, 8, Params{})
	const threads = 4
	for round := range 20 {
		var started, ended sync.WaitGroup
		started.Add(threads)
		for i := range uint32(threads) {
			ended.Go(func() {
				started.Done()
				var w Wait
				w.SetTimeout(hang)
				if errno := enterAlone(r, i+1, &w); errno != 0 {
					t.Errorf("waiting for %d: %v", i+1, errno)
				}
				if n := r.CQ().Ready(); n < i+1 {
					t.Errorf("the wait for %d ended with %d", i+1, n)
				}
			})
		}
		started.Wait()
		if round%2 == 0 {
			time.Sleep(time.Millisecond) // most likely asleep by then
		}
		for i := range uint64(threads) {
			require.NoError(t, SendMsgRing(r.Fd(), i, 0))
		}
		ended.Wait()
		require.Equal(t, threads, r.CQ().Reap(make([]CQE, 2*threads)))
	}
}

// enterAlone waits without a look at the submission queue.
func enterAlone(r *Ring, n uint32, w *Wait) syscall.Errno {
	for {
		if _, errno := r.EnterWait(0, n, 0, w); errno != syscall.EINTR {
			return errno
		}
	}
}

// TestRegisteredWaits passes the arguments of waits in a region.
func TestRegisteredWaits(t *testing.T) {
	testkit.NeedKernel(t, 6, 13, "MEM_REGION")
	for _, own := range []bool{false, true} {
		testkit.Watchdog(t, hang)
		r := newRing(t, 4, Params{Flags: IORING_SETUP_R_DISABLED})
		var g *Region
		var err error
		if own {
			g, err = r.NewRegionIn(pages(t, os.Getpagesize()), IORING_MEM_REGION_REG_WAIT_ARG)
		} else {
			g, err = r.NewRegion(1, IORING_MEM_REGION_REG_WAIT_ARG)
		}
		require.NoError(t, err)
		require.Len(t, g.Bytes(), os.Getpagesize())
		require.Len(t, g.Waits(), os.Getpagesize()/64-1)
		_, err = r.NewRegion(1, 0)
		require.ErrorIs(t, err, syscall.EBUSY)
		require.ErrorContains(t, err, "has a region already")
		require.NoError(t, r.Enable())

		enter := func(index int) syscall.Errno {
			for {
				_, errno := r.EnterRegistered(r.SQ().Flush(), 1, 0, index)
				if errno != syscall.EINTR {
					return errno
				}
			}
		}
		last := len(g.Waits()) - 1
		g.Waits()[1].SetTimeout(2 * time.Millisecond)
		g.Waits()[last].SetTimeout(0)
		start := time.Now()
		require.Equal(t, syscall.ETIME, enter(1))
		require.GreaterOrEqual(t, time.Since(start), 2*time.Millisecond)
		require.Equal(t, syscall.ETIME, enter(last))
		require.Equal(t, syscall.EFAULT, enter(last+1))
		require.Equal(t, syscall.EFAULT, enter(-1))
		nop(t, r, 1)
		require.Zero(t, enter(0), "without a bound")
		require.Equal(t, uint64(1), one(t, r).UserData)
		require.NoError(t, g.Close())
		require.NoError(t, g.Close())
		require.Nil(t, g.Waits())
	}
}

func TestRegions(t *testing.T) {
	testkit.NeedKernel(t, 6, 13, "MEM_REGION")
	r := newRing(t, 4, Params{})
	_, err := r.NewRegion(64, IORING_MEM_REGION_REG_WAIT_ARG)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "before the ring is enabled")
	_, err = r.NewRegion(0, 0)
	require.ErrorIs(t, err, syscall.EINVAL)
	_, err = r.NewRegionIn(nil, 0)
	require.ErrorIs(t, err, syscall.EINVAL)
	_, err = r.NewRegionIn(pages(t, os.Getpagesize())[:64], 0)
	require.ErrorIs(t, err, syscall.EINVAL, "not a whole page")
	_, errno := r.EnterRegistered(0, 1, 0, 0)
	require.Equal(t, syscall.EINVAL, errno, "there is no region")

	g, err := r.NewRegion(os.Getpagesize()+1, 0)
	require.NoError(t, err)
	require.Len(t, g.Bytes(), 2*os.Getpagesize())
	g.Bytes()[len(g.Bytes())-1] = 1
	require.NoError(t, g.Close())
	roundTrip(t, r)
}
