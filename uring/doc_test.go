package uring

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestProgramOfTheDocumentation: the program in the package comment is the
// example that is run, line by line.
func TestProgramOfTheDocumentation(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	example, err := os.ReadFile("example_read_linux_test.go")
	require.NoError(t, err)
	_, want, ok := strings.Cut(string(example), "func Example() {\n")
	require.True(t, ok)
	want, _, ok = strings.Cut(want, "\t// Output")
	require.True(t, ok)

	_, program, ok := strings.Cut(string(doc), "//\tfunc main() {\n")
	require.True(t, ok)
	program, _, ok = strings.Cut(program, "//\t}\n//\n")
	require.True(t, ok)
	var got strings.Builder
	for line := range strings.Lines(program) {
		line = strings.TrimPrefix(line, "//")
		got.WriteString(strings.TrimPrefix(line, "\t"))
	}
	require.Equal(t, want, got.String())
}

// TestLinksOfTheDocumentation: what the package comment refers to exists.
func TestLinksOfTheDocumentation(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	names := map[string]bool{}
	for name := range exported(t, "linux") {
		kind, rest, _ := strings.Cut(name, " ")
		if receiver, method, ok := strings.Cut(rest, ") "); kind == "func" && ok {
			rest = strings.Trim(receiver, "(*") + "." + method
		}
		names[rest] = true
	}
	links := regexp.MustCompile(`\[([A-Z][\w.]*)\]`).FindAllStringSubmatch(string(doc), -1)
	require.Greater(t, len(links), 30)
	for _, link := range links {
		require.True(t, names[link[1]], link[1])
	}
}
