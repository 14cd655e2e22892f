package lint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestModule applies the rules to this module.
func TestModule(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(gomod), "module "+module+"\n"), "the table is for module %s", module)

	sources, foreign, err := walk(root)
	require.NoError(t, err)
	require.Empty(t, foreign, "files that are not Go: the module is pure Go")

	// No vacuous pass: these must be among what was looked at.
	paths := make(map[string]bool)
	functions := 0
	for _, s := range sources {
		paths[s.path] = true
		functions += len(s.ast.Decls)
	}
	for _, want := range []string{"uring/doc.go", "internal/sys/seccomp_linux.go", "internal/sys/seccomp_other.go", "internal/lint/lint_test.go"} {
		require.Contains(t, paths, want)
	}
	require.Greater(t, functions, 50)

	found := check(sources)
	slices.SortFunc(found, func(a, b finding) int {
		if c := strings.Compare(a.path, b.path); c != 0 {
			return c
		}
		return a.line - b.line
	})
	for _, f := range found {
		t.Error(f)
	}
}

// TestTheTableOfLayers checks the table itself.
func TestTheTableOfLayers(t *testing.T) {
	for i, l := range layers {
		require.Equal(t, i, rank(l.dir), "%s has two rows", l.dir)
		for _, may := range l.may {
			if r := rank(may); r >= 0 {
				require.Less(t, r, i, "%s may import %s, which is above it", l.dir, may)
			} else {
				require.Contains(t, []string{xsys, atomic, anyLower}, may, "%s", l.dir)
			}
		}
	}
	uring, ok := rowOf("uring")
	require.True(t, ok)
	require.NotContains(t, uring.may, atomic, "uring stands on the kernel alone")
}
