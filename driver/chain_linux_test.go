package driver_test

import (
	"context"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/uring"
)

// step is a member of a chain under test.
type step struct {
	*driver.Op
	w *driver.Waiter
}

// newChain returns n operations with a Waiter each, linked by flags once prep
// has filled them in.
func newChain(n int, flags uring.SQEFlags, prep func(i int, op *driver.Op)) []step {
	steps := make([]step, n)
	for i := range steps {
		op, w := newOp(false)
		prep(i, op)
		if i < n-1 {
			op.SQE.Flags |= flags
		}
		steps[i] = step{op, w}
	}
	return steps
}

func submitChain(d *driver.Driver, steps []step) error {
	ops := make([]*driver.Op, len(steps))
	for i := range steps {
		ops[i] = steps[i].Op
	}
	return d.SubmitChain(context.Background(), ops...)
}

// results waits for all members of a chain.
func results(t testing.TB, steps []step) []int32 {
	t.Helper()
	res := make([]int32, len(steps))
	for i := range steps {
		res[i] = wait(t, steps[i].w).Res
	}
	return res
}

const (
	soft = uring.IOSQE_IO_LINK
	hard = uring.IOSQE_IO_HARDLINK

	ecanceled = -int32(syscall.ECANCELED)
	ebadf     = -int32(syscall.EBADF)
)

// forEachChain is forEach for the variants in which a chain of two fits.
func forEachChain(t *testing.T, f func(t *testing.T, d *driver.Driver)) {
	forEach(t, func(t *testing.T, d *driver.Driver) {
		if d.MaxChain() < 2 {
			_, err := d.MaxChain(), submitChain(d, newChain(2, soft, func(_ int, op *driver.Op) { op.SQE.PrepNop() }))
			require.ErrorIs(t, err, driver.ErrChainTooLong)
			return
		}
		f(t, d)
	})
}

// What a chain's first member writes its second reads.
func TestChainInOrder(t *testing.T) {
	forEachChain(t, func(t *testing.T, d *driver.Driver) {
		if d.Info().Restricted {
			return // without WRITE
		}
		r, w := pipe(t)
		for i := range 100 {
			out, in := []byte{byte(i), 1, 2}, make([]byte, 3)
			steps := newChain(2, soft, func(i int, op *driver.Op) {
				if i == 0 {
					op.Buf = out
					op.SQE.PrepWrite(w, out, uring.CurrentPosition)
				} else {
					op.Buf = in
					op.SQE.PrepRead(r, in, uring.CurrentPosition)
				}
			})
			require.NoError(t, submitChain(d, steps))
			require.Equal(t, []int32{3, 3}, results(t, steps))
			require.Equal(t, out, in)
		}
	})
}

// A failure ends a soft chain, and a hard one goes on.
func TestChainWithAFailure(t *testing.T) {
	forEachChain(t, func(t *testing.T, d *driver.Driver) {
		fails := func(i int, op *driver.Op) {
			op.SQE.PrepNop()
			if i == 0 {
				op.Buf = make([]byte, 1)
				op.SQE.PrepRead(-1, op.Buf, 0)
			}
		}
		n := min(d.MaxChain(), 4)
		want := make([]int32, n)
		want[0] = ebadf
		steps := newChain(n, hard, fails)
		require.NoError(t, submitChain(d, steps))
		require.Equal(t, want, results(t, steps))

		for i := range want[1:] {
			want[i+1] = ecanceled
		}
		steps = newChain(n, soft, fails)
		require.NoError(t, submitChain(d, steps))
		require.Equal(t, want, results(t, steps))
		require.Zero(t, d.Stats().Resubmitted)
	})
}

// A zero-copy send that fails completes twice, and the second completion, which
// says that the memory is free, is a success. It breaks its chain all the same.
func TestChainWithAFailedZeroCopySend(t *testing.T) {
	testkit.NeedKernel(t, 6, 0, "SEND_ZC")
	forEachChain(t, func(t *testing.T, d *driver.Driver) {
		if d.Info().Restricted {
			return // without SEND_ZC
		}
		fd := connected(t)
		require.NoError(t, syscall.Shutdown(fd, syscall.SHUT_WR))
		steps := newChain(2, soft, func(i int, op *driver.Op) {
			if op.SQE.PrepNop(); i == 0 {
				op.Buf = []byte("x")
				op.SQE.PrepSendZC(fd, op.Buf, syscall.MSG_NOSIGNAL, 0)
			}
		})
		require.NoError(t, submitChain(d, steps))
		require.Equal(t, []int32{0, ecanceled}, results(t, steps))
		require.Zero(t, d.Stats().Resubmitted)
	})
}

