package proactor_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// Chains, batches, streams, direct files, arenas and zero-copy sends at the same
// time on several small rings, with contexts that end, some of it abandoned, and
// the Runtime closed in the middle: everything ends, with a
// result or a reason, and no descriptor is left.
func TestEverythingAtOnce(t *testing.T) {
	testkit.Watchdog(t, 2*time.Minute)
	open(t, proactor.Config{}) // or else skip
	before := len(testkit.Fds(t))
	f := tempFile(t)
	require.NoError(t, f.Truncate(1<<16))
	var done [4]atomic.Int64 // how often each of the acts has succeeded
	for round := range uint64(8) {
		rt, err := proactor.New(proactor.Config{
			Mode: proactor.ModeRing, Shards: 3, SQEntries: 8, CQEntries: 16, DirectFiles: 8, Arenas: 2, Extra: proactor.AllOps(),
		})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for lane := range uint64(12) {
			rng := rand.New(rand.NewPCG(round, lane))
			crowd := &crowd{t: t, rt: rt, rng: rng, file: f, shard: rt.Shard(int(lane) % 3)}
			acts := []func(context.Context) error{crowd.chain, crowd.batch, crowd.stream, crowd.block}
			wg.Go(func() {
				for i := 0; ; i++ {
					act := (int(lane) + i) % len(acts)
					limit := 4 * time.Millisecond
					if act == 2 {
						limit *= 10 // it is many operations
					}
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(int(limit))))
					err := acts[act](ctx)
					cancel()
					if err == nil {
						done[act].Inc()
					}
					if errors.Is(err, proactor.ErrClosed) {
						return
					}
					if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, proactor.ErrNoSlot) && !errors.Is(err, context.Canceled) {
						t.Errorf("round %d, lane %d: %v", round, lane, err)
						return
					}
				}
			})
		}
		time.Sleep(time.Duration(20+round*5) * time.Millisecond)
		require.NoError(t, rt.Close())
		wg.Wait()
		require.Zero(t, rt.Stats().InFlight)
		require.Zero(t, rt.Stats().Stale)
	}
	for act := range done {
		require.Positive(t, done[act].Load(), "act %d never had the time", act)
	}
	testkit.Eventually(t, func() bool {
		runtime.GC()
		return len(testkit.Fds(t)) == before+1 // the file
	}, "descriptors are left")
}

type crowd struct {
	t     *testing.T
	rt    *proactor.Runtime
	rng   *rand.Rand
	file  *os.File
	shard *proactor.Shard
}

// chain opens the file, as a descriptor and in a slot, and reads it.
func (c *crowd) chain(ctx context.Context) error {
	d, err := c.shard.DirectFile()
	if err != nil {
		return err
	}
	ch := proactor.NewChain()
	opened := proactor.Then(ch, proactor.Open{Path: c.file.Name()})
	proactor.Then(ch, proactor.Into(proactor.Open{Path: c.file.Name()}, d))
	buf := make([]byte, 512)
	read := proactor.Then(ch, proactor.Using(proactor.ReadAt{Buf: buf}, d))
	ch.Within(time.Second)
	proactor.Always(ch, proactor.CloseDirect{File: d})
	give := c.rng.IntN(3) == 0
	if give {
		err = ch.Submit(ctx, c.rt)
	} else {
		err = ch.Do(ctx, c.rt)
	}
	if give && err == nil {
		ch.Abandon()
		<-ch.Done()
	} else if err == nil {
		n, err := read.Result()
		if err != nil || n != len(buf) {
			c.t.Errorf("chain read %d: %v", n, err)
		}
	}
	if fd, err := opened.Result(); err == nil {
		_ = syscall.Close(fd)
	}
	if err := d.Release(); err != nil {
		c.t.Errorf("release: %v", err)
	}
	if errors.Is(err, proactor.ErrChainBroken) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// batch opens files, some of which nobody takes.
func (c *crowd) batch(ctx context.Context) error {
	ops := make([]proactor.Open, 5)
	for i := range ops {
		ops[i] = proactor.Open{Path: c.file.Name()}
	}
	if c.rng.IntN(2) == 0 {
		b, err := proactor.SubmitAll(ctx, c.rt, ops...)
		if err != nil {
			return err
		}
		for i, done := range b.Completed(ctx) {
			if i == 3 {
				break
			}
			if fd, err := done.Result(); err == nil {
				_ = syscall.Close(fd)
			}
		}
		b.Abandon()
		return nil
	}
	outcomes, err := proactor.DoAll(ctx, c.rt, ops...)
	for _, o := range outcomes {
		if o.Err == nil {
			_ = syscall.Close(o.Value)
		}
	}
	return err
}

// stream receives what a chain of zero-copy sends has sent.
func (c *crowd) stream(ctx context.Context) error {
	g, err := c.shard.NewBufferGroup(proactor.BufferConfig{Size: 64, Count: 2, Max: 4})
	if err != nil {
		return err
	}
	defer func() {
		if err := g.Close(); err != nil {
			c.t.Errorf("closing the group: %v", err)
		}
	}()
	l, addr := listening()
	defer syscall.Close(l)
	out, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(out)
	if err := syscall.Connect(out, addr); err != nil {
		return err
	}
	conn, err := proactor.Do(ctx, c.rt, proactor.Accept{FD: l})
	if err != nil {
		return err
	}
	defer syscall.Close(conn.FD)
	ch := proactor.NewChain()
	for range 3 {
		proactor.Then(ch, proactor.SendZC{FD: out, Buf: make([]byte, 200), Flags: syscall.MSG_WAITALL})
	}
	if err := ch.Submit(ctx, c.rt); err != nil {
		return err
	}
	defer func() { <-ch.Done() }()
	defer ch.Abandon()
	s, err := proactor.OpenStream(c.rt, proactor.Receives{FD: conn.FD, Group: g}, proactor.StreamConfig{Depth: 1 + c.rng.IntN(3)})
	if err != nil {
		return err
	}
	for n := 0; n < 600 && err == nil; {
		var lease proactor.Lease
		if lease, err = s.Next(ctx); err == nil {
			n += lease.Len()
			lease.Release()
		}
	}
	return errors.Join(err, s.Close())
}

// block reads into a block of an arena.
func (c *crowd) block(ctx context.Context) error {
	a, err := c.shard.NewArena(2, 4096)
	if err != nil {
		return err
	}
	b, _ := a.Get()
	_, err = proactor.Do(ctx, c.rt, proactor.ReadBlock{FD: int(c.file.Fd()), Block: b})
	b.Release()
	return errors.Join(err, a.Close())
}

func listening() (int, syscall.Sockaddr) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = syscall.Listen(fd, 8)
	}
	if err != nil {
		return -1, &syscall.SockaddrInet4{}
	}
	addr, _ := syscall.Getsockname(fd)
	return fd, addr
}
