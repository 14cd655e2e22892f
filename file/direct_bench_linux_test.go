package file_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
)

// BenchmarkDirectWrite writes over a file with O_DIRECT from its beginning to its
// end, by one goroutine.
func BenchmarkDirectWrite(b *testing.B) {
	const size = 16 << 20
	name := filepath.Join(b.TempDir(), "f")
	require.NoError(b, os.WriteFile(name, pattern(size), 0o600))
	sync, err := os.Open(name)
	require.NoError(b, err)
	require.NoError(b, sync.Sync())
	require.NoError(b, sync.Close())
	std, err := os.OpenFile(name, os.O_WRONLY|syscall.O_DIRECT, 0)
	require.NoError(b, err)
	defer std.Close()
	ours, err := file.OpenFile(name, os.O_WRONLY|syscall.O_DIRECT, 0)
	require.NoError(b, err)
	defer ours.Close()
	for _, block := range []int{4 << 10, 64 << 10, 1 << 20} {
		buf := make([]byte, max(block, 64<<10))[:block] // large ones begin on a page
		for _, f := range []struct {
			name string
			w    io.WriteSeeker
		}{{"os", std}, {"file", ours}} {
			b.Run(fmt.Sprintf("%d/%s", block, f.name), func(b *testing.B) {
				b.SetBytes(int64(block))
				left := 0
				for b.Loop() {
					if left == 0 {
						if _, err := f.w.Seek(0, io.SeekStart); err != nil {
							b.Fatal(err)
						}
						left = size / block
					}
					if _, err := f.w.Write(buf); err != nil {
						b.Fatal(err)
					}
					left--
				}
			})
		}
	}
}
