package net_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	stdnet "net"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// crowdEnv says what the test does in a process of its own: "serve MODE" or
// "connect ADDRESS N". Such a process does what lines on its standard input say
// and answers each by a line that begins with crowdMark, since the testing
// package writes to the same output.
const (
	crowdEnv  = "YAMANOTE_NET_CROWD"
	crowdMark = "crowd: "
)

// Thousands of connections, with the clients in a process of their own: all are
// served, idle ones cost next to nothing, beside the standard library, and
// nothing is left of them when all are reset at once.
func TestCrowd(t *testing.T) {
	if role := os.Getenv(crowdEnv); role != "" {
		crowdRole(t, strings.Fields(role))
		return
	}
	n, idle := pick(10_000, 500), pick(10*time.Second, 200*time.Millisecond)
	testkit.Watchdog(t, 2*time.Minute)
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	if most := int(limit.Max) - 200; n > most {
		t.Logf("%d connections instead of %d: a process may have %d descriptors", most, n, limit.Max)
		n = most
	}
	modes := []string{"std"}
	if os.Getenv("YAMANOTE_EXPECT_BACKEND") != "std" {
		modes = append(modes, "ring", "behind")
	}
	var std usage
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			u := crowd(t, mode, n, idle)
			t.Logf("%d connections, %d descriptors allowed: %v", n, limit.Max, u)
			if mode == "std" {
				std = u
				return
			}
			if raceEnabled {
				return // which has memory and calls of its own
			}
			require.Less(t, u.Memory, 1.5*std.Memory+4096, "bytes of an idle connection, %.0f with the standard library", std.Memory)
			require.Less(t, u.Idle, std.Idle+50*time.Millisecond, "processor time of %v idle", idle)
			require.LessOrEqual(t, u.Calls, uint64(10), "system calls of the ring while idle")
		})
	}
}

// usage is what a crowd costs.
type usage struct {
	Memory   float64       // of a connection that waits, bytes
	Idle     time.Duration // processor time of the idle time
	Calls    uint64        // system calls of the ring in it
	Switches int64         // of all threads in it
}

func (u usage) String() string {
	return fmt.Sprintf("%.0f bytes for an idle connection; while idle %v of processor time, %d system calls of the ring, threads switched %d times",
		u.Memory, u.Idle, u.Calls, u.Switches)
}

// crowd runs a server and its clients.
func crowd(t *testing.T, mode string, n int, idle time.Duration) usage {
	server := startCrowd(t, "serve "+mode)
	addr := server.ask(t, "address")
	clients := startCrowd(t, fmt.Sprintf("connect %s %d", addr, n))
	before := server.measure(t)
	clients.ask(t, "echo")
	start := server.measure(t)
	require.Equal(t, n, start.Conns)
	time.Sleep(idle)
	end := server.measure(t)
	clients.ask(t, "echo")
	clients.ask(t, "reset")
	testkit.Eventually(t, func() bool {
		now := server.measure(t)
		return now.Conns == 0 && now.Goroutines <= before.Goroutines && now.Descriptors <= before.Descriptors
	}, "connections, goroutines or descriptors are left of %+v", before)
	clients.end(t)
	server.end(t)
	return usage{
		Memory: float64(start.RSS-before.RSS) / float64(n),
		Idle:   end.Before - start.After, Calls: end.Calls - start.Calls, Switches: end.Switches - start.Switches,
	}
}

// crowdProcess is one of the two.
type crowdProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	all strings.Builder // of standard output
	err bytes.Buffer    // whole when the process has ended
}

func startCrowd(t *testing.T, role string) *crowdProcess {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &crowdProcess{cmd: exec.CommandContext(t.Context(), self, "-test.run=^TestCrowd$", "-test.v", "-test.count=1", "-test.timeout=2m")}
	p.cmd.Env = append(os.Environ(), crowdEnv+"="+role, "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = &p.err
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewScanner(out)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		_ = p.in.Close()
		_ = p.cmd.Wait() // if the test has failed before
	})
	return p
}

// ask has the process do something and returns its answer.
func (p *crowdProcess) ask(t *testing.T, what string) string {
	t.Helper()
	_, err := fmt.Fprintln(p.in, what)
	require.NoError(t, err)
	for p.out.Scan() {
		if answer, ok := strings.CutPrefix(p.out.Text(), crowdMark); ok {
			return answer
		}
		fmt.Fprintln(&p.all, p.out.Text())
	}
	_ = p.cmd.Wait()
	t.Fatalf("the process did not answer to %q:\n%s%s", what, p.all.String(), p.err.String())
	return ""
}

