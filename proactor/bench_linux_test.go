package proactor_test

import (
	"testing"

	"github.com/yamanote-go/yamanote/proactor"
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
