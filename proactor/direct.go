package proactor

import (
	"errors"
	"fmt"
	"os"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/sys"
	"github.com/yamanote-go/yamanote/uring"
)

// ErrNoSlot says that all slots for direct files, or arenas, of a shard are in
// use, or that it was configured to have none.
var ErrNoSlot = errors.New("proactor: no free slot")

// DirectFile is a slot for an open file in a shard's own table (see
// Config.DirectFiles) instead of the process's: the file has no descriptor, only
// operations on the shard can use it, and they spare the kernel a look-up. What
// makes it worth while is that the slot is known before the file is opened, so
// that one Chain can open, use and close it:
//
//	d, err := rt.Shard(0).DirectFile()
//	c := proactor.NewChain()
//	proactor.Then(c, proactor.Into(proactor.Open{Path: path}, d))
//	read := proactor.Then(c, proactor.Using(proactor.ReadAt{Buf: buf}, d))
//	proactor.Always(c, proactor.CloseDirect{File: d})
//
// The slot is the caller's until Release.
type DirectFile struct {
	shard    *Shard
	slot     uint32
	released atomic.Bool
}

// DirectFile reserves an empty slot. Without one the error wraps ErrNoSlot.
func (s *Shard) DirectFile() (*DirectFile, error) {
	if s.files == nil {
		return nil, fmt.Errorf("%w: Config.DirectFiles is 0", ErrNoSlot)
	}
	slot, ok := s.files.take()
	if !ok {
		return nil, fmt.Errorf("%w: all %d direct files of shard %d are in use (Config.DirectFiles)", ErrNoSlot, s.files.size, s.index)
	}
	return &DirectFile{shard: s, slot: slot}, nil
}

// Shard returns the shard that the slot belongs to.
func (d *DirectFile) Shard() *Shard { return d.shard }

// Slot returns the number of the slot, for operations of your own.
func (d *DirectFile) Slot() uint32 { return d.slot }

// Put puts the open file of a descriptor into the slot, in place of what is
// there. The descriptor stays open, and can be closed.
func (d *DirectFile) Put(fd int) error {
	if d.released.Load() {
		return fmt.Errorf("proactor: direct file: %w", os.ErrClosed)
	}
	return d.update(fd)
}

func (d *DirectFile) update(fd int) error {
	err := d.shard.setFile(d.slot, fd)
	if err != nil {
		return fmt.Errorf("proactor: direct file: %w", closedError(err))
	}
	return nil
}

// Release closes the file in the slot, if there is one, and gives the slot up.
// Operations under way keep their file open until they are done; one that is
// about to put a file there must have ended. A second Release does nothing.
func (d *DirectFile) Release() error {
	if d.released.Swap(true) {
		return nil
	}
	err := d.update(-1)
	if err == nil {
		d.shard.files.put(d.slot)
	}
	if errors.Is(err, ErrClosed) {
		return nil // the table is gone
	}
	return err
}

// bind makes a prepared request one of the slot's shard.
func (d *DirectFile) bind(r *Request) error {
	switch {
	case d.released.Load():
		return fmt.Errorf("proactor: %v of a direct file that was released: %w", r.SQE.Opcode, os.ErrClosed)
	case r.On != nil && r.On != d.shard:
		return fmt.Errorf("proactor: %v on shard %d of a direct file of shard %d", r.SQE.Opcode, r.On.index, d.shard.index)
	}
	r.On = d.shard
	return nil
}

// Using returns the operation on the direct file instead of the descriptor that
// it names. It fails where the kernel takes descriptors only, as for Poll by
// epoll, or a directory to open something in.
func Using[T any](operation Operation[T], d *DirectFile) Operation[T] {
	return using[T]{operation, d}
}

type using[T any] struct {
	Operation[T]
	file *DirectFile
}

// Prepare implements Operation.
func (o using[T]) Prepare(r *Request) error {
	if err := o.Operation.Prepare(r); err != nil {
		return err
	}
	if !takesDirect(r.SQE.Opcode) {
		return fmt.Errorf("proactor: %v cannot use a direct file: %w", r.SQE.Opcode, os.ErrInvalid)
	}
	r.SQE.Fd = int32(o.file.slot)
	r.SQE.Flags |= uring.IOSQE_FIXED_FILE
	return o.file.bind(r)
}

