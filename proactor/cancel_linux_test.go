package proactor_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// The error of what a context ends is that of the context and its cause, for
// everybody who waits, and who cancels first says why.
func TestCauses(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		_, b := socketpair(t)
		recv := proactor.Recv{FD: b, Buf: make([]byte, 1)}
		mine := errors.New("mine")
		ctx, cancel := context.WithCancelCause(t.Context())
		c, err := proactor.Submit(t.Context(), rt, recv)
		require.NoError(t, err)
		other := make(chan error)
		go func() {
			_, err := c.Result() // its own context does not end
			other <- err
		}()
		cancel(mine)
		_, err = c.Wait(ctx)
		require.ErrorIs(t, err, mine)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, err, <-other)
		_, again := c.Wait(t.Context())
		require.Equal(t, err, again)

		_, err = proactor.Do(ctx, rt, recv)
		require.ErrorIs(t, err, mine)
		_, err = proactor.Submit(ctx, rt, recv)
		require.ErrorIs(t, err, mine)

		late, cancelLate := context.WithTimeoutCause(t.Context(), time.Millisecond, mine)
		defer cancelLate()
		_, err = proactor.Do(late, rt, recv)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, mine)
		var timeout interface{ Timeout() bool }
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())

		plain, cancelPlain := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancelPlain()
		_, err = proactor.Do(plain, rt, recv)
		require.Equal(t, context.DeadlineExceeded, err)

		c, err = proactor.Submit(t.Context(), rt, recv)
		require.NoError(t, err)
		require.True(t, c.Cancel())
		require.False(t, c.Cancel(), "it has been cancelled before")
		_, err = c.Wait(ctx)
		require.Equal(t, proactor.ErrCanceled, err)
	})
}

// What is forgotten while it is under way, or when it is complete, leaves no
// descriptor behind.
func TestForgotten(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l, addr := listener(t)
		before := len(testkit.Fds(t))
		forget := func() {
			for range 10 {
				open, err := proactor.Submit(t.Context(), rt, proactor.Open{Path: os.DevNull})
				require.NoError(t, err)
				<-open.Done()
				_, err = proactor.Submit(t.Context(), rt, proactor.Accept{FD: l})
				require.NoError(t, err)
			}
		}
		forget()
		testkit.Eventually(t, func() bool {
			runtime.GC()
			return rt.Stats().InFlight == 0 && len(testkit.Fds(t)) == before
		}, "descriptors or operations are left")
		// Nobody has taken the connection that comes now.
		client := dial(t, addr)
		fds(t, client)
		conn := do(t, rt, proactor.Accept{FD: l})
		require.NoError(t, syscall.Close(conn.FD))
	})
}

// A write that nobody waits for is done all the same.
func TestForgottenWrite(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		r, w := pipe(t)
		full := make([]byte, 1<<16)
		n := do(t, rt, proactor.Write{FD: w, Buf: full})
		require.Equal(t, 1<<16, n)
		func() {
			_, err := proactor.Submit(t.Context(), rt, proactor.Write{FD: w, Buf: []byte("late")})
			require.NoError(t, err)
		}()
		for range 3 {
			runtime.GC()
		}
		require.Equal(t, 1<<16, do(t, rt, proactor.Read{FD: r, Buf: full}))
		require.Equal(t, 4, do(t, rt, proactor.Read{FD: r, Buf: full}))
	})
}

// tryCancel does an operation while another goroutine cancels it, and returns
// whether it was done all the same.
func tryCancel[T any, O proactor.Operation[T]](t *testing.T, rt *proactor.Runtime, op O) (T, bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	spin := rand.IntN(4)
	wg.Go(func() {
		for range spin {
			runtime.Gosched()
		}
		cancel()
	})
	v, err := proactor.Do(ctx, rt, op)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("%T: %v", op, err)
	}
	return v, err == nil
}

