package proactor

import (
	"context"
	"errors"

	"github.com/yamanote-go/yamanote/driver"
)

// NewWith is New with rings of the caller's making, for tests: open is called
// once for each shard, and its ring is closed by the Runtime. The environment
// has no say.
func NewWith(cfg Config, open func(driver.Config) (driver.Ring, error)) (*Runtime, error) {
	cfg.Mode = ModeRing
	rt := &Runtime{cfg: cfg}
	for range max(cfg.Shards, 1) {
		ring, err := open(cfg.driver())
		if err == nil {
			var d *driver.Driver
			if d, err = driver.OpenWith(cfg.driver(), ring); err == nil {
				if err = rt.add(d); err == nil {
					continue
				}
			}
		}
		return nil, errors.Join(err, rt.closeDrivers(context.Background()))
	}
	return rt, nil
}
