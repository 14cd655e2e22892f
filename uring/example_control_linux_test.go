package uring_test

import (
	"errors"
	"fmt"

	"github.com/yamanote-go/yamanote/uring"
)

// Control messages are written for a send and read after a receive.
func ExampleControlMessages() {
	const solSocket, scmRights = 1, 1
	control := uring.AppendControl(nil, solSocket, scmRights, []byte{5, 0, 0, 0})
	control = uring.AppendControl(control, solSocket, scmRights, []byte{6, 0, 0, 0})

	for m := range uring.ControlMessages(control) {
		if m.Level == solSocket && m.Type == scmRights {
			fmt.Println("descriptor", m.Data[0])
		}
	}
	// Output:
	// descriptor 5
	// descriptor 6
}

// An error of Require says which kernel a program needs.
func ExampleOpSet_Require() {
	var none uring.OpSet // of a ring: Ring.Probe
	err := none.Require(uring.IORING_OP_EPOLL_WAIT)

	var missing *uring.UnsupportedError
	if errors.As(err, &missing) {
		fmt.Println(missing.Op, "needs Linux", missing.Since)
	}
	fmt.Println(errors.Is(err, errors.ErrUnsupported))
	// Output:
	// EPOLL_WAIT needs Linux 6.15
	// true
}
