package uring

import "strconv"

// Version is a Linux release: the first two numbers of its name. It serves
// messages and documentation; whether something works is asked of the running
// kernel, never concluded from its version.
type Version struct {
	Major, Minor int
}

// String returns the version as in "6.18".
func (v Version) String() string {
	return strconv.Itoa(v.Major) + "." + strconv.Itoa(v.Minor)
}

// AtLeast reports whether v is the release o or a later one.
func (v Version) AtLeast(o Version) bool {
	if v.Major != o.Major {
		return v.Major > o.Major
	}
	return v.Minor >= o.Minor
}
