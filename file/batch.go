package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"

	"github.com/yamanote-go/yamanote/proactor"
)

// BatchConfig contains options for ReadFiles and StatAll. The zero value is a
// good default.
type BatchConfig struct {
	// Runtime is what files are read on; nil means the default runtime. If it has
	// slots for direct files (proactor.Config.DirectFiles), small files are opened,
	// read and closed in one submission each, without a descriptor.
	Runtime *proactor.Runtime

	// InFlight is how many files are at work at once, at most; default 64.
	InFlight int

	// MaxBytes is how much of files' content there is at once, in bytes, that has
	// been read, or is being read, and has not been yielded yet; default 64 MiB. A
	// file that is larger is not read, and its error says so.
	MaxBytes int64
}

const (
	defaultBatch      = 64
	defaultBatchBytes = 64 << 20
)

// FileContent is the content of a file that ReadFiles yields.
type FileContent struct {
	Index int // of the name in the sequence, from 0 on
	Name  string
	Data  []byte // belongs to whoever gets it
}

// FileStat is what StatAll yields of a file.
type FileStat struct {
	Index int // of the name in the sequence, from 0 on
	Name  string
	Info  FileInfo
}

// ReadFiles reads many files, several at a time, on the default runtime. See
// BatchConfig.ReadFiles.
func ReadFiles(ctx context.Context, names iter.Seq[string]) iter.Seq2[FileContent, error] {
	return BatchConfig{}.ReadFiles(ctx, names)
}

// ReadFiles reads the named files and yields each as soon as it has been read:
// one after the other as long as they are in the page cache, where several at a
// time would only cost more, and several at a time when they have to come from
// the disk, so not in the order of the names; Index tells which it is.
// Each name yields once, with its content or the error that ReadFile would return:
// one that fails does not stop the others.
//
// Names are taken from the sequence as they are needed. If ctx ends, no more are
// taken; what is under way is yielded, and then an error that matches that of ctx,
// with Index -1. A loop that is left early waits for what is under way.
func (c BatchConfig) ReadFiles(ctx context.Context, names iter.Seq[string]) iter.Seq2[FileContent, error] {
	return func(yield func(FileContent, error) bool) {
		rt := c.Runtime
		if rt == nil {
			rt = proactor.Default()
		}
		reading, cancel := context.WithCancel(ctx)
		defer cancel()
		r := &reader{ctx: reading, rt: rt, room: newRoom(c.maxBytes())}
		defer r.release()
		defer context.AfterFunc(reading, r.room.wake)()
		alone := func(n nameOf) (FileContent, error) {
			data, err := r.read(n.name)
			return FileContent{n.index, n.name, data}, err
		}
		beside := func(n nameOf) (FileContent, error) {
			data, done, err := r.linked(n.name)
			if !done {
				return alone(n)
			}
			return FileContent{n.index, n.name, data}, err
		}
		give := func(f FileContent, err error) bool {
			ok := yield(f, err)
			r.room.give(int64(len(f.Data)))
			if !ok {
				cancel() // nobody will give back what others wait for
			}
			return ok
		}
		b := batchOf[FileContent]{limit: c.inFlight(), alone: alone, beside: beside, every: 1, yield: give}
		b.run(ctx, names, FileContent{Index: -1})
	}
}

// StatAll asks for the attributes of many files, several at a time. See
// BatchConfig.StatAll.
func StatAll(ctx context.Context, names iter.Seq[string]) iter.Seq2[FileStat, error] {
	return BatchConfig{}.StatAll(ctx, names)
}

// StatAll yields what Lstat returns for each of the named files, in the way of
// ReadFiles. It asks by system calls: the kernel hands such requests of a ring to
// threads of its own, which costs more.
func (c BatchConfig) StatAll(ctx context.Context, names iter.Seq[string]) iter.Seq2[FileStat, error] {
	return func(yield func(FileStat, error) bool) {
		each := func(n nameOf) (FileStat, error) {
			info, err := os.Lstat(n.name)
			return FileStat{n.index, n.name, info}, err
		}
		b := batchOf[FileStat]{limit: c.inFlight(), alone: each, beside: each, every: 16, yield: yield}
		b.run(ctx, names, FileStat{Index: -1})
	}
}

func (c BatchConfig) inFlight() int {
	if c.InFlight <= 0 {
		return defaultBatch
	}
	return c.InFlight
}

func (c BatchConfig) maxBytes() int64 {
	if c.MaxBytes <= 0 {
		return defaultBatchBytes
	}
	return c.MaxBytes
}

// reader reads whole files.
type reader struct {
	ctx  context.Context
	rt   *proactor.Runtime
	room *room

	mu    sync.Mutex
	slots []*proactor.DirectFile // that are not in use
	none  bool                   // no more are to be had
}

