package file_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// pieces cuts bytes into n buffers, some of them empty.
func pieces(b []byte, n int) [][]byte {
	var bufs [][]byte
	for i := range n {
		size := min(i%7, len(b))
		if i == n-1 {
			size = len(b)
		}
		bufs = append(bufs, b[:size])
		b = b[size:]
	}
	return bufs
}

// More buffers than the kernel takes at once are written and read in order.
func TestVectors(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, flag := range []int{0, os.O_SYNC, os.O_APPEND} {
			path := filepath.Join(t.TempDir(), "f")
			f := openFile(t, rt, path, os.O_RDWR|os.O_CREATE|flag)
			content := pattern(20_000)
			n, err := f.Writev(pieces(content, 3000))
			require.NoError(t, err)
			require.EqualValues(t, len(content), n)
			n, err = f.Writev(nil)
			require.NoError(t, err)
			require.Zero(t, n)
			requireText(t, path, string(content))
			if flag == os.O_APPEND {
				_, err = f.WritevAt(pieces(content, 3), 0)
				require.ErrorContains(t, err, "O_APPEND")
				continue
			}
			n, err = f.WritevAt(pieces(content, 2500), 10_000)
			require.NoError(t, err)
			require.EqualValues(t, len(content), n)
			content = append(content[:10_000:10_000], content...)
			requireText(t, path, string(content))

			got := make([]byte, 30_000)
			n, err = f.ReadvAt(pieces(got, 2100), 0)
			require.NoError(t, err)
			require.EqualValues(t, len(got), n)
			require.True(t, bytes.Equal(content, got))
			clear(got)
			n, err = f.ReadvAt(pieces(got, 100), 1000)
			require.ErrorIs(t, err, io.EOF)
			require.EqualValues(t, 29_000, n)
			require.True(t, bytes.Equal(content[1000:], got[:n]))

			_, err = f.Seek(29_990, io.SeekStart)
			require.NoError(t, err)
			a, b := make([]byte, 4), make([]byte, 100)
			n, err = f.Readv([][]byte{nil, a, {}, b})
			require.NoError(t, err)
			require.EqualValues(t, 10, n)
			require.Equal(t, content[29_990:], append(a, b[:6]...))
			_, err = f.Readv([][]byte{a})
			require.ErrorIs(t, err, io.EOF)

			_, err = f.ReadvAt([][]byte{a}, -1)
			require.ErrorContains(t, err, "negative offset")
			_, err = f.WritevAt([][]byte{a}, -1)
			require.ErrorContains(t, err, "negative offset")
			require.NoError(t, f.Close())
			_, err = f.ReadvAt([][]byte{a}, 0)
			require.ErrorIs(t, err, os.ErrClosed)
			_, err = f.Writev([][]byte{a})
			require.ErrorIs(t, err, os.ErrClosed)
		}
	})
}

// Vectors that are written at the file's position by several goroutines do not
// mix.
func TestVectorsAreWhole(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "f")
		f := openFile(t, rt, path, os.O_RDWR|os.O_CREATE)
		const size = 500
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for range 20 {
					if _, err := f.Writev(pieces(bytes.Repeat([]byte{byte(g)}, size), 9)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		all, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Len(t, all, 8*20*size)
		for chunk := all; len(chunk) > 0; chunk = chunk[size:] {
			require.Equal(t, bytes.Repeat(chunk[:1], size), chunk[:size])
		}
	})
}

// A pipe takes vectors as well, as package os would write it.
func TestVectorsOfPipes(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name := t.TempDir() + "/fifo"
		require.NoError(t, syscall.Mkfifo(name, 0o600))
		f := openFile(t, rt, name, os.O_RDWR)
		_, err := f.Writev([][]byte{[]byte("ab"), nil, []byte("cd")})
		require.NoError(t, err)
		got := make([]byte, 4)
		_, err = io.ReadFull(f, got)
		require.NoError(t, err)
		require.Equal(t, "abcd", string(got))
	})
}

func TestFlags(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "f")
		f := openFile(t, rt, path, os.O_RDWR|os.O_CREATE)
		for i, flags := range []file.IOFlags{0, file.IODataSync, file.IOSync, file.IOAppend, file.IOAppend | file.IODataSync} {
			n, err := f.WriteAtWith([]byte{'a' + byte(i)}, int64(min(i, 2)), flags)
			require.NoError(t, err)
			require.Equal(t, 1, n)
		}
		requireText(t, path, "abcde")
		got := make([]byte, 5)
		_, err := f.ReadAtWith(got, 0, file.IONoWait)
		require.NoError(t, err)
		require.Equal(t, "abcde", string(got))
		_, err = f.ReadAtWith(got, 1, 0)
		require.ErrorIs(t, err, io.EOF)

		// What is on the disk only is not waited for.
		big := openFile(t, rt, path+"2", os.O_RDWR|os.O_CREATE)
		_, err = big.Write(make([]byte, 4<<20))
		require.NoError(t, err)
		require.NoError(t, big.Sync())
		require.NoError(t, big.Advise(0, 0, file.AdviceDontNeed))
		n, err := big.ReadAtWith(make([]byte, 4<<20), 0, file.IONoWait)
		require.ErrorIs(t, err, syscall.EAGAIN)
		require.Less(t, n, 4<<20)

		_, err = f.ReadAtWith(got, 0, file.IOSync)
		require.ErrorIs(t, err, os.ErrInvalid)
		_, err = f.WriteAtWith(got, -1, 0)
		require.ErrorContains(t, err, "negative offset")
		least, most, err := f.AtomicLimits()
		require.NoError(t, err)
		require.LessOrEqual(t, least, most)
		_, err = f.WriteAtWith(got, 0, file.IOAtomic)
		require.ErrorContains(t, err, "atomic")
	})
}
