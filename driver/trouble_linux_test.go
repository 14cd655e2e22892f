package driver_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/faultring"
	"github.com/yamanote-go/yamanote/uring"
)

// onFake runs a test in virtual time on a ring of a few entries.
func onFake(t *testing.T, f func(t *testing.T, r *faultring.Ring, d *driver.Driver)) {
	synctest.Test(t, func(t *testing.T) {
		r := faultring.New(faultring.Config{SQEntries: 4, CQEntries: 16})
		d, err := driver.OpenWith(driver.Config{}, r)
		require.NoError(t, err)
		f(t, r, d)
		_ = d.Close()
		require.True(t, r.Closed())
		require.NoError(t, r.Err())
		require.Zero(t, d.Stats().InFlight)
	})
}

func submitNop(t *testing.T, d *driver.Driver) *driver.Waiter {
	t.Helper()
	op, w := newOp(false)
	op.SQE.PrepNop()
	require.NoError(t, d.Submit(context.Background(), op))
	return w
}

// submitPoll submits a poll of a stream that nothing comes from.
func submitPoll(t *testing.T, r *faultring.Ring, d *driver.Driver) (*driver.Op, *driver.Waiter) {
	t.Helper()
	op, w := newOp(true)
	fd, _ := r.Pair(1)
	op.SQE.PrepPollAdd(fd, 1, 0)
	require.NoError(t, d.Submit(context.Background(), op))
	return op, w
}

// An enter that fails for now is repeated until it works, and nothing is lost.
func TestEnterFailsForNow(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.EBUSY} {
		t.Run(errno.Error(), func(t *testing.T) {
			onFake(t, func(t *testing.T, r *faultring.Ring, d *driver.Driver) {
				r.FailEnters(errno, errno, errno, errno, errno)
				var ws []*driver.Waiter
				for range 10 { // more than the ring has entries
					ws = append(ws, submitNop(t, d))
				}
				for _, w := range ws {
					require.NoError(t, (<-w.Done()).Err())
				}
				require.Zero(t, r.EntersToFail())
			})
		})
	}
}

// The same for a single operation, after which nothing else makes the driver
// enter: interrupted twice in a row, it left the operation lying.
func TestEnterFailsForNowOnce(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.EBUSY} {
		t.Run(errno.Error(), func(t *testing.T) {
			onFake(t, func(t *testing.T, r *faultring.Ring, d *driver.Driver) {
				r.FailEnters(errno, errno, errno, errno, errno)
				require.NoError(t, (<-submitNop(t, d).Done()).Err())
			})
		})
	}
}

// A kernel that refuses for long is asked ever less often.
func TestEnterFailsForLong(t *testing.T) {
	onFake(t, func(t *testing.T, r *faultring.Ring, d *driver.Driver) {
		const refusals = 200
		r.FailEnters(slices.Repeat([]syscall.Errno{syscall.EAGAIN}, refusals)...)
		start := time.Now()
		require.NoError(t, (<-submitNop(t, d).Done()).Err())
		require.Greater(t, time.Since(start), 500*time.Millisecond)
		require.LessOrEqual(t, d.Stats().Busy, uint64(refusals))
	})
}

// A kernel that takes one entry at a time gets them all.
func TestShortSubmit(t *testing.T) {
	onFake(t, func(t *testing.T, r *faultring.Ring, d *driver.Driver) {
		r.TakeAtMost(1)
		var ws []*driver.Waiter
		for range 10 {
			ws = append(ws, submitNop(t, d))
		}
		for _, w := range ws {
			require.NoError(t, (<-w.Done()).Err())
		}
	})
}

// A cancellation that does not find its operation is repeated, ever less
// often, until the operation has ended.
func TestCancelIsRepeated(t *testing.T) {
	onFake(t, func(t *testing.T, r *faultring.Ring, d *driver.Driver) {
		const misses = 12
		op, w := submitPoll(t, r, d)
		synctest.Wait()
		for i := range misses {
			r.AnswerCancels(-int32([]syscall.Errno{syscall.ENOENT, syscall.EALREADY}[i%2]))
		}
		start := time.Now()
		require.True(t, d.Cancel(op))
		require.ErrorIs(t, (<-w.Done()).Err(), syscall.ECANCELED)
		// 1 + 2 + 4 + … + 512 ms, then a second each.
		require.Equal(t, 1023*time.Millisecond+2*time.Second, time.Since(start).Round(time.Millisecond))
		synctest.Wait()
		require.EqualValues(t, misses, d.Stats().CancelsAgain)
	})
}

