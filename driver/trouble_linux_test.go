package driver_test

import (
	"context"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// onFake runs a test in virtual time on a ring of a few entries.
func onFake(t *testing.T, f func(t *testing.T, r *fakeRing, d *driver.Driver)) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRing(4)
		d, err := driver.OpenWith(driver.Config{}, r)
		require.NoError(t, err)
		f(t, r, d)
		_ = d.Close()
		<-r.thenClosed
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

func submitPoll(t *testing.T, d *driver.Driver) (*driver.Op, *driver.Waiter) {
	t.Helper()
	op, w := newOp(true)
	op.SQE.PrepPollAdd(0, 1, 0)
	require.NoError(t, d.Submit(context.Background(), op))
	return op, w
}

// An enter that fails for now is repeated until it works, and nothing is lost.
func TestEnterFailsForNow(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.EBUSY} {
		t.Run(errno.Error(), func(t *testing.T) {
			onFake(t, func(t *testing.T, r *fakeRing, d *driver.Driver) {
				r.locked(func() { r.enter = []syscall.Errno{errno, errno, errno, errno, errno} })
				var ws []*driver.Waiter
				for range 10 { // more than the ring has entries
					ws = append(ws, submitNop(t, d))
				}
				for _, w := range ws {
					require.NoError(t, (<-w.Done()).Err())
				}
				r.locked(func() { require.Empty(t, r.enter) })
			})
		})
	}
}

// The same for a single operation, after which nothing else makes the driver
// enter: interrupted twice in a row, it left the operation lying.
func TestEnterFailsForNowOnce(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.EBUSY} {
		t.Run(errno.Error(), func(t *testing.T) {
			onFake(t, func(t *testing.T, r *fakeRing, d *driver.Driver) {
				r.locked(func() { r.enter = []syscall.Errno{errno, errno, errno, errno, errno} })
				require.NoError(t, (<-submitNop(t, d).Done()).Err())
			})
		})
	}
}

// A kernel that refuses for long is asked ever less often.
func TestEnterFailsForLong(t *testing.T) {
	onFake(t, func(t *testing.T, r *fakeRing, d *driver.Driver) {
		const refusals = 200
		r.locked(func() {
			for range refusals {
				r.enter = append(r.enter, syscall.EAGAIN)
			}
		})
		start := time.Now()
		require.NoError(t, (<-submitNop(t, d).Done()).Err())
		require.Greater(t, time.Since(start), 500*time.Millisecond)
		require.LessOrEqual(t, d.Stats().Busy, uint64(refusals))
	})
}

// A kernel that takes one entry at a time gets them all.
func TestShortSubmit(t *testing.T) {
	onFake(t, func(t *testing.T, r *fakeRing, d *driver.Driver) {
		r.locked(func() { r.consume = 1 })
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
	onFake(t, func(t *testing.T, r *fakeRing, d *driver.Driver) {
		const misses = 12
		op, w := submitPoll(t, d)
		synctest.Wait()
		r.locked(func() {
			for i := range misses {
				r.cancel = append(r.cancel, -int32([]syscall.Errno{syscall.ENOENT, syscall.EALREADY}[i%2]))
			}
		})
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
	onFake(t, func(t *testing.T, r *fakeRing, d *driver.Driver) {
		op, w := submitPoll(t, d)
		for range 3 {
			synctest.Wait()
			r.locked(func() {
				require.Len(t, r.waiting, 1)
				for ud := range r.waiting {
					r.complete(ud, -int32(syscall.ECANCELED))
				}
			})
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
	onFake(t, func(t *testing.T, r *fakeRing, d *driver.Driver) {
		_, _ = submitPoll(t, d)
		synctest.Wait()
		var live uint64
		r.locked(func() {
			for ud := range r.waiting {
				live = ud
			}
			r.post(uring.CQE{UserData: live + 1<<24, Res: 7})   // another generation
			r.post(uring.CQE{UserData: live + 1, Res: 7})       // another slot
			r.post(uring.CQE{UserData: 0, Res: 7})              // no kind at all
			r.post(uring.CQE{UserData: ^uint64(0), Res: 7})     // liburing's timeouts
			r.post(uring.CQE{UserData: live + 0xffff, Res: -1}) // a slot there is not
		})
		synctest.Wait()
		require.EqualValues(t, 5, d.Stats().Stale)
		require.EqualValues(t, 1, d.Stats().InFlight)
		r.locked(func() { r.complete(live, 1) })
		synctest.Wait()
		r.locked(func() { r.post(uring.CQE{UserData: live, Res: 1}) }) // the same once more
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
			onFake(t, func(t *testing.T, r *fakeRing, d *driver.Driver) {
				_, poll := submitPoll(t, d)
				synctest.Wait()
				r.locked(func() {
					for range 10_000 {
						r.enter = append(r.enter, errno)
					}
				})
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

// A ring that fails while Shutdown has it look at the queues: that hung, as each
// of the two closes the driver once.
func TestRingFailsInShutdown(t *testing.T) {
	onFake(t, func(t *testing.T, r *fakeRing, d *driver.Driver) {
		_, poll := submitPoll(t, d)
		synctest.Wait()
		r.locked(func() {
			for range 10_000 {
				r.enter = append(r.enter, syscall.EBADF)
			}
		})
		require.ErrorIs(t, d.Close(), syscall.EBADF)
		require.ErrorIs(t, (<-poll.Done()).Err(), syscall.EIO)
	})
}
