package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
)

// load returns the types of packages. All share one importer, so that types of a
// package that several import are identical.
func load(root string, paths ...string) ([]*types.Package, error) {
	imp, err := importerOf(root, paths...)
	if err != nil {
		return nil, err
	}
	pkgs := make([]*types.Package, len(paths))
	for i, path := range paths {
		if pkgs[i], err = imp.Import(path); err != nil {
			return nil, err
		}
	}
	return pkgs, nil
}

// importerOf returns an importer for packages and all that they import, for Linux,
// as the compiler has noted them.
func importerOf(root string, paths ...string) (types.Importer, error) {
	args := append([]string{"list", "-export", "-deps", "-json=ImportPath,Export"}, paths...)
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.Bytes())
	}
	exports := make(map[string]string)
	for dec := json.NewDecoder(bytes.NewReader(list)); ; {
		var p struct{ ImportPath, Export string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("what go list says: %w", err)
		}
		exports[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("the compiler has noted nothing of package %s", path)
		}
		return os.Open(exports[path])
	}), nil
}
