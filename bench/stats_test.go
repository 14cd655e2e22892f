package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSummarize(t *testing.T) {
	s := summarize([]float64{5, 1, 3, math.NaN(), 2, 4})
	require.Equal(t, spread{Median: 3, Q1: 2, Q3: 4, Min: 1, Max: 5, N: 5}, s)
	require.Equal(t, 1.5, summarize([]float64{1, 2}).Median)
	require.Zero(t, summarize(nil).N)
	require.True(t, math.IsNaN(summarize(nil).Median))
}

func TestNoisy(t *testing.T) {
	require.False(t, summarize([]float64{1, 1.05, 1.1, 0.95}).noisy())
	require.True(t, summarize([]float64{1, 1}).noisy(), "too few")
	require.True(t, summarize([]float64{0.5, 0.7, 1, 1.3, 1.6}).noisy(), "too wide")
	require.True(t, summarize(nil).noisy())
}

func TestRatiosPairRounds(t *testing.T) {
	a := []sample{{throughput: 2}, {throughput: 6}, {cpu: 1}, {throughput: 5}}
	b := []sample{{throughput: 1}, {throughput: 2}, {throughput: 9}}
	require.Equal(t, []float64{2, 3}, ratios(a, b, throughput))
}

func TestJudge(t *testing.T) {
	at := func(v ...float64) spread { return summarize(v) }
	least := bar{Metric: throughput, AtLeast: 1.1}
	require.Equal(t, met, least.judge(at(1.12, 1.15, 1.2)))
	require.Equal(t, missed, least.judge(at(1, 1.02, 1.05)))
	require.Equal(t, unclear, least.judge(at(1.05, 1.1, 1.15)))
	require.Equal(t, unclear, least.judge(at(1, 2, 3)))
	require.Equal(t, unknown, least.judge(at()))
	most := bar{Metric: cpu, AtMost: 0.3}
	require.Equal(t, met, most.judge(at(0.2, 0.21, 0.22)))
	require.Equal(t, missed, most.judge(at(0.4, 0.41, 0.42)))
}
