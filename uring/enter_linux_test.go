package uring

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// TestNopsInEveryShape sends numbers through a small queue many times around,
// in batches of every size, and gets each exactly once and in order.
func TestNopsInEveryShape(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		var sent, seen uint64
		var cqes [3]CQE
		for round := range 60 {
			batch := round%4 + 1
			for range batch {
				nop(t, r, sent)
				sent++
			}
			n, err := r.SubmitAndWait(uint32(batch), hang)
			require.NoError(t, err)
			require.Equal(t, batch, n)
			for seen < sent {
				n := r.CQ().Reap(cqes[:])
				require.NotZero(t, n)
				for _, cqe := range cqes[:n] {
					require.Equal(t, seen, cqe.UserData)
					require.Zero(t, cqe.Res)
					seen++
				}
			}
		}
		require.Zero(t, r.SQ().Dropped())
		require.Zero(t, r.CQ().Overflow())
	})
}

// TestInvalidIndex: an entry that the kernel drops, because somebody has written
// into the array of indexes, is told as one that was not submitted, and the queue
// goes on with the next.
func TestInvalidIndex(t *testing.T) {
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{})
	r.sq.array[0] = 4
	nop(t, r, 1)
	n, err := r.SubmitAndWait(1, hang)
	require.ErrorIs(t, err, syscall.EAGAIN)
	require.Zero(t, n)
	require.Equal(t, uint32(1), r.SQ().Dropped())
	nop(t, r, 2)
	n, err = r.SubmitAndWait(1, hang)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	cqe, ok := r.CQ().Peek()
	require.True(t, ok)
	require.Equal(t, uint64(2), cqe.UserData)
}

// TestQueueFullUntilSubmitted fills the queue of a ring.
func TestQueueFullUntilSubmitted(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		for range 3 {
			for i := range 4 {
				require.Equal(t, uint32(4-i), r.SQ().Space())
				nop(t, r, uint64(i))
			}
			require.Zero(t, r.SQ().Space())
			require.Nil(t, r.SQ().Next())
			n, err := r.SubmitAndWait(4, hang)
			require.NoError(t, err)
			require.Equal(t, 4, n)
			testkit.Eventually(t, func() bool { return r.SQ().Space() == 4 }, "the kernel takes the entries")
			require.Equal(t, 4, r.CQ().Reap(make([]CQE, 8)))
		}
	})
}

// TestEntriesAreSubmittedOnceAndOnlyAfterFlush submits a part, and asks for
// more than there is: what is left in the slots from earlier rounds stays there.
func TestEntriesAreSubmittedOnceAndOnlyAfterFlush(t *testing.T) {
	for _, flags := range []SetupFlags{0, IORING_SETUP_NO_SQARRAY} {
		t.Run(flags.String(), func(t *testing.T) {
			if flags != 0 {
				testkit.NeedKernel(t, 6, 6, "NO_SQARRAY")
			}
			r := newRing(t, 4, Params{Flags: flags})
			var seen []uint64
			enter := func(n uint32, want int) {
				t.Helper()
				got, errno := r.Enter(n, 0, IORING_ENTER_GETEVENTS)
				require.Zero(t, errno)
				require.Equal(t, want, got)
				for cqe := range r.CQ().All() {
					seen = append(seen, cqe.UserData)
				}
			}
			for i := range uint64(4) { // leave something in every slot
				nop(t, r, i)
			}
			r.SQ().Flush()
			enter(4, 4)

			nop(t, r, 4)
			nop(t, r, 5)
			enter(4, 0) // not shown yet
			require.Equal(t, uint32(2), r.SQ().Pending())
			require.Equal(t, uint32(2), r.SQ().Flush())
			enter(1, 1)
			require.Equal(t, uint32(1), r.SQ().Pending())
			nop(t, r, 6)
			enter(4, 1) // 5; 6 is not shown yet
			require.Equal(t, uint32(1), r.SQ().Flush())
			enter(100, 1)
			enter(100, 0)
			require.Equal(t, []uint64{0, 1, 2, 3, 4, 5, 6}, seen)
		})
	}
}

