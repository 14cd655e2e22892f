//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// TestMain lets the test binary be the processes that the tests start, as the
// bench itself is those that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if role := roles[os.Args[1]]; role != nil {
			if err := role(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, "error:", err)
				os.Exit(1)
			}
			return
		}
	}
	raiseFileLimit()
	testkit.Main(m)
}

// newLab returns a lab with a load generator: c or go.
func newLab(t *testing.T, load string) *lab {
	self, err := os.Executable()
	require.NoError(t, err)
	l := &lab{self: self, dir: t.TempDir()}
	if load == "c" {
		needCompiler(t)
	}
	_, err = l.prepareLoad(t.Context(), load)
	require.NoError(t, err)
	return l
}

func needCompiler(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("there is no gcc")
	}
}

// denied reports whether this process was started to have no ring.
func denied() bool { return os.Getenv("YAMANOTE_EXPECT_BACKEND") == "std" }

func needsRing(s subject) bool {
	return s.Ours || strings.Contains(s.Name, "uring") || s.Name == "dshulyak"
}

// tiny is the pace of the tests.
var tiny = pace{rounds: 1, warm: 20 * time.Millisecond, measure: 60 * time.Millisecond,
	idle: 100 * time.Millisecond, fileSize: 4 * mib, threads: 1}

func TestMatrix(t *testing.T) {
	seen := make(map[string]bool)
	quick := 0
	for _, c := range matrix() {
		require.False(t, seen[c.Name], "%s is there twice", c.Name)
		seen[c.Name] = true
		if c.quick {
			quick++
		}
		require.NotEmpty(t, c.group())
		require.NotEmpty(t, c.unit())
	}
	require.Greater(t, quick, 15)
	for _, size := range []string{"64B", "1KiB", "16KiB"} {
		for _, conns := range []string{"1", "64", "512", "10k"} {
			for _, where := range []string{"pinned", "free"} {
				require.Contains(t, seen, "echo/"+size+"/c"+conns+"/"+where)
			}
		}
	}
	require.Contains(t, seen, "idle/c10k")
	require.Contains(t, seen, "randread/direct/g1024")
}

func TestChoose(t *testing.T) {
	some, err := choose(matrix(), "^echo/64B/c1/", false)
	require.NoError(t, err)
	require.Len(t, some, 2)
	_, err = choose(matrix(), "nothing", false)
	require.ErrorContains(t, err, "-list")
	_, err = choose(matrix(), "(", false)
	require.Error(t, err)
	few, err := choose(matrix(), "", true)
	require.NoError(t, err)
	require.True(t, slices.IndexFunc(few, func(c cell) bool { return !c.quick }) < 0)
	slow, err := choose(matrix(), "^idle/c10k$", true)
	require.NoError(t, err)
	require.Len(t, slow, 1, "a cell that is asked for is run also in a quick run")
}

// Each bar names cells that exist, and each row of the summary is a bar of one.
func TestBarsHaveCells(t *testing.T) {
	for _, b := range bars {
		require.True(t, slices.ContainsFunc(matrix(), func(c cell) bool { return b.cells.MatchString(c.Name) }), "%s", b.work)
	}
	for _, row := range (&Report{}).barRows() {
		require.Equal(t, notMeasured, row.Verdict)
	}
	names := func(c string) []bar {
		cells, err := choose(matrix(), "^"+c+"$", false)
		require.NoError(t, err)
		return barsOf(cells[0])
	}
	require.Len(t, names("echo/64B/c64/pinned"), 3, "without the bar for all other cells")
	require.Len(t, names("echo/1KiB/c64/pinned"), 1)
	require.InDelta(t, never, names("echo/1KiB/c64/pinned")[0].least, 0)
}

// The servers in Go and in C give back what they get, under either load
// generator, in messages that fit into no buffer.
func TestServersEcho(t *testing.T) {
	for _, load := range []string{"c", "go"} {
		t.Run(load, func(t *testing.T) {
			l := newLab(t, load)
			for _, s := range l.subjects(t.Context(), regexp.MustCompile(`^(yamanote.*|c-.*)$`), true) {
				c := cell{Kind: kindEcho, Size: 50_000, Conns: 3}
				if !s.suits(c) || needsRing(s) && denied() {
					continue
				}
				t.Run(s.Name, func(t *testing.T) {
					if s.Missing != "" {
						t.Skip(s.Missing)
					}
					sample := runOnce(t, s, c, 0)
					require.Positive(t, sample.Throughput)
					require.Positive(t, sample.Latency.P50)
					require.LessOrEqual(t, sample.Latency.P50, sample.Latency.Max)
					require.Positive(t, sample.CPU)
					require.Positive(t, sample.LoadBusy)
					if s.Ours {
						require.Positive(t, sample.Syscalls)
					}
				})
			}
		})
	}
}

