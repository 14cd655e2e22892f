package chaos_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/internal/testkit/chaos"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// echo is a server that sends back what it gets.
func echo(t *testing.T, network string) (dial func() (net.Conn, error)) {
	l, err := net.Listen(network, address(t, network))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return func() (net.Conn, error) { return net.Dial(network, l.Addr().String()) }
}

func address(t *testing.T, network string) string {
	if network == "unix" {
		dir, err := os.MkdirTemp("", "ynt")
		require.NoError(t, err)
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		return filepath.Join(dir, "s")
	}
	return "127.0.0.1:0"
}

// through starts a proxy before an echo server.
func through(t *testing.T, network string, config chaos.Config) *chaos.Proxy {
	testkit.Watchdog(t, time.Minute)
	p, err := chaos.New(network, address(t, network), echo(t, network), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func dial(t *testing.T, p *chaos.Proxy) net.Conn {
	c, err := net.Dial(p.Addr().Network(), p.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// send writes b and ends the direction.
func send(c net.Conn, b []byte) <-chan error {
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(b)
		sent <- errors.Join(err, c.(interface{ CloseWrite() error }).CloseWrite())
	}()
	return sent
}

func content(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(b)
	return b
}

// What is only delayed and cut into pieces arrives, and so does the end.
func TestPassesOn(t *testing.T) {
	for _, network := range []string{"tcp4", "unix"} {
		for name, config := range map[string]chaos.Config{
			"nothing":  {},
			"bytes":    {Piece: 1},
			"pieces":   {Piece: 1000, Delay: 100 * time.Microsecond},
			"stall":    {Fates: map[chaos.Fate]int{chaos.Stall: 1}, Within: 10_000, Stall: time.Millisecond},
			"to large": {Piece: 1 << 30},
		} {
			t.Run(network+" "+name, func(t *testing.T) {
				p := through(t, network, config)
				c := dial(t, p)
				want := content(20_000)
				sent := send(c, want)
				got, err := io.ReadAll(c)
				require.NoError(t, err)
				require.NoError(t, <-sent)
				require.True(t, bytes.Equal(want, got))
				if name == "bytes" {
					require.Equal(t, 2*len(want), p.Pieces())
				}
				fate := chaos.Whole
				if name == "stall" {
					fate = chaos.Stall
				}
				require.NoError(t, c.Close())
				testkit.Eventually(t, func() bool { return p.Struck(fate) == 1 }, "%v", p)
			})
		}
	}
}

// outcome is what a client sees of a connection that is struck.
func outcome(c net.Conn) (int, error) {
	sent := send(c, content(20_000))
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	got, err := io.ReadAll(c)
	_ = c.Close()
	<-sent
	return len(got), err
}

func TestFates(t *testing.T) {
	for fate, check := range map[chaos.Fate]func(t *testing.T, n int, err error){
		chaos.HalfClose: func(t *testing.T, n int, err error) { require.NoError(t, err) },
		chaos.Cut: func(t *testing.T, n int, err error) {
			if err != nil {
				require.ErrorIs(t, err, syscall.ECONNRESET)
			}
		},
		chaos.Reset:  func(t *testing.T, n int, err error) { require.ErrorIs(t, err, syscall.ECONNRESET) },
		chaos.Silent: func(t *testing.T, n int, err error) { require.ErrorIs(t, err, os.ErrDeadlineExceeded) },
	} {
		t.Run(fate.String(), func(t *testing.T) {
			p := through(t, "tcp4", chaos.Config{
				Seed: testkit.Seed(t), Piece: 4000, Fates: map[chaos.Fate]int{fate: 1}, Within: 15_000})
			for range 5 {
				n, err := outcome(dial(t, p))
				require.Less(t, n, 20_000)
				check(t, n, err)
			}
			if fate == chaos.Silent {
				require.NoError(t, p.Close()) // until then it says nothing
			}
			testkit.Eventually(t, func() bool { return p.Struck(fate) == 5 }, "%v", p)
		})
	}
}

// The same seed means the same fates at the same bytes.
func TestReplay(t *testing.T) {
	all := map[chaos.Fate]int{chaos.Whole: 1, chaos.Stall: 1, chaos.HalfClose: 2}
	run := func(seed uint64) (lengths []int) {
		p := through(t, "tcp4", chaos.Config{Seed: seed, Piece: 500, Fates: all, Within: 15_000})
		for range 12 {
			n, err := outcome(dial(t, p))
			require.NoError(t, err)
			lengths = append(lengths, n)
		}
		return lengths
	}
	first := run(1)
	require.Equal(t, first, run(1))
	require.NotEqual(t, first, run(2))
}

// A target that cannot be reached is a reset.
func TestNoTarget(t *testing.T) {
	connected := make(chan struct{}) // or the reset may come while the client still connects
	target := func() (net.Conn, error) {
		<-connected
		return nil, io.ErrClosedPipe
	}
	p, err := chaos.New("tcp4", "127.0.0.1:0", target, chaos.Config{})
	require.NoError(t, err)
	defer p.Close()
	c := dial(t, p)
	close(connected)
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// A reset of one end is passed on to the other.
func TestResetIsPassedOn(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	p, err := chaos.New("tcp4", "127.0.0.1:0", func() (net.Conn, error) { return net.Dial("tcp4", l.Addr().String()) }, chaos.Config{})
	require.NoError(t, err)
	defer p.Close()
	c := dial(t, p)
	server, err := l.Accept()
	require.NoError(t, err)
	defer server.Close()
	require.NoError(t, c.(*net.TCPConn).SetLinger(0))
	require.NoError(t, c.Close())
	_, err = server.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}
