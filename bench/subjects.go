//go:build linux

package main

import (
	"context"
	"embed"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/yamanote-go/yamanote/bench/internal/control"
	"github.com/yamanote-go/yamanote/proactor"
)

// subject is something that is measured.
type subject struct {
	Name    string
	Ours    bool
	Missing string // why it cannot be measured here; empty if it can

	suits func(c cell) bool
	// open prepares for the rounds of a cell.
	open func(ctx context.Context, c cell, p pace) (session, error)
}

// session is a subject during a cell.
type session interface {
	backend() string
	run(ctx context.Context, c cell, p pace, rate float64) (Sample, error)
	pid() int // of a process that lives as long as the session; 0 if there is none
	close()
}

// base returns the name of the subject to which the others of a cell are
// compared.
func base(k kind) string {
	if k == kindNop {
		return "channels"
	}
	return "std"
}

// lab is what subjects need to run.
type lab struct {
	self  string // the bench's own program
	list  bool   // nothing has to be built
	cLoad string // the load generator in C; empty if it could not be built
	dir   string // for temporary files, removed at the end
	data  string // the file that is read; made when first needed
	size  int64

	treeFiles int // of the tree of small files
}

//go:embed c
var cSources embed.FS

// subjects returns all subjects, the base first, and builds what must be
// built, if its name is chosen.
func (l *lab) subjects(ctx context.Context, chosen *regexp.Regexp, shards bool) []subject {
	all := []subject{l.goSubject("std", runtimeFlags{std: true}), l.channels(),
		l.goSubject(batchName, runtimeFlags{std: true, batch: true}), l.goSubject(groupName, runtimeFlags{std: true, group: true})}
	all = append(all, l.ours(shards)...)
	all = append(all, l.cSubject(ctx, chosen, "c-epoll", "epoll.c", "udp_epoll.c"),
		l.cSubject(ctx, chosen, "c-uring", "uring.c", "udp_uring.c", "-luring"),
		l.peer(ctx, chosen, "gnet"), l.peer(ctx, chosen, "netpoll"),
		l.peer(ctx, chosen, "gain", "-tags=gain", "-ldflags=-checklinkname=0"), l.peer(ctx, chosen, "gouring"),
		l.dshulyak(), l.fio("io_uring"), l.fio("psync"))
	var out []subject
	for _, s := range all {
		if s.Name == "std" || s.Name == "channels" || chosen.MatchString(s.Name) {
			out = append(out, s)
		}
	}
	return out
}

// ourName is the subject by which the bars are judged: our runtime as a
// program gets it by default, with one ring.
const ourName = "yamanote"

// behindName is our runtime with write-behind, which is for what writes to
// sockets only.
const behindName = ourName + "-behind"

// What a program can do with the standard library when it has to.
const (
	batchName = "std-batch" // UDP by recvmmsg and sendmmsg of golang.org/x/net
	groupName = "std-group" // durable appends with one Sync for all that wait
)

// ours returns our runtime as it is by default, with write-behind, and with each
// number of rings up to the number of processors.
func (l *lab) ours(shards bool) []subject {
	missing := ringMissing()
	var out []subject
	add := func(name string, rf runtimeFlags) {
		one := l.goSubject(name, rf)
		one.Missing = missing
		out = append(out, one)
	}
	add(ourName, runtimeFlags{})
	add(behindName, runtimeFlags{behind: true})
	for n := 1; shards && n <= runtime.NumCPU(); n *= 2 {
		add(fmt.Sprintf("%s-%d", ourName, n), runtimeFlags{shards: n})
	}
	return out
}

