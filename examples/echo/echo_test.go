package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// started is a server at work.
type started struct {
	addr string
	end  func() (code int, output string)
}

// start runs the program until end is called.
func start(t *testing.T, args ...string) started {
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
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, ok, line)
	rest := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(lines)
		rest <- string(all)
	}()
	t.Cleanup(cancel)
	return started{addr, func() (int, string) {
		cancel()
		return <-code, <-rest
	}}
}

func TestEchoes(t *testing.T) {
	for _, args := range [][]string{{"-backend", "auto"}, {"-backend", "std"}, {"-shards", "2"}, {"-max", "1"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			s := start(t, args...)
			sent := make([]byte, 1<<20)
			_, _ = rand.Read(sent)
			errs := make(chan error, 4)
			for range cap(errs) {
				go func() { errs <- roundTrip(s.addr, sent) }()
			}
			for range cap(errs) {
				require.NoError(t, <-errs)
			}
			code, output := s.end()
			require.Equal(t, kit.ExitOK, code, output)
			require.Contains(t, output, "connections:    4, of which 0")
			require.Contains(t, output, "4194304 bytes")
		})
	}
}

// roundTrip sends bytes on a connection of its own and expects them back.
func roundTrip(addr string, sent []byte) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(sent)
		written <- err
	}()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return io.ErrUnexpectedEOF
	}
	return <-written
}

// A connection that is there when the end comes is served until it ends.
func TestDrains(t *testing.T) {
	s := start(t, "-grace", "30s")
	c, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	ask := func(text string) {
		_, err := io.WriteString(c, text)
		require.NoError(t, err)
		got := make([]byte, len(text))
		_, err = io.ReadFull(c, got)
		require.NoError(t, err)
		require.Equal(t, text, string(got))
	}
	ask("before")
	type result struct {
		code   int
		output string
	}
	ended := make(chan result, 1)
	go func() {
		code, output := s.end()
		ended <- result{code, output}
	}()
	testkit.Eventually(t, func() bool {
		late, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = late.Close()
		}
		return err != nil
	}, "the server still accepts")
	ask("after")
	require.NoError(t, c.Close())
	r := <-ended
	require.Equal(t, kit.ExitOK, r.code, r.output)
	require.Contains(t, r.output, "of which 0 were cut off")
}

// One that does not end is cut off.
func TestCutsOff(t *testing.T) {
	s := start(t, "-grace", "50ms")
	c, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "x")
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, 1))
	require.NoError(t, err)
	code, output := s.end()
	require.Equal(t, kit.ExitOK, code, output)
	require.Contains(t, output, "connections:    1, of which 1 were cut off")
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
}

func TestComplains(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for says, args := range map[string][]string{
		"chooses another address": {"-addr", taken.Addr().String()},
		"flags only":              {"localhost:1"},
		"-max is at least 1":      {"-max", "0"},
		"shards":                  {"-shards", "-1"},
	} {
		var out, errs bytes.Buffer
		require.NotEqual(t, kit.ExitOK, run(t.Context(), args, &out, &errs))
		require.Empty(t, out.String())
		require.Contains(t, errs.String(), says)
	}
}
