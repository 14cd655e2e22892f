package uring

import (
	"encoding/binary"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

func TestDisabledRing(t *testing.T) {
	testkit.NeedKernel(t, 5, 10, "R_DISABLED")
	r := newRing(t, 4, Params{Flags: IORING_SETUP_R_DISABLED})
	nop(t, r, 5)
	n, err := r.Submit()
	require.ErrorIs(t, err, syscall.EBADFD)
	require.ErrorContains(t, err, "not enabled yet")
	require.Zero(t, n)
	require.NoError(t, r.Enable())
	require.Equal(t, uint64(5), one(t, r).UserData, "the entry has waited")
	require.ErrorIs(t, r.Enable(), syscall.EBADFD)
}

func TestRestrictions(t *testing.T) {
	testkit.NeedKernel(t, 5, 10, "restrictions")
	r := newRing(t, 4, Params{Flags: IORING_SETUP_R_DISABLED})
	require.NoError(t, r.RegisterRestrictions([]Restriction{
		AllowOp(IORING_OP_NOP),
		AllowRegister(IORING_REGISTER_IOWQ_MAX_WORKERS),
		AllowFlags(IOSQE_ASYNC | IOSQE_IO_DRAIN),
	}))
	require.ErrorIs(t, r.RegisterRestrictions([]Restriction{AllowOp(IORING_OP_READ)}), syscall.EBUSY, "once only")
	require.NoError(t, r.Enable())
	require.ErrorIs(t, r.RegisterRestrictions([]Restriction{AllowOp(IORING_OP_READ)}), syscall.EACCES)

	roundTrip(t, r)
	cqe := submit1(t, r, func(sqe *SQE) { sqe.PrepNop(); sqe.Flags = IOSQE_ASYNC })
	require.Zero(t, cqe.Res)
	cqe = submit1(t, r, func(sqe *SQE) { sqe.PrepNop(); sqe.Flags = IOSQE_IO_HARDLINK })
	require.Equal(t, syscall.EACCES, cqe.Errno(), "a flag that is not allowed")
	buf := make([]byte, 1)
	cqe = submit1(t, r, func(sqe *SQE) { sqe.PrepRead(0, buf, 0); sqe.UserData = 9 })
	require.Equal(t, syscall.EACCES, cqe.Errno(), "an operation that is not allowed")
	require.Equal(t, uint64(9), cqe.UserData)

	_, err := r.SetMaxWorkers(0, 0)
	require.NoError(t, err)
	_, err = r.Probe()
	require.ErrorIs(t, err, syscall.EACCES, "a registration that is not allowed")
	_, err = NewBufRing(r, 1, 2, 8)
	require.ErrorIs(t, err, syscall.EACCES)
	roundTrip(t, r)
}

func TestRestrictionsWithoutFlags(t *testing.T) {
	testkit.NeedKernel(t, 5, 10, "restrictions")
	r := newRing(t, 4, Params{Flags: IORING_SETUP_R_DISABLED})
	require.NoError(t, r.RegisterRestrictions([]Restriction{AllowOp(IORING_OP_NOP)}))
	require.NoError(t, r.Enable())
	roundTrip(t, r)
	cqe := submit1(t, r, func(sqe *SQE) { sqe.PrepNop(); sqe.Flags = IOSQE_ASYNC })
	require.Equal(t, syscall.EACCES, cqe.Errno())
	_, err := r.SetMaxWorkers(0, 0)
	require.ErrorIs(t, err, syscall.EACCES)
}

// TestNoRestrictions: an empty list was a mistake or a ring that may do nothing,
// depending on how the slice was made.
func TestNoRestrictions(t *testing.T) {
	testkit.NeedKernel(t, 5, 10, "restrictions")
	r := newRing(t, 4, Params{Flags: IORING_SETUP_R_DISABLED})
	require.ErrorIs(t, r.RegisterRestrictions(nil), syscall.EINVAL)
	require.ErrorIs(t, r.RegisterRestrictions([]Restriction{}), syscall.EINVAL)
	require.NoError(t, r.Enable())
	roundTrip(t, r)
	require.ErrorIs(t, r.RegisterRestrictions([]Restriction{AllowOp(IORING_OP_NOP)}), syscall.EBADFD, "too late")
}

func TestRegisteredRingFd(t *testing.T) {
	testkit.NeedKernel(t, 5, 18, "RING_FDS")
	lockThread(t)
	r := newRing(t, 4, Params{})
	for range 2 {
		require.NoError(t, r.UnregisterRingFd(), "it is not")
		require.NoError(t, r.RegisterRingFd())
		require.NotEqual(t, r.Fd(), r.enterFd)
		registered := r.enterFd
		require.NoError(t, r.RegisterRingFd(), "a second time")
		require.Equal(t, registered, r.enterFd)
		roundTrip(t, r)
		_, err := r.SubmitAndWait(1, 0)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_, err = r.Probe() // through the descriptor
		require.NoError(t, err)
		require.NoError(t, r.UnregisterRingFd())
		roundTrip(t, r)
	}
}

// TestRegisteredRingFdOfAnotherThread: an index was unregistered on whatever
// thread, where it could be that of another ring.
func TestRegisteredRingFdOfAnotherThread(t *testing.T) {
	testkit.NeedKernel(t, 5, 18, "RING_FDS")
	a, b := newRing(t, 4, Params{}), newRing(t, 4, Params{})
	onceOnThread(func() { // it will keep a registration
		require.NoError(t, a.RegisterRingFd())
		elsewhere(func() {
			require.NoError(t, b.RegisterRingFd())
			require.Equal(t, a.enterFd, b.enterFd, "the same index on two threads")
			require.ErrorIs(t, a.UnregisterRingFd(), syscall.EINVAL)
			roundTrip(t, a)
			roundTrip(t, b)
			require.NoError(t, b.UnregisterRingFd())
		})
		require.NoError(t, a.RegisterRingFd(), "again, at another index")
		roundTrip(t, a)
		require.NoError(t, a.UnregisterRingFd())
	})
	roundTrip(t, a)
}

// TestCloseEndsTheRegistration: the registration outlived Close, and with it
// the ring and one of the thread's 16 places.
func TestCloseEndsTheRegistration(t *testing.T) {
	testkit.NeedKernel(t, 5, 18, "RING_FDS")
	needRing(t)
	lockThread(t)
	for range 40 {
		r, err := New(1, nil)
		require.NoError(t, err)
		require.NoError(t, r.RegisterRingFd())
		roundTrip(t, r)
		require.NoError(t, r.Close())
		_, errno := r.Enter(0, 0, 0)
		require.Equal(t, syscall.EBADF, errno)
	}
}

func TestMaxWorkers(t *testing.T) {
	testkit.NeedKernel(t, 5, 15, "IOWQ_MAX_WORKERS")
	lockThread(t)
	r := newRing(t, 1, Params{})
	before, err := r.SetMaxWorkers(3, 5)
	require.NoError(t, err)
	require.NotZero(t, before[0])
	require.NotZero(t, before[1])
	now, err := r.SetMaxWorkers(0, 6)
	require.NoError(t, err)
	require.Equal(t, [2]uint32{3, 5}, now)
	now, err = r.SetMaxWorkers(0, 0)
	require.NoError(t, err)
	require.Equal(t, [2]uint32{3, 6}, now)
	_, err = r.SetMaxWorkers(before[0], before[1])
	require.NoError(t, err)
}

func TestEventfd(t *testing.T) {
	testkit.NeedKernel(t, 5, 2, "EVENTFD")
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 4, Params{Flags: s.flags})
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
		require.NoError(t, err)
		defer func() { require.NoError(t, unix.Close(fd)) }()
		signals := func() uint64 {
			var b [8]byte
			if _, err := unix.Read(fd, b[:]); err != nil {
				require.ErrorIs(t, err, syscall.EAGAIN)
				return 0
			}
			return binary.NativeEndian.Uint64(b[:])
		}

		require.ErrorIs(t, r.UnregisterEventfd(), syscall.ENXIO)
		require.NoError(t, r.RegisterEventfd(fd))
		require.ErrorIs(t, r.RegisterEventfd(fd), syscall.EBUSY)
		require.True(t, r.CQ().EventfdEnabled())
		for i := range uint64(3) {
			nop(t, r, i)
		}
		_, err = r.SubmitAndWait(3, hang)
		require.NoError(t, err)
		testkit.Eventually(t, func() bool { return signals() > 0 }, "the signal")
		require.Equal(t, 3, r.CQ().Reap(make([]CQE, 4)))

		testkit.NeedKernel(t, 5, 8, "EVENTFD_DISABLED")
		signals()
		r.CQ().SetEventfd(false)
		require.False(t, r.CQ().EventfdEnabled())
		roundTrip(t, r)
		require.Zero(t, signals())
		r.CQ().SetEventfd(true)
		roundTrip(t, r)
		testkit.Eventually(t, func() bool { return signals() > 0 }, "the signal")

		require.NoError(t, r.UnregisterEventfd())
		roundTrip(t, r)
		require.Zero(t, signals())
	})
}

