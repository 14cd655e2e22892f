package uring

// The functions from here on prepare an entry as the Prep methods do, and the
// rules of those hold for them: the entry is cleared first, memory must stay
// valid until the last completion, and results and releases are the same. What
// they add is that the type of what is passed chooses the form of the
// operation, instead of the name of the method and flags set by hand: the File,
// the buffer and the Target of a new file.
//
// They are functions because Go has no generic methods. Operations that name
// neither a file nor a buffer nor make a file have no second form.
//
// Those that return an error do so for a file that they cannot take, and turn
// the entry, which has been taken already, into a filler: see FillerUserData.

// ReadBuffer is what can be read into: plain memory, a registered buffer or a
// part of it, several pieces of either, or whichever provided buffer the
// kernel picks.
type ReadBuffer interface {
	[]byte | FixedBuf | []Iovec | FixedVector | Selection
}

// WriteBuffer is what can be written: plain memory, a registered buffer or a
// part of it, or several pieces of either.
type WriteBuffer interface {
	[]byte | FixedBuf | []Iovec | FixedVector
}

// Read reads at an offset into whatever kind of buffer it is given: it is
// IORING_OP_READ for plain memory and provided buffers, READ_FIXED, READV or
// READV_FIXED (6.15) for the others. CurrentPosition is the file's position.
// The RWF_ flags of preadv2(2) go into SQE.OpFlags afterwards.
func Read[B ReadBuffer](s *SQE, f File, buf B, off uint64) {
	switch b := any(buf).(type) {
	case []byte:
		s.PrepRead(0, b, off)
	case FixedBuf:
		s.PrepReadFixed(0, b.b, off, b.index)
	case []Iovec:
		*s = SQE{Opcode: IORING_OP_READV, Off: off}
		s.setIovec(b)
	case FixedVector:
		*s = SQE{Opcode: IORING_OP_READV_FIXED, Off: off, BufIndex: b.index}
		s.setIovec(b.iov)
	case Selection:
		*s = SQE{Opcode: IORING_OP_READ, Off: off}
		s.setSelection(b)
	}
	s.setFile(f)
}

// Write writes at an offset from whatever kind of buffer it is given: it is
// IORING_OP_WRITE for plain memory, WRITE_FIXED, WRITEV or WRITEV_FIXED (6.15)
// for the others. CurrentPosition is the file's position. The RWF_ flags of
// pwritev2(2) go into SQE.OpFlags afterwards.
func Write[B WriteBuffer](s *SQE, f File, buf B, off uint64) {
	switch b := any(buf).(type) {
	case []byte:
		s.PrepWrite(0, b, off)
	case FixedBuf:
		s.PrepWriteFixed(0, b.b, off, b.index)
	case []Iovec:
		*s = SQE{Opcode: IORING_OP_WRITEV, Off: off}
		s.setIovec(b)
	case FixedVector:
		*s = SQE{Opcode: IORING_OP_WRITEV_FIXED, Off: off, BufIndex: b.index}
		s.setIovec(b.iov)
	}
	s.setFile(f)
}

// ReadMultishot is PrepReadMultishot. The kernel refuses a Selection with a Max.
func ReadMultishot(s *SQE, f File, sel Selection, off uint64) {
	s.PrepReadMultishot(0, off, sel.Group)
	s.Len = sel.Max
	s.setFile(f)
}

// Splice is PrepSplice. SPLICE_F_FD_IN_FIXED is set as the source demands.
func Splice(s *SQE, in File, offIn int64, out File, offOut int64, n uint32, flags SpliceFlags) {
	s.PrepSplice(in.Number(), offIn, 0, offOut, n, spliceSource(in, flags))
	s.setFile(out)
}

// Tee is PrepTee. SPLICE_F_FD_IN_FIXED is set as the source demands.
func Tee(s *SQE, in, out File, n uint32, flags SpliceFlags) {
	s.PrepTee(in.Number(), 0, n, spliceSource(in, flags))
	s.setFile(out)
}

// spliceSource returns the flags with the one that says what the source is.
func spliceSource(in File, flags SpliceFlags) SpliceFlags {
	if in.Registered() {
		return flags | SPLICE_F_FD_IN_FIXED
	}
	return flags &^ SPLICE_F_FD_IN_FIXED
}