// TestABadEntryEndsTheBatch submits an entry that the kernel refuses between
// two good ones.
func TestABadEntryEndsTheBatch(t *testing.T) {
	for _, flags := range []SetupFlags{0, IORING_SETUP_SUBMIT_ALL} {
		t.Run(flags.String(), func(t *testing.T) {
			if flags != 0 {
				testkit.NeedKernel(t, 5, 18, "SUBMIT_ALL")
			}
			r := newRing(t, 4, Params{Flags: flags})
			for i := range uint64(3) {
				nop(t, r, i)
				if i == 1 {
					r.SQ().sqes[1].Opcode = 0xff
				}
			}
			n, err := r.Submit()
			require.NoError(t, err)
			if flags == 0 {
				require.Equal(t, 2, n, "the bad one is consumed")
				n, err = r.Submit()
				require.NoError(t, err)
				require.Equal(t, 1, n, "the rest comes with the next submission")
			} else {
				require.Equal(t, 3, n)
			}
			var cqes [4]CQE
			require.Equal(t, 3, r.CQ().Reap(cqes[:]))
			require.Zero(t, cqes[0].Errno())
			require.Equal(t, syscall.EINVAL, cqes[1].Errno())
			require.Equal(t, uint64(1), cqes[1].UserData)
			require.Zero(t, cqes[2].Errno())
		})
	}
}

// TestWaitGoesOnAfterAShortSubmission waits for completions that the first
// enter cannot bring.
func TestWaitGoesOnAfterAShortSubmission(t *testing.T) {
	r := newRing(t, 4, Params{})
	for i := range uint64(4) {
		nop(t, r, i)
	}
	r.SQ().sqes[1].Opcode = 0xff
	n, err := r.SubmitAndWait(4, hang)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.Equal(t, uint32(4), r.CQ().Ready())
}

// TestOverflowingCompletionsAllArrive posts far more completions than the queue
// holds before it looks at the first.
func TestOverflowingCompletionsAllArrive(t *testing.T) {
	testkit.NeedKernel(t, 5, 5, "NODROP")
	forShapes(t, func(t *testing.T, s shape) {
		const nops = 50
		r := newRing(t, 2, Params{Flags: s.flags | IORING_SETUP_CQSIZE, CqEntries: 2})
		require.NotZero(t, r.Features()&IORING_FEAT_NODROP)
		for sent := uint64(0); sent < nops; {
			if sqe := r.SQ().Next(); sqe != nil {
				sqe.PrepNop()
				sqe.UserData = sent
				sent++
				continue
			}
			_, err := r.Submit()
			require.NoError(t, err)
		}
		_, err := r.Submit()
		require.NoError(t, err)
		testkit.Eventually(t, func() bool { return r.SQ().Flags()&IORING_SQ_CQ_OVERFLOW != 0 }, "overflow is shown")
		require.Equal(t, uint32(2), r.CQ().Ready(), "what is kept aside does not count")

		var seen uint64
		for seen < nops {
			_, err := r.SubmitAndWait(1, hang)
			require.NoError(t, err)
			for cqe := range r.CQ().All() {
				require.Equal(t, seen, cqe.UserData)
				seen++
			}
		}
		require.Zero(t, r.CQ().Overflow(), "nothing is lost")
		require.Zero(t, r.SQ().Flags()&IORING_SQ_CQ_OVERFLOW)
	})
}

// TestWaitForMoreThanTheQueueHolds: to wait for what cannot all be there at the
// same time went round and round without end.
func TestWaitForMoreThanTheQueueHolds(t *testing.T) {
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{Flags: IORING_SETUP_CQSIZE, CqEntries: 4})
	for range 3 {
		for i := range uint64(4) {
			nop(t, r, i)
		}
		_, err := r.Submit()
		require.NoError(t, err)
	}
	n, err := r.SubmitAndWait(12, -1)
	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, uint32(4), r.CQ().Ready())
}

func TestSubmitNothing(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 1, Params{Flags: s.flags})
		n, err := r.Submit()
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestWaitTimesOut(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		testkit.NeedKernel(t, 5, 11, "EXT_ARG")
		r := newRing(t, 4, Params{Flags: s.flags})
		for _, timeout := range []time.Duration{0, time.Nanosecond, 2 * time.Millisecond} {
			start := time.Now()
			n, err := r.SubmitAndWait(1, timeout)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Zero(t, n)
			require.GreaterOrEqual(t, time.Since(start), timeout)

			// What was submitted is told also if the wait is in vain.
			nop(t, r, 1)
			n, err = r.SubmitAndWait(2, timeout)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Equal(t, 1, n)
			require.Equal(t, uint64(1), one(t, r).UserData)
		}
		_, errno := r.EnterTimeout(0, 1, IORING_ENTER_GETEVENTS, time.Millisecond)
		require.Equal(t, syscall.ETIME, errno)
		_, errno = r.EnterTimeout(0, 1, IORING_ENTER_GETEVENTS, -time.Second)
		require.Equal(t, syscall.ETIME, errno)
	})
}

