// Command probe tells what this machine's kernel offers of io_uring: whether a
// program may have a ring and, if not, what forbids it and what to do; which
// operations, registration calls, flags and features the kernel has, and which
// limits apply. It asks the kernel itself and does not go by its version. It
// works without a ring, and on other systems.
//
//	go run ./examples/probe
//	go run ./examples/probe -v
//	go run ./examples/probe -json
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
)

const usage = `
Usage: probe [flags]

Tells what this machine offers of io_uring: whether rings are allowed, by what
they are forbidden and what to do about it, what the kernel can do, and which
limits apply. The exit code is 0 whether there is a ring or not; scripts find
the answer in .ring.allowed of -json.
`

func main() { kit.Main(run) }

func run(_ context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("probe", flag.ContinueOnError)
	verbose := fs.Bool("v", false, "list every operation, call, flag and feature, with the release that brought it")
	asJSON := fs.Bool("json", false, "print everything as one JSON object")
	if code, done := kit.Parse(fs, args, usage, stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 {
		return kit.Usage(fs, stderr, errors.New("it takes flags only"))
	}
	r := gather()
	if !*asJSON {
		r.print(stdout, *verbose)
		return kit.ExitOK
	}
	enc := json.NewEncoder(stdout)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		fmt.Fprintf(stderr, "probe: %v\n", err)
		return kit.ExitFailed
	}
	return kit.ExitOK
}
