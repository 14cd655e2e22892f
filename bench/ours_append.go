//go:build linux

package main

import (
	"github.com/yamanote-go/yamanote/proactor"
)

// openOurs opens our appender.
func openOurs(rt *proactor.Runtime, path string) (appender, error) {
	return openLocked(ourFiles(rt), path)
}