// connected returns a TCP socket that is connected to another.
func connected(t testing.TB) int {
	t.Helper()
	socket := func() int {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		t.Cleanup(func() { _ = syscall.Close(fd) })
		return fd
	}
	l, fd := socket(), socket()
	require.NoError(t, syscall.Bind(l, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(l, 1))
	addr, err := syscall.Getsockname(l)
	require.NoError(t, err)
	require.NoError(t, syscall.Connect(fd, addr))
	return fd
}

// A chain that cannot be one is refused before anything of it is done.
func TestChainRefused(t *testing.T) {
	forEachChain(t, func(t *testing.T, d *driver.Driver) {
		nop := func(_ int, op *driver.Op) { op.SQE.PrepNop() }
		err := submitChain(d, newChain(d.MaxChain()+1, soft, nop))
		require.ErrorIs(t, err, driver.ErrChainTooLong)
		require.ErrorContains(t, err, "at most")
		require.Error(t, submitChain(d, nil))
		require.ErrorContains(t, submitChain(d, newChain(2, 0, nop)), "not linked")
		open := newChain(1, soft, func(_ int, op *driver.Op) {
			op.SQE.PrepNop()
			op.SQE.Flags = soft
		})
		require.ErrorContains(t, submitChain(d, open), "linked to nothing")
		guard := newChain(2, soft, func(_ int, op *driver.Op) { op.SQE.PrepLinkTimeout(&uring.Timespec{}, 0) })
		require.ErrorContains(t, submitChain(d, guard), "nothing to bound")
		require.Zero(t, d.Stats().Submitted)
	})
}

// Chains of every length that fits, in between single operations from many
// goroutines: none is ever split, or its members would run side by side and read
// what has not been written.
func TestChainsAmongOthers(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEachChain(t, func(t *testing.T, d *driver.Driver) {
		if d.Info().Restricted {
			return // without WRITE
		}
		var wg sync.WaitGroup
		for g := range 8 {
			r, w := pipe(t)
			wg.Go(func() {
				op, done := newOp(false)
				for i := range 100 {
					n := 2 + 2*((i+g)%min(8, d.MaxChain()/2))
					out, in := make([]byte, n), make([]byte, n)
					steps := newChain(n, []uring.SQEFlags{soft, hard}[i%2], func(j int, op *driver.Op) {
						out[j] = byte(i + j)
						if op.Buf = out[j : j+1]; j%2 == 0 {
							op.SQE.PrepWrite(w, op.Buf, uring.CurrentPosition)
							return
						}
						op.Buf = in[j : j+1]
						op.Waits = true
						op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
					})
					if err := submitChain(d, steps); err != nil {
						t.Error(err)
						return
					}
					op.SQE.PrepNop()
					if err := d.Submit(context.Background(), op); err != nil {
						t.Error(err)
						return
					}
					wait(t, done)
					for j, res := range results(t, steps) {
						if res != 1 || j%2 == 1 && in[j] != out[j-1] {
							t.Errorf("chain of %d: member %d: result %d, read %d", n, j, res, in[j])
						}
					}
				}
			})
		}
		wg.Wait()
		require.Zero(t, d.Stats().Resubmitted)
	})
}

// Cancelling the member that is at work ends a soft chain; cancelling one whose
// turn has not come ends the chain there.
func TestChainCancelled(t *testing.T) {
	forEachChain(t, func(t *testing.T, d *driver.Driver) {
		for target := range 2 {
			r, w := pipe(t)
			steps := newChain(2, soft, func(_ int, op *driver.Op) {
				op.Buf, op.Waits = make([]byte, 1), true
				op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
			})
			require.NoError(t, submitChain(d, steps))
			require.True(t, d.Cancel(steps[target].Op))
			require.False(t, d.Cancel(steps[target].Op))
			if target == 1 {
				_, err := syscall.Write(w, []byte{1})
				require.NoError(t, err)
			}
			res := results(t, steps)
			require.Equal(t, ecanceled, res[1])
			if target == 0 {
				require.Equal(t, ecanceled, res[0])
			}
		}
	})
}

// The kernel cancels the member that waits when the thread that submitted it
// ends, and with it the rest. The chain goes on where it was.
func TestChainOutlivesItsThread(t *testing.T) {
	forEachChain(t, func(t *testing.T, d *driver.Driver) {
		for range 10 {
			r, w := pipe(t)
			steps := newChain(2, soft, func(_ int, op *driver.Op) {
				op.Buf, op.Waits = make([]byte, 1), true
				op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
			})
			ended := make(chan error)
			go func() {
				runtime.LockOSThread() // and never unlocked: the thread ends
				ended <- submitChain(d, steps)
			}()
			require.NoError(t, <-ended)
			time.Sleep(time.Millisecond)
			_, err := syscall.Write(w, []byte{1, 2})
			require.NoError(t, err)
			require.Equal(t, []int32{1, 1}, results(t, steps))
			require.Equal(t, []byte{1, 2}, []byte{steps[0].Buf[0], steps[1].Buf[0]})
		}
	})
}

func TestChainShutdown(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			d := open(t, cfg)
			if d.MaxChain() < 2 {
				require.NoError(t, d.Close())
				return
			}
			r, _ := pipe(t)
			var chains [][]step
			for range 10 {
				steps := newChain(2, soft, func(_ int, op *driver.Op) {
					op.Buf, op.Waits = make([]byte, 1), true
					op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
				})
				require.NoError(t, submitChain(d, steps))
				chains = append(chains, steps)
			}
			require.NoError(t, d.Close())
			for _, steps := range chains {
				require.Equal(t, []int32{ecanceled, ecanceled}, results(t, steps))
			}
			require.Zero(t, d.Stats().InFlight)
			require.ErrorIs(t, submitChain(d, chains[0]), driver.ErrClosed)
		})
	}
}

