// Command kernels writes docs/kernels.md: what each Linux release brought to
// io_uring, what the library does without it, and which test proves that it
// behaves as this module believes. It reads package uring, its tables as well as
// its sources and tests, so that none of it is written twice.
package main

import (
	"flag"
	"fmt"
	"os"
)

//go:generate go run . -root ../.. -o ../../docs/kernels.md

func main() {
	root := flag.String("root", ".", "the directory of the module")
	out := flag.String("o", "", "the file to write, none for standard output")
	flag.Parse()
	if err := run(*root, *out); err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}

func run(root, out string) error {
	doc, err := document(root)
	if err != nil {
		return err
	}
	if out == "" {
		_, err = os.Stdout.Write(doc)
		return err
	}
	return os.WriteFile(out, doc, 0o644)
}
