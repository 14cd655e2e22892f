//go:build !linux

package uring

import (
	"errors"
	"fmt"
	"runtime"
)

// errNoRing is returned by everything that needs a kernel with io_uring.
var errNoRing = fmt.Errorf("uring: %s has no io_uring: %w", runtime.GOOS, errors.ErrUnsupported)

// Ring is an io_uring instance. There are none on this operating system.
type Ring struct{}

// New fails: this operating system has no io_uring.
func New(entries uint32, p *Params) (*Ring, error) { return nil, errNoRing }

// Query fails: this operating system has no io_uring.
func Query() (QueryOpcode, error) { return QueryOpcode{}, errNoRing }

// NewInMemory fails: this operating system has no io_uring.
func NewInMemory(entries uint32, p *Params, mem []byte) (*Ring, error) { return nil, errNoRing }

// QueryZcrxInfo fails: this operating system has no io_uring.
func QueryZcrxInfo() (QueryZcrx, error) { return QueryZcrx{}, errNoRing }

// QueryScqInfo fails: this operating system has no io_uring.
func QueryScqInfo() (QueryScq, error) { return QueryScq{}, errNoRing }

// SendMsgRing fails: this operating system has no io_uring.
func SendMsgRing(target int, userData uint64, res uint32) error { return errNoRing }

// RestrictTask fails: this operating system has no io_uring.
func RestrictTask(list []Restriction) error { return errNoRing }
