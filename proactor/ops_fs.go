package proactor

import (
	"io/fs"
	"time"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// Dir is where a relative path begins. The zero Dir is the working directory.
type Dir struct{ fd1 int } // the descriptor plus one

// At returns the Dir of an open directory's descriptor.
func At(fd int) Dir { return Dir{fd + 1} }

// fd returns the descriptor as the kernel wants it.
func (d Dir) fd() int {
	if d.fd1 == 0 {
		return sys.AtFdcwd
	}
	return d.fd1 - 1
}

// path keeps a path with the Request, in the kernel's form.
func (r *Request) path(path string) (*byte, error) {
	b, err := sys.PathBytes(path)
	if err != nil {
		return nil, invalid("a path with a zero byte: %q", path)
	}
	r.Buf = b
	return &b[0], nil
}

// twoPaths keeps two paths with the Request.
func (r *Request) twoPaths(a, b string) (pa, pb *byte, err error) {
	if pa, err = r.path(a); err == nil {
		r.Keep = r.Buf
		pb, err = r.path(b)
	}
	return pa, pb, err
}

// Open opens a file, close-on-exec. The result is its descriptor.
type Open struct {
	descriptor
	Path string
	Flag int    // as for os.OpenFile
	Perm uint32 // permission bits of a file that is created, before umask
	Dir  Dir
}

// Prepare implements Operation.
func (o Open) Prepare(r *Request) error {
	path, err := r.path(o.Path)
	if err != nil {
		return err
	}
	r.SQE.PrepOpenat(o.Dir.fd(), path, int32(sys.OpenFlags(o.Flag)), o.Perm)
	return prepared(r)
}

// OpenHow is Open with a say in how the path is resolved, as openat2(2) has it:
// Resolve are its RESOLVE_ flags.
type OpenHow struct {
	descriptor
	Path    string
	Flag    int
	Perm    uint32
	Dir     Dir
	Resolve uint64
}

// Prepare implements Operation.
func (o OpenHow) Prepare(r *Request) error {
	path, err := r.path(o.Path)
	if err != nil {
		return err
	}
	how := &uring.OpenHow{Flags: uint64(sys.OpenFlags(o.Flag)), Mode: uint64(o.Perm), Resolve: o.Resolve}
	r.Keep = how
	r.SQE.PrepOpenat2(o.Dir.fd(), path, how)
	return prepared(r)
}

// Stat asks for the attributes of a file, as statx(2) does. An empty path means
// Dir itself, which then may be any descriptor.
type Stat struct {
	Path     string
	Dir      Dir
	NoFollow bool   // of a symbolic link, not of what it points to
	Mask     uint32 // what to ask for, STATX_ bits; 0 for all that is common
}

// Status is the result of Stat.
type Status struct {
	Size     int64 // in bytes
	Mode     fs.FileMode
	Modified time.Time // of the content
	Changed  time.Time // of the attributes
	Accessed time.Time
	Born     time.Time // zero if the file system does not know

	Device, Inode  uint64 // tell files apart; Device as in syscall.Stat_t
	SpecialDevice  uint64 // which device the file stands for
	Links          uint32
	UID, GID       uint32
	Blocks         uint64 // of 512 bytes, allocated
	BlockSize      uint32 // in bytes, preferred for reading and writing
	Attributes     uint64 // STATX_ATTR_ bits, of those in AttributesMask
	AttributesMask uint64
	MountID        uint64 // since 5.8
	Mask           uint32 // which of all these are valid, STATX_ bits

	// DirectMemory and DirectOffset are the alignment in bytes that direct I/O
	// asks of memory and of offsets, 0 if it is not possible or Mask does not
	// ask (STATX_DIOALIGN, since 6.1).
	DirectMemory, DirectOffset uint32
}

// Prepare implements Operation.
func (o Stat) Prepare(r *Request) error {
	if _, err := r.path(o.Path); err != nil {
		return err
	}
	st := new(uring.StatxResult)
	r.Keep = st
	sys.PrepStatx(&r.SQE, o.Dir.fd(), r.Buf, o.NoFollow, o.Mask, st)
	return prepared(r)
}

// Result implements Operation.
func (o Stat) Result(r *Request, _ driver.Completion) (Status, error) {
	st := r.Keep.(*uring.StatxResult)
	at := func(t uring.StatxTime) time.Time {
		if t == (uring.StatxTime{}) {
			return time.Time{}
		}
		return t.Time()
	}
	return Status{
		Size: int64(st.Size), Mode: st.FileMode(),
		Modified: at(st.Mtime), Changed: at(st.Ctime), Accessed: at(st.Atime), Born: at(st.Btime),
		Device: device(st.DevMajor, st.DevMinor), Inode: st.Ino, SpecialDevice: device(st.RdevMajor, st.RdevMinor),
		Links: st.Nlink, UID: st.UID, GID: st.GID, Blocks: st.Blocks, BlockSize: st.Blksize,
		Attributes: st.Attributes, AttributesMask: st.AttributesMask, MountID: st.MntID, Mask: st.Mask,
		DirectMemory: st.DioMemAlign, DirectOffset: st.DioOffsetAlign,
	}, nil
}

// device joins the two parts of a device number as the kernel's stat does.
func device(major, minor uint32) uint64 {
	a, b := uint64(major), uint64(minor)
	return a&0xfffff000<<32 | a&0xfff<<8 | b&0xffffff00<<12 | b&0xff
}

// Rename gives a file another name, as renameat2(2) does with its RENAME_
// flags.
type Rename struct {
	nothing
	Old    string
	New    string
	OldDir Dir
	NewDir Dir
	Flags  uint32
}

// Prepare implements Operation.
func (o Rename) Prepare(r *Request) error {
	from, to, err := r.twoPaths(o.Old, o.New)
	if err != nil {
		return err
	}
	r.SQE.PrepRenameat(o.OldDir.fd(), from, o.NewDir.fd(), to, o.Flags)
	return prepared(r)
}

// Unlink removes a name, as unlinkat(2) does.
type Unlink struct {
	nothing
	Path      string
	Dir       Dir
	Directory bool // of an empty directory
}

// Prepare implements Operation.
func (o Unlink) Prepare(r *Request) error {
	path, err := r.path(o.Path)
	if err != nil {
		return err
	}
	const removeDir = 0x200 // AT_REMOVEDIR
	flags := int32(0)
	if o.Directory {
		flags = removeDir
	}
	r.SQE.PrepUnlinkat(o.Dir.fd(), path, flags)
	return prepared(r)
}

// Mkdir makes a directory with the permission bits Perm, before umask. It needs
// Linux 5.15.
type Mkdir struct {
	nothing
	Path string
	Dir  Dir
	Perm uint32
}

// Prepare implements Operation.
func (o Mkdir) Prepare(r *Request) error {
	path, err := r.path(o.Path)
	if err != nil {
		return err
	}
	r.SQE.PrepMkdirat(o.Dir.fd(), path, o.Perm)
	return prepared(r)
}

// Link gives a file a further name, as linkat(2) does with its AT_ flags. It
// needs Linux 5.15.
type Link struct {
	nothing
	Old    string
	New    string
	OldDir Dir
	NewDir Dir
	Flags  int32
}

// Prepare implements Operation.
func (o Link) Prepare(r *Request) error {
	from, to, err := r.twoPaths(o.Old, o.New)
	if err != nil {
		return err
	}
	r.SQE.PrepLinkat(o.OldDir.fd(), from, o.NewDir.fd(), to, o.Flags)
	return prepared(r)
}

// Symlink makes a symbolic link at Path that says Target. It needs Linux 5.15.
type Symlink struct {
	nothing
	Target string
	Path   string
	Dir    Dir // of Path
}

// Prepare implements Operation.
func (o Symlink) Prepare(r *Request) error {
	target, path, err := r.twoPaths(o.Target, o.Path)
	if err != nil {
		return err
	}
	r.SQE.PrepSymlinkat(target, o.Dir.fd(), path)
	return prepared(r)
}

// xattrMemory is the memory of an operation on an extended attribute.
type xattrMemory struct{ name, path []byte }

// xattr keeps the names and the value with the Request.
func (r *Request) xattr(path, name string, value []byte) (*xattrMemory, error) {
	if _, err := r.path(path); err != nil {
		return nil, err
	}
	m := &xattrMemory{path: r.Buf}
	if _, err := r.path(name); err != nil {
		return nil, err
	}
	m.name, r.Keep, r.Buf = r.Buf, m, value
	return m, nil
}

// SetXattr sets an extended attribute of the file at Path, with the flags of
// setxattr(2). It needs Linux 5.19.
type SetXattr struct {
	nothing
	Path, Name string
	Value      []byte
	Flags      uint32
}

// Prepare implements Operation.
func (o SetXattr) Prepare(r *Request) error {
	m, err := r.xattr(o.Path, o.Name, o.Value)
	if err != nil {
		return err
	}
	r.SQE.PrepSetxattr(&m.path[0], &m.name[0], o.Value, o.Flags)
	return prepared(r)
}

// GetXattr reads an extended attribute of the file at Path into Value. The
// result is its size in bytes; with an empty Value nothing is read. It needs
// Linux 5.19.
type GetXattr struct {
	count
	Path, Name string
	Value      []byte
}

// Prepare implements Operation.
func (o GetXattr) Prepare(r *Request) error {
	m, err := r.xattr(o.Path, o.Name, o.Value)
	if err != nil {
		return err
	}
	r.SQE.PrepGetxattr(&m.path[0], &m.name[0], o.Value)
	return prepared(r)
}

// FsetXattr is SetXattr for an open file.
type FsetXattr struct {
	nothing
	FD    int
	Name  string
	Value []byte
	Flags uint32
}

// Prepare implements Operation.
func (o FsetXattr) Prepare(r *Request) error {
	m, err := r.xattr("", o.Name, o.Value)
	if err != nil {
		return err
	}
	r.SQE.PrepFsetxattr(o.FD, &m.name[0], o.Value, o.Flags)
	return prepared(r)
}

// FgetXattr is GetXattr for an open file.
type FgetXattr struct {
	count
	FD    int
	Name  string
	Value []byte
}

// Prepare implements Operation.
func (o FgetXattr) Prepare(r *Request) error {
	m, err := r.xattr("", o.Name, o.Value)
	if err != nil {
		return err
	}
	r.SQE.PrepFgetxattr(o.FD, &m.name[0], o.Value)
	return prepared(r)
}

// Pipe makes a pipe, close-on-exec and blocking. It needs Linux 6.16.
type Pipe struct{}

// PipeEnds is the result of Pipe.
type PipeEnds struct{ Read, Write int }

// Prepare implements Operation.
func (o Pipe) Prepare(r *Request) error {
	fds := new([2]int32)
	r.Keep = fds
	r.SQE.PrepPipe(fds, sys.Cloexec)
	r.Discard = func(r *Request, _ driver.Completion) {
		for _, fd := range r.Keep.(*[2]int32) {
			_ = sys.Close(int(fd))
		}
	}
	return prepared(r)
}

// Result implements Operation.
func (o Pipe) Result(r *Request, _ driver.Completion) (PipeEnds, error) {
	fds := r.Keep.(*[2]int32)
	return PipeEnds{Read: int(fds[0]), Write: int(fds[1])}, nil
}
