//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// worker is a subject that makes its own load: it reads a file or does nothing
// many times, in a process that lasts for one round.
type worker struct {
	lab  *lab
	argv []string
	name string // what it stands on, once it has said so
	last int    // the process of the last round
	all  int64  // its operations, also those that were not measured

	wrap []string // a command before its own
}

// workerSpec tells a worker what to do; it is its last argument, in JSON.
type workerSpec struct {
	Kind       kind
	File       string
	Dir        string // of the tree of small files
	Size       int64  // of the file, or the part of it that is used
	Block      int    // bytes of a read, a write or a record
	Direct     bool
	Cold       bool
	Goroutines int
	Warm       time.Duration
	Measure    time.Duration
}

// workerResult is what a worker prints.
type workerResult struct {
	Backend  string
	Ops      int64 // in the measured time
	All      int64 // and before
	Seconds  float64
	Usage    Usage
	Latency  Latency
	Syscalls int64 // -1 if not known
	Error    string
	Wrong    bool
}

func (w *worker) backend() string { return w.name }

func (w *worker) close() {}

func (w *worker) pid() int { return 0 }

func (w *worker) run(ctx context.Context, c cell, p pace, _ float64) (Sample, error) {
	spec, err := w.lab.workerSpec(ctx, c, p)
	if err != nil {
		return Sample{}, err
	}
	arg, err := json.Marshal(spec)
	if err != nil {
		return Sample{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.warm+p.measure+20*time.Second)
	defer cancel()
	argv := append(slices.Clone(w.wrap), w.argv...)
	ch, err := startChild(ctx, anyCPU, []string{"GOTRACEBACK=none"}, append(argv, string(arg))...)
	if err != nil {
		return Sample{}, err
	}
	w.last = ch.pid()
	var r workerResult
	err = ch.read(&r)
	if e := ch.end(); err == nil {
		err = e
	}
	switch {
	case err != nil:
		return Sample{}, err
	case r.Wrong:
		return Sample{}, fmt.Errorf("%w: %s", errWrong, r.Error)
	case r.Error != "":
		return Sample{}, errors.New(r.Error)
	}
	w.name, w.all = r.Backend, r.All
	s := newSample(r.Ops, r.Ops, r.Seconds, r.Usage, r.Latency)
	if r.Syscalls >= 0 && r.Ops > 0 {
		s.Syscalls = float64(r.Syscalls) / float64(r.Ops)
	}
	return s, nil
}

// workerMain is the process of a worker; body does the work.
func workerMain(args []string, body func(*workload) error) error {
	fs := flag.NewFlagSet("worker", flag.ContinueOnError)
	var w workload
	w.flags.register(fs)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return errors.New("want one argument")
	}
	if err := json.Unmarshal([]byte(fs.Arg(0)), &w.spec); err != nil {
		return err
	}
	err := body(&w)
	if err != nil {
		w.result.Error, w.result.Wrong = err.Error(), errors.Is(err, errWrong)
	}
	return json.NewEncoder(os.Stdout).Encode(w.result)
}

// workerSpec prepares what the cell needs and says what is to be done.
func (l *lab) workerSpec(ctx context.Context, c cell, p pace) (workerSpec, error) {
	spec := workerSpec{Kind: c.Kind, Block: c.Size, Direct: c.Direct, Cold: c.Cold, Goroutines: c.Conns,
		Warm: p.warm, Measure: p.measure}
	var err error
	switch c.Kind {
	case kindRead, kindSeqRead, kindCopy:
		err = l.dataFile(ctx, p.fileSize)
		spec.File, spec.Size = l.data, l.size
		if c.Kind != kindRead {
			spec.Size = min(l.size, c.Bytes)
		}
		if c.Kind == kindCopy && err == nil {
			err = l.room(2 * spec.Size)
		}
	case kindSeqWrite:
		spec.Size = min(c.Bytes, p.fileSize)
		spec.File, err = l.scratchFile(ctx, spec.Size)
	case kindAppend:
		spec.File = l.path("log")
		err = l.room(mostAppended)
	case kindTree, kindStat:
		spec.Dir, err = l.smallTree(ctx, min(treeFiles, int(p.fileSize/readSize)))
	}
	return spec, err
}

// mostAppended is more than what is appended in a second or two.
const mostAppended = 512 * mib

// room looks whether the disk has so much room, and as much again, which
// others may need.
func (l *lab) room(size int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(l.dir, &fs); err != nil {
		return os.NewSyscallError("statfs", err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < 2*size {
		return fmt.Errorf("%d MiB are free in %s, and %d are wanted; -dir chooses another place", free/mib, l.dir, 2*size/mib)
	}
	return nil
}

// scratchFile makes the file that is written over: its blocks are there, so
// that the file system need not look for any.
func (l *lab) scratchFile(ctx context.Context, size int64) (string, error) {
	path := l.path("scratch")
	if info, err := os.Stat(path); err == nil && info.Size() == size {
		return path, nil
	}
	return path, l.writeBlocks(ctx, path, size)
}

// dataFile makes the file that is read, once. Each word of it says where it
// is.
func (l *lab) dataFile(ctx context.Context, size int64) error {
	if l.data != "" && l.size == size {
		return nil
	}
	path := l.path("data")
	if err := l.writeBlocks(ctx, path, size); err != nil {
		return err
	}
	l.data, l.size = path, size
	return nil
}

// writeBlocks writes a file whose words say where they are.
func (l *lab) writeBlocks(ctx context.Context, path string, size int64) (err error) {
	if err := l.room(size); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, mib)
	for off := int64(0); off < size; off += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		fillBlocks(buf, off)
		if _, err := f.WriteAt(buf, off); err != nil {
			return err
		}
	}
	return f.Sync()
}
