package file_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestFromOS(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		cfg := file.OpenConfig{Runtime: rt}

		std, err := os.OpenFile(filepath.Join(t.TempDir(), "f"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
		require.NoError(t, err)
		f, err := cfg.FromOS(std)
		require.NoError(t, err)
		require.Equal(t, std.Name(), f.Name())
		_, err = f.WriteString("hello")
		require.NoError(t, err)
		_, err = f.WriteAt([]byte("x"), 0)
		require.ErrorContains(t, err, "O_APPEND")

		// Another for the same open file shares its position.
		dup, err := f.Dup()
		require.NoError(t, err)
		again, err := f.OS()
		require.NoError(t, err)
		_, err = f.Seek(2, io.SeekStart)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.ErrorIs(t, std.Close(), os.ErrClosed, "it was taken over")
		b := make([]byte, 1)
		_, err = dup.Read(b)
		require.NoError(t, err)
		require.Equal(t, "l", string(b))
		_, err = again.Read(b)
		require.NoError(t, err)
		require.Equal(t, "l", string(b))
		_, err = again.Read(b)
		require.NoError(t, err)
		require.Equal(t, "o", string(b))
		require.NoError(t, dup.Close())
		require.NoError(t, again.Close())

		_, err = f.Dup()
		require.ErrorIs(t, err, os.ErrClosed)
		_, err = cfg.FromOS(std)
		require.ErrorIs(t, err, os.ErrClosed)
		_, err = cfg.FromOS(nil)
		require.ErrorIs(t, err, os.ErrInvalid)
	})
}

// What package os could wait for can be waited for here.
func TestFromOSPipe(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		cfg := file.OpenConfig{Runtime: rt}
		stdr, stdw, err := os.Pipe()
		require.NoError(t, err)
		defer stdw.Close()
		r, err := cfg.FromOS(stdr)
		require.NoError(t, err)
		require.NoError(t, r.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		// A duplicate has deadlines of its own.
		dup, err := r.Dup()
		require.NoError(t, err)
		defer dup.Close()
		wait := later(t, func() error { _, err := dup.Read(make([]byte, 1)); return err })
		blocked()
		_, err = stdw.WriteString("x")
		require.NoError(t, err)
		require.NoError(t, wait())
		std, err := r.OS()
		require.NoError(t, err)
		require.NoError(t, std.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
		_, err = std.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, std.Close())
		require.NoError(t, r.Close())
	})
}

// A blocking descriptor, as standard input is, has no deadlines, but a read that
// waits keeps no thread and is ended by Close.
func TestBlockingDescriptor(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		stdr, stdw, err := os.Pipe()
		require.NoError(t, err)
		defer stdw.Close()
		stdr.Fd() // makes it blocking
		std := dupBlocking(t, stdr)
		r, err := file.OpenConfig{Runtime: rt}.FromOS(std)
		require.NoError(t, err)
		require.NoError(t, stdr.Close())
		require.ErrorIs(t, r.SetDeadline(time.Now()), os.ErrNoDeadline)
		wait := later(t, func() error { _, err := r.Read(make([]byte, 1)); return err })
		blocked()
		if rt.HasRing() {
			require.NoError(t, r.Close())
			require.ErrorIs(t, wait(), os.ErrClosed)
			return
		}
		_, err = stdw.WriteString("x")
		require.NoError(t, err)
		require.NoError(t, wait())
		require.NoError(t, r.Close())
	})
}

// dupBlocking returns a file that package os has got with a blocking descriptor.
func dupBlocking(t *testing.T, f *os.File) *os.File {
	t.Helper()
	ours, err := file.OpenConfig{}.FromOS(f)
	require.NoError(t, err)
	std, err := ours.OS()
	require.NoError(t, err)
	return std
}

func TestNewFile(t *testing.T) {
	require.Nil(t, file.NewFile(^uintptr(0), "none"))
	f := file.NewFile(1<<20, "not open")
	require.NotNil(t, f)
	_, err := f.Read(make([]byte, 1))
	want := os.NewFile(1<<20, "not open")
	_, wantErr := want.Read(make([]byte, 1))
	require.Equal(t, wantErr, err)
	require.Error(t, f.Close())
	_ = want.Close()
}

// A file that is forgotten is closed, but not under an operation.
func TestForgottenFiles(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		name := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(name, pattern(1000), 0o600))
		cfg := file.OpenConfig{Runtime: rt}
		before := descriptors(t)
		for range 50 {
			f, err := cfg.Open(name)
			require.NoError(t, err)
			_, err = f.Read(make([]byte, 10))
			require.NoError(t, err)
			_, w, err := cfg.Pipe()
			require.NoError(t, err)
			require.NoError(t, w.SetDeadline(time.Now().Add(time.Hour)))
			require.NoError(t, w.SetDeadline(time.Time{}))
		}
		require.Greater(t, descriptors(t), before+50)
		testkit.Eventually(t, func() bool {
			runtime.GC()
			return descriptors(t) <= before
		}, "descriptors of forgotten files")

		// Only the goroutine that waits knows this reader.
		w, wait := readerOfItsOwn(t, cfg)
		for range 10 {
			blocked()
			runtime.GC()
		}
		_, err := w.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, wait())
		require.NoError(t, w.Close())
	})
}

// readerOfItsOwn starts a read from a pipe that nobody else refers to.
func readerOfItsOwn(t *testing.T, cfg file.OpenConfig) (w *file.File, wait func() error) {
	t.Helper()
	r, w, err := cfg.Pipe()
	require.NoError(t, err)
	return w, later(t, func() error { _, err := r.Read(make([]byte, 1)); return err })
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(entries)
}

