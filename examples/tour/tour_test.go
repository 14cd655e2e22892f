package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

// TestMain lets the test binary be the helpers of the tour too.
func TestMain(m *testing.M) {
	if code, ok := child(); ok {
		os.Exit(code)
	}
	testkit.Main(m)
}

// small are arguments for a tour of a moment.
func small(dir string, more ...string) []string {
	return append([]string{"-quick", "-rounds", "2", "-round", "20ms", "-conns", "1,8", "-mib", "2", "-dir", dir}, more...)
}

// quiet makes a tour in a directory of its own and expects nothing to be left
// there.
func quiet(t *testing.T, ctx context.Context, more ...string) (code int, stdout, stderr string) {
	t.Helper()
	testkit.Watchdog(t, time.Minute)
	testkit.NoLeak(t)
	dir := t.TempDir()
	var out, errs bytes.Buffer
	code = run(ctx, small(dir, more...), &out, &errs)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	return code, out.String(), errs.String()
}

func haveRing() bool {
	rt, err := proactor.New(proactor.Config{Mode: proactor.ModeRing})
	if err != nil {
		return false
	}
	_ = kit.Shutdown(rt)
	return true
}

func TestTour(t *testing.T) {
	ring := haveRing()
	code, stdout, stderr := quiet(t, t.Context())
	require.Equal(t, kit.ExitOK, code, stderr)
	require.Empty(t, stderr)
	for _, want := range []string{"Echo, 1 connection,", "Echo, 8 connections,", "HTTP, 64", "page cache", "Summary"} {
		require.Contains(t, stdout, want)
	}
	tables := strings.Count(stdout, "operations/s")
	require.GreaterOrEqual(t, tables, 4)
	lines := func(name string) int {
		return len(regexp.MustCompile(`(?m)^  `+name+` +[0-9,]+ `).FindAllString(stdout, -1))
	}
	require.Equal(t, tables, lines("std"))
	if ring {
		require.Equal(t, tables, lines("ring"))
		require.Regexp(t, `\nring ahead .*\nstandard library ahead .*\nundecided .*\n$`, stdout)
	} else {
		require.Zero(t, lines("ring"))
		require.Contains(t, stdout, "because")
	}
}

func TestTourEndsWhenItIsInterrupted(t *testing.T) {
	for _, after := range []time.Duration{0, 100 * time.Millisecond, 500 * time.Millisecond} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), after, errors.New("interrupted"))
		defer cancel()
		code, _, stderr := quiet(t, ctx, "-round", "2s", "-strace=false")
		require.NotEqual(t, kit.ExitOK, code)
		require.NotEmpty(t, stderr)
	}
}

func TestTourIsBounded(t *testing.T) {
	start := time.Now()
	code, _, stderr := quiet(t, t.Context(), "-round", "30s", "-limit", "300ms", "-strace=false")
	require.Equal(t, kit.ExitFailed, code)
	require.Contains(t, stderr, "-limit")
	require.Less(t, time.Since(start), 20*time.Second)
}

func TestComplains(t *testing.T) {
	for says, args := range map[string][]string{
		"-conns":     {"-conns", "1,many"},
		"-rounds":    {"-rounds", "-1"},
		"flags only": {"now"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, kit.ExitUsage, run(t.Context(), args, &out, &errs))
		require.Contains(t, errs.String(), says)
	}
}

// A helper ends when the process that started it has gone.
func TestHelperEndsWithItsInput(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	self, err := os.Executable()
	require.NoError(t, err)
	for _, role := range []string{"serve", "load", "files"} {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), roleEnv+"="+role+" std")
		stdin, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		require.NoError(t, stdin.Close())
		require.NoError(t, cmd.Wait(), role)
	}
}

func TestHistogram(t *testing.T) {
	for d := time.Duration(1); d < time.Hour; d = d*9/8 + 1 {
		require.InEpsilon(t, float64(d), float64(middle(class(d))), 0.04, "%v", d)
	}
	require.Less(t, class(math.MaxInt64), len(histogram{}.classes))
	var h histogram
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	require.InEpsilon(t, float64(500*time.Microsecond), float64(h.quantile(0.5)), 0.05)
	require.InEpsilon(t, float64(990*time.Microsecond), float64(h.quantile(0.99)), 0.05)
}

func TestTrace(t *testing.T) {
	var other bytes.Buffer
	tr := newTrace(&other)
	text := `execve("/x", [""...], 0x7ffe /* 9 vars */) = 0
strace: Process 12 attached
[pid    12] futex(0xc0, FUTEX_WAIT_PRIVATE, 0, NULL <unfinished ...>
[pid    11] newfstatat(AT_FDCWD, "yamanote-tour-mark-4", 0xc1, 0) = -1 ENOENT (No such file or directory)
[pid    12] <... futex resumed>)        = 0
[pid    11] read(0, ""..., 9)           = 1
[pid    11] newfstatat(AT_FDCWD, "yamanote-tour-mark-5", 0xc1, 0) = -1 ENOENT (No such file or directory)
[pid    12] +++ exited with 0 +++
`
	for len(text) > 0 { // in pieces, as a pipe delivers it
		n := min(7, len(text))
		_, err := tr.Write([]byte(text[:n]))
		require.NoError(t, err)
		text = text[n:]
	}
	before, err := tr.until(4)
	require.NoError(t, err)
	after, err := tr.until(5)
	require.NoError(t, err)
	require.Equal(t, []int64{3, 5}, []int64{before, after})
	require.Equal(t, "strace: Process 12 attached\n", other.String())
}

// rounds makes an outcome of pairs of rounds with these ratios.
func rounds(ratios ...float64) *outcome {
	o := &outcome{samples: make([][]sample, 2)}
	for _, r := range ratios {
		o.samples[0] = append(o.samples[0], sample{rate: 1000})
		o.samples[1] = append(o.samples[1], sample{rate: 1000 * r})
	}
	return o
}

func TestVerdict(t *testing.T) {
	require.Equal(t, ringAhead, rounds(1.1, 1.2, 1.3).verdict())
	require.Equal(t, ringAhead, rounds(1.1, 1.2, 1.3, 0.5, 1.4).verdict())
	require.Equal(t, stdAhead, rounds(0.9, 0.8, 0.97).verdict())
	require.Equal(t, undecided, rounds(1.1, 1.2, 0.9).verdict())
	require.Equal(t, undecided, rounds(1.01, 1.01, 1.01).verdict())
	require.Equal(t, undecided, rounds().verdict())
	require.Equal(t, undecided, rounds(2, 2).verdict(), "two rounds say nothing")
}

func TestNumbers(t *testing.T) {
	for want, got := range map[string]string{
		"1,234,567": thousands(1234567.4), "999": thousands(999), "–": decimals(math.NaN()),
		"1.50": decimals(1.5), "0.0012": decimals(0.0012), "12.3": decimals(12.34), "1,234": decimals(1234.4),
		"850 ns": nanoseconds(850), "8.50 µs": nanoseconds(8500), "1.25 ms": nanoseconds(1.25e6), "2.00 s": nanoseconds(2e9),
		"a b\nccc": wrap("a  b ccc", 4),
	} {
		require.Equal(t, want, got)
	}
}
