package proactor_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

func TestChainWriteThenFsync(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f := tempFile(t)
		for i := range 20 {
			c := proactor.NewChain()
			wrote := proactor.Then(c, proactor.WriteAt{FD: int(f.Fd()), Buf: []byte("record"), Offset: int64(6 * i)})
			synced := proactor.Then(c, proactor.Fsync{FD: int(f.Fd()), DataOnly: true})
			_, err := wrote.Result()
			require.ErrorIs(t, err, os.ErrInvalid, "there is no result before the chain is done")
			require.NoError(t, c.Do(t.Context(), rt))
			n, err := wrote.Result()
			require.NoError(t, err)
			require.Equal(t, 6, n)
			_, err = synced.Result()
			require.NoError(t, err)
			require.ErrorIs(t, c.Do(t.Context(), rt), os.ErrInvalid, "a chain is submitted once")
		}
		info, err := f.Stat()
		require.NoError(t, err)
		require.EqualValues(t, 120, info.Size())
	})
}

// A failure, and a transfer that falls short, are what the members behind them
// report; hard links go on.
func TestChainBreaks(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c := proactor.NewChain()
		failed := proactor.Then(c, proactor.WriteAt{FD: -1, Buf: []byte("x")})
		after := proactor.Then(c, proactor.Nop{})
		err := c.Do(t.Context(), rt)
		require.ErrorIs(t, err, syscall.EBADF)
		require.NotErrorIs(t, err, proactor.ErrChainBroken)
		_, err = failed.Result()
		require.ErrorIs(t, err, syscall.EBADF)
		_, err = after.Result()
		require.ErrorIs(t, err, proactor.ErrChainBroken)
		require.ErrorIs(t, err, syscall.EBADF)
		var broken *proactor.ChainError
		require.ErrorAs(t, err, &broken)
		require.Equal(t, 1, broken.Member)
		require.Equal(t, 0, broken.Cause)
		require.Equal(t, "proactor: operation 1 of the chain (NOP) was not done because of operation 0 (WRITE): write: bad file descriptor",
			err.Error())

		f := tempFile(t)
		_, err = f.WriteString("short")
		require.NoError(t, err)
		c = proactor.NewChain()
		short := proactor.Then(c, proactor.ReadAt{FD: int(f.Fd()), Buf: make([]byte, 100)})
		after = proactor.Then(c, proactor.Nop{})
		require.ErrorIs(t, c.Do(t.Context(), rt), proactor.ErrChainBroken)
		n, err := short.Result()
		require.NoError(t, err)
		require.Equal(t, 5, n)
		_, err = after.Result()
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.ErrorContains(t, err, "moved only 5 bytes")

		c = proactor.NewChain()
		proactor.Then(c, proactor.WriteAt{FD: -1, Buf: []byte("x")})
		after = proactor.Always(c, proactor.Nop{})
		require.ErrorIs(t, c.Do(t.Context(), rt), syscall.EBADF)
		_, err = after.Result()
		require.NoError(t, err)
	})
}

// An entry that the kernel refuses keeps the whole chain from being done, also
// what is in front of it.
func TestChainWithARefusedEntry(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c := proactor.NewChain()
		first := proactor.Then(c, proactor.Nop{})
		proactor.Then(c, malformed{})
		require.ErrorIs(t, c.Do(t.Context(), rt), syscall.EINVAL)
		_, err := first.Result()
		require.ErrorIs(t, err, proactor.ErrChainBroken)
		require.ErrorIs(t, err, syscall.EINVAL)
	})
}

// What a Runtime is not set up for is not even submitted.
func TestChainWithAForbiddenOperation(t *testing.T) {
	for name, cfg := range configs() {
		t.Run(name, func(t *testing.T) {
			rt := open(t, cfg)
			if !rt.Backend().Ring.Restricted {
				return
			}
			c := proactor.NewChain()
			proactor.Then(c, proactor.Nop{})
			proactor.Then(c, forbidden{})
			err := c.Do(t.Context(), rt)
			require.ErrorIs(t, err, syscall.EACCES)
			require.ErrorContains(t, err, "operation 2 of 2")
			require.ErrorContains(t, err, "Config.Extra")
			require.Zero(t, rt.Stats().Submitted)
		})
	}
}

// malformed is an operation whose entry the kernel does not take.
type malformed struct{ forbidden }

func (malformed) Prepare(r *proactor.Request) error {
	r.SQE.PrepFsync(0, 0)
	r.SQE.Addr = 1
	return nil
}

// forbidden is an operation that the library does not use.
type forbidden struct{}

func (forbidden) Prepare(r *proactor.Request) error {
	r.SQE.Opcode = uring.IORING_OP_EPOLL_WAIT
	return nil
}

func (forbidden) Result(*proactor.Request, driver.Completion) (int, error) { return 0, nil }

