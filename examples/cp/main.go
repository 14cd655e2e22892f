// Command cp copies a file with several reads and writes under way at a time.
//
//	go run ./examples/cp SRC DST
//	go run ./examples/cp -verify SRC DST
//	go run ./examples/cp -q -workers 16 -backend ring SRC DST
//	go run ./examples/cp -backend std SRC DST
//
// The copy has a temporary name until it is complete and on the disk; DST is
// the old file or the whole new one, at any moment.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
)

const usage = `
Usage: cp [flags] SRC DST

Copies the regular file SRC to the file DST, with its permissions, on io_uring
where there is a ring. DST is replaced only when the copy is complete and on
the disk; whatever goes wrong before, SIGINT included, leaves nothing behind.
`

func main() { kit.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("cp", flag.ContinueOnError)
	var backend kit.Backend
	backend.Flags(fs, false)
	verify := fs.Bool("verify", false, "read both files again and compare their SHA-256 before DST is replaced")
	quiet := fs.Bool("q", false, "print nothing but errors")
	workers := fs.Int("workers", 8, "chunks of 1 MiB to copy at a time, 1 to 256")
	if code, done := kit.Parse(fs, args, usage, stdout, stderr); done {
		return code
	}
	switch {
	case fs.NArg() != 2:
		return kit.Usage(fs, stderr, fmt.Errorf("it takes two arguments, SRC and DST, and there are %d", fs.NArg()))
	case *workers < 1 || *workers > 256:
		return kit.Usage(fs, stderr, errors.New("-workers is 1 to 256"))
	}
	rt, err := backend.Open()
	if err != nil {
		fmt.Fprintf(stderr, "cp: %v\n", err)
		return kit.ExitFailed
	}
	defer kit.Shutdown(rt)
	j := &job{rt: rt, workers: *workers, verify: *verify, progress: io.Discard}
	if !*quiet && kit.IsTerminal(stderr) {
		j.progress = stderr
	}
	start := time.Now()
	size, err := j.copy(ctx, fs.Arg(0), fs.Arg(1))
	switch {
	case err == context.Canceled:
		fmt.Fprintf(stderr, "cp: interrupted; %s is as it was\n", fs.Arg(1))
		return kit.ExitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "cp: %v\n", err)
		return kit.ExitFailed
	case *quiet:
		return kit.ExitOK
	}
	took := time.Since(start)
	fmt.Fprintf(stdout, "copied:         %d bytes in %.3f s, %.1f MB/s, fsync included\n",
		size, j.copied.Seconds(), rate(size, j.copied))
	if *verify {
		fmt.Fprintf(stdout, "verified:       SHA-256 %x, in %.3f s\n", j.sum, (took - j.copied).Seconds())
	}
	fmt.Fprintf(stdout, "backend:        %v\n", rt.Backend())
	kit.Report(stdout, rt)
	return kit.ExitOK
}

// rate returns megabytes per second.
func rate(bytes int64, d time.Duration) float64 {
	return float64(bytes) / 1e6 / max(d, time.Microsecond).Seconds()
}
