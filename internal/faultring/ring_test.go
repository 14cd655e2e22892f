package faultring

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/uring"
)

// bench is a ring that a test uses by hand.
type bench struct {
	*Ring
	t    *testing.T
	next uint64
}

func with(t *testing.T, cfg Config, f func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		if cfg.SQEntries == 0 {
			cfg.SQEntries, cfg.CQEntries = 8, 64
		}
		f(t, &bench{Ring: New(cfg), t: t})
	})
}

// put fills entries, with the numbers from 1 as their user data.
func (b *bench) put(prep ...func(*uring.SQE)) {
	b.t.Helper()
	for _, p := range prep {
		sqe := b.Next()
		require.NotNil(b.t, sqe)
		p(sqe)
		b.next++
		sqe.UserData = b.next
	}
}

// results submits, lets everything happen, and returns the completions in order,
// as "user data: result flags".
func (b *bench) results() []string {
	b.t.Helper()
	_, errno := b.Submit()
	require.Zero(b.t, errno)
	time.Sleep(time.Minute) // of virtual time
	var out []string
	for {
		if len(b.overflow) > 0 {
			_, _ = b.Submit()
		}
		var cqes [64]uring.CQE
		n := b.Reap(cqes[:])
		if n == 0 {
			return out
		}
		for _, c := range cqes[:n] {
			res := fmt.Sprint(c.Res)
			if e := c.Errno(); e != 0 {
				res = e.Error()
			}
			line := fmt.Sprintf("%d: %s", c.UserData, res)
			if c.Flags != 0 {
				line += " " + c.Flags.String()
			}
			out = append(out, line)
		}
	}
}

func link(flag uring.SQEFlags, prep func(*uring.SQE)) func(*uring.SQE) {
	return func(s *uring.SQE) {
		prep(s)
		s.Flags |= flag
	}
}

func nop(s *uring.SQE) { s.PrepNop() }

func TestFile(t *testing.T) {
	with(t, Config{}, func(t *testing.T, b *bench) {
		fd := b.File()
		out, in := []byte("hello"), make([]byte, 10)
		b.put(
			link(uring.IOSQE_IO_LINK, func(s *uring.SQE) { s.PrepWrite(fd, out, 3) }),
			func(s *uring.SQE) { s.PrepRead(fd, in, 1) })
		require.Equal(t, []string{"1: 5", "2: 7"}, b.results())
		require.Equal(t, "\x00\x00hello", string(in[:7]))
		require.NoError(t, b.Err())
	})
}

func TestStream(t *testing.T) {
	with(t, Config{}, func(t *testing.T, b *bench) {
		near, far := b.Pair(4)
		out, in := []byte("hello"), make([]byte, 10)
		b.put(func(s *uring.SQE) { s.PrepRecv(far, in, 0, 0) })
		require.Empty(t, b.results(), "nothing to receive")
		b.put(func(s *uring.SQE) { s.PrepSend(near, out, 0, 0) })
		require.Equal(t, []string{"2: 4", "1: 4"}, b.results(), "as much as there is room for")
		require.Equal(t, "hell", string(in[:4]))
		b.put(func(s *uring.SQE) { s.PrepShutdown(near, 1) }, func(s *uring.SQE) { s.PrepRecv(far, in, 0, 0) })
		require.ElementsMatch(t, []string{"3: 0", "4: 0"}, b.results())
		b.CloseFD(far)
		b.put(func(s *uring.SQE) { s.PrepSend(near, out, 0, 0) })
		require.Equal(t, []string{"5: broken pipe"}, b.results())
		b.CloseFD(near)
		require.Zero(t, b.OpenFDs())
		require.NoError(t, b.Err())
	})
}

func TestChains(t *testing.T) {
	const soft, hard = uring.IOSQE_IO_LINK, uring.IOSQE_IO_HARDLINK
	fails := func(s *uring.SQE) { s.PrepRecv(-1, nil, 0, 0) }
	for name, c := range map[string]struct {
		prep []func(*uring.SQE)
		want []string
	}{
		"whole":          {[]func(*uring.SQE){link(soft, nop), link(soft, nop), nop}, []string{"1: 0", "2: 0", "3: 0"}},
		"broken":         {[]func(*uring.SQE){link(soft, fails), link(soft, nop), nop}, []string{"1: bad file descriptor", "2: operation canceled", "3: operation canceled"}},
		"hard":           {[]func(*uring.SQE){link(hard, fails), nop}, []string{"1: bad file descriptor", "2: 0"}},
		"cut by the end": {[]func(*uring.SQE){link(soft, nop)}, []string{"1: 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, Config{}, func(t *testing.T, b *bench) {
				b.put(c.prep...)
				require.Equal(t, c.want, b.results())
				require.Zero(t, b.InFlight())
			})
		})
	}
}

