package main

import (
	"bytes"
	"context"
	"encoding/json"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// overlay is files that the go command is to see where there are none.
type overlay struct {
	root  string
	files map[string]string
}

func newOverlay(t *testing.T) *overlay {
	t.Helper()
	abs, err := filepath.Abs(root)
	require.NoError(t, err)
	o := &overlay{abs, map[string]string{}}
	here, err := os.Getwd()
	require.NoError(t, err)
	for _, name := range standinPackages {
		file := filepath.Join(name, name+".go")
		o.add(file, filepath.Join(here, "testdata", "standins", file))
	}
	return o
}

// add has a file seen below the directory of the stand-ins.
func (o *overlay) add(name, content string) {
	o.files[filepath.Join(o.root, "internal", "parity", "standins", name)] = content
}

// flag writes the overlay and returns the flag for it.
func (o *overlay) flag(t *testing.T) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{"Replace": o.files})
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "overlay.json")
	require.NoError(t, os.WriteFile(name, data, 0o644))
	return "-overlay=" + name
}

// TestStandardLibrarySuite builds the standard library's own tests of package net
// against ours, and runs them. What passes there has to pass here. Under -short
// they are only type-checked. With -v it says what is left out, and why.
func TestStandardLibrarySuite(t *testing.T) {
	testkit.Watchdog(t, 20*time.Minute)
	s, err := parseSuite()
	require.NoError(t, err)
	l, err := load(root, append([]string{newOverlay(t).flag(t), ourPath}, s.imports()...)...)
	require.NoError(t, err)
	require.NoError(t, s.reduce(l))
	for _, reason := range s.dropped {
		t.Log("left out:", reason)
	}
	usable := len(s.dropped)
	require.NoError(t, s.reduce(inTheirPlace{l}))
	for _, reason := range s.dropped[usable:] {
		if len(unfinished) == 0 {
			t.Errorf("compiles with %s, and with %s it does not: %s", stdPath, ourPath, reason)
		} else {
			t.Log("left out until all names are there:", reason)
		}
	}
	if testing.Short() || t.Failed() {
		return
	}
	want := runSuite(t, s.dir, buildSuite(t, s, stdPath))
	require.Greater(t, count(want, passed), 150, "hardly anything is left of the suite")
	bin := buildSuite(t, s, ourPath)
	for _, backend := range []string{"auto", "std"} {
		t.Run(backend, func(t *testing.T) { compareRuns(t, want, runSuite(t, s.dir, bin, "YAMANOTE_BACKEND="+backend)) })
	}
}

// inTheirPlace imports ours where the standard library's is asked for.
type inTheirPlace struct{ *loader }

func (l inTheirPlace) Import(path string) (*types.Package, error) {
	if path == stdPath {
		path = ourPath
	}
	return l.loader.Import(path)
}

// buildSuite returns the test binary for the package at a path.
func buildSuite(t *testing.T, s *suite, path string) string {
	t.Helper()
	dir := t.TempDir()
	names, err := s.write(dir, path)
	require.NoError(t, err)
	o := newOverlay(t)
	for _, name := range names {
		o.add(filepath.Join("suite", name), filepath.Join(dir, name))
	}
	bin := filepath.Join(dir, "suite.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-gcflags=-e", "-o", bin, o.flag(t), "./internal/parity/standins/suite")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "what compiles with %s does not compile with %s:\n%s", stdPath, path, out)
	return bin
}

type outcome string

const (
	passed  outcome = "PASS"
	failed  outcome = "FAIL"
	skipped outcome = "SKIP"
)

// results is what tests have come to, and what they have said.
type results struct {
	outcomes map[string]outcome
	output   string
}

func count(r results, o outcome) int {
	n := 0
	for _, got := range r.outcomes {
		if got == o {
			n++
		}
	}
	return n
}

var verdict = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+) \(`)

// runSuite runs a test binary in a directory. What ends the
// binary has failed, and the others are tried without it.
func runSuite(t *testing.T, dir, bin string, env ...string) results {
	t.Helper()
	r := results{outcomes: map[string]outcome{}}
	var fatal []string
	for range 10 {
		args := []string{"-test.v", "-test.short", "-test.timeout=30s"}
		if len(fatal) > 0 {
			args = append(args, "-test.skip=^("+strings.Join(fatal, "|")+")$")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		cmd := exec.CommandContext(ctx, bin, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		cancel()
		r.output += string(out)
		for _, m := range verdict.FindAllSubmatch(out, -1) {
			r.outcomes[string(m[2])] = outcome(m[1])
		}
		if err == nil || bytes.HasSuffix(bytes.TrimSpace(out), []byte("FAIL")) && !bytes.Contains(out, []byte("\npanic: ")) {
			return r
		}
		name := running(out)
		require.NotEmpty(t, name, "the suite ended without a reason: %v\n%s", err, tail(out))
		r.outcomes[name] = failed
		fatal = append(fatal, name)
	}
	t.Fatalf("too many tests end the suite: %s", strings.Join(fatal, ", "))
	return r
}

var (
	started = regexp.MustCompile(`(?m)^=== RUN +(\S+)$`)
	hanging = regexp.MustCompile(`\trunning tests:\n\t\t(\S+)`)
)

// running returns the test of the top level that has ended the suite: one that
// took too long, or the last that was started.
func running(out []byte) string {
	name := ""
	for _, m := range append(started.FindAllSubmatch(out, -1), hanging.FindAllSubmatch(out, -1)...) {
		name, _, _ = strings.Cut(string(m[1]), "/")
	}
	return name
}

func tail(out []byte) []byte { return out[max(0, len(out)-4000):] }

// compareRuns wants of ours what the standard library's package can.
func compareRuns(t *testing.T, want, got results) {
	t.Logf("standard library: %d passed, %d failed, %d skipped; ours: %d passed, %d failed, %d skipped",
		count(want, passed), count(want, failed), count(want, skipped),
		count(got, passed), count(got, failed), count(got, skipped))
	for _, name := range slices.Sorted(maps.Keys(want.outcomes)) {
		if want.outcomes[name] != passed {
			t.Logf("%s: %s with the standard library outside of its own package", name, want.outcomes[name])
			continue
		}
		top, _, _ := strings.Cut(name, "/")
		reason, known := failing[top]
		switch o := got.outcomes[name]; {
		case o == passed && known && name == top && strings.HasSuffix(t.Name(), "/auto"):
			t.Errorf("%s passes: take it out of the table of those that fail", name)
		case o != passed && known:
			t.Logf("%s: %s", name, reason)
		case o != passed:
			t.Errorf("%s: %q instead of PASS\n%s", name, o, said(got.output, name))
		}
	}
}

// failing are the tests that ours does not pass, and why. None of them passes.
var failing = map[string]string{}

// said returns what a test has said, as far as that stands together.
func said(output, name string) string {
	_, after, _ := strings.Cut(output, "=== NAME  "+name+"\n")
	if after == "" {
		_, after, _ = strings.Cut(output, "=== RUN   "+name+"\n")
	}
	after, _, _ = strings.Cut(after, "=== ")
	return after[:min(len(after), 1000)]
}
