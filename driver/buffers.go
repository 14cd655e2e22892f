package driver

import "github.com/yamanote-go/yamanote/uring"

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

// NewBufferRing registers a group of entries buffers (a power of two, up to
// 32768) of size bytes each, of which the kernel gets the first filled.
func (d *Driver) NewBufferRing(group uint16, entries, size, filled int) (BufferRing, error) {
	b := &bufferRing{d: d}
	err := d.Use(func(r *uring.Ring) (err error) {
		b.BufRing, err = r.NewBufRing(uring.BufRingConfig{
			Group: group, Entries: entries, Size: size, Spare: entries - filled,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

type bufferRing struct {
	*uring.BufRing
	d *Driver
}

func (b *bufferRing) Close() error {
	err := b.d.Use(func(*uring.Ring) error { return b.BufRing.Close() })
	if err == ErrClosed {
		<-b.d.done // the ring is closed, or just being
		err = b.BufRing.Close()
	}
	return err
}
