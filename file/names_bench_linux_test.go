package file_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

// BenchmarkNames compares operations on names, whose directories are in the cache,
// by a system call and by the ring, which hands them to threads of the kernel.
func BenchmarkNames(b *testing.B) {
	rt, err := proactor.New(proactor.Config{Extra: proactor.AllOps()})
	require.NoError(b, err)
	defer rt.Close()
	if !rt.HasRing() {
		return // nothing to compare
	}
	ctx := context.Background()
	ops := []struct {
		name       string
		call, ring func(name string) error
	}{
		{"stat", func(name string) error { _, err := os.Stat(name); return err },
			func(name string) error { _, err := proactor.Do(ctx, rt, proactor.Stat{Path: name}); return err }},
		{"open and close", func(name string) error {
			fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			return syscall.Close(fd)
		}, func(name string) error {
			fd, err := proactor.Do(ctx, rt, proactor.Open{Path: name})
			if err != nil {
				return err
			}
			return syscall.Close(fd)
		}},
		{"rename", func(name string) error { return os.Rename(name, name) },
			func(name string) error {
				_, err := proactor.Do(ctx, rt, proactor.Rename{Old: name, New: name})
				return err
			}},
	}
	dir := b.TempDir()
	const files = 1000
	names := make([]string, files)
	for i := range names {
		names[i] = fmt.Sprintf("%s/%d", dir, i)
		require.NoError(b, os.WriteFile(names[i], nil, 0o600))
	}
	for _, op := range ops {
		for way, do := range map[string]func(string) error{"call": op.call, "ring": op.ring} {
			b.Run(fmt.Sprintf("%s/%s/1", op.name, way), func(b *testing.B) {
				i := 0
				for b.Loop() {
					i++
					if err := do(names[i%files]); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("%s/%s/1000", op.name, way), func(b *testing.B) {
				next := make(chan string, files)
				for _, name := range names {
					next <- name
				}
				b.SetParallelism(500)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						name := <-next // nobody else has it
						if err := do(name); err != nil {
							b.Error(err)
						}
						next <- name
					}
				})
			})
		}
	}
}
