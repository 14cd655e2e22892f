package proactor_test

import (
	"syscall"
	"testing"

	"github.com/yamanote-go/yamanote/proactor"
)

// BenchmarkLease is the price of taking a message's buffer and giving it back.
func BenchmarkLease(b *testing.B) {
	rt := open(b, proactor.Config{})
	a, err := proactor.New(proactor.Config{Mode: proactor.ModeRing, Arenas: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = a.Close() })
	b.Run("release", func(b *testing.B) {
		g := group(b, rt, proactor.BufferConfig{})
		leases := proactor.TakeLeases(g)
		b.ReportAllocs()
		for b.Loop() {
			leases.Take(100).Release()
		}
	})
	b.Run("block", func(b *testing.B) {
		arena, err := a.Shard(0).NewArena(16, 4096)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			block, _ := arena.Get()
			block.Release()
		}
		if err := arena.Close(); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkStream is a message from one end of a socket pair to the other, by a
// stream and by one receive after the other.
func BenchmarkStream(b *testing.B) {
	message := make([]byte, 64)
	b.Run("multishot", func(b *testing.B) {
		rt := open(b, proactor.Config{})
		g := group(b, rt, proactor.BufferConfig{})
		from, to := socketpair(b)
		s := stream(b, rt, proactor.Receives{FD: to, Group: g}, 0)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := syscall.Write(from, message); err != nil {
				b.Fatal(err)
			}
			l, err := s.Next(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			l.Release()
		}
	})
	b.Run("batches", func(b *testing.B) {
		rt := open(b, proactor.Config{})
		g := group(b, rt, proactor.BufferConfig{})
		from, to := socketpair(b)
		s := stream(b, rt, proactor.Receives{FD: to, Group: g}, 64)
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			if n%32 == 0 {
				for range 32 {
					if _, err := syscall.Write(from, message); err != nil {
						b.Fatal(err)
					}
				}
			}
			// A stream socket may put several messages into one buffer.
			if n%32 == 31 {
				for got := 0; got < 32*len(message); {
					l, err := s.Next(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					got += l.Len()
					l.Release()
				}
			}
		}
	})
	b.Run("single", func(b *testing.B) {
		rt := open(b, proactor.Config{})
		from, to := socketpair(b)
		buf := make([]byte, 4096)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := syscall.Write(from, message); err != nil {
				b.Fatal(err)
			}
			if _, err := proactor.Do(b.Context(), rt, proactor.Recv{FD: to, Buf: buf}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkChain is a write and a read of a pipe, as a chain and one after the
// other.
func BenchmarkChain(b *testing.B) {
	rt := open(b, proactor.Config{})
	r, w := pipe(b)
	out, in := []byte{1}, make([]byte, 1)
	b.Run("chain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := proactor.NewChain()
			proactor.Then(c, proactor.Write{FD: w, Buf: out})
			proactor.Then(c, proactor.Read{FD: r, Buf: in})
			if err := c.Do(b.Context(), rt); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("apart", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := proactor.Do(b.Context(), rt, proactor.Write{FD: w, Buf: out}); err != nil {
				b.Fatal(err)
			}
			if _, err := proactor.Do(b.Context(), rt, proactor.Read{FD: r, Buf: in}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkShards is many goroutines' round trips by way of one ring or more.
func BenchmarkShards(b *testing.B) {
	for _, shards := range []int{1, 2, 4} {
		b.Run(map[int]string{1: "one", 2: "two", 4: "four"}[shards], func(b *testing.B) {
			for name, goroutines := range map[string]int{"nop/2": 1, "nop/64": 32} {
				b.Run(name, func(b *testing.B) {
					rt := open(b, proactor.Config{Shards: shards})
					b.SetParallelism(goroutines)
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
			for name, pairs := range map[string]int{"echo/1": 1, "echo/64": 64} {
				b.Run(name, func(b *testing.B) {
					rt := open(b, proactor.Config{Shards: shards})
					echoPairs(b, rt, pairs)
				})
			}
		})
	}
}

// echoPairs has b.N messages echoed by pairs of sockets, each with a goroutine
// at either end.
func echoPairs(b *testing.B, rt *proactor.Runtime, pairs int) {
	ctx := b.Context()
	done := make(chan error, 2*pairs)
	ends := make([][2]int, pairs)
	for i := range ends {
		ends[i][0], ends[i][1] = socketpair(b)
	}
	b.ResetTimer()
	for i, p := range ends {
		n := (b.N + i) / pairs
		end := func(fd int, first bool) {
			buf := make([]byte, 64)
			for j := range n {
				if j > 0 || first {
					if _, err := syscall.Write(fd, buf); err != nil {
						done <- err
						return
					}
				}
				if _, err := proactor.Do(ctx, rt, proactor.Recv{FD: fd, Buf: buf}); err != nil {
					done <- err
					return
				}
			}
			if !first && n > 0 {
				if _, err := syscall.Write(fd, buf); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}
		go end(p[0], true)
		go end(p[1], false)
	}
	for range 2 * pairs {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}