// A cancellation races with each kind of operation: one that cannot be
// cancelled, one that runs in a worker, one that waits for a clock, a descriptor
// or a message. Either it is done, and the result is right, or it is not done.
func TestCancelRaces(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		rounds := 100
		if testing.Short() {
			rounds = 20
		}
		before := len(testkit.Fds(t))
		dir := t.TempDir()
		f := tempFile(t)
		_, err := f.WriteString("0123456789")
		require.NoError(t, err)
		fd := int(f.Fd())
		a, b := socketpair(t)
		words := make([]uint32, 1)
		buf := make([]byte, 16)
		for i := range rounds {
			tryCancel(t, rt, proactor.Nop{})
			if n, done := tryCancel(t, rt, proactor.ReadAt{FD: fd, Buf: buf}); done {
				require.Equal(t, "0123456789", string(buf[:n]))
			}
			tryCancel(t, rt, proactor.Fsync{FD: fd})
			if fd, done := tryCancel(t, rt, proactor.Open{Path: f.Name()}); done {
				require.NoError(t, syscall.Close(fd))
			}
			name := filepath.Join(dir, "d")
			_, done := tryCancel(t, rt, proactor.Mkdir{Path: name, Perm: 0o700})
			require.Equal(t, done, os.Remove(name) == nil)
			tryCancel(t, rt, proactor.Timeout{After: time.Duration(i) * time.Microsecond})
			tryCancel(t, rt, proactor.Poll{FD: b, Events: 1})
			tryCancel(t, rt, proactor.FutexWait{Word: &words[0]})
			if n, done := tryCancel(t, rt, proactor.Send{FD: a, Buf: []byte("x")}); done {
				require.Equal(t, 1, n)
				m := do(t, rt, proactor.RecvMsg{FD: b, Bufs: [][]byte{buf}})
				require.Equal(t, 1, m.N)
			}
			_, done = tryCancel(t, rt, proactor.Recv{FD: b, Buf: buf})
			require.False(t, done, "there is nothing to receive")
			if p, done := tryCancel(t, rt, proactor.Pipe{}); done {
				require.NoError(t, syscall.Close(p.Read))
				require.NoError(t, syscall.Close(p.Write))
			}
		}
		require.Len(t, testkit.Fds(t), before+3)
	})
}

// Ten thousand operations are under way at once, in a queue of any size, and
// every one of them ends once.
func TestTenThousand(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		const n = 10_000
		a, b := socketpair(t)
		ops, bufs := make([]proactor.Recv, n), make([]byte, n)
		for i := range ops {
			ops[i] = proactor.Recv{FD: b, Buf: bufs[i : i+1]}
		}
		batch, err := proactor.SubmitAll(t.Context(), rt, ops...)
		require.NoError(t, err)
		require.EqualValues(t, n, rt.Stats().InFlight)
		sent := make([]byte, n/2)
		for i := range sent {
			sent[i] = 1
		}
		for i := 0; i < len(sent); {
			m, err := syscall.Write(a, sent[i:])
			require.NoError(t, err)
			i += m
		}
		got := 0
		for i, c := range batch.Completed(t.Context()) {
			v, err := c.Result()
			if err == nil {
				require.Equal(t, 1, v)
				require.EqualValues(t, 1, bufs[i])
				if got++; got == len(sent) {
					batch.Cancel()
				}
				continue
			}
			require.ErrorIs(t, err, proactor.ErrCanceled)
		}
		require.Equal(t, len(sent), got)
		require.Zero(t, rt.Stats().InFlight)
	})
}

// A runtime that is shut down while everybody uses it ends them all, with
// results or with ErrClosed.
func TestShutdownUnderLoad(t *testing.T) {
	for name, cfg := range configs() {
		t.Run(name, func(t *testing.T) {
			testkit.Watchdog(t, time.Minute)
			rt := open(t, cfg)
			f := tempFile(t)
			a, b := socketpair(t)
			_ = a
			var wg sync.WaitGroup
			loop := func(do func() error) {
				wg.Go(func() {
					for {
						if err := do(); err != nil {
							if !errors.Is(err, proactor.ErrClosed) {
								t.Error(err)
							}
							return
						}
					}
				})
			}
			for range 8 {
				buf := make([]byte, 8)
				loop(func() error { return discard(rt, proactor.Nop{})(t.Context()) })
				loop(func() error { return discard(rt, proactor.WriteAt{FD: int(f.Fd()), Buf: buf})(t.Context()) })
				loop(func() error { return discard(rt, proactor.Recv{FD: b, Buf: buf})(t.Context()) })
				loop(func() error {
					_, err := proactor.DoAll(t.Context(), rt, make([]proactor.Nop, 10)...)
					return err
				})
				loop(func() error {
					c, err := proactor.Submit(t.Context(), rt, proactor.Timeout{After: time.Millisecond})
					if err != nil {
						return err
					}
					_, err = c.Result()
					return err
				})
			}
			testkit.Eventually(t, func() bool { return rt.Stats().Finished > 1000 }, "nothing goes on")
			require.NoError(t, rt.Close())
			wg.Wait()
			require.Zero(t, rt.Stats().InFlight)
		})
	}
}
