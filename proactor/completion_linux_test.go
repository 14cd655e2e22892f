package proactor_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

func TestContext(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		r, w := pipe(t)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		buf := make([]byte, 8)
		_, err := proactor.Do(ended, rt, proactor.Read{FD: r, Buf: buf})
		require.ErrorIs(t, err, context.Canceled)

		soon, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		_, err = proactor.Do(soon, rt, proactor.Read{FD: r, Buf: buf})
		require.ErrorIs(t, err, context.DeadlineExceeded)

		// The operation is really gone: what is written is not taken by it.
		_, err = syscall.Write(w, []byte("x"))
		require.NoError(t, err)
		n, err := proactor.Do(t.Context(), rt, proactor.Read{FD: r, Buf: buf})
		require.NoError(t, err)
		require.Equal(t, 1, n)
	})
}

// The end of a context races with data: no byte is lost, whoever wins.
func TestContextRace(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		rounds := 300
		if testing.Short() {
			rounds = 60
		}
		r, w := pipe(t)
		written, read := 0, 0
		buf := make([]byte, 64)
		for range rounds {
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				for range rand.IntN(4) {
					runtime.Gosched()
				}
				cancel()
			})
			wg.Go(func() {
				for range rand.IntN(4) {
					runtime.Gosched()
				}
				n, _ := syscall.Write(w, []byte("abc"))
				written += n
			})
			n, err := proactor.Do(ctx, rt, proactor.Read{FD: r, Buf: buf})
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			read += n
			wg.Wait()
		}
		for read < written {
			n, err := proactor.Do(t.Context(), rt, proactor.Read{FD: r, Buf: buf})
			require.NoError(t, err)
			read += n
		}
		require.Equal(t, written, read)
	})
}

// An accept that is cancelled while somebody connects either returns the
// connection or leaves it to the next accept.
func TestAcceptRace(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		testkit.NoLeak(t)
		l, addr := listener(t)
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			var client int
			wg.Go(func() { client = dial(t, addr) })
			wg.Go(cancel)
			conn, err := proactor.Do(ctx, rt, proactor.Accept{FD: l})
			wg.Wait()
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
				conn, err = proactor.Do(t.Context(), rt, proactor.Accept{FD: l})
				require.NoError(t, err)
			}
			require.NoError(t, syscall.Close(conn.FD))
			require.NoError(t, syscall.Close(client))
		}
	})
}

func TestManyOutstanding(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		const n = 300
		a, b := socketpair(t)
		var cs []*proactor.Completion[int]
		bufs := make([][1]byte, n)
		for i := range n {
			c, err := proactor.Submit(t.Context(), rt, proactor.Recv{FD: b, Buf: bufs[i][:]})
			require.NoError(t, err)
			cs = append(cs, c)
		}
		for i := range n {
			_, err := syscall.Write(a, []byte{byte(i)})
			require.NoError(t, err)
		}
		sum := 0
		for i, c := range cs {
			<-c.Done()
			got, err := c.Result()
			require.NoError(t, err)
			require.Equal(t, 1, got)
			sum += int(bufs[i][0])
		}
		want := 0
		for i := range n {
			want += int(byte(i))
		}
		require.Equal(t, want, sum, "each byte has been received once")
	})
}

func TestSeveralWaiters(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := socketpair(t)
		c, err := proactor.Submit(t.Context(), rt, proactor.Recv{FD: b, Buf: make([]byte, 8)})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if n, err := c.Result(); n != 3 || err != nil {
					t.Errorf("got %d, %v", n, err)
				}
			})
		}
		_, err = syscall.Write(a, []byte("abc"))
		require.NoError(t, err)
		wg.Wait()
		require.False(t, c.Cancel(), "it has completed")
		n, err := c.Result()
		require.NoError(t, err)
		require.Equal(t, 3, n)
	})
}

// What an abandoned operation yields is closed, and its result is not to be
// had.
func TestAbandon(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		name := filepath.Join(t.TempDir(), "f")
		require.NoError(t, os.WriteFile(name, nil, 0o600))
		l, addr := listener(t)
		before := len(testkit.Fds(t))
		for i := range 50 {
			c, err := proactor.Submit(t.Context(), rt, proactor.Open{Path: name})
			require.NoError(t, err)
			if i%2 == 0 {
				<-c.Done()
			}
			c.Abandon()
			c.Abandon()
			_, err = c.Result()
			require.ErrorIs(t, err, os.ErrInvalid)

			accept, err := proactor.Submit(t.Context(), rt, proactor.Accept{FD: l})
			require.NoError(t, err)
			var wg sync.WaitGroup
			var client int
			wg.Go(func() { client = dial(t, addr) })
			wg.Go(accept.Abandon)
			wg.Wait()
			<-accept.Done()
			require.NoError(t, syscall.Close(client))
		}
		// A connection whose accept was cancelled in time waits in the listener's
		// backlog, which is no descriptor of ours.
		testkit.Eventually(t, func() bool { return len(testkit.Fds(t)) == before }, "descriptors are left")
	})
}

