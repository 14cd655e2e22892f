package file_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestMain(m *testing.M) {
	testkit.BeforeCheck(func() { _ = proactor.ShutdownDefault(context.Background()) })
	testkit.Main(m)
}

// configs are the runtimes that the tests run on: the standard library, and
// rings where they are to be had.
func configs() map[string]proactor.Config {
	m := map[string]proactor.Config{"std": {Mode: proactor.ModeStd}}
	probe, err := proactor.New(proactor.Config{})
	if err != nil {
		panic(err)
	}
	defer probe.Close()
	if !probe.HasRing() {
		if os.Getenv("YAMANOTE_TEST_NOSKIP") == "1" {
			panic("no ring here: " + probe.Backend().String())
		}
		return m
	}
	m["ring"] = proactor.Config{Mode: proactor.ModeRing}
	m["ring/tiny"] = proactor.Config{Mode: proactor.ModeRing, SQEntries: 2, CQEntries: 4}
	m["ring/shards"] = proactor.Config{Mode: proactor.ModeRing, Shards: 3}
	return m
}

func forEach(t *testing.T, f func(t *testing.T, rt *proactor.Runtime)) {
	t.Helper()
	for name, cfg := range configs() {
		t.Run(name, func(t *testing.T) {
			rt, err := proactor.New(cfg)
			require.NoError(t, err)
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				require.NoError(t, rt.Shutdown(ctx))
				require.Zero(t, rt.Stats().InFlight)
			})
			f(t, rt)
		})
	}
}

// openFile is OpenFile on a runtime.
func openFile(t testing.TB, rt *proactor.Runtime, name string, flag int) *file.File {
	t.Helper()
	f, err := file.OpenConfig{Runtime: rt}.OpenFile(name, flag, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}
