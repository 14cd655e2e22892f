package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// randread runs the program in a directory of its own and expects it empty
// afterwards.
func randread(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	testkit.Watchdog(t, time.Minute)
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	code = run(ctx, append([]string{"-duration", "20ms", "-rounds", "2", "-size", "1000000"}, args...), &out, &errs)
	left, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Empty(t, left)
	return code, out.String(), errs.String()
}

func TestReads(t *testing.T) {
	for name, args := range map[string][]string{
		"cached": nil, "std": {"-backend", "std"}, "one": {"-goroutines", "1", "-block", "512"}, "large": {"-block", "65536"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := randread(t, t.Context(), args...)
			require.Equal(t, kit.ExitOK, code, stderr)
			require.Regexp(t, `(?m)^file +[1-9]\d* +\S+s +\S+s`, stdout)
			require.Regexp(t, `(?m)^os +[1-9]\d* +\S+s +\S+s`, stdout)
			require.Contains(t, stdout, "times as many reads")
		})
	}
}

// A file system that has no direct reads says so.
func TestReadsDirectly(t *testing.T) {
	code, stdout, stderr := randread(t, t.Context(), "-direct", "-size", "1048576")
	if code != kit.ExitOK {
		require.Contains(t, stderr, "unsupported")
		return
	}
	require.Contains(t, stdout, "past the page cache")
}

func TestComplains(t *testing.T) {
	small := filepath.Join(t.TempDir(), "small")
	require.NoError(t, os.WriteFile(small, make([]byte, 100), 0o600))
	for says, args := range map[string][]string{
		"power of two": {"-block", "1000"}, "1 to 4096": {"-goroutines", "0"}, "1ms to 1m": {"-duration", "1h"},
		"1 to 100": {"-rounds", "0"}, "at least -block": {"-size", "10"}, "flags only": {"x"},
		"less than a block": {"-file", small}, "none": {"-file", small + "none"},
	} {
		code, stdout, stderr := randread(t, t.Context(), args...)
		require.NotEqual(t, kit.ExitOK, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, says)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, stdout, _ := randread(t, ctx)
	require.Equal(t, kit.ExitInterrupted, code)
	require.Empty(t, stdout)
}

func TestQuantile(t *testing.T) {
	times := []time.Duration{1000, 2000, 3000, 4000}
	require.EqualValues(t, 3000, quantile(times, 0.5))
	require.EqualValues(t, 4000, quantile(times, 0.999))
	require.Zero(t, quantile(nil, 0.5))
	require.EqualValues(t, 2, median([]float64{3, 1, 2}))
}