// An enter that takes fewer entries than a chain has makes two chains of it.
func TestChainCutByTheCount(t *testing.T) {
	with(t, Config{}, func(t *testing.T, b *bench) {
		fails := func(s *uring.SQE) { s.PrepRecv(-1, nil, 0, 0) }
		b.TakeAtMost(2)
		b.put(link(uring.IOSQE_IO_LINK, fails), link(uring.IOSQE_IO_LINK, nop), nop)
		require.Equal(t, []string{"1: bad file descriptor", "2: operation canceled"}, b.results())
		require.Equal(t, []string{"3: 0"}, b.results())
	})
}

func TestTimeouts(t *testing.T) {
	with(t, Config{}, func(t *testing.T, b *bench) {
		near, _ := b.Pair(4)
		ts := &uring.Timespec{Sec: 1}
		in := make([]byte, 1)
		b.put(
			link(uring.IOSQE_IO_LINK, func(s *uring.SQE) { s.PrepRecv(near, in, 0, 0) }),
			func(s *uring.SQE) { s.PrepLinkTimeout(ts, 0) },
			link(uring.IOSQE_IO_LINK, nop),
			func(s *uring.SQE) { s.PrepLinkTimeout(ts, 0) },
			func(s *uring.SQE) { s.PrepTimeout(ts, 2, uring.IORING_TIMEOUT_MULTISHOT) })
		require.ElementsMatch(t, []string{
			"1: operation canceled", "2: timer expired",
			"3: 0", "4: operation canceled",
			"5: timer expired MORE", "5: timer expired",
		}, b.results())
		require.Zero(t, b.InFlight())
	})
}

func TestMultishot(t *testing.T) {
	with(t, Config{Faults: Faults{Scribble: 1000}}, func(t *testing.T, b *bench) {
		l := b.Listener()
		b.put(func(s *uring.SQE) { s.PrepAccept(l, nil, nil, 0, uring.IORING_ACCEPT_MULTISHOT) })
		require.Empty(t, b.results())
		near := b.Dial(l, 100)
		got := b.results()
		require.Equal(t, []string{fmt.Sprintf("1: %d MORE", near+1)}, got)
		far := near + 1

		b.Provide(3, [][]byte{make([]byte, 4)})
		b.put(func(s *uring.SQE) { s.PrepRecvMultishot(far, 3, 0, 0) })
		require.Equal(t, 6, b.Write(near, []byte("abcdef")))
		require.Equal(t, []string{"2: 4 BUFFER|MORE|SOCK_NONEMPTY|bid=0", "2: no buffer space available"}, b.results())
		b.Recycle(3, 0)
		require.NoError(t, b.Err())
		b.Recycle(3, 0)
		require.ErrorContains(t, b.Err(), "given back twice")

		b.put(func(s *uring.SQE) { s.PrepPollAdd(far, 1, uring.IORING_POLL_ADD_MULTI) })
		require.Equal(t, []string{"3: 1 MORE"}, b.results())
		b.Write(near, []byte("g"))
		require.Equal(t, []string{"3: 1 MORE"}, b.results(), "once for each change")
		b.put(func(s *uring.SQE) { s.PrepCancel(3, 0) })
		require.Equal(t, []string{"3: operation canceled", "4: 0"}, b.results())
	})
}

