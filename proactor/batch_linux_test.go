package proactor_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// numbered returns reads of a file's bytes, one each, and where they go.
func numbered(t *testing.T, n int) ([]proactor.ReadAt, [][1]byte) {
	t.Helper()
	f := tempFile(t)
	content := make([]byte, n)
	for i := range content {
		content[i] = byte(i)
	}
	_, err := f.Write(content)
	require.NoError(t, err)
	ops, bufs := make([]proactor.ReadAt, n), make([][1]byte, n)
	for i := range ops {
		ops[i] = proactor.ReadAt{FD: int(f.Fd()), Buf: bufs[i][:], Offset: int64(i)}
	}
	return ops, bufs
}

func TestDoAll(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ops, bufs := numbered(t, 300)
		ops[7].FD, ops[100].FD = badFD, badFD
		outcomes, err := proactor.DoAll(t.Context(), rt, ops...)
		requireErrno(t, err, "read", syscall.EBADF)
		require.ErrorContains(t, err, "operation 8 of 300")
		require.Len(t, outcomes, 300)
		for i, o := range outcomes {
			if i == 7 || i == 100 {
				requireErrno(t, o.Err, "read", syscall.EBADF)
				continue
			}
			require.NoError(t, o.Err)
			require.Equal(t, 1, o.Value)
			require.Equal(t, byte(i), bufs[i][0])
		}

		outcomes, err = proactor.DoAll(t.Context(), rt, ops[:0]...)
		require.NoError(t, err)
		require.Empty(t, outcomes)

		ops[3].Offset = -1
		before := rt.Stats().Submitted
		_, err = proactor.DoAll(t.Context(), rt, ops...)
		require.ErrorIs(t, err, syscall.EINVAL)
		require.ErrorContains(t, err, "operation 4 of 300")
		require.Equal(t, before, rt.Stats().Submitted, "none has been submitted")
	})
}

// A batch that fits is one system call, and goes to one ring.
func TestDoAllIsOneSystemCall(t *testing.T) {
	for range 5 { // the goroutine of the driver may look, too
		rt := open(t, proactor.Config{Shards: 2})
		ops := make([]proactor.Nop, 100)
		before := rt.Stats()
		_, err := proactor.DoAll(t.Context(), rt, ops...)
		require.NoError(t, err)
		s := rt.Stats()
		require.EqualValues(t, 100, s.Submitted-before.Submitted)
		if s.SystemCalls()-before.SystemCalls() == 1 {
			return
		}
	}
	t.Error("several system calls for one batch")
}

// What cannot end by itself ends with the context: those under way and those not
// yet submitted.
func TestDoAllContext(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, 20*time.Second)
		_, b := socketpair(t)
		ops := make([]proactor.Recv, 50)
		for i := range ops {
			ops[i] = proactor.Recv{FD: b, Buf: make([]byte, 1)}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		go func() {
			for rt.Stats().InFlight == 0 {
				runtime.Gosched()
			}
			cancel(cause)
		}()
		outcomes, err := proactor.DoAll(ctx, rt, ops...)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, cause)
		for _, o := range outcomes {
			require.ErrorIs(t, o.Err, cause)
		}
		require.Zero(t, rt.Stats().InFlight)
		_, err = proactor.SubmitAll(ctx, rt, ops...)
		require.ErrorIs(t, err, cause)
	})
}

func TestBatch(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, 20*time.Second)
		const n = 40
		a, b := socketpair(t)
		ops := make([]proactor.Recv, n)
		for i := range ops {
			ops[i] = proactor.Recv{FD: b, Buf: make([]byte, 1)}
		}
		batch, err := proactor.SubmitAll(t.Context(), rt, ops...)
		require.NoError(t, err)
		require.Equal(t, n, batch.Len())
		_, err = syscall.Write(a, []byte("0123456789"))
		require.NoError(t, err)
		seen := map[int]bool{}
		for i, c := range batch.Completed(t.Context()) {
			require.False(t, seen[i])
			seen[i] = true
			require.Same(t, batch.At(i), c)
			v, err := c.Result()
			require.NoError(t, err)
			require.Equal(t, 1, v)
			if len(seen) == 10 {
				break
			}
		}
		_, err = syscall.Write(a, []byte("abc"))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := 0
		for i, c := range batch.Completed(ctx) {
			require.False(t, seen[i])
			seen[i] = true
			if len(seen) == 13 {
				cancel()
			}
			if _, err := c.Result(); err != nil {
				require.ErrorIs(t, err, context.Canceled)
				ended++
			}
		}
		require.Len(t, seen, n, "all come, in the end")
		require.Equal(t, n-13, ended)
		for range batch.Completed(t.Context()) {
			t.Error("twice")
		}
		outcomes, err := batch.Wait(t.Context())
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, outcomes, n)

		batch, err = proactor.SubmitAll(t.Context(), rt, ops...)
		require.NoError(t, err)
		batch.Cancel()
		_, err = batch.Wait(t.Context())
		require.ErrorIs(t, err, proactor.ErrCanceled)
		batch, err = proactor.SubmitAll(t.Context(), rt, ops...)
		require.NoError(t, err)
		batch.Abandon()
		_, err = batch.Wait(t.Context())
		require.ErrorIs(t, err, os.ErrInvalid)

		bad := []proactor.ReadAt{{FD: b, Offset: 0}, {FD: b, Offset: -1}}
		_, err = proactor.SubmitAll(t.Context(), rt, bad...)
		require.ErrorContains(t, err, "operation 2 of 2")
		none, err := proactor.SubmitAll(t.Context(), rt, ops[:0]...)
		require.NoError(t, err)
		require.Zero(t, none.Len())
	})
}
