package net_test

import (
	"errors"
	"io"
	"math/rand/v2"
	stdnet "net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

var (
	past   = time.Unix(1, 0)
	future = func() time.Time { return time.Now().Add(time.Hour) }
)

// huge is more than the buffers of a connection grow to, so that a Write of it
// cannot end before somebody reads, however long it is given.
var huge = make([]byte, 32<<20)

// fill writes to a connection that nobody reads until it takes no more, and
// returns how much that was.
func fill(t testing.TB, c stdnet.Conn) int {
	t.Helper()
	sum := 0
	for {
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(20*time.Millisecond)))
		n, err := c.Write(make([]byte, 64<<10))
		if sum += n; err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.NoError(t, c.SetWriteDeadline(time.Time{}))
			return sum
		}
	}
}

// A deadline that is set, moved or taken away while an operation is blocked
// has its effect on that operation, in each direction for itself.
func TestDeadlineOfABlockedOperation(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		sum := fill(t, c1)
		buf := make([]byte, 16)
		for i, change := range []func(set func(time.Time) error){
			func(set func(time.Time) error) { require.NoError(t, set(past)) },
			func(set func(time.Time) error) { require.NoError(t, set(time.Now())) },
			func(set func(time.Time) error) { require.NoError(t, set(time.Now().Add(time.Millisecond))) },
			func(set func(time.Time) error) {
				require.NoError(t, set(future()))
				require.NoError(t, set(time.Time{}))
				require.NoError(t, set(future()))
				require.NoError(t, set(time.Now().Add(time.Millisecond)))
			},
		} {
			require.NoError(t, c1.SetDeadline(time.Time{}))
			if i%2 == 0 {
				require.NoError(t, c1.SetDeadline(future()))
			}
			read := start(func() (int, error) { return c1.Read(buf) })
			write := start(func() (int, error) { return c1.Write(huge) })
			time.Sleep(time.Millisecond) // most of the time they are blocked by now
			change(c1.SetReadDeadline)
			r := <-read
			require.Zero(t, r.n)
			require.ErrorIs(t, r.err, os.ErrDeadlineExceeded)
			select {
			case r := <-write:
				t.Fatalf("the read deadline has ended a Write: %v", r)
			default:
			}
			change(c1.SetWriteDeadline)
			w := <-write
			require.ErrorIs(t, w.err, os.ErrDeadlineExceeded)
			require.Less(t, w.n, len(huge))
			sum += w.n
		}
		// Everything that a Write has counted arrives, and nothing else.
		require.NoError(t, c1.SetDeadline(time.Time{}))
		_, err := io.ReadFull(c2, make([]byte, sum))
		require.NoError(t, err)
		roundTrip(t, c1, c2)
	})
}

// Operations that begin after a deadline was taken away or moved to the future
// do not see the old one, although its timer may be about to fire.
func TestDeadlineTakenAway(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		buf := make([]byte, 1)
		for i := range pick(50, 15) {
			short := time.Duration(rand.Int64N(int64(300 * time.Microsecond)))
			require.NoError(t, c1.SetReadDeadline(time.Now().Add(short)))
			time.Sleep(time.Duration(rand.Int64N(int64(300 * time.Microsecond))))
			if i%2 == 0 {
				require.NoError(t, c1.SetReadDeadline(time.Time{}))
			} else {
				require.NoError(t, c1.SetReadDeadline(future()))
			}
			read := start(func() (int, error) { return c1.Read(buf) })
			time.Sleep(time.Duration(rand.Int64N(int64(300 * time.Microsecond))))
			_, err := c2.Write([]byte{byte(i)})
			require.NoError(t, err)
			r := <-read
			require.NoError(t, r.err)
			require.Equal(t, 1, r.n)
			require.Equal(t, byte(i), buf[0])
		}
	})
}

// A sender trickles bytes, a reader has deadlines so short that many Reads
// time out: not one byte is lost or doubled.
func TestReadTimeoutsLoseNothing(t *testing.T) {
	const seed = 1
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		sizes := rand.New(rand.NewPCG(seed, 1))
		chunks := pick(1000, 300)
		sender := start(func() (sum int, err error) {
			source := newPattern(seed)
			buf := make([]byte, 100)
			for range chunks {
				b := buf[:1+sizes.IntN(len(buf))]
				_, _ = source.Read(b)
				n, err := c1.Write(b)
				if sum += n; err != nil {
					return sum, err
				}
				if sizes.IntN(4) == 0 {
					time.Sleep(time.Duration(sizes.Int64N(int64(200 * time.Microsecond))))
				}
			}
			return sum, c1.CloseWrite()
		})
		want := newPattern(seed)
		buf := make([]byte, 64)
		got, timeouts := 0, 0
		for {
			require.NoError(t, c2.SetReadDeadline(time.Now().Add(time.Duration(rand.Int64N(int64(100*time.Microsecond))))))
			n, err := c2.Read(buf[:1+rand.IntN(len(buf))])
			if n > 0 {
				if at := want.check(buf[:n]); at >= 0 {
					t.Fatalf("byte %d is not what was sent", got+at)
				}
				got += n
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				require.Zero(t, n, "a Read with bytes and an error")
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				timeouts++
			}
		}
		s := <-sender
		require.NoError(t, s.err)
		require.Equal(t, s.n, got)
		require.Positive(t, timeouts)
	})
}

