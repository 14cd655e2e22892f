package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// subject is one of the two, and what it has achieved.
type subject struct {
	name  string
	open  io.ReaderAt
	close func() error
	rates []float64 // reads a second, of each round
	took  []time.Duration
}

type subjects [2]subject

// openBoth opens a file by package file and by package os.
func openBoth(rt *proactor.Runtime, name string, direct bool) (*subjects, error) {
	cfg := file.OpenConfig{Runtime: rt}
	if !direct {
		ours, err := cfg.Open(name)
		if err != nil {
			return nil, err
		}
		std, err := os.Open(name)
		if err != nil {
			return nil, errors.Join(err, ours.Close())
		}
		return &subjects{{name: "file", open: ours, close: ours.Close}, {name: "os", open: std, close: std.Close}}, nil
	}
	ours, err := cfg.OpenDirect(name, file.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	// A file of its own: reads of the one must not wait for those of the other.
	again, err := cfg.OpenDirect(name, file.O_RDONLY, 0)
	if err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	std, err := again.File().OS()
	if err := errors.Join(err, again.Close()); err != nil {
		return nil, errors.Join(err, ours.Close())
	}
	return &subjects{{name: "file", open: ours, close: ours.Close}, {name: "os", open: std, close: std.Close}}, nil
}

func (s *subjects) close() {
	for i := range s {
		_ = s[i].close()
	}
}

// size returns the size of the file, or of the disk, which has none by Stat.
func (s *subjects) size() (int64, error) { return s[1].open.(*os.File).Seek(0, io.SeekEnd) }

// sampleMax bounds how many times a goroutine keeps in a round.
const sampleMax = 1 << 16

// measure reads for a while from all goroutines.
func (s *subject) measure(ctx context.Context, o *options, blocks int64) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var reads int64
	var failed error
	start := time.Now()
	end := start.Add(o.duration)
	for range o.goroutines {
		wg.Go(func() {
			n, times, err := s.read(ctx, o.block, blocks, end)
			mu.Lock()
			defer mu.Unlock()
			reads += n
			s.took = append(s.took, times...)
			failed = errors.Join(failed, err)
		})
	}
	wg.Wait()
	s.rates = append(s.rates, float64(reads)/time.Since(start).Seconds())
	if err := ctx.Err(); err != nil {
		return err
	}
	return failed
}

// read reads until end, in one goroutine. The times that it returns are those of
// all reads, or of a random part if there are many.
func (s *subject) read(ctx context.Context, block int, blocks int64, end time.Time) (n int64, times []time.Duration, err error) {
	b := file.AlignedBuffer(block, 0)
	for last := time.Now(); last.Before(end) && ctx.Err() == nil; n++ {
		if _, err := s.open.ReadAt(b, rand.Int64N(blocks)*int64(block)); err != nil {
			return n, times, err
		}
		now := time.Now()
		if took := now.Sub(last); len(times) < sampleMax {
			times = append(times, took)
		} else if place := rand.Int64N(n + 1); place < sampleMax {
			times[place] = took
		}
		last = now
	}
	return n, times, nil
}

// print prints the medians of the rounds, and the times of all reads.
func (s *subjects) print(w io.Writer) {
	fmt.Fprintf(w, "%-6s %12s %10s %10s %10s %10s\n", "", "reads/s", "p50", "p90", "p99", "p99.9")
	for i := range s {
		slices.Sort(s[i].took)
		fmt.Fprintf(w, "%-6s %12.0f", s[i].name, median(s[i].rates))
		for _, share := range []float64{0.5, 0.9, 0.99, 0.999} {
			fmt.Fprintf(w, " %10v", quantile(s[i].took, share))
		}
		fmt.Fprintln(w)
	}
	var ratios []float64
	for round := range s[0].rates {
		ratios = append(ratios, s[0].rates[round]/s[1].rates[round])
	}
	fmt.Fprintf(w, "file does %.2f times as many reads as os, from %.2f to %.2f in a round\n",
		median(ratios), slices.Min(ratios), slices.Max(ratios))
}

// median returns the middle of a list that is not empty.
func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// quantile returns the time within which a share of all sorted times are.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)].Round(100 * time.Nanosecond)
}

// makeFile makes a file with something in each block, on the disk.
func makeFile(ctx context.Context, rt *proactor.Runtime, size int64) (name string, err error) {
	f, err := file.OpenConfig{Runtime: rt}.CreateTemp(".", "randread-*.tmp")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	for off := int64(0); off < size; off += int64(len(b)) {
		if err := ctx.Err(); err != nil {
			return f.Name(), err
		}
		if _, err := f.WriteAt(b[:min(int64(len(b)), size-off)], off); err != nil {
			return f.Name(), err
		}
	}
	return f.Name(), f.Sync()
}

func removeFile(name string) { _ = file.Remove(name) }
