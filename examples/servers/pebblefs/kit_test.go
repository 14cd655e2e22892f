package pebblefs_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/servers/pebblefs"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		commitUntilKilled(dir)
	}
	testkit.Main(m)
}

// configs are the runtimes that the tests run on.
func configs(t *testing.T) map[string]proactor.Config {
	m := map[string]proactor.Config{"std": {Mode: proactor.ModeStd}}
	probe, err := proactor.New(proactor.Config{})
	require.NoError(t, err)
	defer probe.Close()
	if !probe.HasRing() {
		require.False(t, testkit.NoSkips(), "no ring here: %v", probe.Backend())
		return m
	}
	m["ring"] = proactor.Config{Mode: proactor.ModeRing}
	m["ring/tiny"] = proactor.Config{Mode: proactor.ModeRing, SQEntries: 2, CQEntries: 4}
	return m
}

// forEach runs a test on file systems of package file. With pebbles, also on
// Pebble's own: what fails there is a wrong test.
func forEach(t *testing.T, pebbles bool, f func(t *testing.T, fs vfs.FS)) {
	t.Helper()
	testkit.Watchdog(t, 3*time.Minute)
	if pebbles {
		t.Run("pebble", func(t *testing.T) { f(t, vfs.Default) })
	}
	for name, cfg := range configs(t) {
		t.Run(name, func(t *testing.T) {
			rt, err := proactor.New(cfg)
			require.NoError(t, err)
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				require.NoError(t, rt.Shutdown(ctx))
				require.Zero(t, rt.Stats().InFlight)
			})
			f(t, pebblefs.New(rt))
		})
	}
}
