//go:build linux

package main

import (
	"math/bits"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency is a distribution of latencies.
type Latency struct {
	P50, P90, P99, P999, Max time.Duration
}

// Load generators count latencies in nanoseconds in buckets that are 1/128 of
// their value wide: one for each value up to 255, then 128 for each power of
// two. The same is in load.c.
const (
	subBits    = 7
	allBuckets = (64 - subBits) << subBits
)

// bucketOf returns the bucket of a value.
func bucketOf(v int64) int {
	u := uint64(max(0, v))
	if u < 2<<subBits {
		return int(u)
	}
	shift := bits.Len64(u) - 1 - subBits
	return shift<<subBits + int(u>>shift)
}

// bucketValue returns the middle of a bucket.
func bucketValue(i int) int64 {
	if i < 2<<subBits {
		return int64(i)
	}
	shift := i>>subBits - 1
	low := int64(1<<subBits+i&(1<<subBits-1)) << shift
	return low + int64(1)<<shift/2
}

// histogram makes a histogram of what a load generator has counted.
func (r loadResult) histogram() *hdrhistogram.Histogram {
	h := newHistogram()
	for _, b := range r.Buckets {
		_ = h.RecordValues(min(max(bucketValue(int(b[0])), 1), longest), b[1])
	}
	return h
}

// latency is the distribution, with the exact maximum.
func (r loadResult) latency() Latency {
	l := latencyOf(r.histogram())
	l.Max = time.Duration(r.Max)
	return l
}

// longest is the longest latency that is told apart.
const longest = int64(time.Minute)

// newHistogram counts latencies from a nanosecond on with three digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, 3) }

func latencyOf(h *hdrhistogram.Histogram) Latency {
	q := func(p float64) time.Duration { return time.Duration(h.ValueAtQuantile(p)) }
	return Latency{P50: q(50), P90: q(90), P99: q(99), P999: q(99.9), Max: time.Duration(h.Max())}
}
