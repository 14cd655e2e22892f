package file_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// Close does not wait for who uses the descriptor, as the ReadFrom of a connection
// does for as long as its peer takes, and does not take it away from him.
func TestCloseDoesNotWaitForUsers(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(name, pattern(100), 0o600))
		f, err := file.OpenConfig{Runtime: rt}.Open(name)
		require.NoError(t, err)
		rc, err := f.SyscallConn()
		require.NoError(t, err)
		using, closed := make(chan string), make(chan struct{})
		used := make(chan error)
		var link string
		go func() {
			used <- rc.Read(func(fd uintptr) bool {
				link = fmt.Sprintf("/proc/self/fd/%d", fd)
				using <- link
				<-closed
				if got, err := os.Readlink(link); err != nil || got != name {
					t.Errorf("descriptor is %q, %v", got, err)
				}
				return true
			})
		}()
		<-using
		waits := make(chan error, 1)
		go func() {
			_, err := f.Read(make([]byte, 1)) // for the other to end
			waits <- err
		}()
		require.NoError(t, f.Close())
		_, err = f.Stat()
		require.ErrorIs(t, err, os.ErrClosed)
		_, err = f.ReadAt(make([]byte, 1), 0)
		require.ErrorIs(t, err, os.ErrClosed)
		require.ErrorIs(t, f.Close(), os.ErrClosed)
		close(closed)
		require.NoError(t, <-used)
		require.ErrorIs(t, <-waits, os.ErrClosed)
		testkit.Eventually(t, func() bool {
			got, err := os.Readlink(link)
			return err != nil || got != name
		}, "the descriptor is closed")
	})
}

// Reads that are under way when their file is closed read it, and no other file
// that has got the descriptor's number.
func TestCloseUnderReads(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		dir := t.TempDir()
		const files, size = 4, 64 << 10
		for i := range files {
			content := make([]byte, size)
			for k := range content {
				content[k] = byte(i)
			}
			require.NoError(t, os.WriteFile(fmt.Sprintf("%s/%d", dir, i), content, 0o600))
		}
		rounds := 60
		if testing.Short() {
			rounds = 15
		}
		for round := range rounds {
			i := round % files
			f := direct(t, rt, fmt.Sprintf("%s/%d", dir, i))
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					buf := aligned(4096)
					for {
						n, err := f.ReadAt(buf, rand.Int64N(size/4096)*4096)
						if err != nil {
							if !errors.Is(err, os.ErrClosed) {
								t.Error(err)
							}
							return
						}
						for _, c := range buf[:n] {
							if c != byte(i) {
								t.Errorf("read %d of file %d", c, i)
								return
							}
						}
					}
				})
			}
			time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond) // any moment will do
			require.NoError(t, f.Close())
			next := direct(t, rt, fmt.Sprintf("%s/%d", dir, (i+1)%files))
			wg.Wait()
			require.NoError(t, next.Close())
		}
	})
}
