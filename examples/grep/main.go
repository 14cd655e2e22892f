// Command grep looks for a pattern in all files of trees, many of which are read
// at once.
//
//	go run ./examples/grep 'func \w+Append' file net
//	go run ./examples/grep -F -l 'io_uring' .
//
// It exits with 0 if something was found, 1 if not, and 2 after an error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
)

const usage = `
Usage: grep [flags] PATTERN PATH...

Prints the lines that PATTERN, a regular expression of Go, matches, of the files
at each PATH and in the trees below, in the order of their names. Of a binary
file, one with a zero byte in its first 8192, it only says that it matches. Files
of more than 64 MiB are an error.
`

// The exit codes, as grep has them.
const (
	found    = 0
	notFound = 1
	failed   = 2
)

func main() { kit.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("grep", flag.ContinueOnError)
	var backend kit.Backend
	backend.Flags(fs, false)
	literal := fs.Bool("F", false, "PATTERN is a text and not a regular expression")
	names := fs.Bool("l", false, "print only the names of files that match")
	numbers := fs.Bool("n", false, "print the numbers of lines, too")
	if code, done := kit.Parse(fs, args, usage, stdout, stderr); done {
		return code
	}
	if fs.NArg() < 2 {
		return kit.Usage(fs, stderr, errors.New("it takes a pattern and at least one path"))
	}
	pattern := fs.Arg(0)
	if *literal {
		pattern = regexp.QuoteMeta(pattern)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return kit.Usage(fs, stderr, err)
	}
	rt, err := backend.Open()
	if err != nil {
		fmt.Fprintf(stderr, "grep: %v\n", err)
		return failed
	}
	defer kit.Shutdown(rt)
	s := &scan{rt: rt, re: re, names: *names, numbers: *numbers, out: stdout, errs: stderr}
	err = s.run(ctx, fs.Args()[1:])
	switch {
	case errors.Is(err, context.Canceled):
		return kit.ExitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "grep: %v\n", err)
		return failed
	case s.failed:
		return failed
	case s.found:
		return found
	}
	return notFound
}
