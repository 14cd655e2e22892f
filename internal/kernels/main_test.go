package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/uring"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const root = "../.."

func generated(t *testing.T) string {
	t.Helper()
	doc, err := document(root)
	require.NoError(t, err)
	return string(doc)
}

// TestDocumentIsCurrent: docs/kernels.md is what the generator makes.
func TestDocumentIsCurrent(t *testing.T) {
	out := filepath.Join(t.TempDir(), "kernels.md")
	require.NoError(t, run(root, out))
	want, err := os.ReadFile(out)
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join(root, "docs", "kernels.md"))
	require.NoError(t, err)
	require.True(t, string(want) == string(got), "docs/kernels.md is old: go generate ./...")
}

// TestNothingIsMissing: every operation, call and flag has a row.
func TestNothingIsMissing(t *testing.T) {
	doc := generated(t)
	for info := range uring.Ops() {
		require.Contains(t, doc, "\n| "+info.Name+" | "+info.Since.String()+" |")
	}
	for op := range uring.IORING_REGISTER_LAST {
		require.Contains(t, doc, "\n| "+op.String()+" |")
	}
	for _, flags := range []string{
		uring.SetupFlags(1<<21 - 1).String(), uring.Features(1<<18 - 1).String(),
		uring.EnterFlags(1<<8 - 1).String(), uring.SQEFlags(1<<7 - 1).String(),
	} {
		for name := range strings.SplitSeq(flags, "|") {
			require.NotContains(t, name, "0x", "a flag without a name: %s", flags)
			require.Contains(t, doc, "\n| "+name+" |")
		}
	}
	require.GreaterOrEqual(t, len(themes), 25)
	for _, theme := range themes {
		require.NotEmpty(t, theme.tests, theme.name)
	}
}

// TestWhatIsUsedIsExplained: for everything that the layers above uring use, it
// is said what they do without it; and nothing is said of what does not exist.
func TestWhatIsUsedIsExplained(t *testing.T) {
	for _, dir := range []string{"driver", "proactor", "internal/sys", "internal/poll", "net", "file"} {
		for _, name := range used(t, filepath.Join(root, dir)) {
			require.NotEqual(t, unused, without(name), "%s, used by %s", name, dir)
		}
	}
	known := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(root, "uring", "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(tree, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok {
				known[v.Names[0].Name] = true
			}
			return true
		})
	}
	for name := range instead {
		require.True(t, known[name], "%s is explained but unknown", name)
	}
	for name := range untested {
		require.True(t, known[name], "%s is explained but unknown", name)
	}
}

// used returns the constants of package uring that the sources in a directory
// name.
func used(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	require.NotEmpty(t, files, dir)
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(tree, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "uring" &&
				(strings.HasPrefix(sel.Sel.Name, "IORING_") || strings.HasPrefix(sel.Sel.Name, "IOSQE_")) {
				names = append(names, sel.Sel.Name)
			}
			return true
		})
	}
	return names
}

// TestMentions: a constant is found in a test, in what it calls, and not in what
// everything calls.
func TestMentions(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("package p\n"+text), 0o600))
	}
	write("p.go", `
type Flags uint8
const (
	DIRECT Flags = 1 // named by a test (5.7)
	CALLED Flags = 2 // named by what a test calls
	GENERAL Flags = 4 // named by New only
)
func Call() Flags { return CALLED }
func New() Flags { return GENERAL }
`)
	write("p_linux_test.go", `
func TestDirect(t *testing.T) { prove(t, IORING_OP_NOP, IORING_OP_READ); _ = DIRECT; New() }
func TestCaller(t *testing.T) { Call() }
`)
	write("p_test.go", `
func TestValues(t *testing.T) { _, _, _ = DIRECT, CALLED, GENERAL }
`)
	s, err := read(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"TestDirect"}, s.mention("DIRECT"))
	require.Equal(t, []string{"TestCaller"}, s.mention("CALLED"))
	require.Empty(t, s.mention("GENERAL"))
	require.Equal(t, []string{"TestDirect"}, s.proofs["IORING_OP_READ"])
	require.True(t, s.tests["TestValues"])
	require.Equal(t, flagRow{"DIRECT", "named by a test", "5.7"}, s.flags["Flags"][0])
	require.Equal(t, flagRow{"CALLED", "named by what a test calls", ""}, s.flags["Flags"][1])

	_, err = read(t.TempDir())
	require.Error(t, err)
}

func TestCells(t *testing.T) {
	require.Equal(t, "`a`, `b`", tests([]string{"a", "b"}))
	require.Equal(t, "`a`, `b`, `c` and 2 more", tests([]string{"a", "b", "c", "d", "e"}))
}
