package uring

import "fmt"

// FileUse is which kinds of files an operation can be given.
type FileUse uint8

// The ways to use a file. The zero value is none of them.
const (
	FileNone       FileUse = iota + 1 // works on no file that a File could name
	FileEither                        // a descriptor or a registered file
	FileDescriptor                    // a descriptor only; for paths also AtCWD
	FileSlot                          // a registered file only
)

var fileUseNames = []string{"", "none", "descriptor or slot", "descriptor", "slot"}

func (u FileUse) missing() bool { return u == 0 || u > FileSlot }

// String returns the use in words.
func (u FileUse) String() string { return enumName("FileUse", fileUseNames, uint64(u)) }

// FileUse returns which kinds of files the operation can be given, and whether
// this package knows the operation.
func (o Op) FileUse() (FileUse, bool) {
	if o >= IORING_OP_LAST {
		return 0, false
	}
	return fileUses[o], true
}

// checkFileUses reports the first operation that the table leaves out.
func checkFileUses() error {
	for op, use := range fileUses {
		if use.missing() {
			return fmt.Errorf("%v: no kind of file, not even FileNone", Op(op))
		}
	}
	return nil
}

// fileUses is a column of the table of operations. The kernel takes a slot
// where an operation works on a file itself, and a descriptor where it works on
// a path, or on a process's table of descriptors.
var fileUses = [IORING_OP_LAST]FileUse{
	IORING_OP_NOP:              FileNone,
	IORING_OP_READV:            FileEither,
	IORING_OP_WRITEV:           FileEither,
	IORING_OP_FSYNC:            FileEither,
	IORING_OP_READ_FIXED:       FileEither,
	IORING_OP_WRITE_FIXED:      FileEither,
	IORING_OP_POLL_ADD:         FileEither,
	IORING_OP_POLL_REMOVE:      FileNone,
	IORING_OP_SYNC_FILE_RANGE:  FileEither,
	IORING_OP_SENDMSG:          FileEither,
	IORING_OP_RECVMSG:          FileEither,
	IORING_OP_TIMEOUT:          FileNone,
	IORING_OP_TIMEOUT_REMOVE:   FileNone,
	IORING_OP_ACCEPT:           FileEither,
	IORING_OP_ASYNC_CANCEL:     FileEither, // by a flag of its own
	IORING_OP_LINK_TIMEOUT:     FileNone,
	IORING_OP_CONNECT:          FileEither,
	IORING_OP_FALLOCATE:        FileEither,
	IORING_OP_OPENAT:           FileDescriptor,
	IORING_OP_CLOSE:            FileEither, // by the file index
	IORING_OP_FILES_UPDATE:     FileNone,
	IORING_OP_STATX:            FileDescriptor,
	IORING_OP_READ:             FileEither,
	IORING_OP_WRITE:            FileEither,
	IORING_OP_FADVISE:          FileEither,
	IORING_OP_MADVISE:          FileNone,
	IORING_OP_SEND:             FileEither,
	IORING_OP_RECV:             FileEither,
	IORING_OP_OPENAT2:          FileDescriptor,
	IORING_OP_EPOLL_CTL:        FileDescriptor, // both
	IORING_OP_SPLICE:           FileEither,     // both, the source by a flag of its own
	IORING_OP_PROVIDE_BUFFERS:  FileNone,
	IORING_OP_REMOVE_BUFFERS:   FileNone,
	IORING_OP_TEE:              FileEither, // both, the source by a flag of its own
	IORING_OP_SHUTDOWN:         FileEither,
	IORING_OP_RENAMEAT:         FileDescriptor, // both
	IORING_OP_UNLINKAT:         FileDescriptor,
	IORING_OP_MKDIRAT:          FileDescriptor,
	IORING_OP_SYMLINKAT:        FileDescriptor,
	IORING_OP_LINKAT:           FileDescriptor, // both
	IORING_OP_MSG_RING:         FileEither,
	IORING_OP_FSETXATTR:        FileEither,
	IORING_OP_SETXATTR:         FileNone,
	IORING_OP_FGETXATTR:        FileEither,
	IORING_OP_GETXATTR:         FileNone,
	IORING_OP_SOCKET:           FileNone,
	IORING_OP_URING_CMD:        FileEither,
	IORING_OP_SEND_ZC:          FileEither,
	IORING_OP_SENDMSG_ZC:       FileEither,
	IORING_OP_READ_MULTISHOT:   FileEither,
	IORING_OP_WAITID:           FileNone,
	IORING_OP_FUTEX_WAIT:       FileNone,
	IORING_OP_FUTEX_WAKE:       FileNone,
	IORING_OP_FUTEX_WAITV:      FileNone,
	IORING_OP_FIXED_FD_INSTALL: FileSlot,
	IORING_OP_FTRUNCATE:        FileEither,
	IORING_OP_BIND:             FileEither,
	IORING_OP_LISTEN:           FileEither,
	IORING_OP_RECV_ZC:          FileEither,
	IORING_OP_EPOLL_WAIT:       FileEither,
	IORING_OP_READV_FIXED:      FileEither,
	IORING_OP_WRITEV_FIXED:     FileEither,
	IORING_OP_PIPE:             FileNone,
	IORING_OP_NOP128:           FileNone,
	IORING_OP_URING_CMD128:     FileEither,
}
