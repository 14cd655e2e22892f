package net_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	stdnet "net"
	goruntime "runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// A message has its length, whom it is from, its number, and a filling that
// follows from these.
const (
	messageHead = 2 + 8 + 4
	messageMax  = 600
)

// message makes one in b.
func message(b []byte, connection uint64, number uint32, size int) []byte {
	b = b[:size]
	binary.LittleEndian.PutUint16(b, uint16(size))
	binary.LittleEndian.PutUint64(b[2:], connection)
	binary.LittleEndian.PutUint32(b[10:], number)
	x := connection*0x9e3779b97f4a7c15 + uint64(number)
	for i := messageHead; i < size; i++ {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = byte(x >> 56)
	}
	return b
}

// errForeign is what must never be seen.
var errForeign = errors.New("bytes that were not sent on this connection")

// readMessage reads one message and checks it as far as it comes. The
// connection is 0 if it is not known yet.
func readMessage(r io.Reader, b, want []byte, connection uint64, number uint32) (uint64, int, error) {
	if n, err := io.ReadFull(r, b[:messageHead]); err != nil {
		return connection, n, err
	}
	size := int(binary.LittleEndian.Uint16(b))
	from := binary.LittleEndian.Uint64(b[2:])
	if connection != 0 && from != connection || size < messageHead || size > messageMax || binary.LittleEndian.Uint32(b[10:]) != number {
		return connection, 0, fmt.Errorf("%w: head %x instead of message %d of %x", errForeign, b[:messageHead], number, connection)
	}
	n, err := io.ReadFull(r, b[messageHead:size])
	want = message(want, from, number, size)
	for i := range messageHead + n {
		if b[i] != want[i] {
			return from, 0, fmt.Errorf("%w: byte %d of message %d of %x", errForeign, i, number, from)
		}
	}
	return from, size, err
}

// answerMessages sends every message back, and goes away in the middle of one
// now and then, while a Read waits.
func answerMessages(c stdnet.Conn) error {
	defer c.Close()
	b, want := make([]byte, messageMax), make([]byte, messageMax)
	connection := uint64(0)
	for number := uint32(0); ; number++ {
		var size int
		var err error
		connection, size, err = readMessage(c, b, want, connection, number)
		if err != nil {
			return foreign(err)
		}
		switch rand.IntN(300) {
		case 0:
			leave(c)
		case 1:
			go leave(c)
		}
		if _, err := c.Write(b[:size]); err != nil {
			return nil
		}
	}
}

// foreign returns an error only if it is what must never be.
func foreign(err error) error {
	if errors.Is(err, errForeign) {
		return err
	}
	return nil
}

// leave closes a connection in one of three ways.
func leave(c stdnet.Conn) {
	switch tcp, ok := c.(*net.TCPConn); {
	case ok && rand.IntN(2) == 0:
		_ = tcp.SetLinger(0)
	case rand.IntN(2) == 0:
		_ = c.(stream).CloseWrite()
	}
	_ = c.Close()
}

// sendMessages keeps a number of messages under way on a connection of its own,
// and leaves at a random moment, with Reads and Writes that wait.
func sendMessages(c stdnet.Conn, connection uint64, count uint32) (answered int, err error) {
	if s := c.(stream); rand.IntN(8) == 0 {
		_, _ = s.SetReadBuffer(4096), s.SetWriteBuffer(4096)
	}
	var sender sync.WaitGroup
	sender.Go(func() {
		b := make([]byte, messageMax)
		for number := range count {
			size := messageHead + rand.IntN(messageMax-messageHead+1)
			if _, err := c.Write(message(b, connection, number, size)); err != nil {
				return
			}
		}
	})
	if rand.IntN(3) == 0 {
		wait := time.Duration(rand.Int64N(int64(2 * time.Millisecond)))
		sender.Go(func() {
			time.Sleep(wait)
			leave(c)
		})
	}
	b, want := make([]byte, messageMax), make([]byte, messageMax)
	for number := uint32(0); number < count; number++ {
		if _, _, err = readMessage(c, b, want, connection, number); err != nil {
			break
		}
		answered++
	}
	_ = c.Close()
	sender.Wait()
	return answered, foreign(err)
}

