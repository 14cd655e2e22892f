package proactor_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/faultring"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// Operations on rings that inject faults, waited for with contexts that end,
// cancelled, or abandoned: all end, what a timeout measures is so much, and a
// descriptor that is accepted is handed out or closed, once.
func TestFaults(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	testkit.NoLeak(t) // of accepted descriptors, which are real
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { faults(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func faults(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	var rings []*faultring.Ring
	rt, err := proactor.NewWith(proactor.Config{Shards: 1, SQEntries: 2, MaxInFlight: 3},
		func(cfg driver.Config) (driver.Ring, error) {
			r := faultring.New(faultring.Config{
				Seed: seed, SQEntries: int(cfg.SQEntries), CQEntries: 4, Faults: faultring.Draw(rng),
			})
			rings = append(rings, r)
			return r, nil
		})
	require.NoError(t, err)
	ring := rings[0]
	// Accepted descriptors are real ones: package proactor closes them by itself.
	listening := ring.ListenerOf(func() int {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
		}
		return fd
	})
	var wg sync.WaitGroup
	lane := func(f func(rng *rand.Rand)) {
		lane := rng.Uint64()
		wg.Go(func() { f(rand.New(rand.NewPCG(lane, 1))) })
	}
	for range 3 {
		lane(func(rng *rand.Rand) { accepts(t, rt, listening, rng) })
		lane(func(rng *rand.Rand) { timeouts(t, rt, rng) })
		lane(func(rng *rand.Rand) { streams(t, rt, listening, rng) })
		file := ring.File()
		lane(func(rng *rand.Rand) { chains(t, rt, file, rng) })
		lane(func(rng *rand.Rand) {
			for range 20 {
				time.Sleep(time.Duration(rng.IntN(int(time.Millisecond))))
				ring.CloseFD(ring.Dial(listening, 1))
			}
		})
	}
	wg.Wait()
	require.NoError(t, rt.Close())
	require.NoError(t, ring.Err())
	require.Zero(t, rt.Stats().InFlight)
}

// tolerable reports whether a fault explains an error.
func tolerable(err error) bool {
	for _, e := range []error{syscall.EINTR, syscall.EAGAIN, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func accepts(t *testing.T, rt *proactor.Runtime, listening int, rng *rand.Rand) {
	some := func() time.Duration { return time.Duration(rng.IntN(int(time.Millisecond))) }
	for range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), some())
		c, err := proactor.Submit(ctx, rt, proactor.Accept{FD: listening})
		if err != nil {
			cancel()
			if !tolerable(err) {
				t.Errorf("submit: %v", err)
			}
			continue
		}
		if rng.IntN(3) == 0 {
			time.Sleep(some())
			c.Abandon()
			cancel()
			continue
		}
		if rng.IntN(3) == 0 {
			c.Cancel()
		}
		got, err := c.Wait(ctx)
		cancel()
		switch {
		case err == nil:
			if err := syscall.Close(got.FD); err != nil {
				t.Errorf("descriptor %d, which was accepted: %v", got.FD, err)
			}
		case !tolerable(err):
			t.Errorf("accept: %v", err)
		}
	}
}

func timeouts(t *testing.T, rt *proactor.Runtime, rng *rand.Rand) {
	for range 20 {
		after, start := time.Duration(rng.IntN(int(time.Millisecond))), time.Now()
		switch _, err := proactor.Do(context.Background(), rt, proactor.Timeout{After: after}); {
		case err != nil:
			t.Errorf("timeout: %v", err)
		case time.Since(start) < after:
			t.Errorf("a timeout of %v took %v", after, time.Since(start))
		}
	}
}

// streams takes connections from streams, which it closes sooner or later.
func streams(t *testing.T, rt *proactor.Runtime, listening int, rng *rand.Rand) {
	some := func() time.Duration { return time.Duration(rng.IntN(int(time.Millisecond))) }
	for range 5 {
		s, err := proactor.OpenStream(rt, proactor.Accepts{FD: listening}, proactor.StreamConfig{Depth: 1 + rng.IntN(2)})
		if err != nil {
			t.Errorf("open a stream: %v", err)
			return
		}
		for range rng.IntN(8) {
			ctx, cancel := context.WithTimeout(context.Background(), some())
			got, err := s.Next(ctx)
			cancel()
			switch {
			case err == nil:
				if err := syscall.Close(got.FD); err != nil {
					t.Errorf("descriptor %d, which a stream accepted: %v", got.FD, err)
				}
			case !tolerable(err):
				t.Errorf("stream: %v", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("close a stream: %v", err)
		}
	}
}

// chains writes to a file of its own and reads that in one piece.
func chains(t *testing.T, rt *proactor.Runtime, file int, rng *rand.Rand) {
	for range 20 {
		out, in := make([]byte, 1+rng.IntN(100)), make([]byte, 100)
		for i := range out {
			out[i] = byte(rng.Uint32())
		}
		in = in[:len(out)]
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(int(3*time.Millisecond))))
		c := proactor.NewChain()
		wrote := proactor.Then(c, proactor.WriteAt{FD: file, Buf: out})
		read := proactor.Then(c, proactor.ReadAt{FD: file, Buf: in})
		err := c.Do(ctx, rt)
		cancel()
		if err != nil && !tolerable(err) && !errors.Is(err, proactor.ErrChainBroken) {
			t.Errorf("chain: %v", err)
		}
		select {
		case <-c.Done():
		default:
			continue // it was not submitted
		}
		n, err := read.Result()
		switch {
		case err == nil && string(in[:n]) != string(out[:n]):
			t.Errorf("chain: read something else than was written before it")
		case err == nil:
			if m, err := wrote.Result(); m != len(out) || err != nil {
				t.Errorf("chain: read behind a write of %d bytes of %d: %v", m, len(out), err)
			}
		}
	}
}
