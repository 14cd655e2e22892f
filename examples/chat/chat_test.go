package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		kit.Main(run) // the clients of a self-test
	}
	testkit.Main(m)
}

func TestSelftest(t *testing.T) {
	clients := "1000"
	if testing.Short() {
		clients = "200"
	}
	for _, args := range [][]string{{"-backend", "auto"}, {"-backend", "std"}, {"-shards", "2"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			testkit.Watchdog(t, time.Minute)
			var out, errs bytes.Buffer
			code := run(t.Context(), append(args, "-selftest", "-clients", clients), &out, &errs)
			require.Equal(t, kit.ExitOK, code, "%s%s", out.String(), errs.String())
			require.Contains(t, out.String(), "clients:        "+clients)
			require.Contains(t, out.String(), "of which 1 were too slow and 0 were cut off")
		})
	}
}

// started is a server at work.
type started struct {
	rt   *proactor.Runtime
	addr string
	hub  *hub
	end  func()
}

func start(t *testing.T, o options) started {
	t.Helper()
	testkit.Watchdog(t, time.Minute)
	rt, err := proactor.New(proactor.Config{})
	require.NoError(t, err)
	o.addr, o.most, o.patience = "127.0.0.1:0", 100, time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	ready, served := make(chan started, 1), make(chan error, 1)
	go func() {
		served <- serve(ctx, rt, o, io.Discard, io.Discard, func(addr string, h *hub) { ready <- started{rt: rt, addr: addr, hub: h} })
	}()
	s := <-ready
	s.end = func() {
		cancel()
		require.NoError(t, <-served)
		require.NoError(t, kit.Shutdown(rt))
	}
	return s
}

func (s started) connect(t *testing.T) *visitor {
	t.Helper()
	v, err := connect(t.Context(), s.rt, s.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = v.conn.Close() })
	return v
}

func (v *visitor) say(t *testing.T, text string) {
	t.Helper()
	_, err := io.WriteString(v.conn, text)
	require.NoError(t, err)
}

func TestProtocol(t *testing.T) {
	s := start(t, options{queue: 100, slow: closeSlow, grace: time.Minute})
	a, b := s.connect(t), s.connect(t)
	require.NoError(t, a.subscribe("go"))
	require.NoError(t, b.subscribe("go"))
	a.say(t, "PUB go hello there\r\n")
	require.NoError(t, a.expect("MSG go hello there\n"))
	require.NoError(t, b.expect("MSG go hello there\n"))
	b.say(t, "UNSUB go\n")
	require.NoError(t, b.expect("OK go\n"))
	b.say(t, "PUB go alone\nPING\nSUB\nWHAT\nPUB nobody x\n")
	require.NoError(t, a.expect("MSG go alone\n"))
	require.NoError(t, b.expect("PONG\n"))
	require.NoError(t, b.expect("ERR which topic?\n"))
	require.NoError(t, b.expect("ERR say SUB topic, UNSUB topic, PUB topic text or PING\n"))
	long := s.connect(t)
	long.say(t, strings.Repeat("x", lineMax+1))
	require.NoError(t, long.expect("ERR a line has at most 512 bytes\n"))
	_, err := long.lines.ReadByte()
	require.Error(t, err)

	require.NoError(t, b.conn.Close())
	testkit.Eventually(t, func() bool {
		s.hub.mu.RLock()
		defer s.hub.mu.RUnlock()
		return len(s.hub.clients) == 1 && len(s.hub.topics) == 1
	}, "who has left is forgotten")
	ended := make(chan struct{})
	go func() {
		s.end()
		close(ended)
	}()
	require.NoError(t, a.expect("BYE\n"))
	_, err = a.lines.ReadByte()
	require.Equal(t, io.EOF, err)
	require.NoError(t, a.conn.Close())
	<-ended
}

// A client that reads too late has lost messages, but keeps its connection and
// the order.
func TestDropsForTheSlow(t *testing.T) {
	s := start(t, options{queue: 10, slow: dropSlow, grace: 0})
	slow, other := s.connect(t), s.connect(t)
	require.NoError(t, slow.subscribe("x"))
	text := strings.Repeat("y", 400)
	for s.hub.dropped.Load() == 0 {
		other.say(t, "PUB x "+text+"\n")
	}
	got := int64(0)
	for s.hub.queued.Load() > got {
		require.NoError(t, slow.expect("MSG x "+text+"\n"))
		got++
	}
	slow.say(t, "PING\n")
	for {
		line, err := slow.lines.ReadString('\n')
		require.NoError(t, err)
		if line == "PONG\n" {
			break
		}
	}
	require.Zero(t, s.hub.slow.Load())
	s.end()
}

func TestComplains(t *testing.T) {
	for says, args := range map[string][]string{
		"flags only":    {"x"},
		"-queue":        {"-queue", "0"},
		"close or drop": {"-slow", "sometimes"},
		"-addr chooses": {"-addr", "256.0.0.1:http"},
		"ulimit -n":     {"-join", "127.0.0.1:1", "-clients", "1"},
		"-h explains":   {"-nonsense"},
		"at least 1":    {"-clients", "-5"},
	} {
		var out, errs bytes.Buffer
		require.NotEqual(t, kit.ExitOK, run(t.Context(), args, &out, &errs))
		require.Empty(t, out.String())
		require.Contains(t, errs.String(), says)
	}
}
