package uring

import (
	"fmt"
	"iter"
	"strconv"
)

// Op is the opcode of a submission queue entry.
type Op uint8

// The opcodes. What each of them does, and since when, is in the table behind
// Info.
const (
	IORING_OP_NOP              Op = 0
	IORING_OP_READV            Op = 1
	IORING_OP_WRITEV           Op = 2
	IORING_OP_FSYNC            Op = 3
	IORING_OP_READ_FIXED       Op = 4
	IORING_OP_WRITE_FIXED      Op = 5
	IORING_OP_POLL_ADD         Op = 6
	IORING_OP_POLL_REMOVE      Op = 7
	IORING_OP_SYNC_FILE_RANGE  Op = 8
	IORING_OP_SENDMSG          Op = 9
	IORING_OP_RECVMSG          Op = 10
	IORING_OP_TIMEOUT          Op = 11
	IORING_OP_TIMEOUT_REMOVE   Op = 12
	IORING_OP_ACCEPT           Op = 13
	IORING_OP_ASYNC_CANCEL     Op = 14
	IORING_OP_LINK_TIMEOUT     Op = 15
	IORING_OP_CONNECT          Op = 16
	IORING_OP_FALLOCATE        Op = 17
	IORING_OP_OPENAT           Op = 18
	IORING_OP_CLOSE            Op = 19
	IORING_OP_FILES_UPDATE     Op = 20
	IORING_OP_STATX            Op = 21
	IORING_OP_READ             Op = 22
	IORING_OP_WRITE            Op = 23
	IORING_OP_FADVISE          Op = 24
	IORING_OP_MADVISE          Op = 25
	IORING_OP_SEND             Op = 26
	IORING_OP_RECV             Op = 27
	IORING_OP_OPENAT2          Op = 28
	IORING_OP_EPOLL_CTL        Op = 29
	IORING_OP_SPLICE           Op = 30
	IORING_OP_PROVIDE_BUFFERS  Op = 31
	IORING_OP_REMOVE_BUFFERS   Op = 32
	IORING_OP_TEE              Op = 33
	IORING_OP_SHUTDOWN         Op = 34
	IORING_OP_RENAMEAT         Op = 35
	IORING_OP_UNLINKAT         Op = 36
	IORING_OP_MKDIRAT          Op = 37
	IORING_OP_SYMLINKAT        Op = 38
	IORING_OP_LINKAT           Op = 39
	IORING_OP_MSG_RING         Op = 40
	IORING_OP_FSETXATTR        Op = 41
	IORING_OP_SETXATTR         Op = 42
	IORING_OP_FGETXATTR        Op = 43
	IORING_OP_GETXATTR         Op = 44
	IORING_OP_SOCKET           Op = 45
	IORING_OP_URING_CMD        Op = 46
	IORING_OP_SEND_ZC          Op = 47
	IORING_OP_SENDMSG_ZC       Op = 48
	IORING_OP_READ_MULTISHOT   Op = 49
	IORING_OP_WAITID           Op = 50
	IORING_OP_FUTEX_WAIT       Op = 51
	IORING_OP_FUTEX_WAKE       Op = 52
	IORING_OP_FUTEX_WAITV      Op = 53
	IORING_OP_FIXED_FD_INSTALL Op = 54
	IORING_OP_FTRUNCATE        Op = 55
	IORING_OP_BIND             Op = 56
	IORING_OP_LISTEN           Op = 57
	IORING_OP_RECV_ZC          Op = 58
	IORING_OP_EPOLL_WAIT       Op = 59
	IORING_OP_READV_FIXED      Op = 60
	IORING_OP_WRITEV_FIXED     Op = 61
	IORING_OP_PIPE             Op = 62
	IORING_OP_NOP128           Op = 63
	IORING_OP_URING_CMD128     Op = 64

	IORING_OP_LAST Op = 65 // one more than the last
)

// OpInfo describes one operation: its row in the table.
type OpInfo struct {
	Op        Op
	Name      string         // as in RECV
	Since     Version        // first release
	Result    ResultKind     // what a success returns
	Cancel    CancelKind     // what a cancellation can do
	Completes CompletionKind // how many completions there may be
	Wait      WaitKind       // whether it may take for ever, and what for
	Memory    Memory         // what the kernel touches until the last completion
}

// Multishot reports whether the operation has a form that completes many times.
func (i OpInfo) Multishot() bool { return i.Completes == CompletesOften }

// Waits reports whether the operation may wait without limit for a peer.
func (i OpInfo) Waits() bool { return i.Wait == WaitsForPeer }

// ReturnsFD reports whether a success hands over descriptors or slots, which
// somebody must close even if nobody wants the result any more.
func (i OpInfo) ReturnsFD() bool { return i.Result == ResultFD || i.Result == ResultFDPair }

// check reports a column that was left out.
func (i OpInfo) check() error {
	switch {
	case i.Name == "":
		return fmt.Errorf("operation %d has no name", uint8(i.Op))
	case !i.Since.AtLeast(Version{5, 1}):
		return fmt.Errorf("%s: no first release", i.Name)
	case i.Result.missing():
		return fmt.Errorf("%s: no kind of result", i.Name)
	case i.Cancel.missing():
		return fmt.Errorf("%s: no kind of cancellation", i.Name)
	case i.Completes.missing():
		return fmt.Errorf("%s: no kind of completion", i.Name)
	case i.Wait.missing():
		return fmt.Errorf("%s: no kind of waiting", i.Name)
	case i.Memory == 0:
		return fmt.Errorf("%s: no memory, not even MemNone", i.Name)
	case i.Memory&MemNone != 0 && i.Memory != MemNone:
		return fmt.Errorf("%s: MemNone beside other memory: %v", i.Name, i.Memory)
	case i.Memory&(MemNone|MemReads|MemWrites) == 0:
		return fmt.Errorf("%s: memory that is neither read nor written: %v", i.Name, i.Memory)
	}
	return nil
}

// checkOps reports the first fault of the table: a row that is missing, out of
// place or incomplete.
func checkOps() error {
	for op, info := range ops {
		if int(info.Op) != op {
			return fmt.Errorf("row %d describes operation %d", op, uint8(info.Op))
		}
		if err := info.check(); err != nil {
			return err
		}
	}
	return nil
}

// Info returns the description of the operation, and whether this package
// knows it.
func (o Op) Info() (OpInfo, bool) {
	if o >= IORING_OP_LAST {
		return OpInfo{}, false
	}
	return ops[o], true
}

// String returns the name of the operation, as in RECV.
func (o Op) String() string {
	if info, ok := o.Info(); ok {
		return info.Name
	}
	return "OP(" + strconv.Itoa(int(o)) + ")"
}

// Ops yields the description of every operation, in the order of the opcodes.
func Ops() iter.Seq[OpInfo] {
	return func(yield func(OpInfo) bool) {
		for _, info := range ops {
			if !yield(info) {
				return
			}
		}
	}
}
