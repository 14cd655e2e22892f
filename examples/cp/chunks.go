package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yamanote-go/yamanote/file"
)

// chunks copies size bytes, a chunk per worker at a time, in no order. The
// first failure ends it.
func (j *job) chunks(parent context.Context, src, dst *file.File, size int64) error {
	ctx, fail := context.WithCancelCause(parent)
	defer fail(nil)
	stop := j.showProgress(size)
	defer stop()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(int64(j.workers), (size+chunk-1)/chunk) {
		wg.Go(func() {
			buf := make([]byte, chunk)
			for ctx.Err() == nil {
				off := next.Add(chunk) - chunk
				if off >= size {
					return
				}
				if err := j.one(src, dst, buf[:min(chunk, size-off)], off); err != nil {
					fail(err)
				}
			}
		})
	}
	wg.Wait()
	if err := parent.Err(); err != nil {
		return err // and not its cause: that depends on who ended it
	}
	return context.Cause(ctx)
}

// one copies one chunk.
func (j *job) one(src, dst *file.File, buf []byte, off int64) error {
	if _, err := src.ReadAt(buf, off); err != nil {
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s became shorter while it was copied", src.Name())
		}
		return err
	}
	if _, err := dst.WriteAt(buf, off); err != nil {
		return err
	}
	j.done.Add(int64(len(buf)))
	return nil
}

// showProgress rewrites a line several times a second, until stop is called.
func (j *job) showProgress(size int64) (stop func()) {
	if j.progress == io.Discard || size == 0 {
		return func() {}
	}
	start := time.Now()
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(j.progress, "\r%-70s", progressLine(j.done.Load(), size, time.Since(start)))
			case <-quit:
				fmt.Fprintf(j.progress, "\r%70s\r", "")
				return
			}
		}
	}()
	return func() { close(quit); <-gone }
}

func progressLine(done, size int64, since time.Duration) string {
	line := fmt.Sprintf("%3d %%  %d of %d MB  %.1f MB/s", done*100/size, done/1e6, size/1e6, rate(done, since))
	if done == 0 {
		return line
	}
	left := time.Duration(float64(since) * float64(size-done) / float64(done))
	return line + fmt.Sprintf("  %v left", left.Round(time.Second))
}

// compare reads both files again from newly opened descriptors and returns
// their common SHA-256, or an error if they differ. What the page cache holds
// comes from there: this finds mistakes in copying, not bad disks.
func (j *job) compare(ctx context.Context, srcName, dstName string) ([]byte, error) {
	names := [2]string{srcName, dstName}
	var sums [2][]byte
	var errs [2]error
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { sums[i], errs[i] = j.hash(ctx, name) })
	}
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if !slices.Equal(sums[0], sums[1]) {
		return nil, fmt.Errorf("the copy differs: SHA-256 %x of %s, %x of the copy", sums[0], srcName, sums[1])
	}
	return sums[0], nil
}

// hash returns the SHA-256 of a file.
func (j *job) hash(ctx context.Context, name string) ([]byte, error) {
	f, err := j.open(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h, buf := sha256.New(), make([]byte, chunk)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		switch {
		case err == io.EOF:
			return h.Sum(nil), nil
		case err != nil:
			return nil, err
		}
	}
}
