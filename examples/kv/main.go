// Command kv is a small key-value store: it keeps its values in memory and a log
// of all changes on the disk, and speaks enough of the protocol of Redis for its
// clients. A change is answered when it is durable; changes of many clients
// share one durable write.
//
//	go run ./examples/kv -dir /var/tmp/kv
//	redis-cli -p 6380 SET station Shibuya
//	redis-benchmark -p 6380 -t set,get -c 64
//	go run ./examples/kv -selftest             kill it, and look for what was acknowledged
//	go run ./examples/kv -measure 1s           beside a write and a sync for each change
//
// It is one listener of package net, and from package file: an Appender, which
// is the group commit, and a Replacement, by which the log is compacted.
//
// SIGINT or SIGTERM ends it: what has come is answered, then statistics.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

const usage = `
Usage: kv [flags]

A key-value store on io_uring where there is a ring, for clients of Redis: GET,
SET, DEL, EXISTS, DBSIZE, PING, ECHO, QUIT. What it has answered to SET and DEL
is on the disk. All values have to fit into memory. It has no passwords: let it
listen only where everybody may do everything.

With -selftest it starts itself, kills that while clients are at work, starts it
again and compares, several times. With -measure it compares itself with a write
and a sync for each change.
`

func main() { kit.Main(run) }

// options are the flags.
type options struct {
	backend  kit.Backend
	addr     string
	dir      string
	kind     string
	compact  int64
	selftest bool
	rounds   int
	measure  time.Duration
}

func (o *options) flags() *flag.FlagSet {
	fs := flag.NewFlagSet("kv", flag.ContinueOnError)
	o.backend.Flags(fs, true)
	fs.StringVar(&o.addr, "addr", "127.0.0.1:6380", "`address` to listen on; port 0 takes a free one")
	fs.StringVar(&o.dir, "dir", "", "`directory` with the log, made if there is none")
	fs.StringVar(&o.kind, "log", "group", "how changes are committed: group, or os, a write and a sync for each")
	fs.Int64Var(&o.compact, "compact", 64<<20, "least size in `bytes` of a log that is compacted when half of it is of no use any more")
	fs.BoolVar(&o.selftest, "selftest", false, "kill a server while it works, and check what it has afterwards")
	fs.IntVar(&o.rounds, "rounds", 5, "how often -selftest does that, 1 to 1000")
	fs.DurationVar(&o.measure, "measure", 0, "compare with a write and a sync for each change, twelve times so `long`")
	return fs
}

// check says what makes no sense.
func (o *options) check(fs *flag.FlagSet) error {
	switch {
	case fs.NArg() > 0:
		return fmt.Errorf("it takes flags only, and there is %q", fs.Arg(0))
	case o.kind != "group" && o.kind != "os":
		return fmt.Errorf("-log is group or os, not %q", o.kind)
	case o.compact < 1:
		return errors.New("-compact is at least 1")
	case o.rounds < 1 || o.rounds > 1000:
		return errors.New("-rounds is 1 to 1000")
	case o.measure < 0 || o.measure > time.Minute:
		return errors.New("-measure is at most 1m")
	case o.dir == "" && !o.selftest && o.measure == 0:
		return errors.New("-dir is missing: where is the log to be?")
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
	same := o.backend.Args() // for the servers that are started
	var err error
	switch {
	case o.selftest:
		err = (&selftest{rounds: o.rounds, args: append(same, "-log", o.kind), out: stdout, stderr: stderr}).run(ctx)
		if err == nil {
			fmt.Fprintf(stdout, "selftest: all that was acknowledged survived %d kills\n", o.rounds)
		}
	case o.measure > 0:
		err = measure(ctx, o.measure, same, stdout, stderr)
	default:
		err = o.serve(ctx, stdout, stderr)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return kit.ExitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "kv: %v\n", err)
		return kit.ExitFailed
	}
	return kit.ExitOK
}

// serve is the server.
func (o *options) serve(ctx context.Context, stdout, stderr io.Writer) (err error) {
	rt, err := o.backend.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kit.Shutdown(rt)) }()
	store, err := openStore(rt, o.dir, o.kind, o.compact, func(err error) { fmt.Fprintf(stderr, "kv: %v\n", err) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	lc := net.ListenConfig{Runtime: rt}
	l, err := lc.Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("%w (-addr chooses another address, 127.0.0.1:0 a free port)", err)
	}
	r := store.recovered
	fmt.Fprintf(stdout, "recovered: %d keys from %d records in %v, %d bytes of a torn end cut off\n",
		store.count(), r.records, r.took.Round(time.Millisecond), r.torn)
	fmt.Fprintf(stdout, "listening on %v\n", l.Addr())
	fmt.Fprintf(stdout, "backend: %v\n", rt.Backend())
	s := &server{store: store, log: stderr}
	s.run(ctx, l)
	report(stdout, s, rt)
	return nil
}

// report prints what was done.
func report(w io.Writer, s *server, rt *proactor.Runtime) {
	st := s.store
	commits := st.commits()
	fmt.Fprintf(w, "connections:    %d\n", s.accepted)
	fmt.Fprintf(w, "changes:        %d in %d durable writes, %.1f in each\n",
		st.changes.Load(), commits, float64(st.changes.Load())/float64(max(commits, 1)))
	fmt.Fprintf(w, "log:            %d bytes, %d keys, compacted %d times\n",
		st.size.Load(), st.count(), st.compactions.Load())
	kit.Report(w, rt)
}
