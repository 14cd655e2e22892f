package main

import (
	"strings"

	"github.com/yamanote-go/yamanote/uring"
)

const (
	needed   = "has no ring and uses the standard library's way"
	noGroups = "`Shard.NewBufferGroup` fails, and names the release"
	noDirect = "has no ring, where a program asks for direct files"
	noArenas = "has no ring, where a program asks for arenas"
	noStream = "a stream of its kind fails with EINVAL"
)

// instead is what the library does on a kernel without a feature, for all that it
// uses. TestWhatIsUsedIsExplained keeps it complete.
var instead = map[string]string{
	"IORING_OP_NOP":           needed,
	"IORING_OP_READ":          needed,
	"IORING_OP_WRITE":         needed,
	"IORING_OP_FSYNC":         needed,
	"IORING_OP_OPENAT":        needed,
	"IORING_OP_CLOSE":         needed,
	"IORING_OP_RECV":          needed,
	"IORING_OP_SEND":          needed,
	"IORING_OP_ACCEPT":        needed,
	"IORING_OP_CONNECT":       needed,
	"IORING_OP_SHUTDOWN":      needed,
	"IORING_OP_POLL_ADD":      needed,
	"IORING_OP_TIMEOUT":       needed,
	"IORING_OP_ASYNC_CANCEL":  needed,
	"IORING_FEAT_SINGLE_MMAP": needed, "IORING_FEAT_NODROP": needed, "IORING_FEAT_SUBMIT_STABLE": needed,
	"IORING_FEAT_FAST_POLL": needed, "IORING_FEAT_EXT_ARG": needed,
	"IORING_FEAT_NO_IOWAIT": "sleeps all the same, and the system counts an idle driver as waiting for I/O",

	"IORING_SETUP_CQSIZE":       needed,
	"IORING_SETUP_CLAMP":        needed,
	"IORING_SETUP_R_DISABLED":   needed,
	"IORING_SETUP_SUBMIT_ALL":   "submits the rest of a batch again behind an entry that was refused",
	"IORING_SETUP_COOP_TASKRUN": "is interrupted for completions",
	"IORING_SETUP_TASKRUN_FLAG": "enters the kernel to learn of completions",
	"IORING_SETUP_NO_SQARRAY":   "fills the index array once",

	"IORING_ENTER_GETEVENTS":           needed,
	"IORING_ENTER_NO_IOWAIT":           "does not set it",
	"IORING_ENTER_EXT_ARG":             needed,
	"IORING_REGISTER_PROBE":            "not used; allowed on its rings",
	"IORING_REGISTER_ENABLE_RINGS":     needed,
	"IORING_REGISTER_RESTRICTIONS":     needed,
	"IORING_REGISTER_EVENTFD":          needed,
	"IORING_REGISTER_IOWQ_MAX_WORKERS": "leaves the number of workers to the kernel",
	"IORING_REGISTER_PBUF_RING":        noGroups,
	"IORING_UNREGISTER_PBUF_RING":      noGroups,

	"IORING_REGISTER_PERSONALITY":    needed,
	"IORING_UNREGISTER_PERSONALITY":  needed,
	"IORING_REGISTER_FILES2":         noDirect,
	"IORING_REGISTER_FILES_UPDATE":   needed,
	"IORING_REGISTER_BUFFERS2":       noArenas,
	"IORING_REGISTER_BUFFERS_UPDATE": noArenas,
	"IORING_RSRC_REGISTER_SPARSE":    "has no ring, where a program asks for direct files or arenas",
	"IORING_POLL_ADD_MULTI":          noStream,
	"IORING_ACCEPT_MULTISHOT":        noStream,
	"IORING_RECV_MULTISHOT":          noStream,

	"IORING_TIMEOUT_ABS":           needed,
	"IORING_TIMEOUT_REALTIME":      "fails with EINVAL, where a program asks for that clock",
	"IORING_TIMEOUT_MULTISHOT":     noStream,
	"IORING_OP_SEND_ZC":            copies,
	"IORING_OP_SENDMSG_ZC":         copies,
	"IORING_CQE_F_NOTIF":           copies,
	"IORING_SEND_ZC_REPORT_USAGE":  copies,
	"IORING_NOTIF_USAGE_ZC_COPIED": copies,
	"IORING_FSYNC_DATASYNC":        needed,
	"IORING_RECVSEND_POLL_FIRST":   "tries to receive first",
	"IORING_ACCEPT_POLL_FIRST":     "tries to accept first",
	"IORING_CQE_F_SOCK_NONEMPTY":   "tries to receive once more before it waits",
	"IORING_CQE_F_MORE":            needed,
	"IORING_SQ_CQ_OVERFLOW":        needed,
	"IORING_SQ_TASKRUN":            "enters the kernel to learn of completions",
	"IOSQE_FIXED_FILE":             needed,
	"IOSQE_IO_LINK":                needed,
	"IOSQE_IO_HARDLINK":            needed,
	"IOSQE_ASYNC":                  "not used; allowed to an Extra operation of a program",
	"IOSQE_BUFFER_SELECT":          needed,
}

// copies is said of what sending without copying needs.
const copies = "`net` copies what it sends; `proactor` refuses it or fails with EINVAL"

// offered is said of operations that only a program can ask for.
const offered = "`proactor` refuses it, and names the release"

const unused = "not used"

// without returns what the library does without a feature.
func without(name string) string {
	text, ok := instead[name]
	switch {
	case ok:
		return text
	case strings.HasPrefix(name, "IORING_OP_"):
		return offered
	}
	return unused
}

// refused are the operations that tests have seen refused only.
var refused = map[uring.Op]string{
	uring.IORING_OP_RECV_ZC: "refused here, for lack of a network card that splits headers from payload; " +
		"what it delivers is decoded from made-up completions (`TestZeroCopiedDecoding`)",
	uring.IORING_OP_NOP128:       "refused, as by every kernel before 6.19 and every ring with small entries",
	uring.IORING_OP_URING_CMD128: "refused, as by every kernel before 6.19 and every ring with small entries",
}

// untested are the features that no test names, with the reason.
var untested = map[string]string{
	"IORING_SETUP_IOPOLL":        "needs a disk with queues for polling",
	"IORING_SETUP_HYBRID_IOPOLL": "needs a disk with queues for polling",
	"IORING_URING_CMD_FIXED":     "needs a driver that takes it, as those of NVMe and ublk",
	"IORING_URING_CMD_MULTISHOT": "needs a driver that takes it, as that of ublk",
	"SPLICE_F_MORE":              "a hint whose effect cannot be seen",
	"SPLICE_F_GIFT":              "a hint whose effect cannot be seen",
}