// read reads a file whose bytes have room.
func (r *reader) read(name string) ([]byte, error) {
	f, err := OpenConfig{Runtime: r.rt}.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if err := r.room.take(r.ctx, size); err != nil {
		return nil, &PathError{Op: "read", Path: name, Err: err}
	}
	// One byte more, to find the end without another allocation; files without a
	// size have some all the same.
	data, err := readAll(f, make([]byte, max(size, 512)+1), r.room.most)
	r.room.resize(size, int64(len(data)))
	if err != nil {
		r.room.give(int64(len(data)))
		return nil, err
	}
	return data, nil
}

// smallFile is up to which size, in bytes, files are read in one submission.
const smallFile = 16 << 10

// linked reads a small file by a chain of operations on a slot of a ring's own
// table. It reports false if there is no slot, or the file is not small.
func (r *reader) linked(name string) (data []byte, done bool, err error) {
	slot := r.slot()
	if slot == nil {
		return nil, false, nil
	}
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.slots = append(r.slots, slot)
	}()
	if err := r.room.take(r.ctx, smallFile); err != nil {
		return nil, !errors.Is(err, errTooLarge), &PathError{Op: "read", Path: name, Err: err}
	}
	defer func() { r.room.resize(smallFile, int64(len(data))) }()
	buf := make([]byte, smallFile)
	c := proactor.NewChain()
	opened := proactor.Then(c, proactor.Into(proactor.Open{Path: name, Flag: os.O_RDONLY}, slot))
	read := proactor.Then(c, proactor.Using(proactor.ReadAt{Buf: buf}, slot))
	proactor.Always(c, proactor.CloseDirect{File: slot})
	_ = c.Do(r.ctx, r.rt) // the members tell
	select {
	case <-c.Done():
	default:
		return nil, false, nil // it was not submitted, as on a ring of two entries
	}
	if _, err := opened.Result(); err != nil {
		return nil, true, &PathError{Op: "open", Path: name, Err: unwrapSyscall(err)}
	}
	n, err := read.Result()
	switch {
	case err != nil:
		return nil, true, &PathError{Op: "read", Path: name, Err: unwrapSyscall(err)}
	case n == len(buf) || n == 0: // it can be larger, or a pipe
		return nil, false, nil
	}
	return buf[:n:n], true, nil
}

// slot takes a slot, or returns nil if there is none.
func (r *reader) slot() *proactor.DirectFile {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.slots); n > 0 {
		slot := r.slots[n-1]
		r.slots = r.slots[:n-1]
		return slot
	}
	if r.none || !r.rt.HasRing() {
		return nil
	}
	slot, err := r.rt.Shard(0).DirectFile()
	r.none = err != nil
	return slot
}

// release gives the slots up.
func (r *reader) release() {
	for _, slot := range r.slots {
		_ = slot.Release()
	}
}

// readAll reads a file into buf, and into a larger one if that is too small.
func readAll(f *File, buf []byte, most int64) ([]byte, error) {
	n := 0
	for {
		m, err := f.Read(buf[n:])
		n += m
		if err == io.EOF {
			return buf[:n:n], nil
		}
		if err != nil {
			return nil, err
		}
		if n == len(buf) {
			if int64(n) > most {
				return nil, &PathError{Op: "read", Path: f.Name(), Err: tooLarge(int64(n), most)}
			}
			buf = append(buf, make([]byte, len(buf))...)
		}
	}
}

func tooLarge(n, most int64) error {
	return fmt.Errorf("file of %d bytes or more: at most %d are read (BatchConfig.MaxBytes): %w", n, most, errTooLarge)
}

var errTooLarge = errors.New("file is too large")

// room is bytes that several share.
type room struct {
	most int64
	mu   sync.Mutex
	cond sync.Cond
	used int64
}

func newRoom(most int64) *room {
	r := &room{most: most}
	r.cond.L = &r.mu
	return r
}

// take waits for room for n bytes, until ctx ends; who ends it calls wake.
func (r *room) take(ctx context.Context, n int64) error {
	if n > r.most {
		return tooLarge(n, r.most)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.used+n > r.most && r.used > 0 {
		if ctx.Err() != nil {
			return ended(ctx)
		}
		r.cond.Wait()
	}
	r.used += n
	return nil
}

// give gives n bytes back.
func (r *room) give(n int64) { r.resize(n, 0) }

// resize makes what was taken as one number of bytes another.
func (r *room) resize(from, to int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used += to - from
	r.cond.Broadcast()
}

func (r *room) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cond.Broadcast()
}
