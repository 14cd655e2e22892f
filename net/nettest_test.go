package net_test

import (
	"context"
	stdnet "net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestMain(m *testing.M) {
	testkit.BeforeCheck(func() { _ = proactor.ShutdownDefault(context.Background()) })
	testkit.Main(m)
}

// runtimes are the configurations that the conformance tests run on.
func runtimes() map[string]proactor.Config {
	m := map[string]proactor.Config{
		"std": {Mode: proactor.ModeStd},
	}
	if os.Getenv("YAMANOTE_EXPECT_BACKEND") == "std" {
		return m
	}
	for _, s := range proactor.Strategies() {
		m[s.String()] = proactor.Config{Mode: proactor.ModeRing, Strategy: s}
		m[s.String()+"/tiny"] = proactor.Config{Mode: proactor.ModeRing, Strategy: s, SQEntries: 2, CQEntries: 4}
		m[s.String()+"/shards"] = proactor.Config{Mode: proactor.ModeRing, Strategy: s, Shards: 3}
	}
	return m
}

func forEach(t *testing.T, f func(t *testing.T, rt *proactor.Runtime)) {
	for name, cfg := range runtimes() {
		t.Run(name, func(t *testing.T) {
			rt, err := proactor.New(cfg)
			require.NoError(t, err)
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				require.NoError(t, rt.Shutdown(ctx))
			})
			f(t, rt)
		})
	}
}

// pipe connects two ends over a network on a runtime.
func pipe(rt *proactor.Runtime, network, address string) (c1, c2 stdnet.Conn, stop func(), err error) {
	lc := net.ListenConfig{Runtime: rt}
	l, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		return nil, nil, nil, err
	}
	defer l.Close()
	type result struct {
		c   stdnet.Conn
		err error
	}
	accepted := make(chan result, 1)
	go func() {
		c, err := l.Accept()
		accepted <- result{c, err}
	}()
	d := net.Dialer{Runtime: rt}
	c1, err = d.Dial(network, l.Addr().String())
	if err != nil {
		return nil, nil, nil, err
	}
	r := <-accepted
	if r.err != nil {
		_ = c1.Close()
		return nil, nil, nil, r.err
	}
	return c1, r.c, func() { _ = c1.Close(); _ = r.c.Close() }, nil
}

func TestConn(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []struct{ name, address string }{
			{"tcp4", "127.0.0.1:0"},
			{"tcp6", "[::1]:0"},
			{"unix", filepath.Join(t.TempDir(), "s")},
		} {
			t.Run(network.name, func(t *testing.T) {
				nettest.TestConn(t, func() (stdnet.Conn, stdnet.Conn, func(), error) {
					return pipe(rt, network.name, network.address)
				})
			})
		}
	})
}
