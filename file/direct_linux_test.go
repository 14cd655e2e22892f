package file_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

func openDirect(t testing.TB, rt *proactor.Runtime, name string, flag int) *file.Direct {
	t.Helper()
	d, err := file.OpenConfig{Runtime: rt}.OpenDirect(name, flag, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// Many goroutines write and read blocks directly; the end of the file is where it
// is.
func TestDirect(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "f")
		d := openDirect(t, rt, path, os.O_RDWR|os.O_CREATE)
		a := d.Alignment()
		require.Positive(t, a.Memory)
		require.Positive(t, a.Offset)
		const block, blocks = 16 << 10, 64
		content := pattern(block*blocks + 777)
		pool := file.NewBufferPool(block, 0)
		var wg sync.WaitGroup
		for i := range blocks {
			wg.Go(func() {
				b := pool.Get()
				defer b.Put()
				copy(b.Bytes, content[i*block:])
				n, err := d.WriteAt(b.Bytes, int64(i*block))
				if err != nil || n != block {
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		wg.Wait()
		n, err := d.WriteEnd(content[block*blocks:], block*blocks)
		require.NoError(t, err)
		require.Equal(t, 777, n)
		requireText(t, path, string(content))
		for i := range blocks + 2 {
			wg.Go(func() {
				b := pool.Get()
				defer b.Put()
				n, err := d.ReadAt(b.Bytes, int64(i*block))
				want := content[min(i*block, len(content)):min((i+1)*block, len(content))]
				if !bytes.Equal(want, b.Bytes[:n]) || (err == io.EOF) != (n < block) || err != nil && err != io.EOF {
					t.Errorf("block %d: %d, %v", i, n, err)
				}
			})
		}
		wg.Wait()
		n, err = d.WriteAtSync(file.AlignedBuffer(block, a.Memory), 0)
		require.NoError(t, err)
		require.Equal(t, block, n)
		require.NoError(t, d.Close())
		_, err = d.ReadAt(file.AlignedBuffer(block, 0), 0)
		require.ErrorIs(t, err, os.ErrClosed)
	})
}

// What is not aligned is refused, and the error says what is wrong.
func TestDirectAlignment(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		d := openDirect(t, rt, filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE)
		a := d.Alignment()
		good := file.AlignedBuffer(8192, 0)
		for _, c := range []struct {
			b    []byte
			off  int64
			what string
			got  int64
		}{
			{file.AlignedBuffer(8193, 0)[1:], 0, "buffer", 1},
			{good[:100], 0, "length", 100},
			{good, 13, "offset", 13},
		} {
			for _, do := range []func([]byte, int64) (int, error){d.ReadAt, d.WriteAt, d.WriteAtSync,
				func(b []byte, off int64) (int, error) { return d.WriteAtWith(b, off, 0) }} {
				_, err := do(c.b, c.off)
				var ae *file.AlignmentError
				require.ErrorAs(t, err, &ae)
				require.ErrorIs(t, err, syscall.EINVAL)
				require.Equal(t, c.what, ae.What)
				require.Equal(t, c.got, ae.Got)
				require.Contains(t, []int{a.Memory, a.Offset}, ae.Want)
			}
		}
		_, err := d.ReadAt(good, -4096)
		require.ErrorContains(t, err, "negative offset")
		require.Panics(t, func() { file.AlignedBuffer(5, 3) })
		for _, align := range []int{1, 512, 4096, 1 << 16} {
			b := file.AlignedBuffer(100, align)
			require.Len(t, b, 100)
			require.Equal(t, 100, cap(b))
		}
		_, err = file.OpenDirect("/dev/null", os.O_RDWR, 0)
		require.Error(t, err)
		_, err = file.OpenDirect(t.TempDir()+"/no", os.O_RDWR, 0)
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}

// An atomic write within the limits succeeds; where there are none, or beyond
// them, the error says why.
func TestAtomicWrite(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		d := openDirect(t, rt, filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE)
		require.NoError(t, d.File().Truncate(1<<20))
		least, most, err := d.File().AtomicLimits()
		require.NoError(t, err)
		b := file.AlignedBuffer(8192, 0)
		if most == 0 {
			_, err := d.WriteAtWith(b[:4096], 0, file.IOAtomic)
			require.ErrorIs(t, err, syscall.EOPNOTSUPP)
			return
		}
		n, err := d.WriteAtWith(b[:least], int64(least), file.IOAtomic)
		require.NoError(t, err)
		require.Equal(t, least, n)
	})
}

// Registered memory and files do what others do.
func TestRegistered(t *testing.T) {
	rt, err := proactor.New(proactor.Config{Arenas: 1, DirectFiles: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, rt.Close()) }()
	path := filepath.Join(t.TempDir(), "f")
	if !rt.HasRing() {
		f := openFile(t, rt, path, os.O_RDWR|os.O_CREATE)
		_, err := f.WriteBlockAt(t.Context(), rt, proactor.Block{}, 0)
		require.ErrorIs(t, err, os.ErrInvalid) // there are no blocks without a ring
		return
	}
	testkit.Watchdog(t, 60e9)
	d := openDirect(t, rt, path, os.O_RDWR|os.O_CREATE)
	arena, err := rt.Shard(0).NewArena(2, 8192)
	require.NoError(t, err)
	defer func() { require.NoError(t, arena.Close()) }()
	b, ok := arena.Get()
	require.True(t, ok)
	defer b.Release()
	copy(b.Bytes(), pattern(8192))
	n, err := d.File().WriteBlockAt(t.Context(), rt, b, 0)
	require.NoError(t, err)
	require.Equal(t, 8192, n)
	clear(b.Bytes())
	n, err = d.File().ReadBlockAt(t.Context(), rt, b, 0)
	require.NoError(t, err)
	require.Equal(t, 8192, n)
	require.Equal(t, pattern(8192), b.Bytes())
	_, err = d.File().ReadBlockAt(t.Context(), rt, b, 8192)
	require.ErrorIs(t, err, io.EOF)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.File().ReadBlockAt(ctx, rt, b, 0)
	require.ErrorIs(t, err, context.Canceled)

	slot, err := rt.Shard(0).DirectFile()
	require.NoError(t, err)
	require.NoError(t, d.File().Register(slot))
	got := file.AlignedBuffer(4096, 0)
	_, err = proactor.Do(t.Context(), rt, proactor.Using(proactor.ReadAt{Buf: got, Offset: 4096}, slot))
	require.NoError(t, err)
	require.Equal(t, pattern(8192)[4096:], got)
	require.NoError(t, slot.Release())
}
