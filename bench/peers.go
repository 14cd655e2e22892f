//go:build linux

package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"
	"time"

	dshulyakuring "github.com/dshulyak/uring"
	dshulyakfs "github.com/dshulyak/uring/fs"
	dshulyakloop "github.com/dshulyak/uring/loop"
)

// The libraries that are not here, and why (Linux 6.18, Go 1.26):
//
//   - github.com/brickingsoft/rio 1.6.15 does not listen unless the process may
//     have 65,535 descriptors.
//   - github.com/iceber/iouring-go: operations get stuck at random when several
//     goroutines submit (its issue 15). It is a ring without connections.
//   - github.com/ii64/gouring 0.4.1 and github.com/pawelgaczynski/giouring are
//     bindings of a ring, without connections or files; gain stands on giouring.
//   - github.com/hodgesds/iouring-go and github.com/y001j/uringnet do not build.
//   - code.hybscloud.com/uring and github.com/loopholelabs/iouring: rings
//     without a way to wait, and not to be had from the module proxy.

// peer is an echo server on another Go library. It is a program of its own,
// built by the go command with the version that go.mod names.
func (l *lab) peer(ctx context.Context, chosen *regexp.Regexp, name string, buildArgs ...string) subject {
	s := subject{Name: name}
	s.suits = func(c cell) bool { return c.network() && mode(c.Kind) == "echo" }
	s.open = func(ctx context.Context, c cell, p pace) (session, error) {
		sess, err := l.startServer(ctx, c, false, []string{l.path(name), mode(c.Kind)})
		if err == nil {
			sess.hello.Backend += ", " + moduleVersion(name)
		}
		return sess, err
	}
	if l.list || !chosen.MatchString(name) {
		return s
	}
	argv := append([]string{"go", "build", "-o", l.path(name)}, buildArgs...)
	if err := command(ctx, append(argv, "github.com/yamanote-go/yamanote/bench/peer/"+name)...); err != nil {
		s.Missing = fmt.Sprintf("not built: %v", err)
	} else if err := l.admit(ctx, s); err != nil {
		s.Missing = fmt.Sprintf("fails the check of correctness: %v", err)
	}
	return s
}

// modules are where the peers come from.
var modules = map[string]string{
	"gnet":     "github.com/panjf2000/gnet/v2",
	"netpoll":  "github.com/cloudwego/netpoll",
	"gain":     "github.com/pawelgaczynski/gain",
	"gouring":  "github.com/godzie44/go-uring",
	"dshulyak": "github.com/dshulyak/uring",
}

//go:embed go.mod
var goMod string

// moduleVersion returns the module of a peer with the version in use.
func moduleVersion(name string) string {
	for line := range strings.Lines(goMod) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == modules[name] {
			return fields[0] + "@" + fields[1]
		}
	}
	return modules[name]
}

// admit checks a server of somebody else's before it is measured: it has to
// give back small messages and ones that fit into no buffer, on several
// connections, and to let go of connections that have ended.
func (l *lab) admit(ctx context.Context, s subject) error {
	const patience = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := cell{Kind: kindEcho, Conns: 8, Size: 64}
	p := pace{warm: 10 * time.Millisecond, measure: 50 * time.Millisecond, threads: 1}
	sess, err := s.open(ctx, c, p)
	if err != nil {
		return err
	}
	defer sess.close()
	if _, err := sess.run(ctx, c, p, 0); err != nil {
		return err
	}
	before, err := descriptors(sess.pid())
	if err != nil {
		return err
	}
	for _, size := range []int{1, 3000, 200_000} {
		c.Size = size
		_, err := sess.run(ctx, c, p, 0)
		if ctx.Err() != nil {
			return fmt.Errorf("messages of %d bytes: no answer for %v", size, patience)
		}
		if err != nil {
			return fmt.Errorf("messages of %d bytes: %w", size, err)
		}
	}
	for {
		now, err := descriptors(sess.pid())
		if err != nil {
			return err
		}
		if now <= before {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d descriptors stay open after the connections have ended", now-before)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// descriptors counts the open descriptors of a process.
func descriptors(pid int) (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries), err
}

// dshulyak is a library for files on io_uring.
func (l *lab) dshulyak() subject {
	return subject{Name: "dshulyak", suits: func(c cell) bool { return c.Kind == kindRead },
		open: func(context.Context, cell, pace) (session, error) {
			return &worker{lab: l, argv: []string{l.self, "read", "-dshulyak"}}, nil
		}}
}

// openDshulyak opens a file by that library, with the flags it has to be given.
func openDshulyak(path string, flag int) (io.ReaderAt, error) {
	loop, err := dshulyakloop.Setup(4096, &dshulyakuring.IOUringParams{CQEntries: 8192, Flags: dshulyakuring.IORING_SETUP_CQSIZE},
		&dshulyakloop.Params{Rings: runtime.NumCPU(), WaitMethod: dshulyakloop.WaitEnter, Flags: dshulyakloop.FlagSharedWorkers})
	if err != nil {
		return nil, err
	}
	return dshulyakfs.NewFilesystem(loop).Open(path, flag, 0)
}
