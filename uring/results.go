package uring

import (
	"io/fs"
	"runtime"
	"strings"
	"structs"
	"time"
	"unsafe"
)

// StatxTime is a point in time in a StatxResult.
type StatxTime struct {
	_    structs.HostLayout
	Sec  int64
	Nsec uint32
	Pad  int32
}

// Time returns the point in time.
func (t StatxTime) Time() time.Time { return time.Unix(t.Sec, int64(t.Nsec)) }

// StatxResult is what PrepStatx fills, as statx(2) does: allocate it with new and
// pass Memory. Mask tells which fields the kernel has filled.
type StatxResult struct {
	_              structs.HostLayout
	Mask           uint32 // STATX_ bits
	Blksize        uint32
	Attributes     uint64
	Nlink          uint32
	UID            uint32
	GID            uint32
	Mode           uint16
	Pad1           uint16
	Ino            uint64
	Size           uint64
	Blocks         uint64 // of 512 bytes
	AttributesMask uint64
	Atime          StatxTime
	Btime          StatxTime
	Ctime          StatxTime
	Mtime          StatxTime
	RdevMajor      uint32
	RdevMinor      uint32
	DevMajor       uint32
	DevMinor       uint32
	MntID          uint64
	DioMemAlign    uint32
	DioOffsetAlign uint32
	Rest           [12]uint64 // what newer kernels have added
}

// Memory returns the address of the result, for PrepStatx.
func (s *StatxResult) Memory() unsafe.Pointer { return unsafe.Pointer(s) }

// FileMode returns the kind and permissions of the file in the form of package
// io/fs.
func (s *StatxResult) FileMode() fs.FileMode {
	mode := fs.FileMode(s.Mode & 0o777)
	switch s.Mode & 0o170000 {
	case 0o010000:
		mode |= fs.ModeNamedPipe
	case 0o020000:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case 0o040000:
		mode |= fs.ModeDir
	case 0o060000:
		mode |= fs.ModeDevice
	case 0o120000:
		mode |= fs.ModeSymlink
	case 0o140000:
		mode |= fs.ModeSocket
	}
	for bit, m := range map[uint16]fs.FileMode{
		0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky,
	} {
		if s.Mode&bit != 0 {
			mode |= m
		}
	}
	return mode
}

// Siginfo is what PrepWaitid fills, the form that siginfo_t has for a child:
// allocate it with new and pass Memory. It stays empty when there is no child to
// tell of (WNOHANG).
type Siginfo struct {
	_     structs.HostLayout
	Signo int32 // SIGCHLD, 0 for no child
	words [31]int32
}

// Memory returns the address of the result, for PrepWaitid.
func (s *Siginfo) Memory() unsafe.Pointer { return unsafe.Pointer(s) }

// Where the fields of a siginfo_t lie, as indexes of Siginfo.words. Its first
// three numbers are signal, error and code, the last two the other way round on
// MIPS; what concerns a child follows them at the alignment of a pointer.
var codeAt = func() int {
	if strings.HasPrefix(runtime.GOARCH, "mips") {
		return 0
	}
	return 1
}()

const childAt = 2 + int(unsafe.Sizeof(uintptr(0))/8)

// Code returns how the child has changed: one of the CLD_ numbers.
func (s *Siginfo) Code() int { return int(s.words[codeAt]) }

// PID returns the number of the child.
func (s *Siginfo) PID() int { return int(s.words[childAt]) }

// UID returns the user that the child ran as.
func (s *Siginfo) UID() uint32 { return uint32(s.words[childAt+1]) }

// Status returns what the child exited with, or the signal that ended, stopped
// or continued it, as Code says.
func (s *Siginfo) Status() int { return int(s.words[childAt+2]) }

// Wait makes w wait for a word that has the given value, see PrepFutexWaitv. The
// word must stay valid until that completes; w holds it as a number and does not
// keep it alive.
func (w *FutexWaitv) Wait(word *uint32, val uint32, flags Futex2Flags) {
	*w = FutexWaitv{Val: uint64(val), Uaddr: address(word), Flags: flags}
}