// onChainRing runs a test in virtual time on a ring of eight entries.
func onChainRing(t *testing.T, f func(t *testing.T, r *chainRing, d *driver.Driver)) {
	synctest.Test(t, func(t *testing.T) {
		r := newChainRing(8)
		d, err := driver.OpenWith(driver.Config{}, r)
		require.NoError(t, err)
		f(t, r, d)
		require.NoError(t, d.Close())
		require.Zero(t, d.Stats().InFlight)
		require.Zero(t, d.Stats().Stale)
	})
}

func pollThenNop(i int, op *driver.Op) {
	if op.SQE.PrepNop(); i%2 == 0 {
		op.Waits = true
		op.SQE.PrepPollAdd(0, 1, 0)
	}
}

// A kernel that runs out of memory in the middle of a chain has submitted its
// beginning only. The rest must wait until that is done, as linked operations
// do.
func TestChainCutByTheKernel(t *testing.T) {
	for take := range 4 {
		onChainRing(t, func(t *testing.T, r *chainRing, d *driver.Driver) {
			r.take = take
			steps := newChain(4, soft, pollThenNop)
			require.NoError(t, submitChain(d, steps))
			synctest.Wait()
			require.Empty(t, r.order())
			for i := range 2 {
				for r.waiting() == 0 {
					time.Sleep(time.Millisecond)
				}
				require.Len(t, r.order(), 2*i)
				r.fire(1)
			}
			require.Equal(t, []int32{1, 0, 1, 0}, results(t, steps))
			require.Equal(t, []uring.Op{uring.IORING_OP_POLL_ADD, uring.IORING_OP_NOP,
				uring.IORING_OP_POLL_ADD, uring.IORING_OP_NOP}, r.order())
			require.Equal(t, take == 0, d.Stats().Resubmitted == 0)
		})
	}
}

// What has failed before the cut is not followed by the rest, unless the link is
// a hard one.
func TestChainCutAndFailed(t *testing.T) {
	for flags, want := range map[uring.SQEFlags][]int32{soft: {ebadf, ecanceled}, hard: {ebadf, 0}} {
		onChainRing(t, func(t *testing.T, r *chainRing, d *driver.Driver) {
			r.take = 1
			steps := newChain(2, flags, pollThenNop)
			require.NoError(t, submitChain(d, steps))
			synctest.Wait()
			r.fire(ebadf)
			require.Equal(t, want, results(t, steps))
		})
	}
}

// An operation whose time limit was cut off gets it all the same.
func TestChainCutBeforeItsTimeout(t *testing.T) {
	onChainRing(t, func(t *testing.T, r *chainRing, d *driver.Driver) {
		r.take, r.once = 1, true
		steps := newChain(2, soft, pollThenNop)
		steps[1].SQE.PrepLinkTimeout(&uring.Timespec{Sec: 1}, 0)
		require.NoError(t, submitChain(d, steps))
		synctest.Wait()
		require.Equal(t, 1, r.waiting())
		require.EqualValues(t, 2, d.Stats().Resubmitted)
		r.locked(func() { require.Equal(t, uring.IORING_OP_LINK_TIMEOUT, r.polls[0].then.sqe.Opcode) })
		r.fire(1)
		r.fire(ecanceled) // as the kernel ends a limit that was not reached
		require.Equal(t, []int32{1, ecanceled}, results(t, steps))
	})
}