// The same for the other direction: a Write that times out says how much of it
// is on the way, and the rest can be written later.
func TestWriteTimeoutsLoseNothing(t *testing.T) {
	const seed = 2
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		data := bytesOf(seed, pick(8<<20, 2<<20))
		_ = c1.SetWriteBuffer(32 << 10)
		_ = c2.SetReadBuffer(32 << 10)
		sender := start(func() (sum int, err error) {
			timeouts := 0
			for sum < len(data) {
				_ = c1.SetWriteDeadline(time.Now().Add(time.Duration(rand.Int64N(int64(200 * time.Microsecond)))))
				part := data[sum:min(len(data), sum+1<<20)]
				n, err := c1.Write(part)
				sum += n
				switch {
				case err == nil && n < len(part):
					return sum, io.ErrShortWrite
				case errors.Is(err, os.ErrDeadlineExceeded):
					timeouts++
				case err != nil:
					return sum, err
				}
			}
			if timeouts == 0 {
				return sum, errors.New("not one Write has timed out")
			}
			return sum, c1.CloseWrite()
		})
		want := newPattern(seed)
		buf := make([]byte, 16<<10)
		got := 0
		for {
			n, err := c2.Read(buf)
			if at := want.check(buf[:n]); at >= 0 {
				t.Fatalf("byte %d is not what was sent", got+at)
			}
			got += n
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			if rand.IntN(8) == 0 {
				time.Sleep(time.Duration(rand.Int64N(int64(300 * time.Microsecond))))
			}
		}
		s := <-sender
		require.NoError(t, s.err)
		require.Equal(t, len(data), s.n)
		require.Equal(t, len(data), got)
	})
}

// Many goroutines move the deadlines about while others read and write. When
// they stop, the connection works as if nothing had been.
func TestDeadlinesAtRandom(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		stop := make(chan struct{})
		setter := func() (int, error) {
			for {
				select {
				case <-stop:
					return 0, nil
				default:
				}
				at := time.Time{}
				switch rand.IntN(4) {
				case 0:
					at = past
				case 1:
					at = future()
				case 2:
					at = time.Now().Add(time.Duration(rand.Int64N(int64(100 * time.Microsecond))))
				}
				set := []func(time.Time) error{c1.SetReadDeadline, c1.SetWriteDeadline, c1.SetDeadline}[rand.IntN(3)]
				if err := set(at); err != nil {
					return 0, err
				}
				time.Sleep(time.Duration(rand.Int64N(int64(50 * time.Microsecond))))
			}
		}
		s1, s2 := start(setter), start(setter)
		echo := start(func() (int, error) {
			n, err := io.Copy(c2, c2)
			return int(n), errors.Join(err, c2.CloseWrite())
		})
		data := bytesOf(3, pick(32<<10, 8<<10))
		writer := start(func() (sum int, err error) {
			for sum < len(data) {
				n, err := c1.Write(data[sum:min(len(data), sum+1+rand.IntN(200))])
				if sum += n; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
					return sum, err
				}
			}
			return sum, nil
		})
		want := newPattern(3)
		buf := make([]byte, 100)
		for got := 0; got < len(data); {
			n, err := c1.Read(buf)
			if err != nil {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			}
			if at := want.check(buf[:n]); at >= 0 {
				t.Fatalf("byte %d is not what was sent", got+at)
			}
			got += n
		}
		require.NoError(t, (<-writer).err)
		close(stop)
		require.NoError(t, (<-s1).err)
		require.NoError(t, (<-s2).err)
		require.NoError(t, c1.SetDeadline(time.Time{}))
		require.NoError(t, c1.CloseWrite())
		_, err := c1.Read(buf)
		require.Equal(t, io.EOF, err)
		e := <-echo
		require.NoError(t, e.err)
		require.Equal(t, len(data), e.n)
	})
}

// A listener's deadline ends an Accept that is under way and those to come,
// until it is moved.
func TestAcceptDeadline(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		set := l.(interface{ SetDeadline(time.Time) error }).SetDeadline
		accept := func() (int, error) {
			c, err := l.Accept()
			if err == nil {
				err = c.Close()
			}
			return 0, err
		}
		accepted := start(accept)
		time.Sleep(time.Millisecond)
		require.NoError(t, set(past))
		require.ErrorIs(t, (<-accepted).err, os.ErrDeadlineExceeded)
		_, err := accept()
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)

		require.NoError(t, set(time.Time{}))
		accepted = start(accept)
		c := dial(t, rt, l)
		require.NoError(t, (<-accepted).err)
		_, err = c.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)

		// A connection that waits while Accepts time out is not lost.
		c = dial(t, rt, l)
		for {
			require.NoError(t, set(time.Now().Add(time.Duration(rand.Int64N(int64(50*time.Microsecond))))))
			_, err := accept()
			if err == nil {
				break
			}
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		}
		_, err = c.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
	})
}