func TestCancel(t *testing.T) {
	recv := func(b *bench, far int, in []byte) {
		b.put(func(s *uring.SQE) { s.PrepRecv(far, in, 0, 0) })
		require.Empty(b.t, b.results())
		b.put(func(s *uring.SQE) { s.PrepCancel(1, 0) })
	}
	t.Run("wins", func(t *testing.T) {
		with(t, Config{}, func(t *testing.T, b *bench) {
			_, far := b.Pair(4)
			recv(b, far, make([]byte, 1))
			require.Equal(t, []string{"1: operation canceled", "2: 0"}, b.results())
			b.put(func(s *uring.SQE) { s.PrepCancel(1, 0) })
			require.Equal(t, []string{"3: no such file or directory"}, b.results())
		})
	})
	t.Run("misses", func(t *testing.T) {
		with(t, Config{Faults: Faults{CancelMisses: 1000}}, func(t *testing.T, b *bench) {
			_, far := b.Pair(4)
			recv(b, far, make([]byte, 1))
			require.Len(t, b.results(), 1)
			require.Equal(t, 1, b.InFlight())
		})
	})
	t.Run("is first", func(t *testing.T) {
		with(t, Config{Faults: Faults{CancelFirst: 1000}}, func(t *testing.T, b *bench) {
			_, far := b.Pair(4)
			recv(b, far, make([]byte, 1))
			require.Equal(t, []string{"2: 0", "1: operation canceled"}, b.results())
		})
	})
	t.Run("loses", func(t *testing.T) {
		with(t, Config{Faults: Faults{CancelLoses: 1000, DelayMax: time.Second}}, func(t *testing.T, b *bench) {
			near, far := b.Pair(4)
			in := make([]byte, 4)
			recv(b, far, in)
			_, _ = b.Submit()
			b.Write(near, []byte("x"))
			require.ElementsMatch(t, []string{"1: 1", "2: 0"}, b.results())
			require.Equal(t, byte('x'), in[0])
		})
	})
	t.Run("not of a file", func(t *testing.T) {
		with(t, Config{Faults: Faults{DelayMax: time.Second}}, func(t *testing.T, b *bench) {
			fd := b.File()
			b.put(func(s *uring.SQE) { s.PrepWrite(fd, make([]byte, 1), 0) }, func(s *uring.SQE) { s.PrepCancel(1, 0) })
			got := b.results()
			require.Contains(t, got, "1: 1")
			require.Len(t, got, 2)
		})
	})
}

// What does not fit into the queue waits for an enter.
func TestOverflow(t *testing.T) {
	with(t, Config{SQEntries: 4, CQEntries: 2}, func(t *testing.T, b *bench) {
		b.put(nop, nop, nop, nop)
		_, errno := b.Submit()
		require.Zero(t, errno)
		time.Sleep(time.Second)
		require.Equal(t, uring.IORING_SQ_CQ_OVERFLOW, b.Flags())
		var cqes [8]uring.CQE
		require.Equal(t, 2, b.Reap(cqes[:]))
		require.Zero(t, b.Reap(cqes[:]))
		_, errno = b.Submit()
		require.Zero(t, errno)
		require.Zero(t, b.Flags())
		require.Equal(t, 2, b.Reap(cqes[:]))
		require.Equal(t, 2, b.Counts().Overflows)
	})
}

func TestEnterFaults(t *testing.T) {
	for name, c := range map[string]struct {
		faults Faults
		errno  syscall.Errno
	}{
		"interrupted": {Faults{EnterInterrupted: 1000}, syscall.EINTR},
		"again":       {Faults{EnterAgain: 1000}, syscall.EAGAIN},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, Config{Faults: c.faults}, func(t *testing.T, b *bench) {
				b.put(nop)
				n, errno := b.Submit()
				require.Zero(t, n)
				require.Equal(t, c.errno, errno)
				require.EqualValues(t, 1, b.Pending(), "nothing was taken")
			})
		})
	}
	t.Run("short", func(t *testing.T) {
		with(t, Config{Faults: Faults{ShortSubmit: 1000}}, func(t *testing.T, b *bench) {
			b.put(nop, nop, nop, nop)
			for taken := 0; taken < 4; {
				n, errno := b.Submit()
				require.Zero(t, errno)
				require.Positive(t, n)
				taken += n
			}
			require.Zero(t, b.Pending())
		})
	})
	t.Run("sleep", func(t *testing.T) {
		with(t, Config{Faults: Faults{WaitInterrupted: 1000}}, func(t *testing.T, b *bench) {
			_, errno := b.Wait(0)
			require.Contains(t, []syscall.Errno{syscall.EINTR, uring.ETIME}, errno)
		})
	})
	t.Run("broken", func(t *testing.T) {
		with(t, Config{}, func(t *testing.T, b *bench) {
			time.AfterFunc(time.Second, func() { b.Break(uring.EBADR) })
			_, errno := b.Wait(0)
			require.Equal(t, uring.EBADR, errno)
			_, errno = b.Submit()
			require.Equal(t, uring.EBADR, errno)
		})
	})
}

