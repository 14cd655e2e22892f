package uring

import "math/bits"

// flagReleases holds the first release of every bit of a flag type, by bit
// number.
type flagReleases []Version

// newest returns the release that has all the bits of v, and whether the table
// knows all of them. No bits at all were there from the beginning.
func (t flagReleases) newest(v uint64) (Version, bool) {
	since := Version{5, 1}
	for ; v != 0; v &= v - 1 {
		bit := bits.TrailingZeros64(v)
		if bit >= len(t) {
			return Version{}, false
		}
		if t[bit].AtLeast(since) {
			since = t[bit]
		}
	}
	return since, true
}

var setupSince = flagReleases{
	{5, 1}, {5, 1}, {5, 1}, // IOPOLL, SQPOLL, SQ_AFF
	{5, 5}, {5, 6}, {5, 6}, {5, 10}, // CQSIZE, CLAMP, ATTACH_WQ, R_DISABLED
	{5, 18}, {5, 19}, {5, 19}, {5, 19}, {5, 19}, // SUBMIT_ALL, COOP_TASKRUN, TASKRUN_FLAG, SQE128, CQE32
	{6, 0}, {6, 1}, {6, 5}, {6, 5}, {6, 6}, // SINGLE_ISSUER, DEFER_TASKRUN, NO_MMAP, REGISTERED_FD_ONLY, NO_SQARRAY
	{6, 13}, {6, 18}, {6, 19}, {7, 0}, // HYBRID_IOPOLL, CQE_MIXED, SQE_MIXED, SQ_REWIND
}

// Since returns the first release that knows all of the flags, and whether this
// package does.
func (f SetupFlags) Since() (Version, bool) { return setupSince.newest(uint64(f)) }

var featuresSince = flagReleases{
	{5, 4}, {5, 5}, {5, 5}, {5, 6}, {5, 6}, {5, 7}, // SINGLE_MMAP to FAST_POLL
	{5, 9}, {5, 11}, {5, 11}, {5, 12}, {5, 13}, // POLL_32BITS to RSRC_TAGS
	{5, 17}, {5, 17}, {6, 3}, {6, 10}, {6, 12}, // CQE_SKIP to MIN_TIMEOUT
	{6, 14}, {6, 15}, // RW_ATTR, NO_IOWAIT
}

// Since returns the first release that has all of the features, and whether this
// package knows them.
func (f Features) Since() (Version, bool) { return featuresSince.newest(uint64(f)) }

var enterSince = flagReleases{
	{5, 1}, {5, 1}, {5, 10}, {5, 11}, // GETEVENTS, SQ_WAKEUP, SQ_WAIT, EXT_ARG
	{5, 18}, {6, 12}, {6, 13}, {6, 15}, // REGISTERED_RING, ABS_TIMER, EXT_ARG_REG, NO_IOWAIT
}

// Since returns the first release that knows all of the flags, and whether this
// package does.
func (f EnterFlags) Since() (Version, bool) { return enterSince.newest(uint64(f)) }

var sqeSince = flagReleases{
	{5, 1}, {5, 2}, {5, 3}, {5, 5}, // FIXED_FILE, IO_DRAIN, IO_LINK, IO_HARDLINK
	{5, 6}, {5, 7}, {5, 17}, // ASYNC, BUFFER_SELECT, CQE_SKIP_SUCCESS
}

// Since returns the first release that knows all of the flags, and whether this
// package does.
func (f SQEFlags) Since() (Version, bool) { return sqeSince.newest(uint64(f)) }
