package file_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// newPipe returns both ends of a pipe, closed at the end of the test.
func newPipe(t testing.TB, rt *proactor.Runtime) (r, w *file.File) {
	t.Helper()
	r, w, err := file.OpenConfig{Runtime: rt}.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r, w
}

// blocked waits until an operation that was started is likely to wait.
func blocked() { time.Sleep(20 * time.Millisecond) }

// later runs f and returns a function that waits for its error.
func later(t *testing.T, f func() error) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return func() error {
		t.Helper()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			t.Fatal("it still waits")
			return nil
		}
	}
}

func TestPipeCarriesEverything(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		r, w := newPipe(t, rt)
		want := pattern(3 << 20)
		wait := later(t, func() error {
			if n, err := w.Write(want); err != nil || n != len(want) {
				return errors.Join(err, errors.New("not all was written"))
			}
			return w.Close()
		})
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, wait())
		require.True(t, bytes.Equal(want, got))
	})
}

func TestPipeDeadlines(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		r, w := newPipe(t, rt)
		buf := make([]byte, 1<<20)

		// It passes while the read waits.
		require.NoError(t, r.SetReadDeadline(time.Now().Add(30*time.Millisecond)))
		_, err := r.Read(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var timeout interface{ Timeout() bool }
		require.ErrorAs(t, err, &timeout)
		require.True(t, timeout.Timeout())

		// It has passed, and what is there is not read.
		_, err = w.Write([]byte("x"))
		require.NoError(t, err)
		_, err = r.Read(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		n, err := r.Read(nil)
		require.NoError(t, err)
		require.Zero(t, n)

		// It is moved, and the read goes on.
		require.NoError(t, r.SetDeadline(time.Time{}))
		n, err = r.Read(buf)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		wait := later(t, func() error { _, err := r.Read(buf); return err })
		blocked()
		require.NoError(t, r.SetReadDeadline(time.Now().Add(-time.Second)))
		require.ErrorIs(t, wait(), os.ErrDeadlineExceeded)

		// A write says how far it got.
		require.NoError(t, w.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
		n, err = w.Write(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, r.SetReadDeadline(time.Time{}))
		got, err := io.ReadFull(r, make([]byte, n))
		require.NoError(t, err)
		require.Equal(t, n, got)
		require.Greater(t, n, 0)
		require.NoError(t, r.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		_, err = r.Read(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "nothing more is there")
	})
}

func TestCloseEndsReadsAndWrites(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		for range 20 {
			r, w := newPipe(t, rt)
			var waits []func() error
			for range 3 {
				waits = append(waits, later(t, func() error { _, err := r.Read(make([]byte, 1)); return err }))
			}
			time.Sleep(time.Millisecond)
			require.NoError(t, r.Close())
			for _, wait := range waits {
				require.ErrorIs(t, wait(), os.ErrClosed)
			}
			_, err := w.Write([]byte("x"))
			require.ErrorIs(t, err, syscall.EPIPE)
		}
		_, w := newPipe(t, rt)
		wait := later(t, func() error { _, err := w.Write(make([]byte, 1<<20)); return err })
		blocked()
		require.NoError(t, w.Close())
		require.ErrorIs(t, wait(), os.ErrClosed)
		require.ErrorIs(t, w.Close(), os.ErrClosed)
	})
}

// Each message that several goroutines write, no longer than what a pipe keeps
// together, is read whole and once.
func TestPipeSharedByMany(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		const goroutines, messages, size = 16, 50, 64
		r, w := newPipe(t, rt)
		var writers, readers sync.WaitGroup
		for i := range goroutines {
			writers.Go(func() {
				for range messages {
					if _, err := w.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		var mu sync.Mutex
		var count [goroutines]int
		for range 4 {
			readers.Go(func() {
				buf := make([]byte, size)
				for {
					n, err := r.Read(buf)
					if err == io.EOF {
						return
					}
					if err != nil || n != size || !bytes.Equal(buf, bytes.Repeat(buf[:1], size)) {
						t.Errorf("read %d bytes: %v", n, err)
						return
					}
					mu.Lock()
					count[buf[0]]++
					mu.Unlock()
				}
			})
		}
		writers.Wait()
		require.NoError(t, w.Close())
		readers.Wait()
		for _, n := range count {
			require.Equal(t, messages, n)
		}
	})
}

func TestFIFO(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		name := filepath.Join(t.TempDir(), "fifo")
		require.NoError(t, testkit.Mkfifo(name))
		cfg := file.OpenConfig{Runtime: rt}

		_, err := cfg.OpenFile(name, file.O_WRONLY|syscall.O_NONBLOCK, 0)
		require.ErrorIs(t, err, syscall.ENXIO, "nobody reads")

		// Each waits for the other.
		var w *file.File
		wait := later(t, func() (err error) {
			w, err = cfg.OpenFile(name, file.O_WRONLY, 0)
			return err
		})
		r, err := cfg.Open(name)
		require.NoError(t, err)
		defer r.Close()
		require.NoError(t, wait())
		wait = later(t, func() error {
			b := make([]byte, 10)
			n, err := r.Read(b)
			if err == nil && string(b[:n]) != "hello" {
				err = errors.New("read " + string(b[:n]))
			}
			return err
		})
		blocked()
		_, err = w.WriteString("hello")
		require.NoError(t, err)
		require.NoError(t, wait())
		require.NoError(t, r.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, r.SetReadDeadline(time.Time{}))
		require.NoError(t, w.Close())
		_, err = r.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
	})
}

