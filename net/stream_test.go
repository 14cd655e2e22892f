package net_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	stdnet "net"
	goruntime "runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// Reads and Writes of nothing return at once and change nothing.
func TestZeroLength(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		for _, b := range [][]byte{nil, {}, make([]byte, 0, 8)} {
			n, err := c1.Read(b)
			require.NoError(t, err)
			require.Zero(t, n)
			n, err = c1.Write(b)
			require.NoError(t, err)
			require.Zero(t, n)
		}
		_, err := c2.Write([]byte("x"))
		require.NoError(t, err)
		n, err := c1.Read(nil)
		require.NoError(t, err)
		require.Zero(t, n)
		b := make([]byte, 2)
		n, err = c1.Read(b)
		require.NoError(t, err)
		require.Equal(t, "x", string(b[:n]), "the Read of nothing took something, or the Write of nothing sent something")
		roundTrip(t, c1, c2)
		require.NoError(t, c2.Close())
		n, err = c1.Read(nil)
		require.NoError(t, err, "a Read of nothing does not see the end of the stream")
		require.Zero(t, n)
	})
}

// A Write is whole, however slow the reader.
func TestLargeWriteToASlowReader(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		size := pick(2<<20, 1<<20)
		if plain(t) && network != "tcp6" {
			size = pick(64<<20, 8<<20)
		}
		c1, c2 := connect(t, rt, network)
		data := bytesOf(4, size)
		write := start(func() (int, error) { return c1.Write(data) })
		want := newPattern(4)
		for _, chunk := range []int{1, 100, 1000} {
			time.Sleep(100 * time.Microsecond)
			want.readAll(t, c2, chunk, chunk)
			size -= chunk
		}
		want.readAll(t, c2, size, 256<<10)
		w := <-write
		require.NoError(t, w.err)
		require.Equal(t, len(data), w.n)
	})
}

// Writes of several goroutines reach the peer one after the other, not mixed.
func TestConcurrentWritersAreNotMixed(t *testing.T) {
	const writers = 6
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		rounds := pick(3, 1)
		size := 100_000
		if plain(t) {
			size = 1_000_000
		}
		c1, c2 := connect(t, rt, network)
		var writes []<-chan result
		for i := range writers {
			b := bytes.Repeat([]byte{byte('a' + i)}, size)
			writes = append(writes, start(func() (n int, err error) {
				for range rounds {
					if n, err = c1.Write(b); err != nil {
						break
					}
				}
				return n, err
			}))
		}
		seen := make(map[byte]int)
		b := make([]byte, size)
		for range writers * rounds {
			_, err := io.ReadFull(c2, b)
			require.NoError(t, err)
			seen[b[0]]++
			require.Equal(t, size, bytes.Count(b, b[:1]), "writes are mixed")
		}
		require.Len(t, seen, writers)
		for _, w := range writes {
			r := <-w
			require.NoError(t, r.err)
			require.Equal(t, size, r.n)
		}
	})
}

// Several goroutines read one connection: each byte goes to one of them, and
// the end to all.
func TestConcurrentReaders(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		data := bytesOf(5, pick(1<<20, 1<<18))
		var want, got [256]int
		for _, b := range data {
			want[b]++
		}
		var mu sync.Mutex
		var readers []<-chan result
		for range 5 {
			readers = append(readers, start(func() (int, error) {
				var mine [256]int
				defer func() {
					mu.Lock()
					defer mu.Unlock()
					for b, n := range mine {
						got[b] += n
					}
				}()
				buf := make([]byte, 1000)
				for {
					n, err := c2.Read(buf)
					for _, b := range buf[:n] {
						mine[b]++
					}
					if err != nil {
						return 0, err
					}
				}
			}))
		}
		for len(data) > 0 {
			n := min(len(data), 1+rand.IntN(5000))
			_, err := c1.Write(data[:n])
			require.NoError(t, err)
			data = data[n:]
		}
		require.NoError(t, c1.CloseWrite())
		for _, r := range readers {
			require.Equal(t, io.EOF, (<-r).err)
		}
		require.Equal(t, want, got)
	})
}

// Both ends send and receive at the same time as fast as they can.
func TestFullDuplex(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		size := pick(4<<20, 1<<20)
		var writes []<-chan result
		for i, c := range []stream{c1, c2} {
			data := bytesOf(uint64(10+i), size)
			writes = append(writes, start(func() (int, error) { return c.Write(data) }))
		}
		reads := []<-chan result{
			start(func() (int, error) { return check(c1, 11, size, 100<<10) }),
			start(func() (int, error) { return check(c2, 10, size, 3000) }),
		}
		for _, r := range append(writes, reads...) {
			res := <-r
			require.NoError(t, res.err)
			require.Equal(t, size, res.n)
		}
	})
}

