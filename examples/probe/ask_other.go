//go:build !linux

package main

import (
	"errors"

	"github.com/yamanote-go/yamanote/uring"
)

// noRing stands for the ring that there never is.
type noRing struct{}

func (noRing) Close() error { return nil }

// noOps is the empty set of operations.
type noOps struct{}

func (noOps) Has(uring.Op) bool { return false }

func newRing(p uring.Params) (*noRing, error) {
	_, err := uring.New(2, &p)
	if err == nil {
		err = errors.ErrUnsupported
	}
	return nil, err
}

func ask(*noRing) (noOps, bool) { return noOps{}, false }

func features(_ *noRing, query uring.QueryOpcode) uint64 { return query.FeatureFlags }