// What must never happen is noticed.
func TestViolations(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(b *bench)
		want string
	}{
		"memory let go": {func(b *bench) {
			_, far := b.Pair(4)
			buf := make([]byte, 64)
			b.put(func(s *uring.SQE) { s.PrepRecv(far, buf, 0, 0) })
			require.Empty(b.t, b.results())
			buf = nil
			// The entry is on this side of the queue only a number.
			runtime.GC()
			runtime.GC()
			b.put(func(s *uring.SQE) { s.PrepCancel(1, 0) })
			b.results()
		}, "let go before it completed"},
		"closed in use": {func(b *bench) {
			_, far := b.Pair(4)
			buf := make([]byte, 64)
			b.put(func(s *uring.SQE) { s.PrepRecv(far, buf, 0, 0) })
			require.Empty(b.t, b.results())
			b.CloseFD(far)
			runtime.KeepAlive(buf)
		}, "in flight"},
		"closed twice": {func(b *bench) {
			fd := b.File()
			b.CloseFD(fd)
			b.CloseFD(fd)
		}, "not open"},
		"ring closed in use": {func(b *bench) {
			l := b.Listener()
			b.put(func(s *uring.SQE) { s.PrepAccept(l, nil, nil, 0, 0) })
			require.Empty(b.t, b.results())
			require.NoError(b.t, b.Close())
		}, "closed with ACCEPT"},
		"entered after it was closed": {func(b *bench) {
			require.NoError(b.t, b.Close())
			b.Submit()
		}, "enter of a ring that is closed"},
		"user data used twice": {func(b *bench) {
			l := b.Listener()
			b.put(func(s *uring.SQE) { s.PrepAccept(l, nil, nil, 0, 0) })
			b.next = 0
			b.put(func(s *uring.SQE) { s.PrepAccept(l, nil, nil, 0, 0) })
			b.results()
		}, "two requests"},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, Config{}, func(t *testing.T, b *bench) {
				c.do(b)
				require.Error(t, b.Err())
				require.True(t, strings.Contains(b.Err().Error(), c.want), "%v", b.Err())
			})
		})
	}
}

// Every kind of fault happens when it is asked for.
func TestOtherFaults(t *testing.T) {
	t.Run("repeated", func(t *testing.T) {
		with(t, Config{Faults: Faults{Repeated: 1000, Deferred: 1000}}, func(t *testing.T, b *bench) {
			l := b.Listener()
			b.Dial(l, 1)
			b.put(func(s *uring.SQE) { s.PrepAccept(l, nil, nil, 0, 0) })
			require.Len(t, b.results(), 2)
			require.Equal(t, 1, b.Counts().Repeated)
		})
	})
	t.Run("orphaned", func(t *testing.T) {
		with(t, Config{Faults: Faults{Orphaned: 1000}}, func(t *testing.T, b *bench) {
			l := b.Listener()
			b.put(func(s *uring.SQE) { s.PrepAccept(l, nil, nil, 0, 0) })
			require.Equal(t, []string{"1: operation canceled"}, b.results())
		})
	})
	t.Run("refused", func(t *testing.T) {
		with(t, Config{Faults: Faults{Refused: 1000}}, func(t *testing.T, b *bench) {
			l := b.Listener()
			b.Dial(l, 1)
			b.put(func(s *uring.SQE) { s.PrepAccept(l, nil, nil, 0, 0) })
			require.Len(t, b.results(), 1)
			require.Equal(t, 1, b.Backlog(l), "the connection is not lost")
		})
	})
	t.Run("disarmed", func(t *testing.T) {
		with(t, Config{Faults: Faults{Disarmed: 1000}}, func(t *testing.T, b *bench) {
			l := b.Listener()
			near := b.Dial(l, 1)
			b.put(func(s *uring.SQE) { s.PrepAccept(l, nil, nil, 0, uring.IORING_ACCEPT_MULTISHOT) })
			require.Equal(t, []string{fmt.Sprintf("1: %d", near+1)}, b.results())
			require.Zero(t, b.InFlight())
		})
	})
	t.Run("deferred", func(t *testing.T) {
		with(t, Config{Faults: Faults{Deferred: 1000, DelayMax: time.Second, Inline: 1000}}, func(t *testing.T, b *bench) {
			b.put(nop)
			b.mu.Lock()
			b.shown = b.tail
			b.consume(1)
			b.mu.Unlock()
			require.False(t, b.Ready())
			require.Equal(t, uring.IORING_SQ_TASKRUN, b.Flags())
			_, _ = b.Submit()
			require.True(t, b.Ready())
		})
	})
	t.Run("enable", func(t *testing.T) {
		with(t, Config{EnableError: syscall.EPERM}, func(t *testing.T, b *bench) {
			require.ErrorIs(t, b.Enable(), syscall.EPERM)
		})
	})
}