// An operation that comes back cancelled although nobody asked is submitted
// again: the thread that had submitted it has ended.
func TestOrphanIsSubmittedAgain(t *testing.T) {
	onFake(t, func(t *testing.T, r *faultring.Ring, d *driver.Driver) {
		op, w := submitPoll(t, r, d)
		for range 3 {
			synctest.Wait()
			require.Len(t, r.Waiting(), 1)
			r.Complete(r.Waiting()[0], -int32(syscall.ECANCELED))
		}
		synctest.Wait()
		require.EqualValues(t, 3, d.Stats().Resubmitted)
		require.True(t, op.Active())
		require.True(t, d.Cancel(op))
		require.ErrorIs(t, (<-w.Done()).Err(), syscall.ECANCELED)
	})
}

// Completions with user data of an earlier use of a slot, or of none, reach
// nobody.
func TestStaleCompletions(t *testing.T) {
	onFake(t, func(t *testing.T, r *faultring.Ring, d *driver.Driver) {
		_, _ = submitPoll(t, r, d)
		synctest.Wait()
		live := r.Waiting()[0]
		r.Post(uring.CQE{UserData: live + 1<<24, Res: 7})   // another generation
		r.Post(uring.CQE{UserData: live + 1, Res: 7})       // another slot
		r.Post(uring.CQE{UserData: 0, Res: 7})              // no kind at all
		r.Post(uring.CQE{UserData: ^uint64(0), Res: 7})     // liburing's timeouts
		r.Post(uring.CQE{UserData: live + 0xffff, Res: -1}) // a slot there is not
		synctest.Wait()
		require.EqualValues(t, 5, d.Stats().Stale)
		require.EqualValues(t, 1, d.Stats().InFlight)
		r.Complete(live, 1)
		synctest.Wait()
		r.Post(uring.CQE{UserData: live, Res: 1}) // the same once more
		w := submitNop(t, d)
		require.NoError(t, (<-w.Done()).Err())
		synctest.Wait()
		require.EqualValues(t, 6, d.Stats().Stale)
	})
}

// A ring that fails for good ends all operations and takes no more.
func TestRingFails(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EBADR, syscall.EBADF, syscall.EFAULT} {
		t.Run(errno.Error(), func(t *testing.T) {
			onFake(t, func(t *testing.T, r *faultring.Ring, d *driver.Driver) {
				_, poll := submitPoll(t, r, d)
				synctest.Wait()
				r.Break(errno)
				nop := submitNop(t, d)
				for _, w := range []*driver.Waiter{poll, nop} {
					require.ErrorIs(t, (<-w.Done()).Err(), syscall.EIO)
				}
				op, _ := newOp(false)
				op.SQE.PrepNop()
				require.ErrorIs(t, d.Submit(context.Background(), op), driver.ErrClosed)
				require.ErrorIs(t, d.Close(), errno)
			})
		})
	}
}

// What was prepared when a ring was given up is not submitted later, should the
// kernel change its mind: its memory is its owners' again.
func TestAbandonedIsNotSubmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faultring.New(faultring.Config{SQEntries: 4, CQEntries: 16})
		d, err := driver.OpenWith(driver.Config{}, r)
		require.NoError(t, err)
		r.Break(syscall.EBADF)
		fd, _ := r.Pair(1)
		// Told first, it mends the ring before the driver looks at it again.
		first := &driver.Op{Waits: true, Sink: sinkFunc(func() { r.Break(0) })}
		first.SQE.PrepPollAdd(fd, 1, 0)
		require.NoError(t, d.Submit(context.Background(), first))
		second, w := newOp(true)
		second.SQE.PrepPollAdd(fd, 1, 0)
		if d.Submit(context.Background(), second) == nil {
			require.ErrorIs(t, (<-w.Done()).Err(), syscall.EIO)
		}
		require.ErrorIs(t, d.Close(), syscall.EBADF)
		require.Zero(t, r.Counts().Consumed)
	})
}

// A ring that fails while Shutdown has it look at the queues: that hung, as each
// of the two closes the driver once.
func TestRingFailsInShutdown(t *testing.T) {
	onFake(t, func(t *testing.T, r *faultring.Ring, d *driver.Driver) {
		_, poll := submitPoll(t, r, d)
		synctest.Wait()
		r.Break(syscall.EBADF)
		require.ErrorIs(t, d.Close(), syscall.EBADF)
		require.ErrorIs(t, (<-poll.Done()).Err(), syscall.EIO)
	})
}

