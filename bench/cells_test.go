//go:build linux

package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Every subject does every new sort of cell, and what it does is right: the
// load and the workers check it.
func TestNewCells(t *testing.T) {
	needCompiler(t)
	l := newLab(t, "c")
	subjects := l.subjects(t.Context(), regexp.MustCompile(`^(yamanote.*|c-.*|std-.*|fio.*)$`), true)
	for _, c := range []cell{
		{Kind: kindUDP, Conns: 5, Size: 64},
		{Kind: kindChurn, Conns: 5, Size: 64},
		{Kind: kindHTTP, Conns: 5},
		{Kind: kindHTTPS, Conns: 5},
		{Kind: kindSeqRead, Conns: 1, Size: 64 * kib, Bytes: 2 * mib},
		{Kind: kindSeqRead, Conns: 1, Size: 64 * kib, Bytes: 2 * mib, Cold: true},
		{Kind: kindSeqRead, Conns: 1, Size: mib, Bytes: 2 * mib, Direct: true},
		{Kind: kindSeqWrite, Conns: 1, Size: 64 * kib, Bytes: 2 * mib},
		{Kind: kindSeqWrite, Conns: 1, Size: mib, Bytes: 2 * mib, Direct: true},
		{Kind: kindAppend, Conns: 1, Size: recordSize},
		{Kind: kindAppend, Conns: 9, Size: recordSize},
		{Kind: kindTree, Conns: 3, Size: readSize},
		{Kind: kindTree, Conns: 3, Size: readSize, Cold: true},
		{Kind: kindStat, Conns: 3},
		{Kind: kindCopy, Conns: 1, Bytes: 2 * mib},
		{Kind: kindCopy, Conns: 1, Bytes: 2 * mib, Cold: true},
	} {
		n := 0
		for _, s := range subjects {
			if !s.suits(c) || s.Missing != "" || needsRing(s) && denied() {
				continue
			}
			n++
			sample := runOnce(t, s, c, 0)
			require.Positive(t, sample.Throughput, "%s: %s", c.Kind, s.Name)
			require.Positive(t, sample.CPU, "%s: %s", c.Kind, s.Name)
			require.Zero(t, sample.Lost, "%s: %s", c.Kind, s.Name)
		}
		require.Positive(t, n, "no subject for %s", c.Kind)
	}
	left, err := filepath.Glob(l.path("*.copy"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoFileExists(t, l.path("log"))
}

// udpServer answers datagrams as change says: with nothing for nil.
func udpServer(t *testing.T, change func(n int, b []byte) [][]byte) int {
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 100)
		for n := 0; ; n++ {
			size, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, b := range change(n, buf[:size]) {
				if _, err := c.WriteTo(b, from); err != nil {
					return
				}
			}
		}
	})
	t.Cleanup(func() {
		_ = c.Close()
		wg.Wait()
	})
	return c.LocalAddr().(*net.UDPAddr).Port
}

// A datagram without an answer is counted as lost, and its client goes on; the
// answer may come later, but only once. Other bytes are wrong.
func TestLoadOfDatagrams(t *testing.T) {
	needCompiler(t)
	run := func(change func(n int, b []byte) [][]byte) loadEvent {
		return runLoadProcess(t, "c", loadSpec{Kind: kindUDP, Port: udpServer(t, change), Conns: 1, Size: 64,
			Measure: 700 * time.Millisecond, GiveUp: 5 * time.Second})
	}
	once := func(b []byte) [][]byte { return [][]byte{b} }
	lossy := run(func(n int, b []byte) [][]byte {
		if n == 50 {
			return nil
		}
		return once(b)
	})
	require.Empty(t, lossy.Error)
	require.Equal(t, int64(1), lossy.Lost)
	require.Zero(t, lossy.Late)
	require.Greater(t, lossy.Ops, int64(50))
	require.Equal(t, lossy.Work, lossy.histogram().TotalCount(), "what is lost has no latency")

	var held []byte
	late := run(func(n int, b []byte) [][]byte {
		switch n {
		case 50:
			held = append(held, b...)
			return nil
		case 51:
			return [][]byte{held, b}
		}
		return once(b)
	})
	require.Empty(t, late.Error)
	require.Equal(t, int64(1), late.Lost)
	require.Equal(t, int64(1), late.Late, "the answer came, after the next datagram was sent")

	for text, change := range map[string]func(n int, b []byte) [][]byte{
		"nobody has sent": func(_ int, b []byte) [][]byte { return [][]byte{b, b} },
		"of 63 bytes":     func(_ int, b []byte) [][]byte { return once(b[:63]) },
		"of 65 bytes":     func(_ int, b []byte) [][]byte { return once(append(b, 0)) },
		"wrong data": func(_ int, b []byte) [][]byte {
			b[20] ^= 1
			return once(b)
		},
	} {
		ev := run(change)
		if text != "nobody has sent" || !strings.Contains(ev.Error, "wrong data") { // as it is found
			require.Contains(t, ev.Error, text)
		}
		require.True(t, ev.Wrong, ev.Error)
	}
	silent := runLoadProcess(t, "c", loadSpec{Kind: kindUDP, Port: udpServer(t, func(int, []byte) [][]byte { return nil }),
		Conns: 3, Size: 64, Measure: time.Second, GiveUp: 5 * time.Second})
	require.Contains(t, silent.Error, "no answer to the first message of 3 sockets")
}

