package net_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"maps"
	"math/rand/v2"
	stdnet "net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// networks are those that run on the ring.
var networks = []string{"tcp4", "tcp6", "unix"}

// forEachNetwork runs a test on all configurations and networks.
func forEachNetwork(t *testing.T, f func(t *testing.T, rt *proactor.Runtime, network string)) {
	t.Helper()
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range networks {
			if network != "tcp4" && strings.Contains(t.Name(), "/no-") {
				continue // a feature of the ring has nothing to do with it
			}
			t.Run(network, func(t *testing.T) { f(t, rt, network) })
		}
	})
}

// stream is what our stream connections and the standard library's have.
type stream interface {
	stdnet.Conn
	CloseRead() error
	CloseWrite() error
	SetReadBuffer(bytes int) error
	SetWriteBuffer(bytes int) error
}

// address returns one to listen on.
func address(t testing.TB, network string) string {
	t.Helper()
	switch network {
	case "tcp", "tcp4":
		return "127.0.0.1:0"
	case "tcp6":
		return "[::1]:0"
	}
	return filepath.Join(shortDir(t), "s")
}

// shortDir is T.TempDir with a path that leaves room in the address of a Unix
// socket, whatever the name of the test.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ynt")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// listen listens until the test ends.
func listen(t testing.TB, rt *proactor.Runtime, network string) stdnet.Listener {
	t.Helper()
	lc := net.ListenConfig{Runtime: rt}
	l, err := lc.Listen(context.Background(), network, address(t, network))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// connect returns the two ends of a connection, which are closed when the test
// ends.
func connect(t testing.TB, rt *proactor.Runtime, network string) (c1, c2 stream) {
	t.Helper()
	a, b, stop, err := pipe(rt, network, address(t, network))
	require.NoError(t, err)
	t.Cleanup(stop)
	return a.(stream), b.(stream)
}

// pick returns what fits the run: full, or less under -short.
func pick[T any](full, short T) T {
	if testing.Short() {
		return short
	}
	return full
}

// plain reports whether a test runs on the standard library or on a ring that
// differs from the default in its strategy at most. What costs much is done in
// full there and less elsewhere.
func plain(t testing.TB) bool {
	return !slices.ContainsFunc([]string{"/tiny", "/shards", "/no-"}, func(s string) bool {
		return strings.Contains(t.Name(), s)
	})
}

// pattern is a stream of bytes in which no part of some length is like another:
// what is lost, doubled or swapped is seen.
type pattern struct {
	rng  *rand.ChaCha8
	rest []byte
	buf  [4096]byte
}

func newPattern(seed uint64) *pattern {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return &pattern{rng: rand.NewChaCha8(key)}
}

// Read fills b with the next bytes of the stream, which has no end.
func (p *pattern) Read(b []byte) (int, error) { return p.rng.Read(b) }

// check reports where b differs from the next bytes of the stream, or -1.
func (p *pattern) check(b []byte) int {
	at := 0
	for len(b) > 0 {
		if len(p.rest) == 0 {
			_, _ = p.rng.Read(p.buf[:])
			p.rest = p.buf[:]
		}
		n := min(len(b), len(p.rest))
		if !bytes.Equal(b[:n], p.rest[:n]) {
			for i := range n {
				if b[i] != p.rest[i] {
					return at + i
				}
			}
		}
		b, p.rest, at = b[n:], p.rest[n:], at+n
	}
	return -1
}

// bytesOf returns the first n bytes of a pattern.
func bytesOf(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = newPattern(seed).Read(b)
	return b
}

// readAll reads n bytes and checks that they are the pattern's.
func (p *pattern) readAll(t testing.TB, r io.Reader, n int, chunk int) {
	t.Helper()
	buf := make([]byte, chunk)
	for got := 0; got < n; {
		m, err := r.Read(buf[:min(chunk, n-got)])
		require.NoError(t, err, "after %d bytes", got)
		require.Positive(t, m, "a Read of nothing without an error")
		if at := p.check(buf[:m]); at >= 0 {
			t.Fatalf("byte %d is not what was sent", got+at)
		}
		got += m
	}
}

// roundTrip shows that a connection works in both directions.
func roundTrip(t testing.TB, c1, c2 stdnet.Conn) {
	t.Helper()
	for i, ends := range [][2]stdnet.Conn{{c1, c2}, {c2, c1}} {
		sent := []byte{'r', 't', byte(i)}
		n, err := ends[0].Write(sent)
		require.NoError(t, err)
		require.Equal(t, len(sent), n)
		got := make([]byte, len(sent))
		_, err = io.ReadFull(ends[1], got)
		require.NoError(t, err)
		require.Equal(t, sent, got)
	}
}

// result is what an operation in another goroutine has returned.
type result struct {
	n   int
	err error
}

// start runs an operation in another goroutine.
func start(f func() (int, error)) <-chan result {
	c := make(chan result, 1)
	go func() {
		n, err := f()
		c <- result{n, err}
	}()
	return c
}

// dial connects to a listener until the test ends.
func dial(t testing.TB, rt *proactor.Runtime, l stdnet.Listener) stream {
	t.Helper()
	d := net.Dialer{Runtime: rt}
	c, err := d.Dial(l.Addr().Network(), l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c.(stream)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// readPattern reads what was sent until the end, in another goroutine.
func readPattern(t testing.TB, c io.Reader, seed uint64, n int) <-chan result {
	t.Helper()
	return start(func() (int, error) {
		b, err := io.ReadAll(c)
		if err == nil && !bytes.Equal(b, bytesOf(seed, n)) {
			err = io.ErrUnexpectedEOF
		}
		return len(b), err
	})
}