// A leader sleeps whose operation had not fitted into the queue, and which is
// cancelled before anybody has submitted it: no completion of the kernel's tells
// him.
func TestLeaderIsToldOfWhatTheKernelNeverSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Who is signalled comes late, so that nobody else helps.
		r := faultring.New(faultring.Config{SQEntries: 1, CQEntries: 4, Apart: true,
			Faults: faultring.Faults{DelayMax: time.Second}})
		d, err := driver.OpenWith(driver.Config{SQEntries: 1}, r)
		require.NoError(t, err)
		again := syscall.EAGAIN
		r.FailEnters(again, again, again, again) // twice for each of the two
		_, other := submitPoll(t, r, d)          // stays in the queue's only entry
		op, w := newOp(true)
		fd, _ := r.Pair(1)
		op.SQE.PrepPollAdd(fd, 1, 0)
		require.NoError(t, d.Enqueue(context.Background(), op))
		result := make(chan driver.Completion)
		go func() { result <- d.Await(w) }()
		synctest.Wait() // he sleeps in the ring
		require.Zero(t, r.EntersToFail())
		require.Len(t, r.Waiting(), 1, "the other operation alone is in the kernel")
		require.True(t, d.Cancel(op))
		require.ErrorIs(t, (<-result).Err(), syscall.ECANCELED)
		require.NoError(t, d.Close())
		require.ErrorIs(t, (<-other.Done()).Err(), syscall.ECANCELED)
		require.Equal(t, 2, r.Counts().Consumed-r.Counts().Cancels, "one poll, and what roused the leader")
	})
}

// What waits for a free entry when the driver is shut down ends with it, although
// the kernel has never seen it.
func TestShutdownCancelsWhatWasNotSubmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faultring.New(faultring.Config{SQEntries: 1, CQEntries: 4})
		d, err := driver.OpenWith(driver.Config{SQEntries: 1}, r)
		require.NoError(t, err)
		r.FailEnters(slices.Repeat([]syscall.Errno{syscall.EAGAIN}, 100)...)
		var ws []*driver.Waiter
		for range 5 { // one entry in the queue, the others behind it
			_, w := submitPoll(t, r, d)
			ws = append(ws, w)
		}
		require.NoError(t, d.Close())
		for _, w := range ws {
			require.ErrorIs(t, (<-w.Done()).Err(), syscall.ECANCELED)
		}
		require.NoError(t, r.Err())
		require.Equal(t, 1, r.Counts().Consumed-r.Counts().Cancels)
	})
}

// An operation that waits, and is queued while the driver is shut down, is refused
// or cancelled.
func TestShutdownRaceOfWhatWaits(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 100
	}
	for range rounds {
		synctest.Test(t, func(t *testing.T) {
			r := faultring.New(faultring.Config{SQEntries: 2, CQEntries: 4})
			d, err := driver.OpenWith(driver.Config{SQEntries: 2}, r)
			require.NoError(t, err)
			fd, _ := r.Pair(1)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					var ws []*driver.Waiter
					for range 300 {
						op, w := newOp(true)
						op.SQE.PrepPollAdd(fd, 1, 0)
						if err := d.Enqueue(context.Background(), op); err != nil {
							if !errors.Is(err, driver.ErrClosed) {
								t.Error(err)
							}
							break
						}
						ws = append(ws, w)
					}
					for _, w := range ws {
						if err := d.Await(w).Err(); err != error(syscall.ECANCELED) {
							t.Errorf("poll: %v", err)
						}
					}
				})
			}
			for range 10 {
				runtime.Gosched()
			}
			require.NoError(t, d.Close())
			wg.Wait()
			require.NoError(t, r.Err())
		})
	}
}

// Completions that did not fit into the queue are fetched although the enter that
// should do it is interrupted, and nothing else happens after it.
func TestOverflowIsFetchedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faultring.New(faultring.Config{SQEntries: 4, CQEntries: 1})
		d, err := driver.OpenWith(driver.Config{}, r)
		require.NoError(t, err)
		var ws []*driver.Waiter
		for range 3 {
			_, w := submitPoll(t, r, d)
			ws = append(ws, w)
		}
		r.FailEnters(slices.Repeat([]syscall.Errno{syscall.EINTR}, 10)...)
		for _, ud := range r.Waiting() {
			r.Complete(ud, 1)
		}
		for _, w := range ws {
			require.NoError(t, (<-w.Done()).Err())
		}
		require.Positive(t, d.Stats().Overflows)
		require.NoError(t, d.Close())
	})
}