// check reads a pattern of n bytes.
func check(r io.Reader, seed uint64, n, chunk int) (got int, err error) {
	want := newPattern(seed)
	buf := make([]byte, chunk)
	for got < n {
		m, err := r.Read(buf[:min(chunk, n-got)])
		if at := want.check(buf[:m]); at >= 0 {
			return got + at, errors.New("not what was sent")
		}
		if got += m; err != nil {
			return got, err
		}
	}
	return got, nil
}

// Closing one direction leaves the other as it is.
func TestHalfClose(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		read := start(func() (int, error) { return c2.Read(make([]byte, 1)) })
		require.NoError(t, c1.CloseWrite())
		require.Equal(t, io.EOF, (<-read).err)
		_, err := c1.Write([]byte("x"))
		require.Error(t, err)

		data := bytesOf(6, 1<<20)
		write := start(func() (int, error) { return c2.Write(data) })
		newPattern(6).readAll(t, c1, len(data), 10_000)
		require.NoError(t, (<-write).err)

		read = start(func() (int, error) { return c1.Read(make([]byte, 1)) })
		time.Sleep(time.Millisecond)
		require.NoError(t, c1.CloseRead())
		require.Equal(t, io.EOF, (<-read).err)
		require.NoError(t, c2.Close())
		require.NoError(t, c1.Close())
	})
}

// zeros is more than a socket takes without a reader.
var zeros = make([]byte, 16<<20)

// A connection whose reader is slow stops its own writer and nobody else.
func TestSlowReaderStallsNobodyElse(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		var writes []<-chan result
		var slow []stream
		for range 6 {
			c1, c2 := connect(t, rt, network)
			slow = append(slow, c1)
			writes = append(writes, start(func() (int, error) { return c1.Write(zeros) }))
			_ = c2 // nobody reads it
		}
		c1, c2 := connect(t, rt, network)
		for range pick(500, 100) {
			roundTrip(t, c1, c2)
		}
		for i, w := range writes {
			require.NoError(t, slow[i].Close())
			require.ErrorIs(t, (<-w).err, net.ErrClosed)
		}
	})
}

// The server speaks first: Accept does not wait for the client to say
// something.
func TestAcceptOfASilentClient(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		for range 3 {
			client := dial(t, rt, l)
			server, err := l.Accept()
			require.NoError(t, err)
			_, err = server.Write([]byte("220 ready"))
			require.NoError(t, err)
			b := make([]byte, 9)
			_, err = io.ReadFull(client, b)
			require.NoError(t, err)
			require.Equal(t, "220 ready", string(b))
			require.NoError(t, server.Close())
		}
	})
}

// More connections than an accept backlog of a few: all are accepted, by
// whoever of several goroutines, each once.
func TestConcurrentAccepts(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		const acceptors = 4
		clients := pick(100, 40)
		l := listen(t, rt, network)
		var accepts []<-chan result
		for range acceptors {
			accepts = append(accepts, start(func() (n int, err error) {
				for {
					c, err := l.Accept()
					if err != nil {
						return n, err
					}
					n++
					if _, err = c.Write([]byte("hi")); err == nil {
						err = c.Close()
					}
					if err != nil {
						return n, err
					}
				}
			}))
		}
		var dials []<-chan result
		for range 4 {
			dials = append(dials, start(func() (int, error) {
				for range clients / 4 {
					d := net.Dialer{Runtime: rt}
					c, err := d.Dial(l.Addr().Network(), l.Addr().String())
					if err != nil {
						return 0, err
					}
					b, err := io.ReadAll(c)
					if err = errors.Join(err, c.Close()); err != nil || string(b) != "hi" {
						return len(b), err
					}
				}
				return 2, nil
			}))
		}
		for _, d := range dials {
			r := <-d
			require.NoError(t, r.err)
			require.Equal(t, 2, r.n)
		}
		require.NoError(t, l.Close())
		sum := 0
		for _, a := range accepts {
			r := <-a
			require.ErrorIs(t, r.err, net.ErrClosed)
			sum += r.n
		}
		require.Equal(t, clients, sum)
	})
}

// deep uses so much stack that the goroutine's has to grow.
//
//go:noinline
func deep(n int) byte {
	var local [512]byte
	local[n%len(local)] = byte(n)
	if n == 0 {
		return local[0]
	}
	return deep(n-1) + local[(n+1)%len(local)]
}

