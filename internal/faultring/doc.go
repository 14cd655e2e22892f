// Package faultring is a ring in plain Go behind driver.Ring, which does to a
// driver what the kernel may do: it completes late, in another order, partly or
// not at all, refuses entries, runs out of room, loses cancellations, cancels
// what nobody wanted cancelled, and repeats itself. What it does, and when, is
// drawn from a seed, so that a failure can be had again.
//
// It models files, connected streams, listeners, polls, timeouts, cancellation,
// chains, and receives into provided buffers; objects have descriptors of its
// own, far above those of a process. It reaches memory by the addresses in the
// entries, writes into it at any moment until the terminal completion, reads it
// at the last, and reports memory that the garbage collector got before. What
// must never happen it collects in Violations.
//
// All time is that of package time, so that the ring lives in a bubble of
// testing/synctest. If every goroutine that uses the ring lets some time pass
// before each thing it does, drawn at random so that no two do something in the
// same instant, then one seed gives one run; Trace tells two runs apart. Without
// that a seed still gives the same faults, but the goroutines interleave as they
// like.
package faultring