func TestChainTooLong(t *testing.T) {
	rt := open(t, proactor.Config{SQEntries: 4, CQEntries: 8})
	build := func(n int) *proactor.Chain {
		c := proactor.NewChain()
		for range n {
			proactor.Then(c, proactor.Nop{})
		}
		return c
	}
	require.NoError(t, build(4).Do(t.Context(), rt))
	err := build(5).Do(t.Context(), rt)
	require.ErrorIs(t, err, proactor.ErrChainTooLong)
	require.ErrorContains(t, err, "takes 5 entries, at most 4 fit")
	require.ErrorIs(t, build(4).Within(time.Second).Submit(t.Context(), rt), proactor.ErrChainTooLong)
	require.ErrorIs(t, build(0).Do(t.Context(), rt), os.ErrInvalid)
	require.ErrorIs(t, build(0).Within(time.Second).Do(t.Context(), rt), os.ErrInvalid)
}

// An operation that takes too long is ended, one that does not is not, and the
// members behind it say why they were not done.
func TestChainWithin(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		r, w := pipe(t)
		c := proactor.NewChain()
		read := proactor.Then(c, proactor.Read{FD: r, Buf: make([]byte, 1)})
		c.Within(5 * time.Millisecond)
		start := time.Now()
		err := c.Do(t.Context(), rt)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.ErrorContains(t, err, "took longer than 5ms")
		require.GreaterOrEqual(t, time.Since(start), 5*time.Millisecond)
		_, err = read.Result()
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		_, err = syscall.Write(w, []byte("12"))
		require.NoError(t, err)
		c = proactor.NewChain()
		read = proactor.Then(c, proactor.Read{FD: r, Buf: make([]byte, 1)})
		c.Within(time.Hour)
		require.NoError(t, c.Do(t.Context(), rt))
		n, err := read.Result()
		require.NoError(t, err)
		require.Equal(t, 1, n)

		if rt.Shard(0).Driver().MaxChain() < 4 {
			return
		}
		for _, link := range []func(*proactor.Chain, proactor.Operation[struct{}]) *proactor.Member[struct{}]{
			proactor.Then[struct{}], proactor.Always[struct{}],
		} {
			c = proactor.NewChain()
			proactor.Then(c, proactor.Read{FD: r, Buf: make([]byte, 1)})
			c.Within(time.Hour)
			proactor.Then(c, proactor.Poll{FD: r, Events: 1})
			c.Within(5 * time.Millisecond)
			_, err = syscall.Write(w, []byte("3"))
			require.NoError(t, err)
			_, err = syscall.Read(r, make([]byte, 1)) // leaves one byte for the chain
			require.NoError(t, err)
			last := link(c, proactor.Nop{})
			require.ErrorIs(t, c.Do(t.Context(), rt), os.ErrDeadlineExceeded)
			_, err = last.Result()
			if err != nil {
				require.ErrorIs(t, err, proactor.ErrChainBroken)
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			}
			_, err = syscall.Write(w, []byte("4"))
			require.NoError(t, err)
		}
	})
}

// connectTo is an operation of the test's own.
type connectTo struct {
	fd, port int
}

func (o connectTo) Prepare(r *proactor.Request) error {
	sa := new(sys.Sockaddr)
	if err := sa.SetIP(sys.INET, net.IPv4(127, 0, 0, 1), o.port, ""); err != nil {
		return err
	}
	r.Keep, r.Waits = sa, true
	sys.PrepConnect(&r.SQE, o.fd, sa)
	return nil
}

func (o connectTo) Result(*proactor.Request, driver.Completion) (struct{}, error) {
	return struct{}{}, nil
}

// Connecting to a listener that takes no more connections ends in time.
func TestChainConnectWithTimeout(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		l, addr := listener(t)
		require.NoError(t, syscall.Listen(l, 0))
		connect := func(within time.Duration) error {
			fd, err := sys.StreamSocket(sys.INET)
			require.NoError(t, err)
			fds(t, fd)
			c := proactor.NewChain()
			proactor.Then(c, connectTo{fd, addr.Port})
			return c.Within(within).Do(t.Context(), rt)
		}
		var err error
		for range 4 { // until its queue is full
			if err = connect(100 * time.Millisecond); err != nil {
				break
			}
		}
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	})
}

// What comes after a pause is linked to it by Always.
func TestChainWithAPause(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, hard := range []bool{false, true} {
			c := proactor.NewChain()
			paused := proactor.Then(c, proactor.Timeout{After: time.Millisecond})
			then := proactor.Then[struct{}]
			if hard {
				then = proactor.Always[struct{}]
			}
			after := then(c, proactor.Nop{})
			err := c.Do(t.Context(), rt)
			if hard {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, uring.ETIME)
			}
			_, err = paused.Result()
			require.NoError(t, err)
			_, err = after.Result()
			require.Equal(t, hard, err == nil)
		}
	})
}

