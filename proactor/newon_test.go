package proactor

import "github.com/yamanote-go/yamanote/driver"

// NewOn returns a Runtime on drivers of a test's own.
func NewOn(drivers ...*driver.Driver) *Runtime {
	rt := &Runtime{drivers: drivers}
	rt.judge(drivers[0].Info())
	return rt
}
