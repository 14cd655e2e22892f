package driver

// BufferRing is a ring of provided buffers that is registered with a driver's
// ring. It is not safe for concurrent use; see uring.BufRing.
type BufferRing interface {
	// Bytes returns the first n bytes of a buffer.
	Bytes(id uint16, n int) []byte

	// Add queues a buffer for the kernel, and Commit shows it those queued.
	Add(id uint16)
	Commit()

	// Close unregisters the ring, if the driver has not ended, and frees its
	// memory. No operation that uses it is under way.
	Close() error
}