// The load of short connections leaves no port in TIME_WAIT, and notices an
// answer that is wrong, too long or missing.
func TestLoadOfShortConnections(t *testing.T) {
	needCompiler(t)
	run := func(answer func(b []byte) []byte) loadEvent {
		port := serveRaw(t, func(c net.Conn) {
			buf := make([]byte, 64, 80)
			if _, err := io.ReadFull(c, buf); err == nil {
				_, _ = c.Write(answer(buf))
			}
		})
		return runLoadProcess(t, "c", loadSpec{Kind: kindChurn, Port: port, Conns: 4, Size: 64,
			Measure: 200 * time.Millisecond, GiveUp: 5 * time.Second})
	}
	before := timeWaits(t)
	good := run(func(b []byte) []byte { return b })
	require.Empty(t, good.Error)
	require.Greater(t, good.Ops, int64(100))
	require.Less(t, timeWaits(t)-before, int(good.Ops/10))
	for text, answer := range map[string]func(b []byte) []byte{
		"wrong data":           func(b []byte) []byte { b[40]++; return b },
		"more than the answer": func(b []byte) []byte { return append(b, 0) },
		"after 0 bytes":        func([]byte) []byte { return nil },
	} {
		require.Contains(t, run(answer).Error, text)
	}
}

// timeWaits counts sockets in TIME_WAIT in this network namespace.
func timeWaits(t *testing.T) int {
	text, err := os.ReadFile("/proc/net/tcp")
	require.NoError(t, err)
	return strings.Count(string(text), " 06 0")
}

// Both loads of HTTP take an answer in parts, and refuse one that is not what
// they expect.
func TestLoadOfHTTP(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 14\r\n\r\n" + greeting
	answers := map[string]string{
		"":                     good,
		"200 OK":               strings.Replace(good, "200 OK", "404 No", 1),
		"Content-Length":       strings.Replace(good, "14", "15", 1),
		"Content-Length is -1": strings.Replace(good, "Content-Length: 14", "Content-Longth: 14", 1),
		" answer ":             strings.Replace(good, "Hello", "Hallo", 1),
		"answer":               good + "x",
	}
	for _, load := range []string{"c", "go"} {
		for text, answer := range answers {
			t.Run(load+"/"+text, func(t *testing.T) {
				port := serveRaw(t, func(c net.Conn) {
					for in := bufio.NewReader(c); ; {
						if line, err := in.ReadString('\n'); err != nil {
							return
						} else if line != "\r\n" {
							continue
						}
						half := len(answer) / 2
						for _, part := range []string{answer[:half], answer[half:]} {
							if _, err := io.WriteString(c, part); err != nil {
								return
							}
							time.Sleep(time.Millisecond)
						}
					}
				})
				ev := runLoadProcess(t, load, loadSpec{Kind: kindHTTP, Port: port, Conns: 2, Size: 64,
					Warm: 10 * time.Millisecond, Measure: 50 * time.Millisecond, GiveUp: 5 * time.Second})
				if text == "" {
					require.Empty(t, ev.Error)
					require.Positive(t, ev.Ops)
					require.Equal(t, ev.Work, ev.histogram().TotalCount())
					return
				}
				require.True(t, ev.Wrong, ev.Error)
				if load == "go" || !strings.HasPrefix(text, "Content-Length is") {
					require.Contains(t, ev.Error, text)
				}
			})
		}
	}
}

func TestReadAnswer(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 14\r\nC: d\r\n\r\n"
	in := bufio.NewReader(strings.NewReader(head + greeting))
	require.NoError(t, readAnswer(in))
	require.ErrorIs(t, readAnswer(in), io.EOF)
	require.ErrorIs(t, readAnswer(bufio.NewReader(strings.NewReader(head+greeting+"H"))), errWrong)
	require.ErrorIs(t, readAnswer(bufio.NewReader(strings.NewReader(head+"Hello"))), io.EOF)
	for line, want := range map[string]int{"Content-Length: 14\r\n": 14, "Content-Length: 1x\r\n": -1, "Content-Length: 99999999999\r\n": -1} {
		n, ok := contentLength([]byte(line))
		require.True(t, ok)
		require.Equal(t, want, n)
	}
	for _, line := range []string{"", "\r\n", "Content-Length: \r\n", "Content-Type: text\r\n"} {
		_, ok := contentLength([]byte(line))
		require.False(t, ok, line)
	}
}

