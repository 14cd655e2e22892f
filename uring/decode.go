package uring

import "time"

// Copied reports whether this is the notification of a zero-copy send that has
// copied after all, as on the loopback device or where the network card cannot
// gather. Only a send with IORING_SEND_ZC_REPORT_USAGE tells; false says nothing
// of others.
func (c *CQE) Copied() bool {
	return c.Notif() && uint32(c.Res)&IORING_NOTIF_USAGE_ZC_COPIED != 0
}

// TxTimestamp is when a packet left, see PrepTxTimestamp.
type TxTimestamp struct {
	// Key tells which packet: a number that counts sends or, on a stream,
	// bytes, as SOF_TIMESTAMPING_OPT_ID of the socket says.
	Key uint32
	// Kind is what happened then: one of the SCM_TSTAMP_ numbers, 0 for leaving
	// to the network card, 1 for entering the packet scheduler, 2 for being
	// acknowledged.
	Kind uint16
	// Hardware is whether the network card took the time, by its own clock.
	Hardware bool
	Time     Timespec
}

// TxTimestamp takes a completion of PrepTxTimestamp apart, whose second half is
// extra. It reports false for one that tells no time: the last, whose result is
// an error.
func (c *CQE) TxTimestamp(extra [2]uint64) (TxTimestamp, bool) {
	if !c.More() {
		return TxTimestamp{}, false
	}
	return TxTimestamp{
		Key:      uint32(c.Res),
		Kind:     uint16(c.Flags >> IORING_TIMESTAMP_TYPE_SHIFT),
		Hardware: c.Flags&IORING_CQE_F_TSTAMP_HW != 0,
		Time:     Timespec{Sec: int64(extra[0]), Nsec: int64(extra[1])},
	}, true
}

// When returns the time that a clock of the system took; of Hardware it is the
// time of the network card.
func (t TxTimestamp) When() time.Time { return t.Time.Time() }

// ZeroCopied is where a completion of PrepRecvZC has put data.
type ZeroCopied struct {
	Area   uint16 // the id of the area
	Offset uint64 // in bytes, from the start of the area
	Len    uint32 // in bytes
}

// ZeroCopied takes a completion of PrepRecvZC apart, whose second half is extra.
// It reports false for one without data: the last. The data belong to the
// program until ZeroCopied.Refill gives them back. It takes a network card with
// header split to see one; this package has been tested with made-up ones only.
func (c *CQE) ZeroCopied(extra [2]uint64) (ZeroCopied, bool) {
	if c.Res <= 0 {
		return ZeroCopied{}, false
	}
	off := extra[0]
	return ZeroCopied{
		Area:   uint16(off >> IORING_ZCRX_AREA_SHIFT),
		Offset: off &^ IORING_ZCRX_AREA_MASK,
		Len:    uint32(c.Res),
	}, true
}

// Bytes returns the data, a part of the memory of the area, or nil if it does
// not lie in there.
func (z ZeroCopied) Bytes(area []byte) []byte {
	size := uint64(len(area))
	if z.Offset > size || uint64(z.Len) > size-z.Offset {
		return nil
	}
	end := z.Offset + uint64(z.Len)
	return area[z.Offset:end:end]
}

// Refill returns the entry of the refill ring that gives the data back, once;
// token is the ZCRXAreaReg.RqAreaToken that the kernel gave the area.
func (z ZeroCopied) Refill(token uint64) ZCRXRqe {
	return ZCRXRqe{Off: z.Offset | token, Len: z.Len}
}
