package file_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// pattern returns bytes that tell where they are.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>12) ^ byte(i)
	}
	return b
}

func TestReader(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		content := pattern(100_000)
		f := openFile(t, rt, filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE)
		n, err := f.Write(content)
		require.NoError(t, err)
		require.Equal(t, len(content), n)
		_, err = f.Seek(0, io.SeekStart)
		require.NoError(t, err)
		require.NoError(t, iotest.TestReader(f, content))
	})
}

// A large file is written through ours, read by package os, copied by io.Copy
// through ours, and the copies are the same.
func TestLargeCopy(t *testing.T) {
	size := 200 << 20
	if testing.Short() {
		size = 8 << 20
	}
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		if size > 8<<20 && rt.Backend().Ring.SQEntries == 2 {
			return
		}
		dir := t.TempDir()
		content := pattern(size)
		src := openFile(t, rt, dir+"/src", os.O_RDWR|os.O_CREATE)
		_, err := src.Write(content)
		require.NoError(t, err)
		require.NoError(t, src.Sync())
		_, err = src.Seek(0, io.SeekStart)
		require.NoError(t, err)
		dst := openFile(t, rt, dir+"/dst", os.O_RDWR|os.O_CREATE)
		n, err := io.Copy(dst, src)
		require.NoError(t, err)
		require.EqualValues(t, size, n)
		require.NoError(t, dst.Close())
		std, err := os.Open(dir + "/dst")
		require.NoError(t, err)
		defer std.Close()
		h := sha256.New()
		_, err = io.Copy(h, std)
		require.NoError(t, err)
		want := sha256.Sum256(content)
		require.Equal(t, want[:], h.Sum(nil))
	})
}

// Any number of goroutines read and write at once, each where it belongs.
func TestConcurrent(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const goroutines, block = 128, 4096
		f := openFile(t, rt, filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE)
		require.NoError(t, f.Truncate(goroutines*block))
		var wg sync.WaitGroup
		for i := range goroutines {
			wg.Go(func() {
				mine := bytes.Repeat([]byte{byte(i)}, block)
				for range 10 {
					if _, err := f.WriteAt(mine, int64(i)*block); err != nil {
						t.Error(err)
						return
					}
					got := make([]byte, block)
					if _, err := f.ReadAt(got, int64(i)*block); err != nil {
						t.Error(err)
						return
					}
					if !bytes.Equal(got, mine) {
						t.Errorf("block %d is somebody else's", i)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// Writes at the file's position do not overlap, and each is whole.
func TestPositionIsShared(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const goroutines, writes, size = 8, 20, 3000
		f := openFile(t, rt, filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE)
		var wg sync.WaitGroup
		for i := range goroutines {
			wg.Go(func() {
				for range writes {
					if _, err := f.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		_, err := f.Seek(0, io.SeekStart)
		require.NoError(t, err)
		all, err := io.ReadAll(f)
		require.NoError(t, err)
		require.Len(t, all, goroutines*writes*size)
		for chunk := all; len(chunk) > 0; chunk = chunk[size:] {
			require.Equal(t, bytes.Repeat(chunk[:1], size), chunk[:size])
		}
	})
}

// Close waits for what is under way; what comes later fails.
func TestCloseRace(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(name, pattern(1<<20), 0o600))
		for range 20 {
			f, err := file.OpenConfig{Runtime: rt}.OpenFile(name, os.O_RDWR, 0)
			require.NoError(t, err)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					buf := make([]byte, 4096)
					for {
						off := rand.Int64N(1<<20 - 4096)
						if _, err := f.ReadAt(buf, off); err != nil {
							if !errors.Is(err, os.ErrClosed) {
								t.Error(err)
							}
							return
						}
						if buf[0] != byte(off>>12)^byte(off) {
							t.Error("read something else")
						}
					}
				})
			}
			var closed sync.Map
			for i := range 2 {
				wg.Go(func() { closed.Store(i, f.Close() == nil) })
			}
			wg.Wait()
			a, _ := closed.Load(0)
			b, _ := closed.Load(1)
			require.NotEqual(t, a, b, "one Close succeeds")
		}
	})
}

// aligned returns a buffer that O_DIRECT takes: Go starts objects of this size
// on a page of their own.
func aligned(n int) []byte { return make([]byte, 64<<10)[:n] }

// direct opens a file with O_DIRECT, or skips where the file system has none.
func direct(t *testing.T, rt *proactor.Runtime, name string) *file.File {
	f, err := file.OpenConfig{Runtime: rt}.OpenFile(name, os.O_RDWR|syscall.O_DIRECT, 0)
	if errors.Is(err, syscall.EINVAL) {
		testkit.Skip(t, "the file system of the temporary directory has no O_DIRECT")
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// Reads and writes with O_DIRECT complete later, and the kernel does not move
// the position then: each read the same block, and each write went over the one
// before.
func TestPositionOfDirectFiles(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "f")
		want := pattern(64 << 10)
		require.NoError(t, os.WriteFile(name, want, 0o600))
		f := direct(t, rt, name)
		buf := aligned(4096)
		position := func() int64 {
			at, err := f.Seek(0, io.SeekCurrent)
			require.NoError(t, err)
			return at
		}
		for off := 0; off < len(want); off += len(buf) {
			n, err := f.Read(buf)
			require.NoError(t, err)
			require.Equal(t, want[off:off+n], buf[:n], "at %d", off)
			require.EqualValues(t, off+n, position())
		}
		_, err := f.Read(buf)
		require.Equal(t, io.EOF, err)
		_, err = f.Seek(4096, io.SeekStart)
		require.NoError(t, err)
		for i := range 3 {
			for j := range buf {
				buf[j] = byte('a' + i)
			}
			_, err := f.Write(buf)
			require.NoError(t, err)
			copy(want[4096*(i+1):], buf)
			require.EqualValues(t, 4096*(i+2), position())
		}
		// Several buffers at once, and what is synced as well.
		_, err = f.Seek(8192, io.SeekStart)
		require.NoError(t, err)
		two := [][]byte{aligned(4096), aligned(4096)}
		for _, off := range []int{8192, 16384} {
			n, err := f.Readv(two)
			require.NoError(t, err)
			require.EqualValues(t, 8192, n)
			require.Equal(t, want[off:off+8192], slices.Concat(two...))
			require.EqualValues(t, off+8192, position())
		}
		for i := range two {
			copy(two[i], bytes.Repeat([]byte{byte('x' + i)}, 4096))
		}
		_, err = f.Writev(two)
		require.NoError(t, err)
		copy(want[24576:], slices.Concat(two...))
		require.EqualValues(t, 32768, position())
		for i := range 2 {
			_, err = f.WriteSync(two[i])
			require.NoError(t, err)
			copy(want[32768+4096*i:], two[i])
			require.EqualValues(t, 32768+4096*(i+1), position())
		}
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, want, got)

		a, err := file.OpenConfig{Runtime: rt}.OpenFile(name, os.O_RDWR|os.O_APPEND|syscall.O_DIRECT, 0)
		require.NoError(t, err)
		defer a.Close()
		_, err = a.Write(buf)
		require.NoError(t, err)
		at, err := a.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.EqualValues(t, len(want)+len(buf), at, "an append leaves the position at the end")
	})
}