// ringMissing asks a runtime whether this machine gives us a ring, and returns
// why not.
func ringMissing() string {
	rt, err := proactor.New(proactor.Config{Mode: proactor.ModeRing, Shards: 1})
	if err == nil {
		err = rt.Shutdown(context.Background())
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// goSubject is the standard library or our runtime, in a process that is this
// program again.
func (l *lab) goSubject(name string, rf runtimeFlags) subject {
	s := subject{Name: name, Ours: !rf.std}
	s.suits = func(c cell) bool {
		if rf.batch != (name == batchName && c.Kind == kindUDP) || rf.group != (name == groupName && c.Kind == kindAppend) {
			return false
		}
		if c.Kind == kindUDP && !rf.std && !datagramsOnRing() {
			return false
		}
		if rf.shards > 1 && (c.Pinned || c.Kind == kindUDP || c.ofFiles()) {
			return false // two rings on one processor, or for one socket, tell nothing, and for files little
		}
		if rf.behind && !(c.network() && mode(c.Kind) == control.Echo) {
			return false // the same as without
		}
		return !rf.std || c.Kind != kindNop
	}
	s.open = func(ctx context.Context, c cell, p pace) (session, error) {
		switch c.Kind {
		case kindRead:
			return &worker{lab: l, argv: append([]string{l.self, "read"}, rf.args()...)}, nil
		case kindNop:
			return &worker{lab: l, argv: append([]string{l.self, "nop"}, rf.args()...)}, nil
		}
		if !c.network() {
			return &worker{lab: l, argv: append([]string{l.self, "file"}, rf.args()...)}, nil
		}
		argv := append([]string{l.self, "serve"}, rf.args()...)
		argv = append(argv, "-mode="+mode(c.Kind), fmt.Sprintf("-buf=%d", bufSize(c)))
		return l.startServer(ctx, c, !rf.std, argv)
	}
	return s
}

// channels is what the overhead of operations is compared to.
func (l *lab) channels() subject {
	return subject{Name: "channels", suits: func(c cell) bool { return c.Kind == kindNop },
		open: func(context.Context, cell, pace) (session, error) {
			return &worker{lab: l, argv: []string{l.self, "nop", "-std"}}, nil
		}}
}

// mode is what the server does in a cell.
func mode(k kind) string {
	switch k {
	case kindRecv:
		return control.Sink
	case kindSend:
		return control.Source
	case kindChurn:
		return control.Once
	case kindUDP:
		return control.UDP
	case kindHTTP:
		return control.HTTP
	case kindHTTPS:
		return control.HTTPS
	}
	return control.Echo
}

// bufSize is the size of the buffers of a server.
func bufSize(c cell) int {
	if c.Kind == kindRecv || c.Kind == kindSend {
		return 64 * kib
	}
	if c.Kind == kindChurn {
		return c.Size // by which the server knows that it has all of a request
	}
	return max(2*kib, c.Size)
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

// command runs a command for at most a minute and a half.
func command(ctx context.Context, argv ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err == nil {
		return nil
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "error") {
			return fmt.Errorf("%s: %s", argv[0], strings.TrimSpace(line))
		}
	}
	return fmt.Errorf("%s: %w %s", argv[0], err, out[:min(len(out), 200)])
}

// cSubject is one of the C servers, compiled here and now.
func (l *lab) cSubject(ctx context.Context, chosen *regexp.Regexp, name string, args ...string) subject {
	s := subject{Name: name, suits: func(c cell) bool { return c.network() && !c.inGo() }}
	s.open = func(ctx context.Context, c cell, p pace) (session, error) {
		size := bufSize(c)
		count := 1 << bits.Len(uint(max(8, min(512, 2*mib/size)))) // a ring's size is a power of two
		return l.startServer(ctx, c, false, []string{l.path(name), mode(c.Kind), fmt.Sprint(size), fmt.Sprint(count)})
	}
	if l.list || !chosen.MatchString(name) {
		return s
	}
	if err := l.compile(ctx, name, args...); err != nil {
		s.Missing = fmt.Sprintf("not built: %v", err)
	}
	return s
}

// compile makes a program of C sources, which args names besides what else the
// compiler has to be told.
func (l *lab) compile(ctx context.Context, name string, args ...string) error {
	if _, err := exec.LookPath("gcc"); err != nil {
		return err
	}
	argv := []string{"gcc", "-O2", "-Wall", "-o", l.path(name)}
	for _, arg := range args {
		if strings.HasSuffix(arg, ".c") {
			arg = l.path(arg)
		}
		argv = append(argv, arg)
	}
	sources, err := cSources.ReadDir("c")
	if err != nil {
		return err
	}
	for _, s := range sources {
		text, err := cSources.ReadFile("c/" + s.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(l.path(s.Name()), text, 0o644); err != nil {
			return err
		}
	}
	return command(ctx, argv...)
}
