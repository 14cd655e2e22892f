package driver

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"strings"
)

// Histogram counts values by their size, in buckets that double: the first
// counts zeros, the second ones, the third 2 and 3, the next 4 to 7, and so on.
// The last counts all that is larger than the one before.
type Histogram [histogramBuckets]uint64

const histogramBuckets = 28

// bucketOf returns the index of the bucket that a value belongs to.
func bucketOf(v uint64) int { return min(bits.Len64(v), histogramBuckets-1) }

// Bucket returns the smallest and the largest value that the i-th bucket
// counts, from 0 on. The last has no largest: that is the largest uint64.
func (h Histogram) Bucket(i int) (low, high uint64) {
	switch {
	case i == 0:
		return 0, 0
	case i == histogramBuckets-1:
		return 1 << (i - 1), ^uint64(0)
	}
	return 1 << (i - 1), 1<<i - 1
}

// Count returns how many values were counted.
func (h Histogram) Count() uint64 {
	var n uint64
	for _, c := range h {
		n += c
	}
	return n
}

// Quantile returns a value that the fraction q, from 0 to 1, of the values does
// not exceed: the largest of its bucket, so at most twice too large. It is 0 if
// nothing was counted, and for the last bucket its smallest value.
func (h Histogram) Quantile(q float64) uint64 {
	rest := uint64(q * float64(h.Count()))
	for i, c := range h {
		if c > 0 && c >= rest {
			low, high := h.Bucket(i)
			if i == histogramBuckets-1 {
				return low
			}
			return high
		}
		rest -= min(c, rest)
	}
	return 0
}

// plus returns the sum of two histograms.
func (h Histogram) plus(o Histogram) Histogram {
	for i, c := range o {
		h[i] += c
	}
	return h
}

// minus returns what was counted since o was taken.
func (h Histogram) minus(o Histogram) Histogram {
	for i, c := range o {
		h[i] -= c
	}
	return h
}

// String lists the buckets that are not empty: "1:5 2-3:7".
func (h Histogram) String() string {
	var parts []string
	for i, c := range h {
		if c > 0 {
			parts = append(parts, fmt.Sprintf("%s:%d", h.Label(i), c))
		}
	}
	return strings.Join(parts, " ")
}

// Label returns the range of the i-th bucket in words: "1", "2-3", "67108864+".
func (h Histogram) Label(i int) string {
	low, high := h.Bucket(i)
	switch {
	case low == high:
		return fmt.Sprint(low)
	case i == histogramBuckets-1:
		return fmt.Sprintf("%d+", low)
	}
	return fmt.Sprintf("%d-%d", low, high)
}

// jsonBucket is a bucket as MarshalJSON writes it.
type jsonBucket struct {
	Min   uint64 `json:"min"`
	Count uint64 `json:"count"`
}

// MarshalJSON returns the buckets that are not empty, in ascending order, each
// with the smallest value that it counts: [{"min":2,"count":7}].
func (h Histogram) MarshalJSON() ([]byte, error) {
	list := []jsonBucket{}
	for i, c := range h {
		if c > 0 {
			low, _ := h.Bucket(i)
			list = append(list, jsonBucket{low, c})
		}
	}
	return json.Marshal(list)
}

// UnmarshalJSON is the opposite of MarshalJSON.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var list []jsonBucket
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*h = Histogram{}
	for _, b := range list {
		i := bucketOf(b.Min)
		if low, _ := h.Bucket(i); low != b.Min {
			return fmt.Errorf("driver: no histogram bucket begins with %d", b.Min)
		}
		h[i] += b.Count
	}
	return nil
}