func runOnce(t *testing.T, s subject, c cell, rate float64) Sample {
	sess, err := s.open(t.Context(), c, tiny)
	require.NoError(t, err)
	defer sess.close()
	sample, err := sess.run(t.Context(), c, tiny, rate)
	require.NoError(t, err)
	return sample
}

// stdSubject is the standard library, which every machine has.
func stdSubject(t *testing.T, load string) subject {
	for _, s := range newLab(t, load).subjects(t.Context(), regexp.MustCompile("^$"), false) {
		if s.Name == "std" {
			return s
		}
	}
	t.Fatal("no standard library")
	return subject{}
}

// In an open loop each message that is due is sent, or counted as not sent.
func TestOpenLoop(t *testing.T) {
	for _, load := range []string{"c", "go"} {
		port := serveRaw(t, echoWith(func(_ int, b []byte) []byte { return b }))
		ev := runLoadProcess(t, load, loadSpec{Kind: kindOpen, Port: port, Conns: 4, Size: 64, Rate: 1000,
			Warm: time.Millisecond, Measure: 200 * time.Millisecond, GiveUp: 5 * time.Second})
		require.Empty(t, ev.Error)
		require.InDelta(t, 200, ev.Work+ev.Unsent, 1)
		require.LessOrEqual(t, ev.Ops, ev.Work)
		require.Equal(t, ev.Work, ev.histogram().TotalCount())
	}
}

