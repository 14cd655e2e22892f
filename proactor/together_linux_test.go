package proactor_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// A zero-copy send completes twice. A chain goes on after the first, and ends
// there if that is a failure, whatever the second says.
func TestChainOfZeroCopySends(t *testing.T) {
	testkit.NeedKernel(t, 6, 2, "SEND_ZC with a report")
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := tcpPair(t)
		file := tempFile(t)
		write := proactor.WriteAt{FD: int(file.Fd()), Buf: []byte("sent")}

		c := proactor.NewChain()
		sent := proactor.Then(c, proactor.SendZC{FD: a, Buf: []byte("hello")})
		wrote := proactor.Then(c, write)
		require.NoError(t, c.Do(t.Context(), rt))
		n, err := sent.Result()
		require.NoError(t, err)
		require.Equal(t, 5, n.N)
		_, err = wrote.Result()
		require.NoError(t, err)
		buf := make([]byte, 10)
		got, err := syscall.Read(b, buf)
		require.NoError(t, err)
		require.Equal(t, "hello", string(buf[:got]))

		require.NoError(t, file.Truncate(0))
		require.NoError(t, syscall.Shutdown(a, syscall.SHUT_WR))
		c = proactor.NewChain()
		sent = proactor.Then(c, proactor.SendZC{FD: a, Buf: []byte("hello")})
		wrote = proactor.Then(c, write)
		require.ErrorIs(t, c.Do(t.Context(), rt), syscall.EPIPE)
		_, err = sent.Result()
		require.ErrorIs(t, err, syscall.EPIPE)
		_, err = wrote.Result()
		require.ErrorIs(t, err, proactor.ErrChainBroken)
		info, err := file.Stat()
		require.NoError(t, err)
		require.Zero(t, info.Size(), "written behind a send that failed")
		require.Zero(t, rt.Stats().Resubmitted)
	})
}

// What a member yields that is no single descriptor is let go of as well.
func TestChainAbandonedWithAPipe(t *testing.T) {
	testkit.NeedKernel(t, 6, 16, "PIPE")
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		r, _ := pipe(t)
		before := openFiles(t)
		for _, done := range []bool{false, true} {
			c := proactor.NewChain()
			made := proactor.Then(c, proactor.Pipe{})
			if !done {
				proactor.Then(c, proactor.Read{FD: r, Buf: make([]byte, 1)})
			}
			require.NoError(t, c.Submit(t.Context(), rt))
			if done {
				<-c.Done()
			}
			c.Abandon()
			<-c.Done()
			_, err := made.Result()
			require.Error(t, err)
			testkit.Eventually(t, func() bool { return openFiles(t) == before }, "the pipe is open")
		}
	})
}

// A result is made once, and everybody gets the same.
func TestChainResultTwice(t *testing.T) {
	rt := open(t, proactor.Config{})
	c := proactor.NewChain()
	calls := 0
	m := proactor.Then(c, counted{calls: &calls})
	require.NoError(t, c.Do(t.Context(), rt))
	for range 3 {
		n, err := m.Result()
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
}

// counted is an operation whose result is how often Result has been called.
type counted struct {
	proactor.Nop
	calls *int
}

func (o counted) Result(*proactor.Request, driver.Completion) (int, error) {
	*o.calls++
	return *o.calls, nil
}

// The reason for a chain's end is that of who ended it, for everybody.
func TestChainContextCause(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		r, _ := pipe(t)
		c := proactor.NewChain()
		m := proactor.Then(c, proactor.Read{FD: r, Buf: make([]byte, 1)})
		require.NoError(t, c.Submit(t.Context(), rt))
		why := errors.New("tired of it")
		ctx, cancel := context.WithCancelCause(t.Context())
		other := make(chan error)
		go func() { other <- c.Wait(context.Background()) }()
		time.AfterFunc(time.Millisecond, func() { cancel(why) })
		for _, err := range []error{c.Wait(ctx), <-other} {
			require.ErrorIs(t, err, why)
			require.ErrorIs(t, err, context.Canceled)
		}
		_, err := m.Result()
		require.ErrorIs(t, err, why)
	})
}

// Operations that are submitted together run where one of them is bound to.
func TestTogetherOnAShard(t *testing.T) {
	rt, other := open(t, proactor.Config{Shards: 3}), open(t, proactor.Config{})
	nops := func(at ...int) []proactor.Operation[struct{}] {
		var list []proactor.Operation[struct{}]
		for _, i := range at {
			var o proactor.Operation[struct{}] = proactor.Nop{}
			if i >= 0 {
				o = proactor.On(rt.Shard(i), o)
			}
			list = append(list, o)
		}
		return list
	}
	before := rt.Shard(2).Stats().Submitted
	_, err := proactor.DoAll(t.Context(), rt, nops(-1, 2, -1)...)
	require.NoError(t, err)
	require.EqualValues(t, 3, rt.Shard(2).Stats().Submitted-before)

	_, err = proactor.DoAll(t.Context(), rt, nops(1, -1, 2)...)
	require.ErrorContains(t, err, "shards 1 and 2")
	_, err = proactor.SubmitAll(t.Context(), rt, nops(1, -1, 2)...)
	require.ErrorContains(t, err, "shards 1 and 2")
	_, err = proactor.DoAll(t.Context(), other, nops(-1, 0)...)
	require.ErrorContains(t, err, "another Runtime")

	b, err := proactor.SubmitAll(t.Context(), rt, nops(-1, 0)...)
	require.NoError(t, err)
	_, err = b.Wait(t.Context())
	require.NoError(t, err)
}

// A Next whose context had ended before left the stream for armed although it
// was not, and so without an end.
func TestStreamAfterAContextThatHadEnded(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 { // which of two ways Next finds out is up to chance
			s := stream(t, rt, proactor.Ticks{Every: time.Millisecond}, 0)
			_, err := s.Next(ended)
			require.ErrorIs(t, err, context.Canceled)
			_, err = s.Next(limited(t))
			require.NoError(t, err)
			require.NoError(t, s.Close())

			s = stream(t, rt, proactor.Ticks{Every: time.Hour}, 0)
			_, err = s.Next(ended)
			require.ErrorIs(t, err, context.Canceled)
			require.NoError(t, s.Close())
		}
	})
}

// A stream of what the ring is not set up for is refused, and the error says what
// to do.
func TestStreamRefused(t *testing.T) {
	rt := open(t, proactor.Config{})
	if !rt.Backend().Ring.Restricted {
		return
	}
	_, err := proactor.OpenStream(rt, proactor.Multishot[int](waits{}), proactor.StreamConfig{})
	require.ErrorIs(t, err, syscall.EACCES)
	require.ErrorContains(t, err, "Config.Extra")
}

// waits is a stream by an operation that the library does not use.
type waits struct{ passing }

func (waits) Prepare(r *proactor.Request) error { return forbidden{}.Prepare(r) }
