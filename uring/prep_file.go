package uring

import "unsafe"

// PrepOpenat opens a file, as openat(2) does. Since 5.6. The path, which ends in
// a zero byte, must stay valid. The result is the new descriptor; after
// SetFileSlot it is 0, or the slot that the kernel chose.
func (s *SQE) PrepOpenat(dirfd int, path *byte, flags int32, mode uint32) {
	*s = SQE{
		Opcode: IORING_OP_OPENAT, Fd: int32(dirfd), Addr: address(path), Len: mode, OpFlags: uint32(flags),
	}
}

// PrepOpenat2 opens a file, as openat2(2) does. Since 5.6. The path, which ends
// in a zero byte, and how must stay valid. The result is that of PrepOpenat.
func (s *SQE) PrepOpenat2(dirfd int, path *byte, how *OpenHow) {
	*s = SQE{
		Opcode: IORING_OP_OPENAT2, Fd: int32(dirfd), Off: address(how), Addr: address(path),
		Len: uint32(unsafe.Sizeof(*how)),
	}
}

// PrepClose closes a descriptor. Since 5.6. The result is 0.
func (s *SQE) PrepClose(fd int) { *s = SQE{Opcode: IORING_OP_CLOSE, Fd: int32(fd)} }

// PrepCloseDirect empties a slot of the registered file table. Since 5.15. The
// result is 0.
func (s *SQE) PrepCloseDirect(slot uint32) {
	*s = SQE{Opcode: IORING_OP_CLOSE}
	s.SetFileSlot(slot)
}

// PrepFixedFDInstall makes an ordinary descriptor of a slot of the registered
// file table. Since 6.8. The result is the new descriptor.
func (s *SQE) PrepFixedFDInstall(slot uint32, flags InstallFDFlags) {
	*s = SQE{
		Opcode: IORING_OP_FIXED_FD_INSTALL, Flags: IOSQE_FIXED_FILE, Fd: int32(slot), OpFlags: uint32(flags),
	}
}

// PrepFilesUpdate replaces n slots of the registered file table, from offset
// on. With IORING_FILE_INDEX_ALLOC as the offset the kernel chooses the slots
// and stores them in place of the descriptors. Since 5.6. The array must stay
// valid. The result is the number of slots replaced.
func (s *SQE) PrepFilesUpdate(fds *int32, n int, offset uint32) {
	*s = SQE{
		Opcode: IORING_OP_FILES_UPDATE, Fd: -1, Off: uint64(offset), Addr: address(fds), Len: uint32(n),
	}
}

// PrepFsync makes a file durable, as fsync(2) does, or fdatasync(2) with
// IORING_FSYNC_DATASYNC. Since 5.1. The result is 0.
func (s *SQE) PrepFsync(fd int, flags FsyncFlags) {
	*s = SQE{Opcode: IORING_OP_FSYNC, Fd: int32(fd), OpFlags: uint32(flags)}
}

// PrepSyncFileRange starts or awaits writing a part of a file, as
// sync_file_range(2) does. Since 5.2. The result is 0.
func (s *SQE) PrepSyncFileRange(fd int, off uint64, n uint32, flags uint32) {
	*s = SQE{Opcode: IORING_OP_SYNC_FILE_RANGE, Fd: int32(fd), Off: off, Len: n, OpFlags: flags}
}

// PrepFtruncate sets the size of a file. Since 6.9. The result is 0.
func (s *SQE) PrepFtruncate(fd int, size int64) {
	*s = SQE{Opcode: IORING_OP_FTRUNCATE, Fd: int32(fd), Off: uint64(size)}
}

// PrepFallocate changes the space of a file, as fallocate(2) does. Since 5.6.
// The result is 0.
func (s *SQE) PrepFallocate(fd int, mode uint32, off, n int64) {
	*s = SQE{Opcode: IORING_OP_FALLOCATE, Fd: int32(fd), Off: uint64(off), Addr: uint64(n), Len: mode}
}

// PrepFadvise announces how a part of a file will be used, as
// posix_fadvise(2) does; n is 0 for all that follows off. Since 5.6. The result
// is 0.
func (s *SQE) PrepFadvise(fd int, off uint64, n uint32, advice int32) {
	*s = SQE{Opcode: IORING_OP_FADVISE, Fd: int32(fd), Off: off, Len: n, OpFlags: uint32(advice)}
}

// PrepMadvise announces how memory will be used, as madvise(2) does. Since 5.6.
// The memory must stay mapped, and must not be the garbage collector's if the
// advice lets the kernel drop it. The result is 0.
func (s *SQE) PrepMadvise(addr unsafe.Pointer, n uint32, advice int32) {
	*s = SQE{Opcode: IORING_OP_MADVISE, Fd: -1, Addr: rawAddress(addr), Len: n, OpFlags: uint32(advice)}
}

