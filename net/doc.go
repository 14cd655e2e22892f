// Package net is the standard library's net package on io_uring: the same
// names, the same errors, and sockets whose goroutines wait for a ring's
// completion instead of readiness.
//
// Listen, Dial and the types of sockets are replaced; what a socket needs to be
// configured or named is the standard library's own type under the same name.
// Where the runtime has no ring (see package proactor), sockets are the standard
// library's behind the same types.
//
//	l, err := net.Listen("tcp", "localhost:8080")
//	...
//	err = http.Serve(l, handler)
//
// TCP, UDP and Unix sockets of all kinds run on the ring; IPConn is the standard
// library's. docs/differences.md lists what differs from its package net. What
// this package has beyond it: Runtime and WriteBehind of ListenConfig and Dialer,
// Stats and Drain of listeners, ReadLease of stream connections, and batches and
// segmentation offloads of UDPConn.
package net

//go:generate go run ../internal/parity -root ..