// end expects the process to have passed its test, with its check for leaks.
func (p *crowdProcess) end(t *testing.T) {
	t.Helper()
	require.NoError(t, p.in.Close())
	for p.out.Scan() {
		fmt.Fprintln(&p.all, p.out.Text())
	}
	err := p.cmd.Wait()
	require.NoError(t, err, "%s%s", p.all.String(), p.err.String())
	require.Contains(t, p.all.String(), "--- PASS: TestCrowd")
}

// measured is what the server says of itself.
type measured struct {
	Conns, Goroutines, Descriptors int
	RSS                            int64
	Before, After                  time.Duration // processor time before and after collecting garbage
	Switches                       int64
	Calls                          uint64
}

func (p *crowdProcess) measure(t *testing.T) (m measured) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(p.ask(t, "measure")), &m))
	return m
}

// crowdRole is what the test does in its own process.
func crowdRole(t *testing.T, role []string) {
	testkit.Watchdog(t, 110*time.Second)
	switch role[0] {
	case "serve":
		cfg := runtimes()["ring"]
		switch role[1] {
		case "std":
			cfg = runtimes()["std"]
		case "behind":
			cfg = runtimes()["ring/behind"]
		}
		crowdServe(t, newRuntime(t, cfg))
	case "connect":
		n, err := strconv.Atoi(role[2])
		require.NoError(t, err)
		crowdConnect(t, role[1], n)
	}
}

// commands does what the other process asks for until it asks for no more.
func commands(t *testing.T, do map[string]func() string) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		f := do[lines.Text()]
		require.NotNil(t, f, lines.Text())
		fmt.Println(crowdMark + f())
	}
	require.NoError(t, lines.Err())
}

func crowdServe(t *testing.T, rt *proactor.Runtime) {
	lc := net.ListenConfig{Runtime: rt}
	l, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	var conns atomic.Int64
	var wg sync.WaitGroup
	served := start(func() (int, error) {
		for {
			c, err := l.Accept()
			if err != nil {
				return 0, err
			}
			conns.Inc()
			wg.Go(func() {
				crowdEcho(c)
				_ = c.Close()
				conns.Dec()
			})
		}
	})
	commands(t, map[string]func() string{
		"address": func() string { return l.Addr().String() },
		"measure": func() string {
			m := measure(t, rt)
			m.Conns = int(conns.Load())
			b, err := json.Marshal(m)
			require.NoError(t, err)
			return string(b)
		},
	})
	require.NoError(t, l.Close())
	require.ErrorIs(t, (<-served).err, net.ErrClosed)
	wg.Wait()
}

func crowdEcho(c stdnet.Conn) {
	buf := make([]byte, 64)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// measure looks at this process.
func measure(t *testing.T, rt *proactor.Runtime) (m measured) {
	m.Before = processorTime(t)
	m.Switches = switches(t)
	m.Calls = rt.Stats().SystemCalls()
	debug.FreeOSMemory()
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	m.Descriptors, m.Goroutines = len(fds), goruntime.NumGoroutine()
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	require.NoError(t, err)
	m.RSS = pages * int64(os.Getpagesize())
	m.After = processorTime(t)
	return m
}

func processorTime(t *testing.T) time.Duration {
	var ru syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &ru))
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// switches counts how often the threads of the process have been switched.
func switches(t *testing.T) (sum int64) {
	files, err := filepath.Glob("/proc/self/task/*/status")
	require.NoError(t, err)
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for line := range strings.Lines(string(status)) {
			if name, value, _ := strings.Cut(line, ":"); strings.HasSuffix(name, "voluntary_ctxt_switches") {
				n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
				require.NoError(t, err)
				sum += n
			}
		}
	}
	return sum
}

// crowdConnect is a crowd of clients, of the standard library.
func crowdConnect(t *testing.T, addr string, n int) {
	conns := make([]stdnet.Conn, 0, n)
	buf := make([]byte, 64)
	round := byte(0)
	commands(t, map[string]func() string{
		"echo": func() string {
			for len(conns) < n {
				c, err := stdnet.Dial("tcp4", addr)
				require.NoError(t, err)
				conns = append(conns, c)
			}
			round++
			for i, c := range conns { // all at once
				_, err := c.Write([]byte{byte(i), byte(i >> 8), round})
				require.NoError(t, err)
			}
			for i, c := range conns {
				_, err := io.ReadFull(c, buf[:3])
				require.NoError(t, err)
				require.Equal(t, []byte{byte(i), byte(i >> 8), round}, buf[:3])
			}
			return "done"
		},
		"reset": func() string {
			for _, c := range conns {
				require.NoError(t, c.(*stdnet.TCPConn).SetLinger(0))
			}
			for _, c := range conns {
				require.NoError(t, c.Close())
			}
			return "done"
		},
	})
}
