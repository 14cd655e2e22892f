// Command parity keeps package net of this module like the standard library's.
// It writes net/std.go, which has every name that the module does not build by
// itself, and docs/differences.md, the table of what cannot be the same. Its
// tests compare the two packages, name by name and type by type, and build and
// run on ours what was written for the standard library's: that library's own
// tests, and programs that many use.
//
// What the standard library has is read from the toolchain in use, for Linux and
// without cgo.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "the directory of the module")
	flag.Parse()
	if err := run(*root); err != nil {
		fmt.Fprintln(os.Stderr, "parity:", err)
		os.Exit(1)
	}
}

// run writes the generated files.
func run(root string) error {
	files, err := generate(root)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the generated files by their names.
func generate(root string) (map[string][]byte, error) {
	std, err := loadStandard(root)
	if err != nil {
		return nil, err
	}
	own, err := declared(filepath.Join(root, "net"))
	if err != nil {
		return nil, err
	}
	forwarders, err := forward(std, own)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		forwardersFile:  forwarders,
		differencesFile: document(),
	}, nil
}

const (
	forwardersFile  = "net/std.go"
	differencesFile = "docs/differences.md"
)
