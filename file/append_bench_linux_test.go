package file_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/file"
)

// BenchmarkAppend makes records of 256 bytes durable, from several goroutines
// that each wait for the last one.
func BenchmarkAppend(b *testing.B) {
	for _, goroutines := range []int{1, 8, 64, 256} {
		for _, way := range []struct {
			name string
			log  func(b *testing.B, name string) (appends func([]byte) error, done func())
		}{
			{"mutex", mutexLog}, {"group", groupLog}, {"file", appenderLog},
		} {
			b.Run(fmt.Sprintf("%d/%s", goroutines, way.name), func(b *testing.B) {
				appends, done := way.log(b, filepath.Join(b.TempDir(), "log"))
				defer done()
				rec := pattern(256)
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				b.ResetTimer()
				for range goroutines {
					wg.Go(func() {
						for left.Dec() >= 0 {
							if err := appends(rec); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

func logFile(b *testing.B, name string) *os.File {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	require.NoError(b, err)
	return f
}

// mutexLog is what one does without thinking.
func mutexLog(b *testing.B, name string) (func([]byte) error, func()) {
	f := logFile(b, name)
	var mu sync.Mutex
	return func(rec []byte) error {
		mu.Lock()
		defer mu.Unlock()
		if _, err := f.Write(rec); err != nil {
			return err
		}
		return f.Sync()
	}, func() { f.Close() }
}

// groupLog is a group commit as one writes it by hand: a goroutine that takes
// what has gathered, writes it, and calls fdatasync.
func groupLog(b *testing.B, name string) (func([]byte) error, func()) {
	f := logFile(b, name)
	fd := int(f.Fd())
	type group struct {
		buf  []byte
		done chan struct{}
		err  error
	}
	var mu sync.Mutex
	cur := &group{done: make(chan struct{})}
	work := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		var spare []byte
		for range work {
			mu.Lock()
			g := cur
			cur = &group{buf: spare[:0], done: make(chan struct{})}
			mu.Unlock()
			if _, g.err = f.Write(g.buf); g.err == nil {
				g.err = syscall.Fdatasync(fd)
			}
			spare = g.buf
			close(g.done)
		}
	})
	return func(rec []byte) error {
		mu.Lock()
		g := cur
		g.buf = append(g.buf, rec...)
		mu.Unlock()
		select {
		case work <- struct{}{}:
		default:
		}
		<-g.done
		return g.err
	}, func() { close(work); wg.Wait(); f.Close() }
}

func appenderLog(b *testing.B, name string) (func([]byte) error, func()) {
	f, err := file.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	require.NoError(b, err)
	a := file.NewAppender(f, file.AppendConfig{})
	return func(rec []byte) error {
			_, err := a.Append(context.Background(), rec)
			return err
		}, func() {
			require.NoError(b, a.Close())
			if s := a.Stats(); s.Writes > 0 {
				b.ReportMetric(float64(s.Records)/float64(s.Writes), "records/write")
			}
			require.NoError(b, f.Close())
		}
}
