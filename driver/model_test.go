package driver_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/faultring"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/uring"
)

// forSeeds runs f for many seeds: some hundred, or YAMANOTE_SEEDS of them, or
// only YAMANOTE_SEED.
func forSeeds(t *testing.T, usual int, f func(t *testing.T, seed uint64, log func(string, ...any))) {
	t.Helper()
	number := func(name string) (uint64, bool) {
		text := os.Getenv(name)
		if text == "" {
			return 0, false
		}
		n, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, name)
		return n, true
	}
	if seed, ok := number("YAMANOTE_SEED"); ok {
		f(t, seed, func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, time.Now().Format("05.000000000 ")+format+"\n", args...)
		})
		return
	}
	if n, ok := number("YAMANOTE_SEEDS"); ok {
		usual = int(n)
	} else if testing.Short() {
		usual /= 4
	}
	for seed := range uint64(usual) {
		replayable(t, seed, f)
	}
}

// replayable runs f for one seed and says how to run it again if it fails.
func replayable(t *testing.T, seed uint64, f func(*testing.T, uint64, func(string, ...any))) {
	done := false
	defer func() {
		if !done || t.Failed() {
			fmt.Fprintf(os.Stderr, "replay with YAMANOTE_SEED=%d go test -count=1 -run='^%s$' ./driver\n", seed, t.Name())
		}
	}()
	f(t, seed, nil)
	done = true
}

// faulty is the world of a ring that injects faults.
type faulty struct {
	*faultring.Ring
	capacity int // of connections
}

func (f faulty) pair() (int, int)       { return f.Pair(f.capacity) }
func (f faulty) file() int              { return f.File() }
func (f faulty) listener() int          { return f.Listener() }
func (f faulty) dial(listening int) int { return f.Dial(listening, f.capacity) }
func (f faulty) endOutput(fd int)       { f.EndOutput(fd) }
func (f faulty) close(fd int)           { f.CloseFD(fd) }

// ends are the ways in which a run ends.
const (
	endAfterLanes = iota // shut down when all is done
	endInBetween         // shut down while lanes are at work
	endImpatient         // the same, with a context that ends first
	endBroken            // the ring fails for good
	ends
)

// model runs a workload on a ring that injects faults, all drawn from the seed,
// and returns the ring's trace.
func model(t *testing.T, seed uint64, alone bool, log func(string, ...any)) uint64 {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	sq := 1 << rng.IntN(4)
	ring := faultring.New(faultring.Config{
		Seed: seed, SQEntries: sq, CQEntries: sq << rng.IntN(3),
		Faults: faultring.Draw(rng), Apart: alone, Log: log,
	})
	cfg := driver.Config{SQEntries: uint32(sq), CQEntries: 4096}
	if most := 1 + rng.IntN(8); most <= 4 && !alone {
		// Who is admitted runs at the same time as who makes room.
		cfg.MaxInFlight = most
	}
	d, err := driver.OpenWith(cfg, ring)
	require.NoError(t, err)
	w := &workload{
		seed: seed, d: d, ring: ring, w: faulty{ring, 1 + rng.IntN(300)},
		alone: alone, pace: time.Duration(1 + rng.Int64N(int64(3*time.Millisecond))),
	}
	w.startSome(rng)
	end := rng.IntN(ends)
	w.end(rng, end)
	w.lanes.Wait()
	w.stopping.Store(true)
	switch err := d.Close(); {
	case err == nil:
	case end == endBroken && errors.Is(err, uring.EBADR):
	default:
		t.Errorf("close: %v", err)
	}
	time.Sleep(time.Second) // of virtual time, for what comes late
	w.close()
	w.check(t)
	return ring.Trace()
}

// startSome starts lanes of several kinds.
func (w *workload) startSome(rng *rand.Rand) {
	file := w.w.file()
	w.closeLater(file)
	for region := range 1 + rng.IntN(6) {
		rounds := 1 + rng.IntN(10)
		switch rng.IntN(9) {
		case 0:
			for range 6 { // more than may be in flight, sometimes
				w.start(func(l *lane) { l.nops(rounds) })
			}
		case 1, 2:
			w.startStream(100 * rounds)
		case 3:
			w.start(func(l *lane) { l.stores(file, region, rounds) })
		case 4:
			w.start(func(l *lane) { l.accepts(rounds) })
		case 5:
			w.start(func(l *lane) { l.polls(rounds) })
		case 6:
			w.start(func(l *lane) { l.timeouts(rounds) })
		case 7:
			w.start(func(l *lane) { l.abandons(rounds) })
		case 8:
			w.start(func(l *lane) { l.chains(file, region, rounds) })
		}
	}
	if w.ring != nil && rng.IntN(3) == 0 {
		w.startBuffered(rng, 2000)
	}
}

// startBuffered starts lanes that write a stream and receive it into provided
// buffers.
func (w *workload) startBuffered(rng *rand.Rand, total int) {
	a, b := w.w.pair()
	w.closeLater(a, b)
	bufs := make([][]byte, 1+rng.IntN(4))
	for i := range bufs {
		bufs[i] = make([]byte, 1+rng.IntN(200))
	}
	const id = 7
	w.ring.Provide(id, bufs)
	w.start(func(l *lane) { l.writes(a, total) })
	w.start(func(l *lane) { l.readsBuffered(b, id, bufs, total) })
}

