package uring

import "unsafe"

// Close closes a descriptor, or empties a slot: PrepClose or PrepCloseDirect.
func Close(s *SQE, f File) {
	if f.Registered() {
		s.PrepCloseDirect(uint32(f.Number()))
		return
	}
	s.PrepClose(f.Number())
}

// FixedFDInstall is PrepFixedFDInstall. Only a registered file can be given to
// it.
func FixedFDInstall(s *SQE, f File, flags InstallFDFlags) error {
	if !f.Registered() {
		return s.refuse(IORING_OP_FIXED_FD_INSTALL, f, FileSlot)
	}
	s.PrepFixedFDInstall(uint32(f.Number()), flags)
	return nil
}

// Fsync is PrepFsync.
func Fsync(s *SQE, f File, flags FsyncFlags) {
	s.PrepFsync(0, flags)
	s.setFile(f)
}

// SyncFileRange is PrepSyncFileRange.
func SyncFileRange(s *SQE, f File, off uint64, n uint32, flags uint32) {
	s.PrepSyncFileRange(0, off, n, flags)
	s.setFile(f)
}

// Ftruncate is PrepFtruncate.
func Ftruncate(s *SQE, f File, size int64) {
	s.PrepFtruncate(0, size)
	s.setFile(f)
}

// Fallocate is PrepFallocate.
func Fallocate(s *SQE, f File, mode uint32, off, n int64) {
	s.PrepFallocate(0, mode, off, n)
	s.setFile(f)
}

// Fadvise is PrepFadvise.
func Fadvise(s *SQE, f File, off uint64, n uint32, advice int32) {
	s.PrepFadvise(0, off, n, advice)
	s.setFile(f)
}

// Fsetxattr is PrepFsetxattr.
func Fsetxattr(s *SQE, f File, name *byte, value []byte, flags uint32) {
	s.PrepFsetxattr(0, name, value, flags)
	s.setFile(f)
}

// Fgetxattr is PrepFgetxattr.
func Fgetxattr(s *SQE, f File, name *byte, value []byte) {
	s.PrepFgetxattr(0, name, value)
	s.setFile(f)
}

// UringCmd is PrepUringCmd.
func UringCmd(s *SQE, f File, cmd uint32, flags UringCmdFlags) {
	s.PrepUringCmd(0, cmd, flags)
	s.setFile(f)
}

// Openat is PrepOpenat for a file that becomes what the target says. The
// directory cannot be a registered file.
func Openat(s *SQE, dir File, path *byte, flags int32, mode uint32, to Target) error {
	if dir.Registered() {
		return s.refuse(IORING_OP_OPENAT, dir, FileDescriptor)
	}
	s.PrepOpenat(dir.Number(), path, flags, mode)
	s.SetFileIndex(uint32(to))
	return nil
}

// Openat2 is PrepOpenat2 for a file that becomes what the target says. The
// directory cannot be a registered file.
func Openat2(s *SQE, dir File, path *byte, how *OpenHow, to Target) error {
	if dir.Registered() {
		return s.refuse(IORING_OP_OPENAT2, dir, FileDescriptor)
	}
	s.PrepOpenat2(dir.Number(), path, how)
	s.SetFileIndex(uint32(to))
	return nil
}

// Pipe is PrepPipe for two ends that become what the target says: with ToSlot
// that slot and the one behind it.
func Pipe(s *SQE, fds *[2]int32, flags uint32, to Target) {
	s.PrepPipe(fds, flags)
	s.SetFileIndex(uint32(to))
}

// Statx is PrepStatx. The directory cannot be a registered file, with
// AT_EMPTY_PATH either.
func Statx(s *SQE, dir File, path *byte, flags int32, mask uint32, buf unsafe.Pointer) error {
	if dir.Registered() {
		return s.refuse(IORING_OP_STATX, dir, FileDescriptor)
	}
	s.PrepStatx(dir.Number(), path, flags, mask, buf)
	return nil
}

// Unlinkat is PrepUnlinkat. The directory cannot be a registered file.
func Unlinkat(s *SQE, dir File, path *byte, flags int32) error {
	if dir.Registered() {
		return s.refuse(IORING_OP_UNLINKAT, dir, FileDescriptor)
	}
	s.PrepUnlinkat(dir.Number(), path, flags)
	return nil
}

// Renameat is PrepRenameat. Neither directory can be a registered file.
func Renameat(s *SQE, oldDir File, oldPath *byte, newDir File, newPath *byte, flags uint32) error {
	if bad, ok := anyRegistered(oldDir, newDir); ok {
		return s.refuse(IORING_OP_RENAMEAT, bad, FileDescriptor)
	}
	s.PrepRenameat(oldDir.Number(), oldPath, newDir.Number(), newPath, flags)
	return nil
}

// Linkat is PrepLinkat. Neither directory can be a registered file.
func Linkat(s *SQE, oldDir File, oldPath *byte, newDir File, newPath *byte, flags int32) error {
	if bad, ok := anyRegistered(oldDir, newDir); ok {
		return s.refuse(IORING_OP_LINKAT, bad, FileDescriptor)
	}
	s.PrepLinkat(oldDir.Number(), oldPath, newDir.Number(), newPath, flags)
	return nil
}

// Symlinkat is PrepSymlinkat. The directory cannot be a registered file.
func Symlinkat(s *SQE, target *byte, newDir File, linkPath *byte) error {
	if newDir.Registered() {
		return s.refuse(IORING_OP_SYMLINKAT, newDir, FileDescriptor)
	}
	s.PrepSymlinkat(target, newDir.Number(), linkPath)
	return nil
}

// Mkdirat is PrepMkdirat. The directory cannot be a registered file.
func Mkdirat(s *SQE, dir File, path *byte, mode uint32) error {
	if dir.Registered() {
		return s.refuse(IORING_OP_MKDIRAT, dir, FileDescriptor)
	}
	s.PrepMkdirat(dir.Number(), path, mode)
	return nil
}

// anyRegistered returns the first of two files that is a registered one.
func anyRegistered(a, b File) (File, bool) {
	if a.Registered() {
		return a, true
	}
	return b, b.Registered()
}