// terminal returns both ends of a terminal without any processing.
func terminal(t *testing.T, rt *proactor.Runtime) (master, slave *file.File) {
	t.Helper()
	master = openFile(t, rt, "/dev/ptmx", file.O_RDWR|syscall.O_NOCTTY)
	var name string
	control(t, master, func(fd uintptr) (err error) { name, err = testkit.UnlockTerminal(fd); return err })
	slave = openFile(t, rt, name, file.O_RDWR|syscall.O_NOCTTY)
	control(t, slave, testkit.MakeRaw)
	return master, slave
}

func control(t *testing.T, f *file.File, do func(fd uintptr) error) {
	t.Helper()
	rc, err := f.SyscallConn()
	require.NoError(t, err)
	var failed error
	require.NoError(t, rc.Control(func(fd uintptr) { failed = do(fd) }))
	require.NoError(t, failed)
}

// A terminal whose other end is slow keeps nobody else waiting.
func TestTerminal(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		master, slave := terminal(t, rt)
		wait := later(t, func() error { _, err := slave.Read(make([]byte, 1)); return err })
		blocked()
		_, err := master.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, wait())

		require.NoError(t, slave.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		_, err = slave.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		// More than the terminal keeps.
		want := pattern(256 << 10)
		wait = later(t, func() error { _, err := slave.Write(want); return err })
		blocked()
		r, w := newPipe(t, rt)
		waitPipe := later(t, func() error { _, err := r.Read(make([]byte, 1)); return err })
		blocked()
		_, err = w.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, waitPipe(), "while the terminal is full")
		got := make([]byte, len(want))
		_, err = io.ReadFull(master, got)
		require.NoError(t, err)
		require.NoError(t, wait())
		require.True(t, bytes.Equal(want, got))

		wait = later(t, func() error { _, err := master.Read(make([]byte, 1)); return err })
		blocked()
		require.NoError(t, master.Close())
		require.ErrorIs(t, wait(), os.ErrClosed)
		_, err = slave.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EIO, "nobody is there any more")
	})
}

// Who gets the descriptor's number finds it blocking, and reads go on all the
// same.
func TestFdOfStream(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		r, w := newPipe(t, rt)
		wait := later(t, func() error { _, err := r.Read(make([]byte, 1)); return err })
		blocked()
		nonblocking := func() bool {
			flags, err := os.ReadFile("/proc/self/fdinfo/" + itoa(r.Fd()))
			require.NoError(t, err)
			return bytes.Contains(flags, []byte("flags:\t04000")) || bytes.Contains(flags, []byte("flags:\t02004000"))
		}
		require.False(t, nonblocking())
		_, err := w.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, wait())
		if !rt.HasRing() {
			return // os.File's reads keep a thread now, and Close does not end them
		}
		require.NoError(t, r.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, r.SetReadDeadline(time.Time{}))
		wait = later(t, func() error { _, err := r.Read(make([]byte, 1)); return err })
		blocked()
		require.NoError(t, r.Close())
		require.ErrorIs(t, wait(), os.ErrClosed)
		require.Equal(t, ^uintptr(0), r.Fd())
	})
}

func itoa(n uintptr) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func TestRawConnOfStream(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		r, w := newPipe(t, rt)
		rc, err := r.SyscallConn()
		require.NoError(t, err)
		wait := later(t, func() error {
			var failed error
			var n int
			err := rc.Read(func(fd uintptr) bool {
				n, failed = syscall.Read(int(fd), make([]byte, 10))
				return failed != syscall.EAGAIN
			})
			if n != 5 {
				failed = errors.Join(failed, errors.New("not all was read"))
			}
			return errors.Join(err, failed)
		})
		blocked()
		wc, err := w.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, wc.Write(func(fd uintptr) bool {
			_, err := syscall.Write(int(fd), []byte("hello"))
			return err == nil
		}))
		require.NoError(t, wait())

		require.NoError(t, r.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		require.ErrorIs(t, rc.Read(func(uintptr) bool { return false }), os.ErrDeadlineExceeded)
		require.NoError(t, r.SetReadDeadline(time.Time{}))
		wait = later(t, func() error { return rc.Read(func(uintptr) bool { return false }) })
		blocked()
		require.NoError(t, r.Close())
		require.ErrorContains(t, wait(), "use of closed file")
		require.ErrorContains(t, rc.Control(func(uintptr) {}), "use of closed file")
	})
}