// readToStack reads into what looks like an array on the stack, while the
// stack moves: it has grown before, and the garbage collector shrinks it while
// the Read is blocked.
//
//go:noinline
func readToStack(c *net.TCPConn, want byte) bool {
	var array [64]byte
	n, err := c.Read(array[:])
	if err != nil || n != len(array) {
		return false
	}
	sum := deep(200) // and moves it once more
	sum -= deep(200)
	for _, b := range array {
		if b != want+sum {
			return false
		}
	}
	return true
}

// The kernel writes to where a buffer is, and Go moves stacks: a buffer that
// belongs to a Read must not be on one.
func TestReadIntoALocalArray(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		a, b := connect(t, rt, "tcp4")
		c1, c2 := a.(*net.TCPConn), b.(*net.TCPConn)
		for i := range pick(10, 4) {
			read := make(chan bool)
			go func() {
				deep(2000)
				read <- readToStack(c1, byte(i))
			}()
			time.Sleep(time.Millisecond)
			goruntime.GC() // shrinks the stacks of goroutines that wait
			goruntime.GC()
			n, err := c2.Write(bytes.Repeat([]byte{byte(i)}, 64))
			require.NoError(t, err)
			require.Equal(t, 64, n)
			require.True(t, <-read, "the bytes are not where they should be")
		}
	})
}

// Writes take what is in the buffer, and a caller may use it again at once.
func TestBufferIsTheCallersAfterWrite(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		size := pick(4<<20, 1<<20)
		write := start(func() (sum int, err error) {
			source := newPattern(7)
			buf := make([]byte, 200_000)
			for sum < size {
				b := buf[:min(len(buf), size-sum)]
				_, _ = source.Read(b)
				n, err := c1.Write(b)
				clear(b)
				if sum += n; err != nil {
					return sum, err
				}
			}
			return sum, nil
		})
		newPattern(7).readAll(t, c2, size, 10_000)
		require.NoError(t, (<-write).err)
	})
}

// The bytes of one connection reach no other, although their descriptors have
// the same numbers one after the other, and Reads are pending when they close.
func TestDescriptorsUsedAgain(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		server := start(func() (int, error) {
			var wg sync.WaitGroup
			defer wg.Wait()
			for {
				c, err := l.Accept()
				if err != nil {
					return 0, err
				}
				wg.Go(func() { stampAll(c) })
			}
		})
		var workers []<-chan result
		for w := range 4 {
			workers = append(workers, start(func() (int, error) {
				for i := range pick(40, 15) {
					if err := stamped(rt, l.Addr(), byte(w*40+i)); err != nil {
						return 0, err
					}
				}
				return 0, nil
			}))
		}
		for _, w := range workers {
			require.NoError(t, (<-w).err)
		}
		require.NoError(t, l.Close())
		require.ErrorIs(t, (<-server).err, net.ErrClosed)
	})
}

// stampAll sends, again and again, the byte with which the client begins, and
// waits for more that never comes.
func stampAll(c stdnet.Conn) {
	defer c.Close()
	stamp := make([]byte, 1)
	if _, err := io.ReadFull(c, stamp); err != nil {
		return
	}
	pending := start(func() (int, error) { return c.Read(make([]byte, 1)) })
	b := bytes.Repeat(stamp, 100)
	for range 1 + rand.IntN(20) {
		if _, err := c.Write(b); err != nil {
			break
		}
	}
	if rand.IntN(2) == 0 {
		_ = c.Close()
	}
	<-pending
}

// stamped opens a connection and reads from it until somebody closes it, which
// may be another goroutine.
func stamped(rt *proactor.Runtime, addr stdnet.Addr, stamp byte) error {
	d := net.Dialer{Runtime: rt}
	c, err := d.Dial(addr.Network(), addr.String())
	if err != nil {
		return err
	}
	if _, err := c.Write([]byte{stamp}); err != nil {
		return errors.Join(err, c.Close())
	}
	wait := time.Duration(rand.Int64N(int64(500 * time.Microsecond)))
	closed := start(func() (int, error) {
		time.Sleep(wait)
		return 0, c.Close()
	})
	buf := make([]byte, 64)
	for {
		n, err := c.Read(buf)
		for _, b := range buf[:n] {
			if b != stamp {
				return errors.New("a byte of another connection")
			}
		}
		if err != nil {
			break
		}
	}
	return (<-closed).err
}