// readsBuffered is reads into provided buffers, which come back sooner or later.
func (l *lane) readsBuffered(fd int, id uint16, bufs [][]byte, total int) {
	j := l.newJob(true)
	pos := 0
	back := l.child()
	take := func(c driver.Completion) {
		cqe := uring.CQE{Res: c.Res, Flags: c.Flags}
		bid, ok := cqe.BufferID()
		if !ok {
			return
		}
		l.inSequence(bufs[bid][:c.Res], pos)
		pos += int(c.Res)
		time.AfterFunc(back.some(l.pace), func() { l.ring.Recycle(id, bid) })
	}
	j.more = take
	for {
		j.SQE.PrepRecvMultishot(fd, id, 0, 0)
		c, ok := l.do(j)
		if !ok {
			return
		}
		take(c)
		again, over := l.again(c)
		switch {
		case over:
			return
		case again:
		case c.Res < 0:
			l.failf("receive into buffers: %v", c.Err())
			return
		case c.Res == 0:
			if pos != total && !l.stopping.Load() {
				l.failf("%d bytes of %d received into buffers", pos, total)
			}
			return
		}
	}
}

// end ends a run in one of several ways, unless the lanes do it.
func (w *workload) end(rng *rand.Rand, how int) {
	if how == endAfterLanes {
		return
	}
	l := &lane{workload: w, rng: rng}
	time.Sleep(l.some(time.Duration(rng.Int64N(int64(50 * w.pace)))))
	w.stopping.Store(true)
	switch how {
	case endInBetween:
		if err := w.d.Close(); err != nil {
			w.failf("close in between: %v", err)
		}
	case endImpatient:
		ctx, cancel := context.WithTimeout(context.Background(), l.some(w.pace))
		defer cancel()
		err := w.d.Shutdown(ctx)
		var left *driver.ShutdownError
		switch {
		case err == nil:
		case errors.As(err, &left) && errors.Is(err, context.DeadlineExceeded):
			for op, n := range left.Left {
				if n <= 0 {
					w.failf("shutdown left %d of %v", n, op)
				}
			}
		default:
			w.failf("impatient shutdown: %v", err)
		}
	case endBroken:
		w.broken.Store(true)
		w.ring.Break(uring.EBADR)
		if err := w.d.Close(); err != nil && !errors.Is(err, uring.EBADR) {
			w.failf("close of a broken ring: %v", err)
		}
	}
}

// check looks whether everything adds up when the driver has ended.
func (w *workload) check(t *testing.T) {
	t.Helper()
	if err := w.err(); err != nil {
		t.Error(err)
	}
	if s, n := w.submits.Load(), w.terminals.Load(); s != n {
		t.Errorf("%d operations submitted, %d completed", s, n)
	}
	stats := w.d.Stats()
	expect := func(what string, got uint64, want int64) {
		if int64(got) != want {
			t.Errorf("stats: %s is %d, want %d", what, got, want)
		}
	}
	expect("Finished", stats.Finished, w.terminals.Load())
	expect("InFlight", uint64(stats.InFlight), 0)
	if got := stats.Cancelled + stats.CancelsLate; got > stats.Cancels {
		t.Errorf("stats: %d cancellations, and the results of %d", stats.Cancels, got)
	}
	if w.ring == nil {
		expect("Stale", stats.Stale, 0)
		return
	}
	if err := w.ring.Err(); err != nil {
		t.Error(err)
	}
	if n := w.ring.OpenFDs(); n != 0 && !w.broken.Load() {
		t.Errorf("%d descriptors left open", n)
	}
	counts := w.ring.Counts()
	expect("Completions", stats.Completions, int64(counts.Reaped))
	expect("Enters", stats.Enters, int64(counts.Enters))
	// A cancellation that was prepared when all had ended is not submitted.
	left := stats.Cancels + stats.CancelsAgain - uint64(counts.Cancels)
	if ops, got := uint64(counts.Consumed-counts.Cancels), stats.Submitted+stats.WakeEntries; (got > ops || got+left < ops) && !w.broken.Load() {
		t.Errorf("stats: %d operations and %d other entries submitted, the ring has taken %d",
			stats.Submitted, stats.WakeEntries, ops)
	}
	if got, most := stats.Submitted, stats.Finished+stats.Resubmitted; got > most {
		t.Errorf("stats: %d operations submitted, %d finished or submitted again", got, most)
	}
	if stats.Stale > uint64(counts.Repeated) && !w.broken.Load() {
		t.Errorf("stats: %d stale completions, %d were repeated", stats.Stale, counts.Repeated)
	}
}

// Whatever a kernel does, operations complete exactly once, data arrive whole,
// memory stays until its operation has completed, and the driver ends. Here
// goroutines act one at a time, so that a seed is a run.
func TestModel(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forSeeds(t, 300, func(t *testing.T, seed uint64, log func(string, ...any)) {
		synctest.Test(t, func(t *testing.T) { model(t, seed, true, log) })
	})
}

// The same with goroutines that interleave as they like.
func TestModelConcurrent(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forSeeds(t, 300, func(t *testing.T, seed uint64, log func(string, ...any)) {
		synctest.Test(t, func(t *testing.T) { model(t, seed, false, log) })
	})
}

// A seed gives the same run again. Only where the driver waits by yielding for a
// goroutine that the system has preempted, or two things happen in the same
// nanosecond, it may not; that is rare.
func TestModelRepeats(t *testing.T) {
	run := func(seed uint64) (trace uint64) {
		synctest.Test(t, func(t *testing.T) { trace = model(t, seed, true, nil) })
		return trace
	}
	const seeds, mayDiffer = 20, 1
	var differ []uint64
	for seed := range uint64(seeds) {
		first := run(seed)
		if second := run(seed); first != second {
			differ = append(differ, seed)
		}
	}
	require.LessOrEqual(t, len(differ), mayDiffer, "seeds that gave two runs: %v", differ)
}