// No byte of a connection ever reaches another: thousands of messages that say
// whose they are, through sockets with hardly any buffer, on connections that
// end at any moment with operations under way and whose descriptors are used
// again at once.
func TestBytesStayOnTheirConnection(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		l := listen(t, rt, network)
		var servers sync.WaitGroup
		var failed atomic.Error // whichever comes last
		served := start(func() (int, error) {
			for {
				c, err := l.Accept()
				if err != nil {
					return 0, err
				}
				servers.Go(func() {
					if err := answerMessages(c); err != nil {
						failed.Store(err)
					}
				})
			}
		})
		workers, each := 8, 12
		if plain(t) && network == "tcp4" {
			workers, each = pick(16, 12), pick(60, 15)
		}
		var clients []<-chan result
		for w := range workers {
			clients = append(clients, start(func() (answered int, err error) {
				d := net.Dialer{Runtime: rt}
				for i := range each {
					c, err := d.Dial(l.Addr().Network(), l.Addr().String())
					if err != nil {
						return answered, err
					}
					n, err := sendMessages(c, uint64(w+1)<<32|uint64(i+1), uint32(1+rand.IntN(200)))
					if answered += n; err != nil {
						return answered, err
					}
				}
				return answered, nil
			}))
		}
		answered := 0
		for _, c := range clients {
			r := <-c
			require.NoError(t, r.err)
			answered += r.n
		}
		require.Greater(t, answered, workers*each, "messages that came back")
		require.NoError(t, l.Close())
		require.ErrorIs(t, (<-served).err, net.ErrClosed)
		servers.Wait()
		require.NoError(t, failed.Load())
	})
}

// Thousands of connections that are opened and reset at random moments, from
// before they are accepted until after the last byte, leave nothing behind:
// not a descriptor, not a goroutine, not an operation.
func TestResetsAtRandom(t *testing.T) {
	testkit.NoLeak(t)
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) {
		l := listen(t, rt, "tcp4")
		stop := echoServer(t, l, 10*time.Second)
		before := goruntime.NumGoroutine()
		n := pick(4000, 600)
		var running []<-chan result
		for range 16 {
			running = append(running, start(func() (resets int, err error) {
				d := net.Dialer{Runtime: rt}
				buf := make([]byte, 4000)
				for range n / 16 {
					c, err := d.Dial("tcp4", l.Addr().String())
					if err != nil {
						return resets, err
					}
					if err := c.(*net.TCPConn).SetLinger(0); err != nil {
						return resets, err
					}
					switch rand.IntN(5) {
					case 0: // at once, before it is accepted
					case 1:
						_, _ = c.Write(buf[:1+rand.IntN(len(buf))])
					case 2: // while the server sends
						_, _ = c.Write(buf)
						_, _ = c.Read(buf[:100])
					case 3: // after a round trip
						_ = roundTripErr(c, buf[:50])
					case 4: // with a Read that waits, and a Write that may
						read := start(func() (int, error) { return c.Read(buf) })
						write := start(func() (int, error) { return c.Write(huge[:rand.IntN(1<<20)]) })
						time.Sleep(time.Duration(rand.Int64N(int64(time.Millisecond))))
						_ = c.Close()
						_, _ = <-read, <-write
					}
					_ = c.Close()
					resets++
				}
				return resets, nil
			}))
		}
		resets := 0
		for _, r := range running {
			res := <-r
			require.NoError(t, res.err)
			resets += res.n
		}
		require.GreaterOrEqual(t, resets, n-16)
		c := dial(t, rt, l)
		require.NoError(t, roundTripErr(c, make([]byte, 3000)), "the server is as before")
		require.NoError(t, c.Close())
		testkit.Eventually(t, func() bool { return goruntime.NumGoroutine() <= before+1 },
			"%d goroutines, and there were %d", goruntime.NumGoroutine(), before)
		stop()
	})
}

// roundTripErr sends bytes to a server that sends them back.
func roundTripErr(c stdnet.Conn, b []byte) error {
	if _, err := c.Write(b); err != nil {
		return err
	}
	_, err := io.ReadFull(c, b)
	return err
}