// What waits for the disk goes through the ring, what is in the page cache
// does not, and nor do the sync and the write of who is alone.
func TestWhatTheRingDoes(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		if !rt.HasRing() {
			return
		}
		name := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(name, pattern(1<<20), 0o600))
		submitted := func(f func()) uint64 {
			before := rt.Stats().Submitted
			f()
			return rt.Stats().Submitted - before
		}
		f := openFile(t, rt, name, os.O_RDWR)
		d := direct(t, rt, name)
		buf := aligned(4096)
		require.Zero(t, submitted(func() {
			_, err := f.ReadAt(buf, 8192)
			require.NoError(t, err)
			_, err = f.WriteAt(buf, 8192)
			require.NoError(t, err)
			require.NoError(t, f.Sync())
			require.NoError(t, f.SyncData())
			_, err = d.WriteAt(buf, 4096)
			require.NoError(t, err)
		}))
		require.EqualValues(t, 1, submitted(func() {
			n, err := d.ReadAt(buf, 16384)
			require.NoError(t, err)
			require.Equal(t, 4096, n)
			require.Equal(t, pattern(1 << 20)[16384:16384+4096], buf)
		}))
	})
}

// A thousand goroutines write and sync on a handful of threads: only one of them
// at a time does so by a system call.
func TestManyBlockedWriters(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		if !rt.HasRing() {
			return // package os has a thread for each
		}
		const writers = 1000
		name := filepath.Join(t.TempDir(), "f")
		want := make([]byte, writers*4096)
		require.NoError(t, os.WriteFile(name, want, 0o600))
		d := direct(t, rt, name)
		var wg sync.WaitGroup
		for i := range writers {
			part := want[4096*i:][:4096]
			for k := range part {
				part[k] = byte(i + k>>4)
			}
			wg.Go(func() {
				buf := aligned(4096)
				copy(buf, part)
				if _, err := d.WriteAt(buf, int64(4096*i)); err != nil {
					t.Error(err)
				}
				if i%100 == 0 {
					if err := d.Sync(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		require.Less(t, threads(t), 100) // those of the kernel included
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		require.Positive(t, rt.Stats().Submitted, "all of them were alone")
	})
}

// A thousand goroutines wait for the disk on a handful of threads.
func TestManyBlockedReaders(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		if !rt.HasRing() {
			return
		}
		name := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(name, pattern(8<<20), 0o600))
		f := direct(t, rt, name)
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				buf := aligned(4096)
				for range 3 {
					off := rand.Int64N(2048) * 4096
					if _, err := f.ReadAt(buf, off); err != nil {
						t.Error(err)
						return
					}
					if buf[1] != byte((off+1)>>12)^1 {
						t.Error("read something else")
						return
					}
				}
			})
		}
		wg.Wait()
		threads, err := os.ReadDir("/proc/self/task")
		require.NoError(t, err)
		require.Less(t, len(threads), 100)
	})
}

func TestGarbageCollection(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "f")
		content := pattern(1 << 20)
		require.NoError(t, os.WriteFile(name, content, 0o600))
		f := direct(t, rt, name)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					off := rand.Int64N(256) * 4096
					buf := aligned(4096)
					if _, err := f.ReadAt(buf, off); err != nil || !bytes.Equal(buf, content[off:off+4096]) {
						t.Errorf("at %d: %v", off, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// A runtime that is shut down under an open file makes what needs the ring
// fail, and nothing hang.
func TestShutdownUnderFile(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		if !rt.HasRing() {
			return
		}
		f := openFile(t, rt, filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE)
		require.NoError(t, rt.Close())
		require.ErrorIs(t, f.Sync(), proactor.ErrClosed)
		require.NoError(t, f.Close())
	})
}