// What was acknowledged must be there, whole and in the order of its goroutine.
func TestCheckRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var log []byte
	add := func(who, number uint64) {
		b := make([]byte, 64)
		stampRecord(b, who, number)
		log = append(log, b...)
	}
	check := func(acknowledged ...uint64) error {
		require.NoError(t, os.WriteFile(path, log, 0o600))
		return checkRecords(path, 64, acknowledged)
	}
	add(0, 0)
	add(1, 0)
	add(0, 1)
	require.NoError(t, check(2, 1))
	require.NoError(t, check(1, 1), "one was under way")
	require.ErrorIs(t, check(3, 1), errWrong, "one is missing")
	log[70]++
	require.ErrorIs(t, check(2, 1), errWrong, "one is torn")
	log[70]--
	add(0, 1)
	require.ErrorIs(t, check(2, 1), errWrong, "one is there twice")
	log = log[:len(log)-64]
	add(7, 0)
	require.ErrorIs(t, check(2, 1), errWrong, "one is nobody's")
}

// The group commit that ours is compared to keeps its promise: fewer Syncs than
// records, all of them there, and a failure is for good.
func TestGroupCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	a, err := openGroup(path)
	require.NoError(t, err)
	const goroutines, each = 20, 30
	var wg sync.WaitGroup
	errs := make([]error, goroutines)
	for i := range goroutines {
		wg.Go(func() {
			b := make([]byte, 64)
			for n := range each {
				stampRecord(b, uint64(i), uint64(n))
				errs[i] = errors.Join(errs[i], a.append(b))
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	acknowledged := make([]uint64, goroutines)
	for i := range acknowledged {
		acknowledged[i] = each
	}
	require.NoError(t, checkRecords(path, 64, acknowledged))
	require.NoError(t, a.(*group).f.Close())
	first := a.append(make([]byte, 64))
	require.ErrorIs(t, first, os.ErrClosed)
	require.Equal(t, first, a.append(make([]byte, 64)), "the first failure stays")
}

// A cell that says that its data are not in the page cache means it.
func TestForget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.Write(make([]byte, mib))
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	cached := func() bool {
		n, err := unix.Preadv2(int(f.Fd()), [][]byte{make([]byte, readSize)}, mib/2, unix.RWF_NOWAIT)
		if err != nil {
			require.ErrorIs(t, err, unix.EAGAIN)
		}
		return n > 0
	}
	if n, err := unix.Preadv2(int(f.Fd()), [][]byte{make([]byte, readSize)}, 0, unix.RWF_NOWAIT); n <= 0 {
		t.Skip("the file system of the temporary directory cannot tell what is in the page cache:", err)
	}
	require.True(t, cached())
	require.NoError(t, forget(path))
	require.False(t, cached())
	require.ErrorIs(t, forget(path+"x"), os.ErrNotExist)
}

func TestRoom(t *testing.T) {
	l := &lab{dir: t.TempDir()}
	require.NoError(t, l.room(1))
	require.ErrorContains(t, l.room(1<<60), "-dir")
}

func TestParseFioWrites(t *testing.T) {
	s, err := parseFio([]byte(`{"jobs":[{"job_runtime":1000,"usr_cpu":10,"sys_cpu":30,"read":{"total_ios":0},
"write":{"iops":1600,"total_ios":1600,"runtime":1000,"clat_ns":{"max":9,"percentile":{"50.000000":7}}}}]}`), 1, 1.0/16)
	require.NoError(t, err)
	require.InDelta(t, 100, s.Throughput, 1e-9, "blocks of 64 KiB are sixteenths of a MiB")
	require.Equal(t, int64(100), s.Ops)
	require.InDelta(t, 4000, s.CPU, 1e-6)
	require.Zero(t, s.Latency, "that of a block is not that of a MiB")
}

func TestLossIsTold(t *testing.T) {
	c := &CellReport{cell: cell{Kind: kindUDP}, Threads: 1}
	s := &SubjectReport{Samples: []Sample{{Ops: 999, Lost: 1}, {Ops: 1000}}}
	lost, late := s.lost()
	require.InDelta(t, 0.0005, lost, 1e-9)
	require.Zero(t, late)
	require.Len(t, c.remarks(s), 1)
	require.Contains(t, c.remarks(s)[0], "0.05% of the datagrams were lost")
	s.Samples[0].Late = 1
	require.Contains(t, c.remarks(s)[0], "0.05% of the datagrams came later")
	s.Samples[0].Lost = 0
	require.Empty(t, c.remarks(s))
}

// strace counts the calls of a process that makes its own load.
func TestStraceOfWorker(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("there is no strace")
	}
	s := stdSubject(t, "go")
	c := cell{Kind: kindSeqRead, Conns: 1, Size: 64 * kib, Bytes: 2 * mib}
	sess, err := s.open(t.Context(), c, tiny)
	require.NoError(t, err)
	defer sess.close()
	calls, err := sess.(*worker).strace(t.Context(), c, tiny)
	require.NoError(t, err)
	require.InDelta(t, 16, calls["read"], 8, "sixteen reads for a MiB")
}
