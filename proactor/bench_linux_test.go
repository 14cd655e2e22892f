package proactor_test

import (
	"testing"

	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// BenchmarkNop is the price of going to the kernel by way of a ring and back.
func BenchmarkNop(b *testing.B) {
	b.Run("alone", func(b *testing.B) {
		rt := open(b, proactor.Config{})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := proactor.Do(b.Context(), rt, proactor.Nop{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		rt := open(b, proactor.Config{})
		b.SetParallelism(64)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := proactor.Do(b.Context(), rt, proactor.Nop{}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// BenchmarkDoAll is the price of one of 32 operations that are submitted
// together.
func BenchmarkDoAll(b *testing.B) {
	const batch = 32
	rt := open(b, proactor.Config{})
	ops := make([]proactor.Nop, batch)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := proactor.DoAll(b.Context(), rt, ops...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/batch, "ns/operation")
}

// BenchmarkSubmit is Nop by way of a Completion, which others can wait for.
func BenchmarkSubmit(b *testing.B) {
	rt := open(b, proactor.Config{})
	b.ReportAllocs()
	for b.Loop() {
		c, err := proactor.Submit(b.Context(), rt, proactor.Nop{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Result(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRaw is the same on a bare ring, with one system call of which Go's
// scheduler does not know, to compare.
func BenchmarkRaw(b *testing.B) {
	open(b, proactor.Config{}) // skips where there is no ring
	ring, err := uring.New(8, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer ring.Close()
	var cqes [1]uring.CQE
	b.ReportAllocs()
	for b.Loop() {
		ring.SQ().Next().PrepNop()
		if _, errno := ring.EnterNow(ring.SQ().Flush(), uring.IORING_ENTER_GETEVENTS); errno != 0 {
			b.Fatal(errno)
		}
		if ring.CQ().Reap(cqes[:]) != 1 {
			b.Fatal("no completion")
		}
	}
}

// BenchmarkChannel is the price of asking another goroutine, to compare.
func BenchmarkChannel(b *testing.B) {
	ask, answer := make(chan int), make(chan int)
	go func() {
		for v := range ask {
			answer <- v
		}
	}()
	for b.Loop() {
		ask <- 1
		<-answer
	}
	close(ask)
}
