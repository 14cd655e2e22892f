package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestSelftest(t *testing.T) {
	for _, args := range [][]string{{"-backend", "auto"}, {"-backend", "std"}, {"-shards", "2"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			testkit.Watchdog(t, time.Minute)
			var out, errs bytes.Buffer
			code := run(t.Context(), append(args, "-selftest"), &out, &errs)
			require.Equal(t, kit.ExitOK, code, "%s%s", out.String(), errs.String())
			require.Contains(t, out.String(), "self-test:      16 clients")
			require.Contains(t, out.String(), "connections:    16, of which 0 failed to reach the target, 0 broke and 0 were cut off")
		})
	}
}

// start runs a proxy until end is called.
func start(t *testing.T, args ...string) (addr string, end func() (code int, output string)) {
	t.Helper()
	testkit.Watchdog(t, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		c := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w, w)
		_ = w.Close()
		code <- c
	}()
	lines := bufio.NewReader(r)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	addr, ok := strings.CutPrefix(line, "listening on ")
	require.True(t, ok, line)
	addr, _, _ = strings.Cut(addr, ",")
	rest := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(lines)
		rest <- string(all)
	}()
	t.Cleanup(cancel)
	return addr, func() (int, string) {
		cancel()
		return <-code, <-rest
	}
}

// pair connects a client through a proxy to a target.
func pair(t *testing.T, addr string, target net.Listener) (client, server *net.TCPConn) {
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	s, err := target.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// A reset at either end is one at the other, a target that is not there ends
// the client, and what is left at the end is cut off.
func TestEnds(t *testing.T) {
	target, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer target.Close()
	addr, end := start(t, "-to", target.Addr().String(), "-grace", "50ms")
	for i := range 2 {
		client, server := pair(t, addr, target)
		ends := []*net.TCPConn{client, server}
		require.NoError(t, ends[i].SetLinger(0))
		require.NoError(t, ends[i].Close())
		_, err = ends[1-i].Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	left, _ := pair(t, addr, target)
	code, output := end()
	require.Equal(t, kit.ExitOK, code, output)
	require.Contains(t, output, "connections:    3, of which 0 failed to reach the target, 3 broke and 1 were cut off")
	_, err = left.Read(make([]byte, 1))
	require.Error(t, err)

	require.NoError(t, target.Close())
	addr, end = start(t, "-to", target.Addr().String())
	client, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Read(make([]byte, 1))
	require.Error(t, err)
	code, output = end()
	require.Equal(t, kit.ExitOK, code, output)
	require.Contains(t, output, "connections:    1, of which 1 failed to reach the target")
}

func TestComplains(t *testing.T) {
	for says, args := range map[string][]string{
		"-to says where": {},
		"flags only":     {"-to", "x:1", "y"},
		"-max is at":     {"-to", "x:1", "-max", "0"},
		"-addr chooses":  {"-to", "x:1", "-addr", "256.0.0.1:http"},
	} {
		var out, errs bytes.Buffer
		require.NotEqual(t, kit.ExitOK, run(t.Context(), args, &out, &errs))
		require.Contains(t, errs.String(), says)
	}
}
