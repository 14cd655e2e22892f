package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
)

const (
	stdPath = "net"
	ourPath = "github.com/yamanote-go/yamanote/net"
)

// loader reads packages from what the compiler exports. All packages of one
// loader share the types of what they import.
type loader struct {
	exports map[string]string // the file that each package is exported to
	from    types.Importer
}

// load returns a loader for packages and all that they import, which the go
// command compiles for Linux if it has not yet.
func load(dir string, paths ...string) (*loader, error) {
	args := append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}, paths...)
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list of %s: %w\n%s", strings.Join(paths, ", "), err, stderr.Bytes())
	}
	l := &loader{exports: map[string]string{}}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		l.exports[path] = file
	}
	l.from = importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		file := l.exports[path]
		if file == "" {
			return nil, errors.New("the go command has not exported it")
		}
		return os.Open(file)
	})
	return l, nil
}

// Import implements types.Importer.
func (l *loader) Import(path string) (*types.Package, error) { return l.from.Import(path) }

// loadStandard returns the standard library's package.
func loadStandard(dir string) (*types.Package, error) {
	l, err := load(dir, stdPath)
	if err != nil {
		return nil, err
	}
	return l.Import(stdPath)
}

// loadBoth returns both packages.
func loadBoth(dir string) (std, ours *types.Package, err error) {
	l, err := load(dir, stdPath, ourPath)
	if err != nil {
		return nil, nil, err
	}
	if std, err = l.Import(stdPath); err != nil {
		return nil, nil, err
	}
	ours, err = l.Import(ourPath)
	return std, ours, err
}