// PrepStatx asks for the attributes of a file, as statx(2) does. Since 5.6. The
// path, which ends in a zero byte, and the statx at buf must stay valid. The
// result is 0.
func (s *SQE) PrepStatx(dirfd int, path *byte, flags int32, mask uint32, buf unsafe.Pointer) {
	*s = SQE{
		Opcode: IORING_OP_STATX, Fd: int32(dirfd), Off: rawAddress(buf), Addr: address(path),
		Len: mask, OpFlags: uint32(flags),
	}
}

// PrepUnlinkat removes a name, as unlinkat(2) does. Since 5.11. The path, which
// ends in a zero byte, must stay valid. The result is 0.
func (s *SQE) PrepUnlinkat(dirfd int, path *byte, flags int32) {
	*s = SQE{Opcode: IORING_OP_UNLINKAT, Fd: int32(dirfd), Addr: address(path), OpFlags: uint32(flags)}
}

// PrepRenameat changes a name, as renameat2(2) does. Since 5.11. Both paths,
// which end in a zero byte, must stay valid. The result is 0.
func (s *SQE) PrepRenameat(oldDirfd int, oldPath *byte, newDirfd int, newPath *byte, flags uint32) {
	s.prepTwoPaths(IORING_OP_RENAMEAT, oldDirfd, oldPath, newDirfd, newPath, flags)
}

// PrepLinkat makes another name, as linkat(2) does. Since 5.15. Both paths, which
// end in a zero byte, must stay valid. The result is 0.
func (s *SQE) PrepLinkat(oldDirfd int, oldPath *byte, newDirfd int, newPath *byte, flags int32) {
	s.prepTwoPaths(IORING_OP_LINKAT, oldDirfd, oldPath, newDirfd, newPath, uint32(flags))
}

func (s *SQE) prepTwoPaths(op Op, oldDirfd int, oldPath *byte, newDirfd int, newPath *byte, flags uint32) {
	*s = SQE{
		Opcode: op, Fd: int32(oldDirfd), Off: address(newPath), Addr: address(oldPath),
		Len: uint32(int32(newDirfd)), OpFlags: flags,
	}
}

// PrepSymlinkat makes a symbolic link to target, as symlinkat(2) does. Since
// 5.15. Both paths, which end in a zero byte, must stay valid. The result is 0.
func (s *SQE) PrepSymlinkat(target *byte, newDirfd int, linkPath *byte) {
	*s = SQE{
		Opcode: IORING_OP_SYMLINKAT, Fd: int32(newDirfd), Off: address(linkPath), Addr: address(target),
	}
}

// PrepMkdirat makes a directory, as mkdirat(2) does. Since 5.15. The path, which
// ends in a zero byte, must stay valid. The result is 0.
func (s *SQE) PrepMkdirat(dirfd int, path *byte, mode uint32) {
	*s = SQE{Opcode: IORING_OP_MKDIRAT, Fd: int32(dirfd), Addr: address(path), Len: mode}
}

// PrepFsetxattr sets an extended attribute of a file. Since 5.19. The name,
// which ends in a zero byte, and the value must stay valid. The result is 0.
func (s *SQE) PrepFsetxattr(fd int, name *byte, value []byte, flags uint32) {
	s.prepXattr(IORING_OP_FSETXATTR, name, value, nil)
	s.Fd, s.OpFlags = int32(fd), flags
}

// PrepSetxattr is PrepFsetxattr for a file given by a path, which must stay
// valid, too. Since 5.19. The result is 0.
func (s *SQE) PrepSetxattr(path, name *byte, value []byte, flags uint32) {
	s.prepXattr(IORING_OP_SETXATTR, name, value, path)
	s.OpFlags = flags
}

// PrepFgetxattr reads an extended attribute of a file. Since 5.19. The name,
// which ends in a zero byte, and the value must stay valid. The result is the
// size of the value, also if none was asked for because value is empty.
func (s *SQE) PrepFgetxattr(fd int, name *byte, value []byte) {
	s.prepXattr(IORING_OP_FGETXATTR, name, value, nil)
	s.Fd = int32(fd)
}

// PrepGetxattr is PrepFgetxattr for a file given by a path, which must stay
// valid, too. Since 5.19. The result is the size of the value.
func (s *SQE) PrepGetxattr(path, name *byte, value []byte) {
	s.prepXattr(IORING_OP_GETXATTR, name, value, path)
}

func (s *SQE) prepXattr(op Op, name *byte, value []byte, path *byte) {
	*s = SQE{
		Opcode: op, Off: address(unsafe.SliceData(value)), Addr: address(name),
		Len: cutLen(len(value)), Addr3: address(path),
	}
}

// PrepPipe makes a pipe, as pipe2(2) does. Since 6.16. fds must stay valid: the
// two descriptors are stored there, or after SetFileSlot the two slots. The
// result is 0.
func (s *SQE) PrepPipe(fds *[2]int32, flags uint32) {
	*s = SQE{Opcode: IORING_OP_PIPE, Addr: address(fds), OpFlags: flags}
}
