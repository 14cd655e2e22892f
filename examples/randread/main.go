// Command randread reads a file at random places, by many goroutines at once,
// with package file and with package os by turns, and says how many reads there
// were and how long they took.
//
//	go run ./examples/randread -size 1073741824              a file of its own
//	go run ./examples/randread -file /dev/nvme0n1 -direct -goroutines 256
//	go run ./examples/randread -block 16384 -duration 5s -rounds 5
//
// Reads come from the page cache unless -direct is given, which asks the disk.
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
Usage: randread [flags]

Reads blocks at random places of a file, with package file on io_uring where
there is a ring, and with package os, by turns, and compares. It writes nothing
but a file of its own, if -file names none, and removes that.
`

func main() { kit.Main(run) }

// options are the flags.
type options struct {
	backend    kit.Backend
	name       string
	size       int64
	block      int
	goroutines int
	direct     bool
	duration   time.Duration
	rounds     int
}

func (o *options) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("randread", flag.ContinueOnError)
	o.backend.Flags(fs, true)
	fs.StringVar(&o.name, "file", "", "`file` or disk to read (default a temporary file in the working directory)")
	fs.Int64Var(&o.size, "size", 64<<20, "size in `bytes` of the temporary file")
	fs.IntVar(&o.block, "block", 4096, "`bytes` to read at a time, a power of two from 512 to 4194304")
	fs.IntVar(&o.goroutines, "goroutines", 32, "how many read at the same time, 1 to 4096")
	fs.BoolVar(&o.direct, "direct", false, "read past the page cache")
	fs.DurationVar(&o.duration, "duration", time.Second, "how long each of both reads in a round, 1ms to 1m")
	fs.IntVar(&o.rounds, "rounds", 3, "how often each has its turn, 1 to 100")
	return fs
}

// check says what makes no sense.
func (o *options) check(fs *flag.FlagSet) error {
	switch {
	case fs.NArg() > 0:
		return fmt.Errorf("it takes flags only, and there is %q", fs.Arg(0))
	case o.block < 512 || o.block > 4<<20 || o.block&(o.block-1) != 0:
		return errors.New("-block is a power of two from 512 to 4194304")
	case o.size < int64(o.block):
		return errors.New("-size is at least -block")
	case o.goroutines < 1 || o.goroutines > 4096:
		return errors.New("-goroutines is 1 to 4096")
	case o.duration < time.Millisecond || o.duration > time.Minute:
		return errors.New("-duration is 1ms to 1m")
	case o.rounds < 1 || o.rounds > 100:
		return errors.New("-rounds is 1 to 100")
	}
	return nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	fs := o.flags()
	if code, done := kit.Parse(fs, args, usage, stdout, stderr); done {
		return code
	}
	if err := o.check(fs); err != nil {
		return kit.Usage(fs, stderr, err)
	}
	switch err := o.compare(ctx, stdout); {
	case errors.Is(err, context.Canceled):
		return kit.ExitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "randread: %v\n", err)
		return kit.ExitFailed
	}
	return kit.ExitOK
}

// compare measures both by turns and prints what came out.
func (o *options) compare(ctx context.Context, stdout io.Writer) (err error) {
	rt, err := o.backend.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kit.Shutdown(rt)) }()
	name := o.name
	if name == "" {
		temporary, err := makeFile(ctx, rt, o.size)
		if temporary != "" {
			defer removeFile(temporary)
		}
		if err != nil {
			return err
		}
		name = temporary
	}
	subjects, err := openBoth(rt, name, o.direct)
	if err != nil {
		return err
	}
	defer subjects.close()
	size, err := subjects.size()
	if err != nil {
		return err
	}
	if size < int64(o.block) {
		return fmt.Errorf("%s has %d bytes, less than a block of %d", name, size, o.block)
	}
	for range o.rounds {
		for i := range subjects {
			if err := subjects[i].measure(ctx, o, size/int64(o.block)); err != nil {
				return err
			}
		}
	}
	how := "from the page cache"
	if o.direct {
		how = "past the page cache"
	}
	fmt.Fprintf(stdout, "%d goroutines read %d bytes at a time from %d, %s\n", o.goroutines, o.block, size, how)
	fmt.Fprintf(stdout, "backend: %v\n", rt.Backend())
	subjects.print(stdout)
	return nil
}
