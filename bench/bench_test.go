package main

import (
	"encoding/json"
	"io"
	stdnet "net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be the child processes that the tests start.
func TestMain(m *testing.M) {
	if role := os.Getenv(childEnv); role != "" {
		if err := runChild(role); err != nil {
			_, _ = os.Stderr.WriteString("child: " + err.Error() + "\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestCells(t *testing.T) {
	seen := map[string]bool{}
	quick := 0
	for _, c := range cells() {
		require.False(t, seen[c.Name], "%s is there twice", c.Name)
		seen[c.Name] = true
		if c.quick {
			quick++
		}
	}
	require.Greater(t, quick, 10)
	some, err := options{run: "^echo/64B/c1/"}.choose(cells())
	require.NoError(t, err)
	require.Len(t, some, 2)
	_, err = options{run: "nothing"}.choose(cells())
	require.Error(t, err)
	_, err = options{run: "("}.choose(cells())
	require.Error(t, err)
	few, err := options{quick: true}.choose(cells())
	require.NoError(t, err)
	require.Len(t, few, quick)
	_, err = options{subjects: "nobody"}.pick(subjects(t.TempDir()))
	require.ErrorContains(t, err, "nobody")
}

// Each echo server that is to be had gives back what it got, checked byte by
// byte by the load.
func TestServersEcho(t *testing.T) {
	c := cell{Kind: echo, Size: 5000, Conns: 3, Seconds: 0.1}
	for _, s := range subjects(t.TempDir()) {
		if !s.fits(c) || strings.HasPrefix(s.Name, "yamanote") && os.Getenv("YAMANOTE_EXPECT_BACKEND") == "std" {
			t.Logf("without %s: %s", s.Name, s.why)
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			sv, err := startServer(c, s)
			require.NoError(t, err)
			defer sv.stop()
			smp, err := new(bench).drive(c, sv)
			require.NoError(t, err)
			require.Positive(t, smp[throughput])
			require.Positive(t, smp[p50])
			require.Positive(t, smp[cpu])
		})
	}
}

// The load fails when a single byte comes back wrong.
func TestLoadFindsCorruption(t *testing.T) {
	l, err := stdnet.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 64)
		for n := 0; ; n++ {
			if _, err := io.ReadFull(c, buf); err != nil {
				return
			}
			if n == 100 {
				buf[33] ^= 4
			}
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	}()
	ld, err := startSelf("load", order{CPU: -1, Mode: echo, Addr: l.Addr().String(), Conns: 1, Size: 64, Seconds: 5})
	require.NoError(t, err)
	defer ld.stop()
	var r result
	require.Error(t, ld.read(&r, 10*time.Second))
}

// An open loop sends at its rate, and counts from when it was to send.
func TestOpenLoop(t *testing.T) {
	c := cell{Kind: echo, Size: 64, Conns: 4, Seconds: 0.5, Rate: 1000}
	sv, err := startServer(c, subject{Name: "std"})
	require.NoError(t, err)
	defer sv.stop()
	smp, err := new(bench).drive(c, sv)
	require.NoError(t, err)
	require.InDelta(t, 1000, smp[throughput], 300)
}

func TestParseFio(t *testing.T) {
	smp, err := parseFio(`note: something
{"jobs":[{"read":{"iops":50000},"usr_cpu":10,"sys_cpu":30}]}`, 2)
	require.NoError(t, err)
	require.Equal(t, sample{throughput: 50000, cpu: 16}, smp)
	_, err = parseFio("{}", 1)
	require.Error(t, err)
}

func TestReports(t *testing.T) {
	o := outcome{
		Cell: cells()[1], Load: "0.1",
		Samples: map[string][]sample{
			"std":      {{throughput: 100, cpu: 4}, {throughput: 110, cpu: 4}, {throughput: 105, cpu: 4}},
			"yamanote": {{throughput: 130, cpu: 3}, {throughput: 140, cpu: 3}, {throughput: 131, cpu: 3}},
			"c-epoll":  {{throughput: 50}, {throughput: 500}, {throughput: 5}},
		},
		Errors: map[string]string{"gnet": "<gone>"},
	}
	var text strings.Builder
	writeOutcome(&text, o)
	require.Contains(t, text.String(), "1.27")
	require.Contains(t, text.String(), "noisy")
	require.Contains(t, text.String(), "gnet failed")
	require.Regexp(t, regexp.MustCompile(`≥ 1\.12 of std: 1\.27 .*: met`), text.String())
	page, err := htmlPage(environment{Kernel: "Linux"}, []outcome{o})
	require.NoError(t, err)
	require.Contains(t, string(page), "<svg")
	require.Contains(t, string(page), "&lt;gone&gt;")
	require.NotContains(t, string(page), "<script")
	require.NotContains(t, string(page), "http")
	_, err = json.Marshal(o)
	require.NoError(t, err)
}