// Data between files, and between files and sockets, arrive whole, limits hold,
// and positions move.
func TestTransfer(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		dir := t.TempDir()
		content := pattern(3<<20 + 17)
		require.NoError(t, os.WriteFile(dir+"/src", content, 0o600))
		src := openFile(t, rt, dir+"/src", file.O_RDONLY)
		std, err := os.Open(dir + "/src")
		require.NoError(t, err)
		defer std.Close()
		proc := openFile(t, rt, "/proc/self/status", file.O_RDONLY)

		for _, from := range []io.ReadSeeker{src, std} {
			dst := openFile(t, rt, dir+"/dst", file.O_RDWR|file.O_CREATE|file.O_TRUNC)
			_, err := from.Seek(5, io.SeekStart)
			require.NoError(t, err)
			limited := &io.LimitedReader{R: from, N: 1 << 20}
			n, err := dst.ReadFrom(limited)
			require.NoError(t, err)
			require.EqualValues(t, 1<<20, n)
			require.Zero(t, limited.N)
			limited.N = 10 << 20
			n, err = dst.ReadFrom(limited)
			require.NoError(t, err)
			require.EqualValues(t, len(content)-5-1<<20, n)
			require.EqualValues(t, 10<<20-n, limited.N)
			requireContent(t, dir+"/dst", content[5:])
			pos, err := dst.Seek(0, io.SeekCurrent)
			require.NoError(t, err)
			require.EqualValues(t, len(content)-5, pos)
			n, err = dst.ReadFrom(limited)
			require.NoError(t, err)
			require.Zero(t, n)
		}

		// Files that only reading tells the size of, and writing at the end.
		dst := openFile(t, rt, dir+"/end", file.O_RDWR|file.O_CREATE|file.O_APPEND)
		n, err := dst.ReadFrom(proc)
		require.NoError(t, err)
		require.Greater(t, n, int64(100))
		_, err = src.Seek(0, io.SeekStart)
		require.NoError(t, err)
		m, err := dst.ReadFrom(src)
		require.NoError(t, err)
		require.EqualValues(t, len(content), m)

		// A file onto itself: what is read is written again.
		self := openFile(t, rt, dir+"/self", file.O_RDWR|file.O_CREATE)
		_, err = self.WriteString("hello")
		require.NoError(t, err)
		n, err = self.ReadFrom(self)
		require.NoError(t, err)
		require.Zero(t, n)

		// Through a socket and back.
		c1, c2 := tcpPair(t)
		_, err = src.Seek(0, io.SeekStart)
		require.NoError(t, err)
		back := openFile(t, rt, dir+"/back", file.O_RDWR|file.O_CREATE)
		wait := later(t, func() error {
			n, err := back.ReadFrom(c2)
			if n != int64(len(content)) {
				err = errors.Join(err, errors.New("not all was received"))
			}
			return err
		})
		n, err = src.WriteTo(c1)
		require.NoError(t, err)
		require.EqualValues(t, len(content), n)
		require.NoError(t, c1.Close())
		require.NoError(t, wait())
		requireContent(t, dir+"/back", content)

		// And by the generic way.
		r, w := newPipe(t, rt)
		_, err = src.Seek(0, io.SeekStart)
		require.NoError(t, err)
		wait = later(t, func() error { _, err := src.WriteTo(w); return errors.Join(err, w.Close()) })
		piped := openFile(t, rt, dir+"/piped", file.O_RDWR|file.O_CREATE)
		_, err = piped.ReadFrom(r)
		require.NoError(t, err)
		require.NoError(t, wait())
		requireContent(t, dir+"/piped", content)
	})
}

// A peer that sends nothing keeps nobody from closing the file.
func TestTransferWaitsWithoutTheFile(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		c1, c2 := tcpPair(t)
		f := openFile(t, rt, filepath.Join(t.TempDir(), "f"), file.O_RDWR|file.O_CREATE)
		wait := later(t, func() error { _, err := f.ReadFrom(c2); return err })
		blocked()
		require.NoError(t, f.Close())
		_, err := c1.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, c1.Close())
		if err := wait(); rt.HasRing() {
			require.ErrorIs(t, err, os.ErrClosed)
		}
	})
}

// Two files that are copied onto each other at the same time do not wait for each
// other for ever.
func TestTransferBothWays(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.Watchdog(t, time.Minute)
		dir := t.TempDir()
		a := openFile(t, rt, dir+"/a", file.O_RDWR|file.O_CREATE)
		b := openFile(t, rt, dir+"/b", file.O_RDWR|file.O_CREATE)
		for range 200 {
			wait := later(t, func() error { _, err := a.ReadFrom(&io.LimitedReader{R: b, N: 4096}); return err })
			_, err := b.ReadFrom(&io.LimitedReader{R: a, N: 4096})
			require.NoError(t, err)
			require.NoError(t, wait())
		}
	})
}

func requireContent(t *testing.T, name string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, len(want), len(got))
	require.True(t, string(want) == string(got), "the contents of %s differ", name)
}

func tcpPair(t *testing.T) (c1, c2 *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer l.Close()
	c1, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	require.NoError(t, err)
	c2, err = l.AcceptTCP()
	require.NoError(t, err)
	t.Cleanup(func() { _ = c1.Close(); _ = c2.Close() })
	return c1, c2
}
