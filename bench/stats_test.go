//go:build linux

package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
)

func TestSummarize(t *testing.T) {
	require.Equal(t, Summary{N: 5, Median: 3, Q1: 2, Q3: 4, Smallest: 1, Largest: 5}, summarize([]float64{5, 1, 3, 2, 4}))
	require.InDelta(t, 1.5, summarize([]float64{1, 2}).Median, 0)
	require.Zero(t, summarize(nil))
}

func TestNoisy(t *testing.T) {
	require.False(t, summarize([]float64{1, 1.05, 1.1, 0.95}).Noisy())
	require.True(t, summarize([]float64{1, 1}).Noisy(), "too few")
	require.True(t, summarize([]float64{0.5, 0.7, 1, 1.3, 1.6}).Noisy(), "too wide")
	require.True(t, summarize([]float64{math.Inf(1), math.Inf(1), math.Inf(1)}).Noisy())
	require.True(t, summarize(nil).Noisy())
}

// with returns a subject with a sample of this throughput in each round; 0 for
// none.
func with(name string, throughputs ...float64) *SubjectReport {
	s := &SubjectReport{Name: name, Ours: strings.HasPrefix(name, ourName)}
	for round, x := range throughputs {
		if x > 0 {
			s.Samples = append(s.Samples, Sample{Round: round, Throughput: x, CPU: 1e6 / x, Syscalls: -1})
		}
	}
	return s
}

func TestRatiosPairRounds(t *testing.T) {
	r := ratio(mThroughput, with("a", 2, 0, 6, 10), with("b", 1, 50, 2, 0))
	require.Equal(t, 2, r.N)
	require.InDelta(t, 2, r.Smallest, 0)
	require.InDelta(t, 3, r.Largest, 0)
	require.True(t, r.Noisy)
	require.Equal(t, "too few rounds", r.String())
	require.Contains(t, ratio(mThroughput, with("a", 1, 2, 3), with("b", 1, 1, 1)).String(), "noisy")
	require.Equal(t, "2.00 [2.00–2.00]", ratio(mThroughput, with("a", 2, 2, 2), with("b", 1, 1, 1)).String())
}

func TestJudge(t *testing.T) {
	c := &CellReport{cell: cell{Name: "echo/64B/c64/pinned", Kind: kindEcho}}
	judge := func(b bar, ours ...float64) verdict {
		s := with(ourName, ours...)
		c.Subjects = []*SubjectReport{with("std", 100, 100, 100), s}
		return c.judge(s, b).Verdict
	}
	least := bar{metric: mThroughput, least: 1.1}
	require.Equal(t, met, judge(least, 112, 115, 120))
	require.Equal(t, missed, judge(least, 100, 105, 109))
	require.Equal(t, undecided, judge(least, 100, 200, 300))
	require.Equal(t, met, judge(least, 120, 200, 300), "every round is better")
	require.Equal(t, missed, judge(least, 20, 50, 100), "every round is worse")
	require.Equal(t, notMeasured, judge(least))
	require.Equal(t, notMeasured, judge(bar{metric: mThroughput, to: "nobody", least: 1}, 112, 115, 120))
	mostCPU := bar{metric: mCPU, most: 0.5}
	require.Equal(t, met, judge(mostCPU, 200, 210, 220))
	require.Equal(t, missed, judge(mostCPU, 190, 191, 192))
	idle := bar{metric: mIdleCalls}
	s := &SubjectReport{Samples: []Sample{{Syscalls: 0}}}
	require.Equal(t, met, c.judge(s, idle).Verdict)
	s.Samples[0].Syscalls = 1
	require.Equal(t, missed, c.judge(s, idle).Verdict)
	s.Samples[0].Syscalls = -1
	require.Equal(t, notMeasured, c.judge(s, idle).Verdict)
}

