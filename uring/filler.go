package uring

// FillerUserData is the user data of entries that this package fills because
// they were taken and have nothing to do: what is left of a Reservation, an
// operation that was refused the file it was given, and what lies before an entry
// of 128 bytes that would not fit at the end of a queue of mixed sizes. They are
// NOPs. Those of a reservation and of a queue of mixed sizes complete silently
// where the kernel can do that (IORING_FEAT_CQE_SKIP), unless they are refused or
// are cancelled with their chain. Their completions can be told by this value,
// which programs should not use for requests of their own.
const FillerUserData = ^uint64(0) - 1

// prepFiller makes the entry a NOP that nobody waits for.
func (s *SQE) prepFiller(flags SQEFlags) {
	*s = SQE{Opcode: IORING_OP_NOP, Fd: -1, Flags: flags, UserData: FillerUserData}
}

// Filler reports whether this is the completion of an entry that this package
// has filled, see FillerUserData.
func (c *CQE) Filler() bool { return c.UserData == FillerUserData }
