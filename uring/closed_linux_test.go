package uring

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestClosedRing calls everything on a ring that was closed: it fails, and
// nothing crashes or goes to somebody else's descriptor.
func TestClosedRing(t *testing.T) {
	needRing(t)
	forShapes(t, func(t *testing.T, s shape) {
		r, err := New(4, &Params{Flags: s.flags})
		require.NoError(t, err)
		sq, cq := r.SQ(), r.CQ()
		nop(t, r, 1)
		require.NoError(t, r.Close())
		require.Equal(t, -1, r.Fd())
		require.Equal(t, s.flags, r.Flags(), "what it was")

		for name, call := range map[string]func() error{
			"Submit":        func() error { _, err := r.Submit(); return err },
			"SubmitAndWait": func() error { _, err := r.SubmitAndWait(1, time.Second); return err },
			"Resize":        func() error { return r.Resize(8, 0) },
			"Probe":         func() error { _, err := r.Probe(); return err },
			"Enable":        r.Enable,
			"Eventfd":       func() error { return r.RegisterEventfd(0) },
			"RingFd":        r.RegisterRingFd,
			"CloseFd":       r.CloseFd,
			"SyncCancel":    func() error { _, err := r.SyncCancel(CancelTarget{}, 0); return err },
			"Region":        func() error { _, err := r.NewRegion(1, 0); return err },
			"Clock":         func() error { return r.SetClock(CLOCK_BOOTTIME) },
			"BufRing":       func() error { _, err := NewBufRing(r, 1, 2, 8); return err },
		} {
			require.ErrorIs(t, call(), os.ErrClosed, name)
		}
		for name, call := range map[string]func() syscall.Errno{
			"Enter":          func() syscall.Errno { _, errno := r.Enter(1, 1, IORING_ENTER_GETEVENTS); return errno },
			"EnterNow":       func() syscall.Errno { _, errno := r.EnterNow(1, 0); return errno },
			"EnterTimeout":   func() syscall.Errno { _, errno := r.EnterTimeout(0, 1, IORING_ENTER_GETEVENTS, 0); return errno },
			"EnterWait":      func() syscall.Errno { _, errno := r.EnterWait(0, 1, 0, new(Wait)); return errno },
			"EnterWait(nil)": func() syscall.Errno { _, errno := r.EnterWait(0, 1, 0, nil); return errno },
		} {
			require.Equal(t, syscall.EBADF, call(), name)
		}
		require.Nil(t, sq.Next())
		require.Zero(t, sq.Entries()+sq.Space()+sq.Pending()+sq.Flush()+sq.Dropped()+uint32(sq.Flags()))
		if wide, err := r.SQ128(); err == nil {
			require.Nil(t, wide.Next())
		}
		require.Zero(t, cq.Entries()+cq.Ready()+cq.Overflow())
		require.Zero(t, cq.Reap(make([]CQE, 4))+cq.Reap32(make([]CQE32, 4)))
		_, ok := cq.Peek()
		require.False(t, ok)
		_, ok = cq.Peek32()
		require.False(t, ok)
		for cqe := range cq.All() {
			t.Fatal(cqe)
		}
		for cqe := range cq.All32() {
			t.Fatal(cqe)
		}
		cq.SetEventfd(false)
		require.True(t, cq.EventfdEnabled())
		require.False(t, cq.Nonempty())
	})
}

// TestRingClosedWhileItsCompletionsAreRead ends the loop.
func TestRingClosedWhileItsCompletionsAreRead(t *testing.T) {
	needRing(t)
	forShapes(t, func(t *testing.T, s shape) {
		r, err := New(4, &Params{Flags: s.flags})
		require.NoError(t, err)
		for i := range uint64(3) {
			nop(t, r, i)
		}
		_, err = r.SubmitAndWait(3, hang)
		require.NoError(t, err)
		seen := 0
		for range r.CQ().All() {
			seen++
			require.NoError(t, r.Close())
		}
		require.Equal(t, 1, seen)
	})
}
