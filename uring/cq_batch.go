package uring

import "iter"

// Batches yields the completions that are ready in as few pieces as buf allows,
// each copied into buf and valid until the next, and ends when there are none
// left. The slots of a piece are given back with a single store, before it is
// yielded. It makes no system call.
func (q *CompletionQueue) Batches(buf []CQE) iter.Seq[[]CQE] {
	return func(yield func([]CQE) bool) {
		for n := q.Reap(buf); n > 0; n = q.Reap(buf) {
			if !yield(buf[:n]) {
				return
			}
		}
	}
}