// TestWaitThatGetsLessTimesOut: the kernel hides the timeout when there are some
// completions but not enough, and the wait began again and again.
func TestWaitThatGetsLessTimesOut(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		nop(t, r, 1)
		_, err := r.SubmitAndWait(1, hang)
		require.NoError(t, err)
		for _, timeout := range []time.Duration{0, 2 * time.Millisecond} {
			start := time.Now()
			_, err = r.SubmitAndWait(2, timeout)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.GreaterOrEqual(t, time.Since(start), timeout)
			_, errno := r.EnterTimeout(0, 2, IORING_ENTER_GETEVENTS, timeout)
			require.Zero(t, errno)
		}
		require.Equal(t, uint64(1), one(t, r).UserData)
	})
}

// TestWaitForWhatIsThere makes no use of the timeout.
func TestWaitForWhatIsThere(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		for i := range uint64(3) {
			nop(t, r, i)
		}
		_, err := r.SubmitAndWait(3, hang)
		require.NoError(t, err)
		for _, timeout := range []time.Duration{-1, 0, time.Hour} {
			n, err := r.SubmitAndWait(2, timeout)
			require.NoError(t, err)
			require.Zero(t, n)
			require.Equal(t, uint32(3), r.CQ().Ready())
		}
		nop(t, r, 3)
		n, err := r.SubmitAndWait(1, 0)
		require.NoError(t, err)
		require.Equal(t, 1, n, "submitted all the same")
		_, err = r.SubmitAndWait(4, hang)
		require.NoError(t, err)
	})
}

// TestDeferredCompletionsArriveBySubmit: with DEFER_TASKRUN alone nothing shows
// that completions wait for an enter, and Submit with nothing to submit made
// none.
func TestDeferredCompletionsArriveBySubmit(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		near, far := socketPair(t)
		sqe := r.SQ().Next()
		buf := make([]byte, 8)
		sqe.PrepRecv(near, buf, 0, 0)
		_, err := r.Submit()
		require.NoError(t, err)
		require.Zero(t, r.CQ().Ready())
		_, err = unix.Write(far, []byte("hello"))
		require.NoError(t, err)
		testkit.Eventually(t, func() bool {
			_, err := r.Submit()
			require.NoError(t, err)
			return r.CQ().Ready() == 1
		}, "the completion")
		require.Equal(t, int32(5), one(t, r).Res)
		require.Equal(t, "hello", string(buf[:5]))
	})
}

// TestSignalsDoNotEndAWait storms a waiting thread with the signal that Go
// itself uses to preempt.
func TestSignalsDoNotEndAWait(t *testing.T) {
	testkit.Watchdog(t, hang)
	testkit.NeedKernel(t, 6, 13, "a message without a ring")
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 1, Params{Flags: s.flags})
		storm := func(tid int, ringFd int) (stop func()) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 50 {
					if err := unix.Tgkill(os.Getpid(), tid, unix.SIGURG); err != nil {
						t.Error(err)
					}
					time.Sleep(100 * time.Microsecond)
				}
				if err := SendMsgRing(ringFd, 7, 8); err != nil {
					t.Error(err)
				}
			}()
			return func() { <-done }
		}
		stop := storm(unix.Gettid(), r.Fd())
		_, err := r.SubmitAndWait(1, -1)
		stop()
		require.NoError(t, err)
		require.Equal(t, uint64(7), one(t, r).UserData)

		stop = storm(unix.Gettid(), r.Fd())
		_, err = r.SubmitAndWait(1, hang)
		stop()
		require.NoError(t, err)
		require.Equal(t, int32(8), one(t, r).Res)

		// Enter itself tells of signals.
		stop = storm(unix.Gettid(), r.Fd())
		interrupted := 0
		for r.CQ().Ready() == 0 {
			n, errno := r.Enter(0, 1, IORING_ENTER_GETEVENTS)
			require.Zero(t, n)
			if errno == syscall.EINTR {
				interrupted++
			} else {
				require.Zero(t, errno)
			}
		}
		stop()
		require.NotZero(t, interrupted)
	})
}

