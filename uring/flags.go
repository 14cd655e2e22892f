package uring

import (
	"strconv"
	"strings"
)

// flagName gives one bit of a flag word its name.
type flagName struct {
	bit  uint64
	name string
}

// flagNames is the table of one flag type, in ascending bit order. Every flag
// type of this package has exactly one, and its String method is one call.
type flagNames []flagName

// format lists the names of the bits set in v, joined by "|". Bits the table
// does not know are printed together in hexadecimal, and no bit at all is "0".
func (t flagNames) format(v uint64) string {
	if v == 0 {
		return "0"
	}
	var b strings.Builder
	for _, f := range t {
		if v&f.bit == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('|')
		}
		b.WriteString(f.name)
		v &^= f.bit
	}
	if v != 0 {
		if b.Len() > 0 {
			b.WriteByte('|')
		}
		b.WriteString("0x")
		b.WriteString(strconv.FormatUint(v, 16))
	}
	return b.String()
}

// enumName returns the name of v in a table indexed by value, or kind(v) for a
// value without a name.
func enumName(kind string, names []string, v uint64) string {
	if v < uint64(len(names)) && names[v] != "" {
		return names[v]
	}
	return kind + "(" + strconv.FormatUint(v, 10) + ")"
}
