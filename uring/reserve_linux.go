package uring

// Reserve takes n entries of the submission queue that are submitted one behind
// the other, all or none: it fails with ErrQueueFull if there is no room for all
// of them now, and with ErrReserved while another reservation is open. n must be
// at least 1 and at most the size of the queue.
//
// Entries that are not used complete silently where the kernel can do that
// (IORING_FEAT_CQE_SKIP), which has a price: a ring that has seen one such
// entry refuses IOSQE_IO_DRAIN from then on, with EOPNOTSUPP. ReserveAudible
// is for rings that use it.
func (r *Ring) Reserve(n int) (Reservation, error) {
	var flags SQEFlags
	if r.params.Features&IORING_FEAT_CQE_SKIP != 0 {
		flags = IOSQE_CQE_SKIP_SUCCESS
	}
	return r.sq.reserve(n, flags)
}

// ReserveAudible is Reserve with entries that complete if they are not used:
// CQE.Filler tells.
func (r *Ring) ReserveAudible(n int) (Reservation, error) { return r.sq.reserve(n, 0) }
