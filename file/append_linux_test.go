package file_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// framed returns a record that can be checked: length, checksum, content.
func framed(content []byte) []byte {
	rec := binary.LittleEndian.AppendUint32(nil, uint32(len(content)))
	rec = binary.LittleEndian.AppendUint32(rec, crc32.ChecksumIEEE(content))
	return append(rec, content...)
}

// unframe returns the content of the record at an offset, or nil.
func unframe(log []byte, off int64) []byte {
	if off < 0 || int64(len(log)) < off+8 {
		return nil
	}
	size := int64(binary.LittleEndian.Uint32(log[off:]))
	if int64(len(log)) < off+8+size {
		return nil
	}
	content := log[off+8 : off+8+size]
	if crc32.ChecksumIEEE(content) != binary.LittleEndian.Uint32(log[off+4:]) {
		return nil
	}
	return content
}

// Many goroutines append; every record is whole, where Append says, and behind
// those that its goroutine appended before.
func TestAppend(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for name, flag := range map[string]int{"plain": 0, "append": os.O_APPEND, "sync": os.O_SYNC} {
			t.Run(name, func(t *testing.T) {
				const goroutines, records = 32, 20
				path := filepath.Join(t.TempDir(), "log")
				require.NoError(t, os.WriteFile(path, []byte("head"), 0o600))
				f := openFile(t, rt, path, os.O_WRONLY|flag)
				a := file.NewAppender(f, file.AppendConfig{MaxBatch: 4096, MaxPending: 16 << 10, Preallocate: 64 << 10})
				require.EqualValues(t, -1, a.Durable())
				offs := make([][]int64, goroutines)
				content := func(g, i int) []byte {
					return bytes.Repeat([]byte(fmt.Sprintf("%d/%d ", g, i)), 1+(g*i)%97)
				}
				var wg sync.WaitGroup
				for g := range goroutines {
					ctx := context.Background()
					if g%2 == 0 {
						ctx = t.Context()
					}
					wg.Go(func() {
						for i := range records {
							off, err := a.Append(ctx, framed(content(g, i)))
							if err != nil {
								t.Error(err)
								return
							}
							offs[g] = append(offs[g], off)
						}
					})
				}
				wg.Wait()
				require.NoError(t, a.Close())
				log, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, "head", string(log[:4]))
				require.EqualValues(t, len(log), a.Durable())
				total := 4
				for g := range goroutines {
					require.Len(t, offs[g], records)
					for i, off := range offs[g] {
						require.Equal(t, content(g, i), unframe(log, off))
						total += 8 + len(content(g, i))
						if i > 0 {
							require.Greater(t, off, offs[g][i-1])
						}
					}
				}
				require.Len(t, log, total)
				s := a.Stats()
				require.EqualValues(t, goroutines*records, s.Records)
				require.EqualValues(t, total-4, s.Bytes)
				require.LessOrEqual(t, s.Writes, s.Records)
			})
		}
	})
}

// Records that are written over what is there do not move the end of the file.
func TestAppendOverwrites(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "log")
		require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("."), 20), 0o600))
		f := openFile(t, rt, path, os.O_RDWR)
		a := file.NewAppender(f, file.AppendConfig{Overwrite: true, Offset: 5})
		for i, rec := range []string{"abc", "", "de"} {
			off, err := a.Append(t.Context(), []byte(rec))
			require.NoError(t, err)
			require.EqualValues(t, []int{5, 8, 8}[i], off)
		}
		require.EqualValues(t, 10, a.Durable())
		require.NoError(t, a.Close())
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, ".....abcde..........", string(got))
	})
}

func TestAppendRefuses(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "log")
		f := openFile(t, rt, path, os.O_RDWR|os.O_CREATE)
		a := file.NewAppender(f, file.AppendConfig{MaxPending: 10})
		var ae *file.AppendError
		_, err := a.Append(t.Context(), make([]byte, 11))
		require.ErrorAs(t, err, &ae)
		require.False(t, ae.Written)
		require.ErrorContains(t, err, "record of 11 bytes: at most 10 are possible (AppendConfig.MaxPending)")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(io.ErrNoProgress)
		_, err = a.Append(ctx, []byte("x"))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, io.ErrNoProgress)
		require.NoError(t, a.Close())
		require.ErrorIs(t, a.Close(), os.ErrClosed)
		_, err = a.Append(t.Context(), []byte("x"))
		require.ErrorIs(t, err, os.ErrClosed)
		require.ErrorAs(t, err, &ae)
		require.False(t, ae.Written)

		for _, cfg := range []file.AppendConfig{{MaxBatch: -1}, {Offset: 3}, {Overwrite: true, Offset: -1}} {
			_, err := file.NewAppender(f, cfg).Append(t.Context(), nil)
			require.ErrorIs(t, err, os.ErrInvalid)
		}
		g := openFile(t, rt, path, os.O_WRONLY|os.O_APPEND)
		_, err = file.NewAppender(g, file.AppendConfig{Overwrite: true}).Append(t.Context(), nil)
		require.ErrorContains(t, err, "O_APPEND")
		_, err = file.NewAppender(nil, file.AppendConfig{}).Append(t.Context(), nil)
		require.ErrorIs(t, err, os.ErrInvalid)
	})
}

