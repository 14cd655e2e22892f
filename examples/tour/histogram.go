package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in classes that are at most 6 % wide.
type histogram struct {
	classes [64 * perDouble]uint32
	total   int64
}

// perDouble is the number of classes between a duration and twice as much.
const perDouble = 16

// class returns the class of a duration: the place of its highest bit and the
// four bits that follow.
func class(d time.Duration) int {
	v := uint64(max(d, 1))
	if v < perDouble {
		return int(v)
	}
	shift := bits.Len64(v) - 5
	return (shift+1)*perDouble + int(v>>shift)&(perDouble-1)
}

// middle returns a duration in the middle of a class.
func middle(class int) time.Duration {
	if class < perDouble {
		return time.Duration(class)
	}
	shift := class/perDouble - 1
	low := uint64(perDouble+class%perDouble) << shift
	return time.Duration(low + uint64(1)<<shift/2)
}

func (h *histogram) add(d time.Duration) {
	h.classes[class(d)]++
	h.total++
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.classes {
		h.classes[i] += n
	}
	h.total += o.total
}

// quantile returns the duration below which a share of all are.
func (h *histogram) quantile(share float64) time.Duration {
	rest := int64(share * float64(h.total))
	for i, n := range h.classes {
		if rest -= int64(n); rest < 0 {
			return middle(i)
		}
	}
	return 0
}

// result sums up a round.
func (h *histogram) result(elapsed time.Duration) result {
	return result{Operations: h.total, Elapsed: elapsed, P50: h.quantile(0.5), P99: h.quantile(0.99)}
}
