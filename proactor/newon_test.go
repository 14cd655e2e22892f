package proactor

import "github.com/yamanote-go/yamanote/driver"

// NewOn returns a Runtime on drivers of a test's own.
func NewOn(drivers ...*driver.Driver) *Runtime {
	rt := &Runtime{}
	for _, d := range drivers {
		_ = rt.add(d) // which registers nothing with the ring
	}
	return rt
}
