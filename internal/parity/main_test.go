package main

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const root = "../.."

// TestParity: what a program can name in the standard library's package, it can
// name in ours, and it has the same type there. A name that a new release of Go
// brings is reported here: go generate ./net adds it, unless it belongs to a type
// that is built by hand.
func TestParity(t *testing.T) {
	std, ours, err := loadBoth(root)
	require.NoError(t, err)
	require.Greater(t, len(std.Scope().Names()), 100, "that is not package net")
	expected := map[string]bool{}
	for _, d := range inTypes {
		expected[d.name] = true
	}
	for _, f := range compare(std, ours) {
		switch {
		case expected[f.name]:
			delete(expected, f.name)
		case slices.ContainsFunc(unfinished, func(pattern string) bool { ok, _ := path.Match(pattern, f.name); return ok }):
			t.Log("not yet:", f)
		default:
			t.Errorf("%s\nThe table of differences in internal/parity/differences.go does not have it.", f)
		}
	}
	for name := range expected {
		t.Errorf("%s is in the table of differences, and there is none", name)
	}
}

// TestGeneratedFilesAreCurrent: the committed files are what the generator makes
// with this toolchain.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := generate(root)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		require.NoError(t, err)
		require.True(t, string(want) == string(got), "%s is old: go generate ./net", name)
	}
}

// TestDifferencesAreExplained: no difference is without a reason, and the guide
// for those who migrate leads to them.
func TestDifferencesAreExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range slices.Concat(inTypes, inBehaviour) {
		require.NotEmpty(t, d.name)
		require.NotEmpty(t, d.what, d.name)
		require.NotEmpty(t, d.reason, d.name)
		require.False(t, seen[d.name], "%s has two rows", d.name)
		seen[d.name] = true
	}
}
