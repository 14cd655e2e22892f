package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The limits of keys, values and what is committed at once, in bytes.
const (
	maxKey   = 64 << 10
	maxValue = 8 << 20
	maxBatch = 1 << 20 // it may be exceeded by one record
)

// A record is a header of 12 bytes, little endian, then the key and the value:
// the checksum of all that follows it, the length of the key, and that of the
// value, or removed.
const (
	headerSize = 12
	removed    = 1<<32 - 1
)

// tornMax is how much a crash can leave behind the last whole record: what one
// commit writes. More of what makes no sense is damage.
const tornMax = 2*maxBatch + headerSize + maxKey + maxValue

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// write is a change: a new value for a key, or its removal.
type write struct {
	key    string
	value  []byte
	remove bool
}

// recordSize is how many bytes a key and its value take in the log.
func recordSize(key string, value []byte) int64 { return int64(headerSize + len(key) + len(value)) }

// appendTo appends the record of a change to b.
func (w write) appendTo(b []byte) []byte {
	start, length := len(b), uint32(len(w.value))
	if w.remove {
		length = removed
	}
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(w.key)))
	b = binary.LittleEndian.AppendUint32(b, length)
	b = append(append(b, w.key...), w.value...)
	binary.LittleEndian.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
	return b
}

// errTorn says that what is left of a log begins with no whole record.
var errTorn = errors.New("no whole record")

// readRecord reads a record. The error is io.EOF at the end of the log, and
// errTorn for what is no record.
func readRecord(r *bufio.Reader) (w write, size int64, err error) {
	var header [headerSize]byte
	switch _, err := io.ReadFull(r, header[:]); {
	case err == io.ErrUnexpectedEOF:
		return w, 0, errTorn
	case err != nil:
		return w, 0, err
	}
	keyLen, valueLen := binary.LittleEndian.Uint32(header[4:]), binary.LittleEndian.Uint32(header[8:])
	w.remove = valueLen == removed
	if w.remove {
		valueLen = 0
	}
	// A key is never empty, so that zeros, which are what a crash leaves, are no
	// record.
	if keyLen == 0 || keyLen > maxKey || valueLen > maxValue {
		return w, 0, errTorn
	}
	body := make([]byte, keyLen+valueLen)
	switch _, err := io.ReadFull(r, body); {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return w, 0, errTorn
	case err != nil:
		return w, 0, err
	}
	sum := crc32.Update(crc32.Checksum(header[4:], castagnoli), castagnoli, body)
	if sum != binary.LittleEndian.Uint32(header[:]) {
		return w, 0, errTorn
	}
	w.key = string(body[:keyLen])
	if !w.remove {
		w.value = body[keyLen:]
	}
	return w, headerSize + int64(len(body)), nil
}

// replay reads a log of size bytes and calls apply with each change. It returns
// where the whole records end.
func replay(log io.Reader, size int64, apply func(write)) (end int64, err error) {
	r := bufio.NewReaderSize(log, 1<<20)
	for {
		w, n, err := readRecord(r)
		switch {
		case err == io.EOF:
			return end, nil
		case err == errTorn && size-end <= tornMax:
			return end, nil
		case err == errTorn:
			return end, fmt.Errorf("the log is damaged at offset %d: %d bytes follow, and a crash leaves %d at most; "+
				"to give up what is behind that, truncate it there", end, size-end, tornMax)
		case err != nil:
			return end, err
		}
		apply(w)
		end += n
	}
}
