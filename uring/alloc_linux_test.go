package uring

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
)

// TestNoAllocations: preparing, submitting, waiting and reaping allocate
// nothing, in rings of every shape and by every method.
func TestNoAllocations(t *testing.T) {
	forShapes(t, func(t *testing.T, s shape) {
		testkit.NeedKernel(t, 5, 11, "EXT_ARG")
		r := newRing(t, 4, Params{Flags: s.flags, SqThreadIdle: 10_000})
		var w Wait
		w.SetTimeout(hang)
		buf := make([]byte, 8)
		var dst [4]CQE
		var dst32 [4]CQE32
		taken := 0
		round := func(reap func()) func() {
			return func() {
				for r.SQ().Space() < 2 { // the thread of SQPOLL is a little late
					_, _ = r.Enter(0, 0, 0)
				}
				r.SQ().Next().PrepNop()
				r.SQ().Next().PrepRead(-1, buf, 0)
				if _, err := r.SubmitAndWait(1, time.Minute); err != nil {
					panic(err)
				}
				for enterWait(r, 2, 0, &w) != 0 {
				}
				reap()
			}
		}
		for name, reap := range map[string]func(){
			"Reap":   func() { taken += r.CQ().Reap(dst[:]) },
			"Reap32": func() { taken += r.CQ().Reap32(dst32[:]) },
			"All": func() {
				for range r.CQ().All() {
					taken++
				}
			},
			"All32": func() {
				for range r.CQ().All32() {
					taken++
				}
			},
			"Peek": func() {
				if _, ok := r.CQ().Peek(); !ok {
					panic("nothing")
				}
				if _, ok := r.CQ().Peek32(); !ok {
					panic("nothing")
				}
				taken += r.CQ().Reap(dst[:])
			},
		} {
			taken = 0
			require.Zero(t, testing.AllocsPerRun(50, round(reap)), name)
			require.Equal(t, 2*51, taken, name)
		}
	})
}
