package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/yamanote-go/yamanote/file"
)

// runFiles is the process that reads a file at random.
func runFiles(o order) error {
	flag := os.O_RDONLY
	if o.Direct {
		flag |= syscall.O_DIRECT
	}
	var r io.ReaderAt
	calls := func() int64 { return -1 }
	if o.Subject == "std" {
		f, err := os.OpenFile(o.Path, flag, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		r = f
	} else {
		rt, err := runtimeFor(o.Subject)
		if err != nil {
			return err
		}
		f, err := file.OpenConfig{Runtime: rt}.OpenFile(o.Path, flag, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		r = f
		calls = func() int64 { return int64(rt.Stats().SystemCalls()) }
	}
	info, err := os.Stat(o.Path)
	if err != nil {
		return err
	}
	blocks := info.Size() / int64(o.Size)
	return timed(o, calls, func(i int, counting *atomic.Bool, end time.Time) (int64, error) {
		buf := make([]byte, 64<<10)[:o.Size] // of this size they start on a page, as O_DIRECT wants
		n := int64(0)
		for time.Now().Before(end) {
			block := rand.Int64N(blocks)
			if _, err := r.ReadAt(buf, block*int64(o.Size)); err != nil {
				return n, err
			}
			if buf[0] != byte(block) || buf[1] != byte(block>>8) {
				return n, fmt.Errorf("block %d has another's content", block)
			}
			if counting.Load() {
				n++
			}
		}
		return n, nil
	})
}

// writeTestFile makes a file whose blocks tell which they are.
func writeTestFile(path string, size int64, block int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for off := int64(0); off < size; off += int64(len(buf)) {
		for i := 0; i < len(buf); i += block {
			n := (off + int64(i)) / int64(block)
			buf[i], buf[i+1] = byte(n), byte(n>>8)
		}
		if _, err := f.Write(buf); err != nil {
			return err
		}
	}
	return f.Sync()
}

// timed runs work in goroutines, and reports what it did after warming up and
// what the process used for it.
func timed(o order, calls func() int64, work func(i int, counting *atomic.Bool, end time.Time) (int64, error)) error {
	var (
		counting atomic.Bool
		total    atomic.Int64
		wg       sync.WaitGroup
		failed   = make(chan error, o.Goroutines)
	)
	begin := time.Now().Add(time.Duration(warmUp * o.Seconds * float64(time.Second)))
	end := begin.Add(time.Duration(o.Seconds * float64(time.Second)))
	for i := range o.Goroutines {
		wg.Go(func() {
			n, err := work(i, &counting, end)
			total.Add(n)
			if err != nil {
				failed <- err
			}
		})
	}
	time.Sleep(time.Until(begin))
	before, callsBefore := mine(), calls()
	counting.Store(true)
	start := time.Now()
	time.Sleep(time.Until(end))
	seconds := time.Since(start).Seconds()
	after, callsAfter := mine(), calls()
	wg.Wait()
	close(failed)
	if err := <-failed; err != nil {
		return err
	}
	res := result{
		Units: float64(total.Load()), Seconds: seconds,
		CPU: (after.cpu - before.cpu).Seconds(), Switches: after.switches - before.switches,
		Threads: after.threads, RSS: after.rss, Syscalls: -1,
	}
	if callsAfter >= 0 {
		res.Syscalls = callsAfter - callsBefore
	}
	return say(res)
}

// mine is the use of this process.
func mine() usage {
	u, _ := usageOf(os.Getpid())
	var ru syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &ru) == nil {
		u.cpu = time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
		u.switches = int64(ru.Nvcsw + ru.Nivcsw)
	}
	return u
}

// runOverhead is the process that measures an operation which does nothing:
// of ours, or for comparison a round trip to another goroutine.
func runOverhead(o order) error {
	if strings.HasPrefix(o.Subject, "yamanote") {
		rt, err := runtimeFor(o.Subject)
		if err != nil {
			return err
		}
		d := rt.Pick()
		return timed(o, func() int64 { return int64(rt.Stats().SystemCalls()) }, nops(d))
	}
	return timed(o, func() int64 { return -1 }, func(_ int, counting *atomic.Bool, end time.Time) (int64, error) {
		ask, answer := make(chan struct{}), make(chan struct{})
		defer close(ask)
		go func() {
			for range ask {
				answer <- struct{}{}
			}
		}()
		n := int64(0)
		for time.Now().Before(end) {
			for range 64 {
				ask <- struct{}{}
				<-answer
			}
			if counting.Load() {
				n += 64
			}
		}
		return n, nil
	})
}
