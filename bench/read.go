//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"go.uber.org/atomic"

	yfile "github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// workload is a worker at work.
type workload struct {
	flags  runtimeFlags
	spec   workerSpec
	result workerResult
}

// timed is how many goroutines take the time of each of their operations: more
// would have more memory for their counts than the caches hold.
const timed = 32

// measure has goroutines repeat an operation and counts what they do in the
// measured time. prepare makes the operation of one goroutine.
func (w *workload) measure(rt *proactor.Runtime, prepare func(i int) func() error) error {
	w.result.Backend = describe(rt)
	var (
		phase  atomic.Int32 // 0 warming up, 1 measuring, 2 over
		wg     sync.WaitGroup
		counts = make([]struct {
			n, all int64
			_      [48]byte // a cache line each
		}, w.spec.Goroutines)
		hists = make([]*hdrhistogram.Histogram, min(timed, w.spec.Goroutines))
		once  sync.Once
		fail  error
	)
	for i := range hists {
		hists[i] = hdrhistogram.New(100, longest, 2)
	}
	for i := range w.spec.Goroutines {
		do := prepare(i)
		wg.Go(func() {
			for {
				now := phase.Load()
				if now == 2 {
					return
				}
				var start time.Time
				if i < timed {
					start = time.Now()
				}
				if err := do(); err != nil {
					once.Do(func() { fail = err })
					return
				}
				counts[i].all++
				if now != 1 {
					continue
				}
				counts[i].n++
				if i < timed {
					_ = hists[i].RecordValue(max(100, int64(time.Since(start))))
				}
			}
		})
	}
	time.Sleep(w.spec.Warm)
	calls := runtimeStats(rt).SystemCalls
	before, err := usageOf(os.Getpid())
	if err != nil {
		return err
	}
	// The rest of a sample takes long where a thousand threads compete, so that
	// its processor time is not that of the measured time.
	if before.CPU, err = processCPU(os.Getpid()); err != nil {
		return err
	}
	start := time.Now()
	phase.Store(1)
	time.Sleep(w.spec.Measure)
	phase.Store(2)
	w.result.Seconds = time.Since(start).Seconds()
	cpu, err := processCPU(os.Getpid())
	if err != nil {
		return err
	}
	after, err := usageOf(os.Getpid())
	if err != nil {
		return err
	}
	after.CPU = cpu
	w.result.Usage = after.sub(before)
	w.result.Syscalls = -1
	if calls >= 0 {
		w.result.Syscalls = runtimeStats(rt).SystemCalls - calls
	}
	wg.Wait()
	for i := range counts {
		w.result.Ops += counts[i].n
		w.result.All += counts[i].all
	}
	for _, h := range hists[1:] {
		hists[0].Merge(h)
	}
	w.result.Latency = latencyOf(hists[0])
	return fail
}

// readMain is the process that reads a file at random places.
func readMain(w *workload) error {
	rt, err := w.flags.open()
	if err != nil {
		return err
	}
	flag := os.O_RDONLY
	if w.spec.Direct {
		flag |= syscall.O_DIRECT
	}
	var f io.ReaderAt
	switch {
	case w.flags.dshulyak:
		f, err = openDshulyak(w.spec.File, flag)
	case rt == nil:
		f, err = os.OpenFile(w.spec.File, flag, 0)
	default:
		f, err = yfile.OpenConfig{Runtime: rt}.OpenFile(w.spec.File, flag, 0)
	}
	if err != nil {
		return err
	}
	if !w.spec.Direct {
		if err := readAll(f, w.spec.Size); err != nil {
			return err
		}
	}
	blocks := w.spec.Size / readSize
	// O_DIRECT wants buffers that start on a page, as large allocations do.
	bufs := make([]byte, max(w.spec.Goroutines*readSize, 64*kib))
	return w.measure(rt, func(i int) func() error {
		rng := rand.New(rand.NewPCG(uint64(i), uint64(time.Now().UnixNano())))
		buf := bufs[i*readSize:][:readSize:readSize]
		return func() error {
			off := rng.Int64N(blocks) * readSize
			if _, err := f.ReadAt(buf, off); err != nil {
				return err
			}
			return checkBlock(buf, off)
		}
	})
}

// readAll brings the file into the page cache.
func readAll(f io.ReaderAt, size int64) error {
	buf := make([]byte, mib)
	for off := int64(0); off < size; off += int64(len(buf)) {
		if _, err := f.ReadAt(buf, off); err != nil {
			return err
		}
	}
	return nil
}

// fillBlocks writes the contents that belong at an offset of the file.
func fillBlocks(b []byte, off int64) {
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], word(off+int64(i)))
	}
}

func word(off int64) uint64 { return uint64(off) * 0x9e3779b97f4a7c15 }

// checkBlock looks at some words of a block: enough to notice another block's
// data, a short read or a buffer that was not written.
func checkBlock(b []byte, off int64) error {
	for i := 0; i < len(b); i += 504 {
		if got := binary.LittleEndian.Uint64(b[i:]); got != word(off+int64(i)) {
			return fmt.Errorf("%w at offset %d of the file", errWrong, off+int64(i))
		}
	}
	return nil
}
