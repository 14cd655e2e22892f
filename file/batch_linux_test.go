package file_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// manyFiles makes files of several sizes and returns their names and contents.
func manyFiles(t testing.TB, n int) (names []string, contents [][]byte) {
	dir := t.TempDir()
	for i := range n {
		names = append(names, fmt.Sprintf("%s/%d", dir, i))
		contents = append(contents, pattern([]int{0, 1, 500, 4096, 16 << 10, 16<<10 + 1, 100_000}[i%7]))
		require.NoError(t, os.WriteFile(names[i], contents[i], 0o600))
	}
	return names, contents
}

// forEachBatch is forEach, and a ring with slots for direct files.
func forEachBatch(t *testing.T, f func(t *testing.T, rt *proactor.Runtime)) {
	forEach(t, f)
	t.Run("direct files", func(t *testing.T) {
		rt, err := proactor.New(proactor.Config{DirectFiles: 4})
		require.NoError(t, err)
		defer func() { require.NoError(t, rt.Close()) }()
		f(t, rt)
	})
}

// Each name yields once, with its content or an error of its own, also when
// little memory is allowed.
func TestReadFiles(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	names, contents := manyFiles(t, 200)
	names = append(names, t.TempDir()+"/missing", t.TempDir(), "/proc/version", "a\x00b")
	forEachBatch(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, cfg := range []file.BatchConfig{{}, {InFlight: 1}, {InFlight: 7, MaxBytes: 100_000}} {
			cfg.Runtime = rt
			seen := make([]bool, len(names))
			for f, err := range cfg.ReadFiles(t.Context(), slices.Values(names)) {
				require.False(t, seen[f.Index])
				seen[f.Index] = true
				require.Equal(t, names[f.Index], f.Name)
				want, wantErr := os.ReadFile(f.Name)
				if wantErr != nil {
					require.EqualError(t, err, wantErr.Error())
					require.Nil(t, f.Data)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, want, f.Data, "%s", f.Name)
				if f.Index < len(contents) {
					require.Equal(t, contents[f.Index], f.Data)
				}
			}
			require.NotContains(t, seen, false)
		}
		for f, err := range (file.BatchConfig{Runtime: rt, MaxBytes: 1000}).ReadFiles(t.Context(), slices.Values(names[:7])) {
			if len(contents[f.Index]) > 1000 {
				require.ErrorContains(t, err, "BatchConfig.MaxBytes")
			} else {
				require.NoError(t, err)
			}
		}
	})
}

// A context or a break ends a batch early, and nothing is left behind.
func TestReadFilesEndsEarly(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	names, _ := manyFiles(t, 50)
	endless := iter.Seq[string](func(yield func(string) bool) {
		for i := 0; yield(names[i%len(names)]); i++ {
		}
	})
	forEachBatch(t, func(t *testing.T, rt *proactor.Runtime) {
		cfg := file.BatchConfig{Runtime: rt, InFlight: 16, MaxBytes: 150_000}
		n := 0
		for range cfg.ReadFiles(t.Context(), endless) {
			if n++; n == 100 {
				break
			}
		}
		for range cfg.StatAll(t.Context(), endless) {
			if n++; n == 200 {
				break
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		last := 0
		for f, err := range cfg.ReadFiles(ctx, endless) {
			if n++; n == 300 {
				cancel()
			}
			if last = f.Index; last < 0 {
				require.ErrorIs(t, err, context.Canceled)
			}
		}
		require.Equal(t, -1, last)
		require.Less(t, n, 400)
	})
}

func TestStatAll(t *testing.T) {
	names, contents := manyFiles(t, 100)
	names = append(names, "/missing")
	n := 0
	for s, err := range file.StatAll(t.Context(), slices.Values(names)) {
		n++
		if s.Index == len(contents) {
			require.ErrorIs(t, err, os.ErrNotExist)
			continue
		}
		require.NoError(t, err)
		require.EqualValues(t, len(contents[s.Index]), s.Info.Size())
	}
	require.Equal(t, len(names), n)
}

// BenchmarkReadFiles reads 1,000 files of 2 KiB that are in the page cache.
func BenchmarkReadFiles(b *testing.B) {
	dir := b.TempDir()
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("%s/%d", dir, i))
		require.NoError(b, os.WriteFile(names[i], pattern(2048), 0o600))
	}
	direct, err := proactor.New(proactor.Config{DirectFiles: 64})
	require.NoError(b, err)
	defer direct.Close()
	b.Run("os", func(b *testing.B) {
		for b.Loop() {
			for _, name := range names {
				if _, err := os.ReadFile(name); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	for name, cfg := range map[string]file.BatchConfig{"file": {}, "direct files": {Runtime: direct}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for _, err := range cfg.ReadFiles(b.Context(), slices.Values(names)) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