// The first failure is that of all later Appends, even if they could succeed.
func TestAppendIsPoisoned(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "log")
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		f := openFile(t, rt, path, os.O_RDONLY)
		a := file.NewAppender(f, file.AppendConfig{})
		_, err := a.Append(context.Background(), []byte("x"))
		require.ErrorIs(t, err, syscall.EBADF)
		var ae *file.AppendError
		require.ErrorAs(t, err, &ae)
		require.True(t, ae.Written) // for all that it knows
		for range 3 {
			_, err := a.Append(t.Context(), []byte("y"))
			require.ErrorIs(t, err, syscall.EBADF)
			require.ErrorAs(t, err, &ae)
			require.False(t, ae.Written)
		}
		require.ErrorIs(t, a.Close(), syscall.EBADF)
		require.Zero(t, a.Stats().Records)
	})
}

// A full Appender makes Appends wait, in order, and contexts end the waiting.
func TestAppendContexts(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "log")
		f := openFile(t, rt, path, os.O_RDWR|os.O_CREATE)
		a := file.NewAppender(f, file.AppendConfig{MaxBatch: 200, MaxPending: 400})
		type result struct {
			rec []byte
			off int64
			err error
		}
		results := make(chan result, 1000)
		var wg sync.WaitGroup
		for g := range 20 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(g), 1))
				for i := range 25 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(400))*time.Microsecond)
					rec := framed([]byte(fmt.Sprintf("%d-%d-%s", g, i, bytes.Repeat([]byte("x"), rng.IntN(80)))))
					off, err := a.Append(ctx, rec)
					cancel()
					results <- result{rec, off, err}
				}
			})
		}
		wg.Wait()
		require.NoError(t, a.Close())
		close(results)
		log, err := os.ReadFile(path)
		require.NoError(t, err)
		// What the log has, in order and without gaps.
		found := make(map[string]int64)
		for off := int64(0); off < int64(len(log)); {
			content := unframe(log, off)
			require.NotNil(t, content, "no record at %d", off)
			found[string(framed(content))] = off
			off += 8 + int64(len(content))
		}
		var ok, written, not int
		for r := range results {
			off, there := found[string(r.rec)]
			var ae *file.AppendError
			switch {
			case r.err == nil:
				ok++
				require.True(t, there)
				require.Equal(t, off, r.off)
			case errors.As(r.err, &ae) && ae.Written:
				written++
			default:
				not++
				require.False(t, there, "%v, but it is there", r.err)
			}
			if r.err != nil {
				require.ErrorIs(t, r.err, context.DeadlineExceeded)
			}
		}
		t.Logf("%d appended, %d perhaps, %d not", ok, written, not)
	})
}

// Close waits for what has been appended, and refuses the rest.
func TestAppendCloseRace(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for range 20 {
			path := filepath.Join(t.TempDir(), "log")
			f := openFile(t, rt, path, os.O_RDWR|os.O_CREATE)
			a := file.NewAppender(f, file.AppendConfig{MaxPending: 64})
			var acknowledged atomic.Int64
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for {
						_, err := a.Append(context.Background(), make([]byte, 10))
						if err != nil {
							if !errors.Is(err, os.ErrClosed) {
								t.Error(err)
							}
							return
						}
						acknowledged.Inc()
					}
				})
			}
			testkit.Eventually(t, func() bool { return acknowledged.Load() > 10 }, "nothing is appended")
			runtime.Gosched()
			require.NoError(t, a.Close())
			wg.Wait()
			info, err := f.Stat()
			require.NoError(t, err)
			require.EqualValues(t, 10*acknowledged.Load(), info.Size())
		}
	})
}
