//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"
)

// worker is a subject that makes its own load: it reads a file or does nothing
// many times, in a process that lasts for one round.
type worker struct {
	lab  *lab
	argv []string
	name string // what it stands on, once it has said so
	last int    // the process of the last round
}

// workerSpec tells a worker what to do; it is its last argument, in JSON.
type workerSpec struct {
	File       string
	Size       int64
	Direct     bool
	Goroutines int
	Warm       time.Duration
	Measure    time.Duration
}

// workerResult is what a worker prints.
type workerResult struct {
	Backend  string
	Ops      int64
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
	spec := workerSpec{Direct: c.Direct, Goroutines: c.Conns, Warm: p.warm, Measure: p.measure}
	if c.Kind == kindRead {
		if err := w.lab.dataFile(ctx, p.fileSize); err != nil {
			return Sample{}, err
		}
		spec.File, spec.Size = w.lab.data, w.lab.size
	}
	arg, err := json.Marshal(spec)
	if err != nil {
		return Sample{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.warm+p.measure+20*time.Second)
	defer cancel()
	ch, err := startChild(ctx, anyCPU, []string{"GOTRACEBACK=none"}, append(w.argv, string(arg))...)
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
	w.name = r.Backend
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

// dataFile makes the file that is read, once. Each word of it says where it
// is.
func (l *lab) dataFile(ctx context.Context, size int64) (err error) {
	if l.data != "" && l.size == size {
		return nil
	}
	path := l.path("data")
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
	if err := f.Sync(); err != nil {
		return err
	}
	l.data, l.size = path, size
	runtime.GC()
	return nil
}
