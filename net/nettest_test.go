package net_test

import (
	"context"
	"flag"
	stdnet "net"
	"os"
	goruntime "runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/nettest"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(goruntime.GOMAXPROCS(0)) {
		// Most of these tests wait most of the time, so more of them than
		// there are processors can be at it.
		_ = flag.Set("test.parallel", "8")
	}
	testkit.BeforeCheck(func() {
		_ = proactor.ShutdownDefault(context.Background())
		// The standard library keeps the pipes that it copies through, until they
		// have been garbage three times: in use, in its pool, and out of it.
		for range 3 {
			goruntime.GC()
		}
	})
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
	m["ring"] = proactor.Config{Mode: proactor.ModeRing}
	m["ring/tiny"] = proactor.Config{Mode: proactor.ModeRing, Shards: 1, SQEntries: 2, CQEntries: 4}
	m["ring/behind"] = proactor.Config{Mode: proactor.ModeRing, WriteBehind: true}
	m["ring/shards"] = proactor.Config{Mode: proactor.ModeRing, Shards: 3}
	for name, feature := range features {
		m["ring/no-"+name] = proactor.Config{Mode: proactor.ModeRing, Without: feature}
	}
	return m
}

// features are those of package driver, in its order; TestRuntimes checks that
// they do what their names say.
var features = map[string]proactor.Features{
	"nosqarray": 1 << 0,
	"taskrun":   1 << 1,
}

// TestRuntimes checks that the configurations are not all the same.
func TestRuntimes(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		b := rt.Backend()
		_, config, _ := strings.Cut(t.Name(), "/on/")
		require.Equal(t, config == "std", b.Kind == proactor.KindStd, "%v", b)
		if b.Kind == proactor.KindStd {
			return
		}
		require.Equal(t, strings.HasSuffix(config, "/behind"), rt.WriteBehind())
		require.Equal(t, strings.HasSuffix(config, "/tiny"), b.Ring.SQEntries == 2, "%v", b)
		require.Equal(t, strings.HasSuffix(config, "/shards"), b.Shards == 3, "%v", b)
		flags := b.Ring.Flags.String()
		switch {
		case strings.HasSuffix(config, "/no-nosqarray"):
			require.NotContains(t, flags, "SQARRAY")
		case strings.HasSuffix(config, "/no-taskrun"):
			require.NotContains(t, flags, "TASKRUN")
		}
	})
}

// forEach runs a test on all configurations at once. It returns when all are
// done.
func forEach(t *testing.T, f func(t *testing.T, rt *proactor.Runtime)) {
	t.Helper()
	t.Run("on", func(t *testing.T) {
		for name, cfg := range runtimes() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f(t, newRuntime(t, cfg))
			})
		}
	})
}

// inTurn is forEach for tests that count what belongs to the whole process, on
// those configurations only that differ in how operations run.
func inTurn(t *testing.T, f func(t *testing.T, rt *proactor.Runtime)) {
	t.Helper()
	for name, cfg := range runtimes() {
		if cfg.Without == 0 && cfg.Shards == 0 {
			t.Run(name, func(t *testing.T) { f(t, newRuntime(t, cfg)) })
		}
	}
}

const watchdog = 2 * time.Minute

// newRuntime starts a runtime that ends with the test.
func newRuntime(t *testing.T, cfg proactor.Config) *proactor.Runtime {
	t.Helper()
	testkit.Watchdog(t, watchdog)
	rt, err := proactor.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, rt.Shutdown(ctx))
	})
	return rt
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
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		nettest.TestConn(t, func() (stdnet.Conn, stdnet.Conn, func(), error) {
			return pipe(rt, network, address(t, network))
		})
	})
}
