package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// blockSize is what is read at a time. Every block of the file begins with its
// number.
const blockSize = 4096

// tempDir returns the directory for the file: what was asked for, or else the
// usual one, unless that is in memory and the other one is not.
func tempDir(dir string) string {
	const onDisk = "/var/tmp"
	if dir != "" {
		return dir
	}
	dir = os.TempDir()
	if info, err := os.Stat(onDisk); inMemory(dir) && err == nil && info.IsDir() && !inMemory(onDisk) {
		return onDisk
	}
	return dir
}

// createFile writes the file to read and returns its name.
func createFile(ctx context.Context, dir string, mib int) (path string, err error) {
	f, err := os.CreateTemp(dir, "yamanote-tour-*")
	if err != nil {
		return "", err
	}
	const most = 1 << 20
	buf := make([]byte, most)
	for i := range buf {
		buf[i] = byte(rand.Uint32())
	}
	for i := 0; i < mib && err == nil; i++ {
		for b := 0; b < most; b += blockSize {
			binary.LittleEndian.PutUint64(buf[b:], uint64(i*most+b)/blockSize)
		}
		if _, err = f.Write(buf); err == nil {
			err = ctx.Err()
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", fmt.Errorf("writing a file of %d MiB: %w (-mib makes it smaller, -dir puts it elsewhere)", mib, err)
	}
	return filepath.Abs(f.Name())
}

// readerAt is what both kinds of file have in common.
type readerAt interface {
	io.ReaderAt
	io.Closer
}

// reader is the helper "files". Its requests are "open", "run" and "close".
type reader struct {
	rt     *proactor.Runtime
	f      readerAt
	blocks int64
	bufs   []byte
	free   func()
	conns  int
}

func (r *reader) do(q request) (reply, error) {
	switch q.Do {
	case "open":
		return reply{}, r.open(q)
	case "mark":
		return reply{Usage: usedBy(r.rt, q.Mark)}, nil
	case "run":
		res, err := r.run(q.For)
		return reply{Result: res}, err
	case "close":
		r.close()
		return reply{}, nil
	}
	return reply{}, fmt.Errorf("files: no request %q", q.Do)
}

// open opens the file and reads a block, which shows whether it works that
// way.
func (r *reader) open(q request) error {
	r.close()
	info, err := os.Stat(q.Path)
	if err != nil {
		return err
	}
	flag := os.O_RDONLY
	if q.Direct {
		flag |= directFlag
	}
	if r.rt != nil {
		r.f, err = file.OpenConfig{Runtime: r.rt}.OpenFile(q.Path, flag, 0)
	} else {
		r.f, err = os.OpenFile(q.Path, flag, 0)
	}
	if err != nil {
		r.f = nil
		return err
	}
	r.blocks, r.conns = info.Size()/blockSize, q.Conns
	if r.bufs, r.free, err = alignedMemory(q.Conns * blockSize); err != nil {
		return err
	}
	return r.read(r.bufs[:blockSize], 0)
}

func (r *reader) read(buf []byte, block int64) error {
	if _, err := r.f.ReadAt(buf, block*blockSize); err != nil {
		return err
	}
	if got := binary.LittleEndian.Uint64(buf); got != uint64(block) {
		return fmt.Errorf("block %d has the content of block %d", block, got)
	}
	return nil
}

// run reads at random places, by as many goroutines as there are buffers.
func (r *reader) run(d time.Duration) (result, error) {
	if r.f == nil {
		return result{}, os.ErrClosed
	}
	hists, errs := make([]histogram, r.conns), make([]error, r.conns)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range r.conns {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(start.UnixNano()), uint64(i)))
			buf := r.bufs[i*blockSize : (i+1)*blockSize]
			for now := time.Now(); now.Sub(start) < d; {
				if errs[i] = r.read(buf, rng.Int64N(r.blocks)); errs[i] != nil {
					return
				}
				then := now
				now = time.Now()
				hists[i].add(now.Sub(then))
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	var all histogram
	for i := range hists {
		all.merge(&hists[i])
	}
	return all.result(elapsed), errors.Join(errs...)
}

func (r *reader) close() {
	if r.f != nil {
		_ = r.f.Close()
		r.f = nil
	}
	if r.free != nil {
		r.free()
		r.free = nil
	}
}