// takesDirect reports whether the Fd of an operation may be a slot. Of those that
// know slots, some name one elsewhere or by a flag of their own, as Close does, or
// stand for something else than work on a file.
func takesDirect(op uring.Op) bool {
	switch op {
	case uring.IORING_OP_ASYNC_CANCEL, uring.IORING_OP_CLOSE, uring.IORING_OP_MSG_RING,
		uring.IORING_OP_EPOLL_WAIT, uring.IORING_OP_URING_CMD128:
		return false
	}
	use, _ := op.FileUse()
	return use == uring.FileEither
}

// Into returns an operation that puts the file which the given one opens or
// accepts into the slot, in place of what is there, and yields no descriptor. It
// works with Open, Accept and others of those kinds; Linux 5.15.
func Into[T any](operation Operation[T], d *DirectFile) Operation[struct{}] {
	return into[T]{operation: operation, file: d}
}

type into[T any] struct {
	nothing
	operation Operation[T]
	file      *DirectFile
}

// Prepare implements Operation.
func (o into[T]) Prepare(r *Request) error {
	if err := o.operation.Prepare(r); err != nil {
		return err
	}
	// A slot is not inherited by exec, and the kernel does not want to be told.
	switch r.SQE.Opcode {
	case uring.IORING_OP_OPENAT, uring.IORING_OP_ACCEPT:
		r.SQE.OpFlags &^= sys.Cloexec
	case uring.IORING_OP_SOCKET:
		r.SQE.Off &^= sys.Cloexec
	default:
		return fmt.Errorf("proactor: %v cannot put a file into a slot: %w", r.SQE.Opcode, os.ErrInvalid)
	}
	r.SQE.SetFileSlot(o.file.slot)
	r.OwnsFD = false
	return o.file.bind(r)
}

// CloseDirect empties the slot of a direct file, which can be used again. It
// fails with EBADF if the slot is empty. Linux 5.15.
type CloseDirect struct {
	nothing
	File *DirectFile
}

// Prepare implements Operation.
func (o CloseDirect) Prepare(r *Request) error {
	r.SQE.PrepCloseDirect(o.File.slot)
	if err := prepared(r); err != nil {
		return err
	}
	return o.File.bind(r)
}

// Install gives the file in a slot an ordinary descriptor as well, close-on-exec,
// which is the result. Linux 6.8.
type Install struct{ File *DirectFile }

// Prepare implements Operation.
func (o Install) Prepare(r *Request) error {
	r.SQE.PrepFixedFDInstall(o.File.slot, 0)
	if err := prepared(r); err != nil {
		return err
	}
	return o.File.bind(r)
}

// Result implements Operation.
func (o Install) Result(_ *Request, c driver.Completion) (int, error) { return int(c.Res), nil }

// Personality is a set of credentials that is registered with a shard: those of
// the thread that registered it. Operations bound to it by As have its rights.
type Personality struct {
	shard *Shard
	id    uring.Personality
}

// NewPersonality registers the credentials of the calling thread, which a
// goroutine that has changed them is locked to (runtime.LockOSThread). It needs
// Config.Personalities.
func (s *Shard) NewPersonality() (*Personality, error) {
	p := &Personality{shard: s}
	if !s.rt.cfg.Personalities {
		return nil, fmt.Errorf("proactor: Config.Personalities is false: %w", errors.ErrUnsupported)
	}
	err := s.driver.Use(func(r *uring.Ring) (err error) {
		p.id, err = r.RegisterPersonality()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("proactor: registering credentials: %w", closedError(err))
	}
	return p, nil
}

// Close gives the credentials up; operations with them then fail with EINVAL.
func (p *Personality) Close() error {
	err := p.shard.driver.Use(func(r *uring.Ring) error { return r.UnregisterPersonality(p.id) })
	if errors.Is(err, driver.ErrClosed) {
		return nil // they went with the ring
	}
	return err
}

// As returns the operation with the rights of the personality.
func As[T any](operation Operation[T], p *Personality) Operation[T] {
	return as[T]{operation, p}
}

type as[T any] struct {
	Operation[T]
	personality *Personality
}

// Prepare implements Operation.
func (o as[T]) Prepare(r *Request) error {
	if err := o.Operation.Prepare(r); err != nil {
		return err
	}
	if s := o.personality.shard; r.On != nil && r.On != s {
		return fmt.Errorf("proactor: %v on shard %d with a personality of shard %d", r.SQE.Opcode, r.On.index, s.index)
	}
	r.On = o.personality.shard
	r.SQE.SetPersonality(o.personality.id)
	return nil
}