// Both load generators put a value into the same bucket, whose middle is less
// than a percent away, and percentiles survive the way to an HDR histogram.
func TestHistogramTransfer(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	exact := hdrhistogram.New(1, longest, 5)
	var in strings.Builder
	var inGo loadResult
	counts := make(map[int]int64)
	for range 20_000 {
		v := int64(math.Exp(rng.Float64() * 24)) // 1 ns to 26 s
		fmt.Fprintln(&in, v)
		require.NoError(t, exact.RecordValue(v))
		counts[bucketOf(v)]++
		inGo.Max = max(inGo.Max, v)
		require.InEpsilon(t, float64(v), float64(bucketValue(bucketOf(v))), 0.01)
	}
	for i, n := range counts {
		inGo.Buckets = append(inGo.Buckets, [2]int64{int64(i), n})
	}
	compare := func(r loadResult) {
		require.Equal(t, int64(20_000), r.histogram().TotalCount())
		l := r.latency()
		require.Equal(t, time.Duration(exact.Max()).Round(time.Second), l.Max.Round(time.Second))
		for q, got := range map[float64]time.Duration{50: l.P50, 90: l.P90, 99: l.P99, 99.9: l.P999} {
			require.InEpsilon(t, float64(exact.ValueAtQuantile(q)), float64(got), 0.012, "percentile %v", q)
		}
	}
	compare(inGo)

	needCompiler(t)
	l := newLab(t, "c")
	gen, err := startChild(t.Context(), anyCPU, nil, l.cLoad, "kind=buckets")
	require.NoError(t, err)
	_, err = gen.stdin.Write([]byte(in.String()))
	require.NoError(t, err)
	require.NoError(t, gen.stdin.Close())
	var ev loadEvent
	require.NoError(t, gen.read(&ev))
	require.NoError(t, gen.end())
	require.Len(t, ev.Buckets, len(counts))
	for _, b := range ev.Buckets {
		require.Equal(t, counts[int(b[0])], b[1], "bucket %d", b[0])
	}
	compare(ev.loadResult)
}

func TestRemarks(t *testing.T) {
	c := &CellReport{cell: cell{Kind: kindEcho}, Threads: 1}
	s := &SubjectReport{Samples: []Sample{{LoadBusy: 0.99, Busy: 0.8, Others: 0.3, Ops: 90, Unsent: 10}}}
	require.Len(t, c.remarks(s), 3)
	s.Samples[0] = Sample{LoadBusy: 0.99, Busy: 0.99, Others: 0.05, Ops: 1000}
	require.Empty(t, c.remarks(s))
}

func TestReports(t *testing.T) {
	cells, err := choose(matrix(), "^echo/64B/c64/pinned$", false)
	require.NoError(t, err)
	c := &CellReport{cell: cells[0], Group: cells[0].group(), Unit: "messages", Threads: 1, Subjects: []*SubjectReport{
		with("std", 100, 110, 105), with(ourName, 130, 140, 131), with("c-epoll", 50, 500, 5),
		{Name: "gnet", Error: "<gone>"}, {Name: "netpoll", Missing: "no module"}}}
	c.finish()
	var text strings.Builder
	c.write(&text)
	for _, want := range []string{"1.27", "noisy", "gnet: failed: <gone>", "netpoll: no module", "≥ 1.12: 1.27 met"} {
		require.Contains(t, text.String(), want)
	}
	r := &Report{Env: Environment{Kernel: "6.18", Ring: map[string]string{"std": "<net>"}}, Cells: []*CellReport{c}}
	text.Reset()
	r.writeBars(&text)
	require.Regexp(t, `echo/64B/c64/pinned +throughput / std +≥ 1.12 +1.27 +met`, text.String())
	require.Contains(t, text.String(), "2 met, 0 missed, 0 noisy")
	page, err := r.page()
	require.NoError(t, err)
	for _, want := range []string{"<svg", "&lt;gone&gt;", "&lt;net&gt;", "1.27", "viewport"} {
		require.Contains(t, string(page), want)
	}
	for _, no := range []string{"http://", "https://", "NaN", "Inf", "%!"} {
		require.NotContains(t, strings.ReplaceAll(string(page), "http://www.w3.org/2000/svg", ""), no)
	}
	c.Subjects[1].Wrong = true
	require.True(t, r.wrong(&text))
}

func TestAxis(t *testing.T) {
	a := newAxis(0, 930, false)
	require.InDelta(t, 1000, a.hi, 0)
	require.Len(t, a.ticks, 3)
	a = newAxis(30, 2000, true)
	require.InDelta(t, 10, a.lo, 1e-9)
	require.InDelta(t, 10000, a.hi, 1e-9)
	require.Greater(t, a.y(30), a.y(2000), "larger values are further up")
}
