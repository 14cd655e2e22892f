package uring

// ResultKind is what a non-negative CQE.Res of an operation means.
type ResultKind uint8

// The kinds of results. The zero value is no kind.
const (
	ResultZero   ResultKind = iota + 1 // nothing: always 0
	ResultCount                        // bytes or items, which may be fewer than asked for
	ResultFD                           // a descriptor; with a direct target the slot or 0
	ResultFDPair                       // nothing, but two descriptors were stored in memory
	ResultEvents                       // a poll mask
	ResultIndex                        // which one of several
	ResultExpiry                       // -ETIME when the time is up, 0 when it ended before
	ResultValue                        // whatever the command says
)

var resultNames = []string{"", "zero", "count", "fd", "fd pair", "events", "index", "expiry", "value"}

func (k ResultKind) missing() bool { return k == 0 || k > ResultValue }

// String returns the kind in words.
func (k ResultKind) String() string { return enumName("ResultKind", resultNames, uint64(k)) }

// CancelKind is what a cancellation finds when it looks for an operation that
// is under way.
type CancelKind uint8

// The kinds of cancellation. The zero value is no kind.
const (
	// CancelNone is for operations that finish while they are submitted: there
	// is nothing left to cancel.
	CancelNone CancelKind = iota + 1
	// CancelWaits is for operations that wait for an event: a cancellation
	// ends them with ECANCELED.
	CancelWaits
	// CancelWorker is for operations that run in a worker of the kernel. One
	// that has not begun ends with ECANCELED; one that has begun is only
	// interrupted (the cancellation gets EALREADY) and may well succeed.
	CancelWorker
	// CancelByFile is for operations that wait like CancelWaits on a socket, a
	// pipe or another file that can be polled, and behave like CancelWorker,
	// or cannot be cancelled at all, on the rest.
	CancelByFile
	// CancelWithLink is for operations that end with the request they are
	// linked to. Cancel that one.
	CancelWithLink
)

var cancelKindNames = []string{"", "none", "waits", "worker", "by file", "with link"}

func (k CancelKind) missing() bool { return k == 0 || k > CancelWithLink }

// String returns the kind in words.
func (k CancelKind) String() string { return enumName("CancelKind", cancelKindNames, uint64(k)) }

// CompletionKind is how many completions one submission can cause. However
// many there are, the last is the one without IORING_CQE_F_MORE.
type CompletionKind uint8

// The kinds of completion. The zero value is no kind.
const (
	CompletesOnce  CompletionKind = iota + 1 // one
	CompletesTwice                           // the result, then the notification of a zero-copy send
	CompletesOften                           // one, or any number in the multishot form
)

var completionNames = []string{"", "once", "twice", "often"}

func (k CompletionKind) missing() bool { return k == 0 || k > CompletesOften }

// String returns the kind in words.
func (k CompletionKind) String() string {
	return enumName("CompletionKind", completionNames, uint64(k))
}

// WaitKind is what an operation may have to wait for.
type WaitKind uint8

// The kinds of waiting. The zero value is no kind.
const (
	WaitsNever    WaitKind = iota + 1 // ends by itself, though a device may take its time
	WaitsForClock                     // ends when its time is up
	WaitsForPeer                      // ends when somebody else does something, perhaps never
)

var waitNames = []string{"", "never", "for clock", "for peer"}

func (k WaitKind) missing() bool { return k == 0 || k > WaitsForPeer }

// String returns the kind in words.
func (k WaitKind) String() string { return enumName("WaitKind", waitNames, uint64(k)) }

// Memory says which memory of the program an operation uses, until its last
// completion. MemReads and MemWrites are the direction, seen from the kernel;
// the other bits are the form of what the addresses point to. An operation
// that takes registered or provided buffers uses those instead of its own.
type Memory uint32

// The memory of operations.
const (
	MemNone       Memory = 1 << iota // none at all; explicit, so that no row forgets
	MemReads                         // the kernel reads
	MemWrites                        // the kernel writes
	MemBuffer                        // plain bytes
	MemIovec                         // an array of Iovec, and the bytes they point to
	MemMsghdr                        // a msghdr and all that it points to
	MemSockaddr                      // a socket address, and its length if that is an address
	MemPath                          // a path, or two, ending in a zero byte
	MemTimespec                      // a Timespec
	MemOpenHow                       // an OpenHow
	MemStatx                         // a statx
	MemSiginfo                       // a siginfo
	MemFutex                         // the futex word, or the FutexWaitv array and theirs
	MemEpollEvent                    // an epoll_event, or an array
	MemFDs                           // an array of int32 descriptors
	MemXattr                         // the name and value of an attribute
	MemProvided                      // bytes the kernel keeps after the completion, to hand out later
	MemCommand                       // whatever the command needs
)

var memoryNames = flagNames{
	{uint64(MemNone), "none"},
	{uint64(MemReads), "reads"},
	{uint64(MemWrites), "writes"},
	{uint64(MemBuffer), "buffer"},
	{uint64(MemIovec), "iovec"},
	{uint64(MemMsghdr), "msghdr"},
	{uint64(MemSockaddr), "sockaddr"},
	{uint64(MemPath), "path"},
	{uint64(MemTimespec), "timespec"},
	{uint64(MemOpenHow), "open_how"},
	{uint64(MemStatx), "statx"},
	{uint64(MemSiginfo), "siginfo"},
	{uint64(MemFutex), "futex"},
	{uint64(MemEpollEvent), "epoll_event"},
	{uint64(MemFDs), "fds"},
	{uint64(MemXattr), "xattr"},
	{uint64(MemProvided), "provided"},
	{uint64(MemCommand), "command"},
}

// String lists the memory in words.
func (m Memory) String() string { return memoryNames.format(uint64(m)) }