// TestMessageWakesTheWaiting posts from a goroutine without a ring.
func TestMessageWakesTheWaiting(t *testing.T) {
	testkit.NeedKernel(t, 6, 13, "SEND_MSG_RING")
	forShapes(t, func(t *testing.T, s shape) {
		r := newRing(t, 1, Params{Flags: s.flags})
		for i := range uint64(20) {
			sent := make(chan error)
			ringFd := r.Fd()
			go func() {
				if i%2 == 0 {
					time.Sleep(200 * time.Microsecond) // most likely asleep by then
				}
				sent <- SendMsgRing(ringFd, i, uint32(i)+100)
			}()
			for {
				_, errno := r.Enter(0, 1, IORING_ENTER_GETEVENTS)
				if errno != syscall.EINTR {
					require.Zero(t, errno)
					break
				}
			}
			require.NoError(t, <-sent)
			cqe, ok := r.CQ().Peek()
			require.True(t, ok)
			require.Equal(t, i, cqe.UserData)
			require.Equal(t, int32(i)+100, cqe.Res)
			require.Equal(t, 1, r.CQ().Reap(make([]CQE, 1)))
		}
	})
}

func TestMessageToNoRing(t *testing.T) {
	testkit.NeedKernel(t, 6, 13, "SEND_MSG_RING")
	needRing(t)
	require.ErrorIs(t, SendMsgRing(-1, 0, 0), syscall.EBADF)
	near, _ := socketPair(t)
	require.ErrorIs(t, SendMsgRing(near, 0, 0), syscall.EBADFD)
	r := newRing(t, 1, Params{Flags: IORING_SETUP_R_DISABLED})
	require.ErrorIs(t, SendMsgRing(r.Fd(), 0, 0), syscall.EBADFD, "not enabled")
}

// TestClosedRingRegistersNothing: the kernel takes the number -1 for a call
// without a ring, and answered.
func TestClosedRingRegistersNothing(t *testing.T) {
	needRing(t)
	r, err := New(1, nil)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	for op := range IORING_REGISTER_LAST {
		_, err := r.Register(op, nil, 0)
		require.ErrorIs(t, err, syscall.EBADF, "%v", op)
	}
	_, err = r.Probe()
	require.ErrorIs(t, err, syscall.EBADF)
}

func TestRegistrationFailsByName(t *testing.T) {
	r := newRing(t, 1, Params{})
	_, err := r.Register(IORING_REGISTER_LAST, nil, 0)
	require.EqualError(t, err, "io_uring_register(REGISTER(38)): invalid argument")
}
