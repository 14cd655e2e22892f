package sys

import "unsafe"

// Stripes is the number of values of Stripe.
const Stripes = 8

// Stripe returns a number below Stripes that goroutines running at the same
// time mostly do not share: it is taken from where the caller's stack lies.
// Counters that are kept in as many parts do not bounce between processors.
func Stripe() int {
	var here byte
	const golden = 0x9E3779B1 // spreads the addresses' regular distances
	return int(uint32(uintptr(unsafe.Pointer(&here))>>11) * golden >> 29)
}
