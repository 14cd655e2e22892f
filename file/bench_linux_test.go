package file_test

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
)

// BenchmarkCachedRead reads 4 KiB blocks that are in the page cache.
func BenchmarkCachedRead(b *testing.B) {
	const size, block = 16 << 20, 4096
	name := filepath.Join(b.TempDir(), "f")
	require.NoError(b, os.WriteFile(name, pattern(size), 0o600))
	std, err := os.Open(name)
	require.NoError(b, err)
	defer std.Close()
	ours, err := file.Open(name)
	require.NoError(b, err)
	defer ours.Close()
	for _, f := range []struct {
		name string
		r    io.ReaderAt
	}{{"os", std}, {"file", ours}} {
		b.Run(f.name, func(b *testing.B) {
			b.SetBytes(block)
			b.ReportAllocs()
			buf := make([]byte, block)
			for b.Loop() {
				if _, err := f.r.ReadAt(buf, rand.Int64N(size/block)*block); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(f.name+"/parallel", func(b *testing.B) {
			b.SetBytes(block)
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				buf := make([]byte, block)
				for pb.Next() {
					if _, err := f.r.ReadAt(buf, rand.Int64N(size/block)*block); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
