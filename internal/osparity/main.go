// Command osparity writes file/std.go: the constants, variables, types and
// functions of package os that package file has without any change. Its tests
// compare the two packages, so that a name or a method that a new release of Go
// brings is noticed.
package main

import (
	"flag"
	"fmt"
	"os"
)

//go:generate go run . -root ../.. -o ../../file/std.go

func main() {
	root := flag.String("root", ".", "the directory of the module")
	out := flag.String("o", "", "the file to write, none for standard output")
	flag.Parse()
	if err := run(*root, *out); err != nil {
		fmt.Fprintln(os.Stderr, "osparity:", err)
		os.Exit(1)
	}
}

func run(root, out string) error {
	pkgs, err := load(root, "os")
	if err != nil {
		return err
	}
	source, err := generate(pkgs[0])
	if err != nil {
		return err
	}
	if out == "" {
		_, err = os.Stdout.Write(source)
		return err
	}
	return os.WriteFile(out, source, 0o644)
}
