package main

import "github.com/yamanote-go/yamanote/uring"

func newRing(p uring.Params) (*uring.Ring, error) { return uring.New(2, &p) }

// ask returns the operations that the kernel supports, if there is a ring to ask
// through.
func ask(ring *uring.Ring) (uring.OpSet, bool) {
	if ring == nil {
		return uring.OpSet{}, false
	}
	ops, err := ring.Probe()
	return ops, err == nil
}

// features returns those that the kernel reports.
func features(ring *uring.Ring, query uring.QueryOpcode) uint64 {
	if ring != nil {
		return uint64(ring.Features())
	}
	return query.FeatureFlags
}