// slowServer takes 5 ms for each message.
func slowServer(t *testing.T) int {
	return serveRaw(t, func(c net.Conn) {
		buf := make([]byte, 64)
		for {
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	})
}

// serveRaw serves connections until the test ends, and returns the port.
func serveRaw(t *testing.T, handle func(net.Conn)) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// runLoadProcess runs a load generator against a port and returns its result.
func runLoadProcess(t *testing.T, load string, spec loadSpec) loadEvent {
	l := newLab(t, load)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	gen, err := startChild(ctx, anyCPU, nil, append(l.loadCommand(spec.Kind), spec.args()...)...)
	require.NoError(t, err)
	defer func() { _ = gen.end() }()
	for {
		var ev loadEvent
		require.NoError(t, gen.read(&ev))
		if ev.Event == "result" {
			return ev
		}
		_, err := gen.stdin.Write([]byte("\n"))
		require.NoError(t, err)
	}
}

// Latency of an open loop counts from when a message was due, so that a server
// which cannot keep up shows it.
func TestOpenLoopCountsFromWhenDue(t *testing.T) {
	for _, load := range []string{"c", "go"} {
		t.Run(load, func(t *testing.T) {
			// It can answer 200 a second and is asked 1000.
			ev := runLoadProcess(t, load, loadSpec{Kind: kindOpen, Port: slowServer(t), Conns: 1, Size: 64, Rate: 1000,
				Warm: time.Millisecond, Measure: 300 * time.Millisecond, GiveUp: 5 * time.Second})
			require.Empty(t, ev.Error)
			require.Greater(t, ev.latency().Max, 150*time.Millisecond, "the last messages were sent 200 ms late")
			require.Greater(t, ev.Unsent, int64(150))
		})
	}
}

// A load fails when a single bit comes back wrong, when there is too much, and
// when the server leaves.
func TestLoadFindsWrongEcho(t *testing.T) {
	servers := map[string]struct {
		handle func(c net.Conn)
		wrong  bool
		text   string
	}{
		"flipped": {echoWith(func(n int, b []byte) []byte {
			if n == 100 {
				b[33] ^= 4
			}
			return b
		}), true, "wrong data in message 101"},
		"stale": {func() func(c net.Conn) {
			return echoWith(func(n int, b []byte) []byte {
				if n == 50 {
					b[0]-- // the message before
				}
				return b
			})
		}(), true, "wrong data in message 51"},
		"surplus": {echoWith(func(n int, b []byte) []byte {
			if n == 20 {
				return append(b, 0)
			}
			return b
		}), true, "wrong data in message 22"},
		"gone": {echoWith(func(n int, b []byte) []byte {
			if n == 30 {
				return nil
			}
			return b
		}), false, "closed"},
	}
	for _, load := range []string{"c", "go"} {
		for name, s := range servers {
			t.Run(load+"/"+name, func(t *testing.T) {
				ev := runLoadProcess(t, load, loadSpec{Kind: kindEcho, Port: serveRaw(t, s.handle), Conns: 1, Size: 64,
					Measure: 5 * time.Second, GiveUp: 5 * time.Second})
				require.Contains(t, ev.Error, s.text)
				require.Equal(t, s.wrong, ev.Wrong)
			})
		}
	}
}

// echoWith echoes messages of 64 bytes after a change; nil ends the connection.
func echoWith(change func(n int, b []byte) []byte) func(net.Conn) {
	return func(c net.Conn) {
		buf := make([]byte, 64, 80)
		for n := 0; ; n++ {
			if _, err := io.ReadFull(c, buf[:64]); err != nil {
				return
			}
			out := change(n, buf[:64])
			if out == nil {
				return
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}
}

// Streams are checked too, in both directions.
func TestStreams(t *testing.T) {
	for _, load := range []string{"c", "go"} {
		s := stdSubject(t, load)
		for _, k := range []kind{kindRecv, kindSend} {
			sample := runOnce(t, s, cell{Kind: k, Conns: 1, Bytes: 8 * mib}, 0)
			require.Equal(t, int64(8), sample.Ops)
		}
		bad := serveRaw(t, func(c net.Conn) { _, _ = c.Write(make([]byte, mib)) })
		ev := runLoadProcess(t, load, loadSpec{Kind: kindSend, Port: bad, Bytes: mib, GiveUp: 5 * time.Second})
		require.True(t, ev.Wrong, ev.Error)
	}
}

func TestThreadsOfLoad(t *testing.T) {
	needCompiler(t)
	ev := runLoadProcess(t, "c", loadSpec{Kind: kindEcho, Port: serveRaw(t, echoWith(func(_ int, b []byte) []byte { return b })),
		Conns: 7, Size: 64, Threads: 3, Warm: 10 * time.Millisecond, Measure: 50 * time.Millisecond, GiveUp: 5 * time.Second})
	require.Empty(t, ev.Error)
	require.Positive(t, ev.Ops)
	require.Equal(t, ev.Work, ev.histogram().TotalCount())
	require.GreaterOrEqual(t, ev.Work, ev.Ops)
	require.LessOrEqual(t, ev.Work-ev.Ops, int64(7), "at most one under way on each connection")
}

func TestIdle(t *testing.T) {
	s := stdSubject(t, "auto")
	sample := runOnce(t, s, cell{Kind: kindIdle, Conns: 200, Size: 64}, 0)
	require.Greater(t, sample.MemPerConn, 100.0)
	require.Less(t, sample.CPUTotal, 50*time.Millisecond)
}

// A file's blocks are checked, and every subject reads it right.
func TestReads(t *testing.T) {
	l := newLab(t, "go")
	for _, s := range l.subjects(t.Context(), regexp.MustCompile(`^(yamanote.*|fio.*|dshulyak)$`), false) {
		c := cell{Kind: kindRead, Size: readSize, Conns: 40}
		if !s.suits(c) || s.Missing != "" || needsRing(s) && denied() {
			continue
		}
		sample := runOnce(t, s, c, 0)
		require.Positive(t, sample.Throughput, s.Name)
		require.Positive(t, sample.CPU, s.Name)
		require.Positive(t, sample.Latency.P50, s.Name)
	}
	block := make([]byte, readSize)
	fillBlocks(block, 8*readSize)
	require.NoError(t, checkBlock(block, 8*readSize))
	require.ErrorIs(t, checkBlock(block, 9*readSize), errWrong)
	require.ErrorIs(t, checkBlock(make([]byte, readSize), 8*readSize), errWrong)
}

func TestNop(t *testing.T) {
	for _, s := range newLab(t, "go").subjects(t.Context(), regexp.MustCompile(`^yamanote`), false) {
		c := cell{Kind: kindNop, Conns: 4}
		if !s.suits(c) || s.Ours && denied() {
			continue
		}
		require.Positive(t, runOnce(t, s, c, 0).Throughput, s.Name)
	}
}

// A whole run works, on a cell of each sort, and its files can be read.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	err := bench(t.Context(), []string{"-run", "^(echo/64B/c64/pinned|open/64B/c64/20%/free|idle/c1|overhead/nop/g1)$",
		"-subjects", "^$", "-rounds", "3", "-measure", "20ms", "-json", out + ".json", "-html", out + ".html", "-dir", dir, "-seed", "7"})
	require.NoError(t, err)
	text, err := os.ReadFile(out + ".json")
	require.NoError(t, err)
	var r Report
	require.NoError(t, json.Unmarshal(text, &r))
	require.Len(t, r.Cells, 4)
	require.Equal(t, uint64(7), r.Seed)
	for _, c := range r.Cells[:2] {
		if c.Skipped == "" {
			require.Len(t, c.Subjects, 1)
			require.Len(t, c.Subjects[0].Samples, 3, c.Subjects[0].Error)
		}
	}
	require.NoError(t, bench(t.Context(), []string{"-from", out + ".json", "-html", out + "2.html"}))
	first, err := os.ReadFile(out + ".html")
	require.NoError(t, err)
	second, err := os.ReadFile(out + "2.html")
	require.NoError(t, err)
	require.Equal(t, string(first), string(second), "the page can be made again")
	left, err := filepath.Glob(filepath.Join(dir, "yamanote-bench-*"))
	require.NoError(t, err)
	require.Empty(t, left, "the temporary directory is gone")
	require.Error(t, bench(t.Context(), []string{"-run", "nothing"}))
	require.Error(t, bench(t.Context(), []string{"-load", "basic", "-run", "idle/c1$", "-dir", dir}))
	require.Error(t, bench(t.Context(), []string{"surplus"}))
}