// The memory of an abandoned operation stays until the kernel is done with it,
// and no longer.
func TestAbandonKeepsMemory(t *testing.T) {
	rt := open(t, proactor.Config{})
	_, w := pipe(t)
	freed := make(chan struct{})
	func() {
		buf := make([]byte, 1<<20) // more than the pipe holds
		runtime.AddCleanup(&buf[0], func(struct{}) { close(freed) }, struct{}{})
		for range 3 {
			c, err := proactor.Submit(t.Context(), rt, proactor.Write{FD: w, Buf: buf})
			require.NoError(t, err)
			_ = c
		}
	}()
	for range 3 {
		runtime.GC()
	}
	select {
	case <-freed:
		t.Fatal("freed while the kernel reads it")
	default:
	}
	require.NoError(t, rt.Close())
	testkit.Eventually(t, func() bool {
		runtime.GC()
		select {
		case <-freed:
			return true
		default:
			return false
		}
	}, "the buffer is never freed")
}

func TestCloseWithOperationsInFlight(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		_, b := socketpair(t)
		var cs []*proactor.Completion[int]
		for range 50 {
			c, err := proactor.Submit(t.Context(), rt, proactor.Recv{FD: b, Buf: make([]byte, 1)})
			require.NoError(t, err)
			cs = append(cs, c)
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := rt.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		for _, c := range cs {
			_, err := c.Result()
			require.ErrorIs(t, err, proactor.ErrClosed)
		}
		wg.Wait()
		_, err := proactor.Do(t.Context(), rt, proactor.Nop{})
		require.ErrorIs(t, err, proactor.ErrClosed)
	})
}

func TestShutdownSaysWhatIsLeft(t *testing.T) {
	rt := open(t, proactor.Config{})
	r, _ := pipe(t)
	c, err := proactor.Submit(t.Context(), rt, proactor.Read{FD: r, Buf: make([]byte, 1)})
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var left *driver.ShutdownError
	if err := rt.Shutdown(ended); errors.As(err, &left) {
		require.ErrorIs(t, err, context.Canceled)
		require.LessOrEqual(t, left.Left[uring.IORING_OP_READ], 1)
	}
	_, err = c.Result()
	require.ErrorIs(t, err, proactor.ErrClosed)
}

// grow makes the stack of the calling goroutine move.
//
//go:noinline
func grow(depth int) byte {
	var room [1024]byte
	if depth > 0 {
		room[depth%1024] = grow(depth - 1)
	}
	return room[depth%1024]
}

// A caller's array, for all its code says on the stack, is where the kernel
// thinks it is, even if the stack moves meanwhile.
func TestStackGrowth(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for range 20 {
			done := make(chan struct{})
			go func() {
				defer close(done)
				a, b := socketpair(t)
				var buf [64]byte
				c, err := proactor.Submit(t.Context(), rt, proactor.Recv{FD: b, Buf: buf[:]})
				if err != nil {
					t.Error(err)
					return
				}
				grow(200)
				if _, err := syscall.Write(a, []byte("where is it")); err != nil {
					t.Error(err)
				}
				n, err := c.Result()
				if err != nil || string(buf[:n]) != "where is it" {
					t.Errorf("got %q, %v", buf[:n], err)
				}
			}()
			<-done
		}
	})
}

// Buffers that nothing but their operations refer to survive a collector that
// never rests.
func TestGarbageCollection(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		f := tempFile(t)
		content := make([]byte, 1<<16)
		for i := range content {
			content[i] = byte(i >> 8)
		}
		_, err := f.Write(content)
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					block := rand.IntN(256)
					buf := make([]byte, 256)
					n, err := proactor.Do(t.Context(), rt, proactor.ReadAt{FD: int(f.Fd()), Buf: buf, Offset: int64(block) * 256})
					if n != 256 || err != nil {
						t.Errorf("read %d, %v", n, err)
						return
					}
					for _, c := range buf {
						if int(c) != block {
							t.Errorf("block %d has %d", block, c)
							return
						}
					}
				}
			})
		}
		wg.Wait()
	})
}
