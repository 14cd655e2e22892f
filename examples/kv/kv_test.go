package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		kit.Main(run)
	}
	testkit.BeforeCheck(func() { _ = proactor.ShutdownDefault(context.Background()) })
	testkit.Main(m)
}

// open opens a store on the standard library or a ring.
func open(t *testing.T, dir string, compactAt int64) *store {
	t.Helper()
	rt, err := proactor.New(proactor.Config{})
	require.NoError(t, err)
	s, err := openStore(rt, dir, "group", compactAt, func(err error) { t.Errorf("%v", err) })
	if err != nil {
		require.NoError(t, kit.Shutdown(rt))
		require.NoError(t, err)
	}
	return s
}

func shut(t *testing.T, s *store) {
	t.Helper()
	require.NoError(t, s.close())
	require.NoError(t, kit.Shutdown(s.rt))
}

func set(t *testing.T, s *store, key, value string) {
	t.Helper()
	_, err := s.commit([]write{{key: key, value: []byte(value)}})
	require.NoError(t, err)
}

// Whatever a crash leaves of the last record, those before it are there, and the
// log goes on where they end.
func TestTornLog(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	var log []byte
	for i := range 5 {
		log = write{key: fmt.Sprint("k", i), value: []byte("value")}.appendTo(log)
	}
	last := len(write{key: "k4", value: []byte("value")}.appendTo(nil))
	torn := map[string][]byte{"zeros": append(bytes.Clone(log[:len(log)-last]), make([]byte, 100)...)}
	for n := 1; n < last; n++ {
		torn[fmt.Sprint("without ", n)] = log[:len(log)-n]
		flipped := bytes.Clone(log)
		flipped[len(log)-n] ^= 1
		torn[fmt.Sprint("flipped ", n)] = flipped
	}
	for name, content := range torn {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "log"), content, 0o600))
		for opening := range 2 {
			s := open(t, dir, 1<<30)
			require.Equal(t, 4+opening, s.count(), name)
			require.Equal(t, opening == 0, s.recovered.torn > 0, name)
			set(t, s, "k9", "more")
			shut(t, s)
		}
	}
}

// What no crash leaves is not taken for the end.
func TestDamagedLog(t *testing.T) {
	dir := t.TempDir()
	log := write{key: "a", value: []byte("first")}.appendTo(nil)
	end := len(log)
	log = append(log, make([]byte, tornMax+1)...)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "log"), log, 0o600))
	rt, err := proactor.New(proactor.Config{})
	require.NoError(t, err)
	_, err = openStore(rt, dir, "group", 1, nil)
	require.ErrorContains(t, err, fmt.Sprintf("damaged at offset %d", end))
	require.NoError(t, kit.Shutdown(rt))
	info, err := os.Stat(filepath.Join(dir, "log"))
	require.NoError(t, err)
	require.EqualValues(t, len(log), info.Size(), "nothing was cut off")
}

// A store that is changed by many while its log is compacted has, when it is
// opened again, what it had.
func TestCompacts(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	dir := t.TempDir()
	s := open(t, dir, 16<<10)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				ws := []write{{key: fmt.Sprint(w, ".", i%7), value: bytes.Repeat([]byte{byte(i)}, 100)}}
				if i%5 == 0 {
					ws = append(ws, write{key: fmt.Sprint(w, ".", i%7), remove: true})
				}
				existed, err := s.commit(ws)
				if err != nil || len(existed) != len(ws) || len(ws) == 2 && !existed[1] {
					t.Errorf("%v %v", existed, err)
				}
			}
		})
	}
	wg.Wait()
	s.background.Wait()
	require.Positive(t, s.compactions.Load())
	want, live := s.values, s.live
	shut(t, s)
	info, err := os.Stat(filepath.Join(dir, "log"))
	require.NoError(t, err)
	require.Equal(t, s.size.Load(), info.Size())

	s = open(t, dir, 16<<10)
	require.Equal(t, want, s.values)
	require.Equal(t, live, s.live)
	require.Zero(t, s.recovered.torn)
	shut(t, s)
}

// pipe is a connection that has sent all of its requests.
type pipe struct {
	io.Reader
	bytes.Buffer
}

func (p *pipe) Read(b []byte) (int, error) { return p.Reader.Read(b) }

