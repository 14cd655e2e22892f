package uring

// FillerUserData is the user data of entries that this package fills because
// they were taken and have nothing to do: what is left of a Reservation, and an
// operation that was refused the file it was given. They are NOPs, and with
// IORING_FEAT_CQE_SKIP they complete silently; without, their completions can
// be told by it. Programs should not use this value for requests of their own.
const FillerUserData = ^uint64(0) - 1

// prepFiller makes the entry a NOP that nobody waits for.
func (s *SQE) prepFiller(flags SQEFlags) {
	*s = SQE{Opcode: IORING_OP_NOP, Fd: -1, Flags: flags, UserData: FillerUserData}
}

// Filler reports whether this is the completion of an entry that this package
// has filled, see FillerUserData.
func (c *CQE) Filler() bool { return c.UserData == FillerUserData }