// TestQueuesInTwoGoroutines submits in one and reaps in the other.
func TestQueuesInTwoGoroutines(t *testing.T) {
	for _, flags := range []SetupFlags{0, IORING_SETUP_NO_SQARRAY | IORING_SETUP_COOP_TASKRUN} {
		t.Run(flags.String(), func(t *testing.T) {
			if flags != 0 {
				testkit.NeedKernel(t, 6, 6, "NO_SQARRAY")
			}
			testkit.Watchdog(t, hang)
			const nops = 5000
			r := newRing(t, 8, Params{Flags: flags})
			var wg sync.WaitGroup
			wg.Go(func() {
				for sent := uint64(0); sent < nops; {
					for range sent%8 + 1 {
						if sent == nops || r.SQ().Space() == 0 {
							break
						}
						nop(t, r, sent)
						sent++
					}
					if _, errno := r.Enter(r.SQ().Flush(), 0, 0); errno != 0 && errno != syscall.EINTR {
						t.Error(errno)
						return
					}
				}
				for r.SQ().Pending() > 0 {
					if _, errno := r.Enter(r.SQ().Flush(), 0, 0); errno != 0 && errno != syscall.EINTR {
						t.Error(errno)
						return
					}
				}
			})
			var seen uint64
			var cqes [5]CQE
			for seen < nops {
				if _, errno := r.Enter(0, 1, IORING_ENTER_GETEVENTS); errno != syscall.EINTR {
					require.Zero(t, errno)
				}
				for _, cqe := range cqes[:r.CQ().Reap(cqes[:])] {
					require.Equal(t, seen, cqe.UserData)
					seen++
				}
			}
			wg.Wait()
		})
	}
}

func TestEnterNow(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		nop(t, r, 3)
		n, errno := r.EnterNow(r.SQ().Flush(), IORING_ENTER_GETEVENTS)
		require.Zero(t, errno)
		if s.flags&IORING_SETUP_SQPOLL == 0 {
			require.Equal(t, 1, n)
			require.Equal(t, uint32(1), r.CQ().Ready())
		}
		require.Equal(t, uint64(3), one(t, r).UserData)
	})
}

// TestSleepingPollerIsWoken leaves the kernel's thread time to fall asleep.
func TestSleepingPollerIsWoken(t *testing.T) {
	testkit.NeedKernel(t, 5, 13, "SQPOLL without privileges")
	r := newRing(t, 4, Params{Flags: IORING_SETUP_SQPOLL, SqThreadIdle: 1})
	for range 3 {
		testkit.Eventually(t, func() bool { return r.SQ().Flags()&IORING_SQ_NEED_WAKEUP != 0 }, "the thread sleeps")
		roundTrip(t, r)
	}
	testkit.Eventually(t, func() bool { return r.SQ().Flags()&IORING_SQ_NEED_WAKEUP != 0 }, "the thread sleeps")
	nop(t, r, 1)
	n, err := r.Submit() // waits for nothing, but must wake as well
	require.NoError(t, err)
	require.Equal(t, 1, n)
	testkit.Eventually(t, func() bool { return r.CQ().Ready() == 1 }, "the completion")
}

// TestThreads is the table of the package comment: who may enter and register.
func TestThreads(t *testing.T) {
	const EEXIST = syscall.EEXIST
	for _, tt := range []struct {
		name                    string
		flags                   SetupFlags
		since                   Version
		submit, events, regFrom syscall.Errno // what another thread gets
	}{
		{"plain", 0, Version{5, 1}, 0, 0, 0},
		{"coop", IORING_SETUP_COOP_TASKRUN, Version{5, 19}, 0, 0, 0},
		{"single", IORING_SETUP_SINGLE_ISSUER, Version{6, 0}, EEXIST, 0, EEXIST},
		{"defer", IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, Version{6, 1}, EEXIST, EEXIST, EEXIST},
		{"polled", IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SQPOLL, Version{6, 0}, 0, 0, EEXIST},
	} {
		t.Run(tt.name, func(t *testing.T) {
			needKernel(t, tt.since, tt.flags.String())
			testkit.Watchdog(t, hang)
			lockThread(t)
			r := newRing(t, 4, Params{Flags: tt.flags})
			roundTrip(t, r)
			nop(t, r, 1)
			pending := r.SQ().Flush()
			elsewhere(func() {
				_, errno := r.Enter(pending, 0, 0)
				require.Equal(t, tt.submit, errno, "submit")
				_, errno = r.Enter(0, 0, IORING_ENTER_GETEVENTS)
				require.Equal(t, tt.events, errno, "get events")
				_, err := r.Probe()
				if tt.regFrom != 0 {
					require.ErrorIs(t, err, tt.regFrom)
				} else {
					require.NoError(t, err)
				}
				if tt.submit != 0 {
					_, err = r.Submit()
					require.ErrorIs(t, err, tt.submit)
					require.ErrorContains(t, err, "belongs to another thread")
				}
			})
			require.Equal(t, uint64(1), one(t, r).UserData)
		})
	}
}