// The leader has counted what to submit before he fell asleep, and somebody
// else has submitted that: a chain prepared meanwhile must not be cut by his
// count.
func TestChainWhileTheLeaderIsLate(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEachChain(t, func(t *testing.T, d *driver.Driver) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				op, w := newOp(false)
				for range 300 {
					op.SQE.PrepNop()
					if err := d.Enqueue(context.Background(), op); err != nil {
						t.Error(err)
						return
					}
					d.Await(w) // leads, and falls asleep with one to submit
				}
			})
			wg.Go(func() {
				for range 300 {
					steps := newChain(2, soft, func(_ int, op *driver.Op) { op.SQE.PrepNop() })
					if err := submitChain(d, steps); err != nil {
						t.Error(err)
						return
					}
					results(t, steps)
				}
			})
		}
		wg.Wait()
		require.Zero(t, d.Stats().Resubmitted)
	})
}

// The same, step by step: the leader is late, somebody else submits what he has
// counted, and when a chain comes he gets to the kernel first.
func TestChainIsNotCutByALateLeader(t *testing.T) {
	onChainRing(t, func(t *testing.T, r *chainRing, d *driver.Driver) {
		gate := make(chan struct{})
		r.gate = gate
		poll := func() (*driver.Op, *driver.Waiter) {
			op, w := newOp(true)
			op.SQE.PrepPollAdd(0, 1, 0)
			return op, w
		}
		first, w := poll()
		require.NoError(t, d.Enqueue(context.Background(), first))
		led := make(chan driver.Completion, 1)
		go func() { led <- d.Await(w) }()
		synctest.Wait() // he is at the gate, with one entry to submit
		require.Zero(t, r.waiting())

		second, w2 := poll()
		require.NoError(t, d.Submit(context.Background(), second))
		require.Equal(t, 2, r.waiting())

		r.locked(func() {
			r.onSubmit = func() {
				r.locked(func() { r.onSubmit, r.gate = nil, nil })
				close(gate)
				time.Sleep(time.Millisecond) // he submits now
			}
		})
		steps := newChain(2, soft, pollThenNop)
		require.NoError(t, submitChain(d, steps))
		time.Sleep(time.Second)
		require.Equal(t, 3, r.waiting(), "nobody has woken the leader to prepare the chain")
		require.Empty(t, r.order(), "the chain was cut")
		for range 3 {
			r.fire(1)
		}
		require.Equal(t, []int32{1, 0}, results(t, steps))
		require.EqualValues(t, 1, (<-led).Res)
		require.EqualValues(t, 1, wait(t, w2).Res)
		require.Zero(t, d.Stats().Resubmitted)
	})
}

// A chain for which there is not enough room waits until there is, whole.
func TestChainWaitsForRoom(t *testing.T) {
	onChainRing(t, func(t *testing.T, r *chainRing, d *driver.Driver) {
		hold, held := make(chan struct{}), make(chan struct{})
		op, _ := newOp(false)
		op.SQE.PrepNop()
		op.Sink = sinkFunc(func() {
			close(held)
			<-hold
		})
		go func() {
			if err := d.Submit(context.Background(), op); err != nil {
				t.Error(err)
			}
		}()
		<-held // whoever drives stands still
		var singles []*driver.Waiter
		for range 5 {
			op, w := newOp(false)
			op.SQE.PrepNop()
			require.NoError(t, d.Submit(context.Background(), op))
			singles = append(singles, w)
		}
		steps := newChain(4, soft, pollThenNop)
		require.NoError(t, submitChain(d, steps))
		close(hold)
		for _, w := range singles {
			require.Zero(t, wait(t, w).Res)
		}
		for range 2 {
			for r.waiting() == 0 {
				time.Sleep(time.Millisecond)
			}
			r.fire(1)
		}
		require.Equal(t, []int32{1, 0, 1, 0}, results(t, steps))
		require.Positive(t, d.Stats().SQFull)
		require.Zero(t, d.Stats().Resubmitted)
	})
}

// A chain that waits for room gets it before cancellations fill the queue again.
func TestChainIsNotStarvedByCancellations(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	d := open(t, driver.Config{SQEntries: 2, CQEntries: 4})
	defer d.Close()
	r, _ := pipe(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			op, w := newOp(true)
			op.Buf = make([]byte, 1)
			for {
				select {
				case <-stop:
					return
				default:
				}
				op.SQE.PrepRead(r, op.Buf, uring.CurrentPosition)
				if err := d.Submit(context.Background(), op); err != nil {
					t.Error(err)
					return
				}
				d.Cancel(op)
				wait(t, w)
			}
		})
	}
	for range 100 {
		steps := newChain(2, soft, func(_ int, op *driver.Op) { op.SQE.PrepNop() })
		require.NoError(t, submitChain(d, steps))
		require.Equal(t, []int32{0, 0}, results(t, steps))
	}
	close(stop)
	wg.Wait()
}
