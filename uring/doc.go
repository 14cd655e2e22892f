// Package uring is a typed binding of Linux io_uring: rings, submission and
// completion queue entries, registration and probing, without cgo.
//
// It holds no policy, starts no goroutine and takes no lock. Package driver
// builds the event loop on top of it; a program that wants its own loop can
// use this package alone.
package uring