// TestEndOfAThreadCancels: what a thread has submitted does not outlive it. The
// kernel notices no earlier than when what it waits for happens.
func TestEndOfAThreadCancels(t *testing.T) {
	testkit.Watchdog(t, hang)
	r := newRing(t, 4, Params{})
	near, far := socketPair(t)
	buf := make([]byte, 8)
	r.SQ().Next().PrepRecv(near, buf, 0, 0)
	pending := r.SQ().Flush()
	tid := 0
	onceOnThread(func() {
		tid = unix.Gettid()
		_, errno := r.Enter(pending, 0, 0)
		require.Zero(t, errno)
	})
	testkit.Eventually(t, func() bool {
		return unix.Tgkill(os.Getpid(), tid, 0) == syscall.ESRCH
	}, "the thread ends")
	write(t, far, "hello")
	cqe := one(t, r)
	require.Equal(t, syscall.ECANCELED, cqe.Errno())
	cqe = submit1(t, r, func(sqe *SQE) { sqe.PrepRecv(near, buf, 0, 0) })
	require.Equal(t, int32(5), cqe.Res)
	require.Equal(t, "hello", string(buf[:5]), "not lost")
}

// TestEnablingChoosesTheIssuer enables a ring on another thread than created it.
func TestEnablingChoosesTheIssuer(t *testing.T) {
	testkit.NeedKernel(t, 6, 0, "SINGLE_ISSUER")
	lockThread(t)
	r := newRing(t, 1, Params{Flags: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED})
	elsewhere(func() {
		require.NoError(t, r.Enable())
		roundTrip(t, r)
		require.ErrorIs(t, r.Enable(), syscall.EBADFD, "it is enabled already")
	})
	nop(t, r, 1)
	_, err := r.Submit()
	require.ErrorIs(t, err, syscall.EEXIST)
	require.ErrorIs(t, r.Enable(), syscall.EEXIST)
}

func TestNothingIsAllocated(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 8, Params{Flags: s.flags})
		near, far := socketPair(t)
		buf := []byte("hello")
		var cqes [8]CQE
		ts := Timespec{Sec: 1}
		settle := func() {
			for r.SQ().Space() < 8 { // see next
				runtime.Gosched()
			}
		}
		for name, f := range map[string]func(){
			"wait": func() {
				settle()
				for range 8 {
					r.SQ().Next().PrepNop()
				}
				if _, err := r.SubmitAndWait(8, -1); err != nil || r.CQ().Reap(cqes[:]) != 8 {
					t.Error(err)
				}
			},
			"wait with timeout": func() {
				settle()
				sqe := r.SQ().Next()
				sqe.PrepSend(near, buf, 0, 0)
				sqe.Flags = IOSQE_IO_LINK
				r.SQ().Next().PrepLinkTimeout(&ts, 0)
				r.SQ().Next().PrepRecv(far, buf, 0, 0)
				if _, err := r.SubmitAndWait(3, time.Minute); err != nil {
					t.Error(err)
				}
				for range r.CQ().All() {
					runtime.KeepAlive(buf)
				}
			},
			"enter": func() {
				settle()
				r.SQ().Next().PrepNop()
				pending := r.SQ().Flush()
				flags := IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP
				if _, errno := r.Enter(pending, 1, flags); errno != 0 && errno != syscall.EINTR {
					t.Error(errno)
				}
				for r.CQ().Ready() == 0 {
					r.EnterNow(0, IORING_ENTER_GETEVENTS)
				}
				r.CQ().Peek()
				r.CQ().Reap(cqes[:])
			},
			"enter in vain": func() {
				if _, errno := r.EnterTimeout(0, 1, IORING_ENTER_GETEVENTS, 0); errno != syscall.ETIME {
					t.Error(errno)
				}
			},
		} {
			require.Zero(t, testing.AllocsPerRun(100, f), name)
		}
	})
}