func TestSession(t *testing.T) {
	s := open(t, t.TempDir(), 1<<30)
	defer shut(t, s)
	for _, c := range []struct{ send, want string }{
		{"PING\r\nping hello\r\n\r\n", "+PONG\r\n$5\r\nhello\r\n"},
		{"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\n1\r\n2\r\nGET a\r\n", "+OK\r\n$4\r\n1\r\n2\r\n"},
		{"SET b 1\nSET b 2\nGET b\nSET a 3\nDEL a b c\nGET b\n", "+OK\r\n+OK\r\n$1\r\n2\r\n+OK\r\n:2\r\n$-1\r\n"},
		{"SET c 1\nEXISTS c c d\nDBSIZE\nDEL c\n", "+OK\r\n:2\r\n:1\r\n:1\r\n"},
		{"SET x\nNONE\nQUIT\nPING\n", "-ERR wrong number of arguments for SET: 1\r\n" +
			"-ERR unknown command \"NONE\"; there are GET, SET, DEL, EXISTS, DBSIZE, PING, ECHO and QUIT\r\n+OK\r\n"},
		{"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "$0\r\n\r\n"},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.send), oneByOne{strings.NewReader(c.send)}} {
			p := &pipe{Reader: r}
			require.NoError(t, newSession(s, p).serve())
			require.Equal(t, c.want, p.String(), "%q", c.send)
		}
	}
	for _, bad := range []string{"*x\r\n", "*-1\r\n", "*1\r\nGET\r\n", "*1\r\n$99999999999\r\n", "*1\r\n$1\r\nabc\r\n",
		strings.Repeat("x", maxLine)} {
		p := &pipe{Reader: strings.NewReader("PING\r\n" + bad)}
		require.ErrorContains(t, newSession(s, p).serve(), "protocol error")
		require.Contains(t, p.String(), "+PONG\r\n-ERR protocol error")
	}
	require.NotContains(t, s.values, "x")
}

// oneByOne reads single bytes.
type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(b []byte) (int, error) { return o.r.Read(b[:1]) }

// What is pipelined shares commits.
func TestPipelineSharesCommits(t *testing.T) {
	s := open(t, t.TempDir(), 1<<30)
	p := &pipe{Reader: strings.NewReader(strings.Repeat("SET key value\n", 300))}
	require.NoError(t, newSession(s, p).serve())
	require.Equal(t, strings.Repeat("+OK\r\n", 300), p.String())
	require.EqualValues(t, 300, s.changes.Load())
	require.LessOrEqual(t, s.commits(), int64(2))
	shut(t, s)
	_, err := s.commit([]write{{key: "late"}})
	require.ErrorContains(t, err, "closed")
}

// A server answers what it was asked before it ends, and does not take more.
func TestServes(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	for _, backend := range []string{"auto", "std"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, w := io.Pipe()
		code := make(chan int, 1)
		go func() {
			code <- run(ctx, []string{"-backend", backend, "-addr", "127.0.0.1:0", "-dir", t.TempDir()}, w, w)
			_ = w.Close()
		}()
		lines := bufio.NewScanner(r)
		addr := ""
		for ok := false; !ok && lines.Scan(); {
			addr, ok = strings.CutPrefix(lines.Text(), "listening on ")
		}
		rest := make(chan string, 1)
		go func() {
			all := ""
			for lines.Scan() {
				all += lines.Text() + "\n"
			}
			rest <- all
		}()
		c, err := dial(addr)
		require.NoError(t, err)
		value := strings.Repeat("v", 3_000_000)
		for _, ask := range [][]string{{"OK", "SET", "k", value}, {value, "GET", "k"}, {none, "GET", "x"}, {"1", "DEL", "k", "x"}} {
			got, err := c.ask(ask[1:]...)
			require.NoError(t, err)
			require.True(t, ask[0] == got, ask[1])
		}
		_, err = c.ask("SET", "", "x")
		require.ErrorContains(t, err, "a key has")
		cancel()
		require.Equal(t, kit.ExitOK, <-code)
		require.Contains(t, <-rest, "changes:        3 in 2 durable writes")
		c.close()
		_, err = net.Dial("tcp", addr)
		require.Error(t, err)
	}
}

func TestSelftest(t *testing.T) {
	testkit.Watchdog(t, 3*time.Minute)
	rounds := "10"
	if testing.Short() {
		rounds = "2"
	}
	for _, backend := range []string{"auto", "std"} {
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"-selftest", "-rounds", rounds, "-backend", backend}, &out, &errs)
		require.Equal(t, kit.ExitOK, code, errs.String())
		require.Contains(t, out.String(), "survived "+rounds+" kills")
	}
}

// A version that should not be there any more is noticed.
func TestSelftestNotices(t *testing.T) {
	var s selftest
	s.acked[1][2], s.sent[1][2] = 6, 8
	for v := range 12 {
		got := testValue(1, 2, v)
		if v%5 == 0 {
			got = none
		}
		now, err := s.versionOf(1, 2, got)
		if v >= 6 && v <= 8 {
			require.NoError(t, err)
			require.Equal(t, v, now)
		} else {
			require.Error(t, err, v)
		}
	}
}

func TestComplains(t *testing.T) {
	for says, args := range map[string][]string{
		"-dir is missing": {}, "group or os": {"-dir", "x", "-log", "y"}, "flags only": {"x"},
		"1 to 1000": {"-selftest", "-rounds", "0"}, "at least 1": {"-dir", "x", "-compact", "0"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, kit.ExitUsage, run(t.Context(), args, &out, &errs))
		require.Empty(t, out.String())
		require.Contains(t, errs.String(), says)
	}
}