func TestParseFio(t *testing.T) {
	s, err := parseFio([]byte(`{"jobs":[{"job_runtime":2000,"usr_cpu":10,"sys_cpu":30,"ctx":50,
"read":{"iops":50000,"total_ios":100000,"runtime":2000,"clat_ns":{"max":9000,"percentile":{"50.000000":1000}}}}]}`), 1, 1)
	require.NoError(t, err)
	require.InDelta(t, 50000, s.Throughput, 0)
	require.InDelta(t, 8, s.CPU, 1e-9)
	require.InDelta(t, 0.25, s.UserShare, 1e-9)
	require.Equal(t, time.Microsecond, s.Latency.P50)
	for _, bad := range []string{"{}", "no", `{"jobs":[{"error":5}]}`} {
		_, err = parseFio([]byte(bad), 1, 1)
		require.Error(t, err)
	}
}

func TestParseStrace(t *testing.T) {
	calls := parseStrace([]byte("    calls syscall\n--------- -------\n      300 recvfrom\n      100 sendto\n--------- ----\n      400 total\n"), 100)
	require.Equal(t, map[string]float64{"recvfrom": 3, "sendto": 1}, calls)
	require.Equal(t, "4.000: recvfrom 3.000, sendto 1.000", showCalls(calls))
	since := time.Unix(100, 0)
	calls = parseTimes([]byte("7 99.5 futex(1)\n7 100.5 futex(1)\n8 101.0 epoll_pwait(3 <unfinished ...>\n8 102 <... epoll_pwait resumed>)\n"), since)
	require.Equal(t, map[string]float64{"futex": 1, "epoll_pwait": 1}, calls)
}

func TestBusyTime(t *testing.T) {
	d, err := busyTime([]byte("cpu  10 2 30 500 60 7 8 9 100 0\ncpu0 1 2\n"))
	require.NoError(t, err)
	require.Equal(t, 66*tick, d, "without idle, iowait and guest time, which is in user")
	for _, bad := range []string{"", "intr 1 2 3 4 5 6 7 8 9", "cpu a b c d e f g h i"} {
		_, err = busyTime([]byte(bad))
		require.Error(t, err)
	}
	// What this process itself does is not others'.
	m, err := startBusy(nil)
	require.NoError(t, err)
	deadline := time.Now().Add(10 * time.Second)
	for mustOwn(t)-m.own < 100*time.Millisecond {
		require.True(t, time.Now().Before(deadline), "the time of this process does not advance")
	}
	_, err = m.others(nil)
	require.NoError(t, err)
}

func mustOwn(t *testing.T) time.Duration {
	d, err := ownTime(nil)
	require.NoError(t, err)
	return d
}

func TestLoadArgs(t *testing.T) {
	s := loadSpec{Kind: kindOpen, Port: 5, Conns: 6, Size: 70, Threads: 2, Warm: 1, Measure: 2, Rate: 3.5, Spin: true, Bytes: 9, GiveUp: 4}
	back, err := parseLoadArgs(s.args())
	require.NoError(t, err)
	require.Equal(t, s, back)
	for _, bad := range []string{"size", "size=x", "rate=x", "colour=1"} {
		_, err := parseLoadArgs([]string{bad})
		require.Error(t, err)
	}
}

// A peer that stalls, or keeps descriptors of connections that have ended, is
// not admitted; ours and the others are.
func TestAdmission(t *testing.T) {
	l := newLab(t, "auto")
	require.NoError(t, l.admit(t.Context(), stdSubject(t, "auto")))
	bad := subject{Name: "bad", open: func(ctx context.Context, c cell, _ pace) (session, error) {
		// A sink answers nothing until the end.
		return l.startServer(ctx, c, false, []string{l.self, "serve", "-std", "-mode=sink"})
	}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.Error(t, l.admit(ctx, bad))
	require.Regexp(t, `^github.com/panjf2000/gnet/v2@v2\.`, moduleVersion("gnet"))
	for name := range modules {
		require.Contains(t, moduleVersion(name), "@v", "go.mod has a version of every peer")
	}
}
