package kit_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The programs in the documents build.
func TestDocumentedProgramsBuild(t *testing.T) {
	const root = "../../.."
	for document, count := range map[string]int{"README.md": 1, "docs/migration.md": 2} {
		text, err := os.ReadFile(filepath.Join(root, document))
		require.NoError(t, err)
		programs := regexp.MustCompile("(?s)```go\n(package main.*?)```").FindAllSubmatch(text, -1)
		require.Len(t, programs, count, "programs in %s", document)
		for _, program := range programs {
			file := filepath.Join(t.TempDir(), "main.go")
			require.NoError(t, os.WriteFile(file, program[1], 0o600))
			cmd := exec.Command("go", "build", "-o", os.DevNull, file)
			cmd.Dir = root
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
	}
}