// The context's end ends the member that waits, and what was done before it
// keeps its result.
func TestChainContext(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		_, w := pipe(t)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		c := proactor.NewChain()
		first := proactor.Then(c, proactor.Write{FD: w, Buf: []byte("1")})
		empty, _ := pipe(t)
		second := proactor.Then(c, proactor.Read{FD: empty, Buf: make([]byte, 1)})
		require.ErrorIs(t, c.Do(ctx, rt), context.DeadlineExceeded)
		n, err := first.Result()
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, err = second.Result()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestChainCancel(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		r, _ := pipe(t)
		for _, hard := range []bool{false, true} {
			c := proactor.NewChain()
			proactor.Then(c, proactor.Read{FD: r, Buf: make([]byte, 1)})
			last := proactor.Then[int]
			if hard {
				last = proactor.Always[int]
			}
			m := last(c, proactor.Read{FD: r, Buf: make([]byte, 1)})
			require.NoError(t, c.Submit(t.Context(), rt))
			c.Cancel()
			<-c.Done()
			require.ErrorIs(t, c.Wait(t.Context()), proactor.ErrCanceled)
			_, err := m.Result()
			require.ErrorIs(t, err, proactor.ErrCanceled)
		}
	})
}

// A descriptor that an abandoned chain has opened is closed, before and after
// the chain is done, unless its result was taken.
func TestChainAbandoned(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		r, _ := pipe(t)
		path := filepath.Join(t.TempDir(), "x")
		before := openFiles(t)
		for i := range 3 {
			c := proactor.NewChain()
			opened := proactor.Then(c, proactor.Open{Path: path, Flag: os.O_RDWR | os.O_CREATE, Perm: 0o600})
			if i == 0 {
				proactor.Then(c, proactor.Read{FD: r, Buf: make([]byte, 1)})
			}
			require.NoError(t, c.Submit(t.Context(), rt))
			if i > 0 {
				<-c.Done()
			}
			fd := -1
			if i == 2 {
				var err error
				fd, err = opened.Result()
				require.NoError(t, err)
			}
			c.Abandon()
			c.Abandon()
			<-c.Done()
			switch i {
			case 1:
				_, err := opened.Result()
				require.ErrorIs(t, err, os.ErrInvalid)
			case 2:
				require.NoError(t, syscall.Close(fd))
			}
		}
		testkit.Eventually(t, func() bool { return openFiles(t) == before }, "a descriptor is left open")
	})
}

func openFiles(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}

func TestChainAndShutdown(t *testing.T) {
	rt, err := proactor.New(proactor.Config{})
	require.NoError(t, err)
	if !rt.HasRing() {
		testkit.Skip(t, "no ring here: %v", rt.Backend().Reason)
	}
	r, _ := pipe(t)
	c := proactor.NewChain()
	proactor.Then(c, proactor.Read{FD: r, Buf: make([]byte, 1)})
	proactor.Then(c, proactor.Nop{})
	require.NoError(t, c.Submit(t.Context(), rt))
	require.NoError(t, rt.Close())
	require.ErrorIs(t, c.Wait(t.Context()), proactor.ErrClosed)

	c = proactor.NewChain()
	proactor.Then(c, proactor.Nop{})
	require.ErrorIs(t, c.Do(t.Context(), rt), proactor.ErrClosed)

	std, err := proactor.New(proactor.Config{Mode: proactor.ModeStd})
	require.NoError(t, err)
	c = proactor.NewChain()
	proactor.Then(c, proactor.Nop{})
	require.ErrorIs(t, c.Do(t.Context(), std), proactor.ErrNoRing)
}

// A chain whose operations cannot be prepared, or have to run in two places, is
// refused.
func TestChainRefused(t *testing.T) {
	rt, other := open(t, proactor.Config{Shards: 2}), open(t, proactor.Config{})
	c := proactor.NewChain()
	c.Cancel()
	c.Abandon()
	require.ErrorIs(t, c.Wait(t.Context()), os.ErrInvalid)

	c = proactor.NewChain()
	proactor.Then(c, proactor.Nop{})
	proactor.Then(c, proactor.ReadAt{Offset: -1})
	err := c.Do(t.Context(), rt)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.ErrorContains(t, err, "operation 1 of the chain")

	c = proactor.NewChain()
	proactor.Then(c, proactor.On(rt.Shard(0), proactor.Nop{}))
	proactor.Then(c, proactor.On(rt.Shard(1), proactor.Nop{}))
	require.ErrorContains(t, c.Do(t.Context(), rt), "runs on one shard")

	c = proactor.NewChain()
	proactor.Then(c, proactor.On(other.Shard(0), proactor.Nop{}))
	require.ErrorContains(t, c.Do(t.Context(), rt), "another Runtime")
	require.False(t, errors.Is(c.Do(t.Context(), other), os.ErrInvalid))
}
