//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/yamanote-go/yamanote/proactor"
)

// appender makes records durable: when append returns they are on the disk.
type appender interface {
	append(record []byte) error
	close() error
}

// appendRecords has goroutines append records to a new file. Then each that was
// acknowledged must be there, and whole.
func (w *workload) appendRecords(rt *proactor.Runtime) (err error) {
	path := w.spec.File
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	var a appender
	switch {
	case rt != nil:
		a, err = openOurs(rt, path)
	case w.flags.group:
		a, err = openGroup(path)
	default:
		a, err = openLocked(filesOf(nil), path)
	}
	if err != nil {
		return err
	}
	acknowledged := make([]uint64, w.spec.Goroutines)
	err = w.measure(rt, func(i int) func() error {
		record := make([]byte, w.spec.Block)
		return func() error {
			stampRecord(record, uint64(i), acknowledged[i])
			if err := a.append(record); err != nil {
				return err
			}
			acknowledged[i]++
			return nil
		}
	})
	if err := errors.Join(err, a.close()); err != nil {
		return err
	}
	return checkRecords(path, w.spec.Block, acknowledged)
}

// stampRecord fills a record that says whose it is and the how-manieth.
func stampRecord(b []byte, who, number uint64) {
	binary.LittleEndian.PutUint64(b, who)
	binary.LittleEndian.PutUint64(b[8:], number)
	x := who<<32 + number
	for i := 16; i < len(b); i += 8 {
		x = x*6364136223846793005 + 1442695040888963407
		binary.LittleEndian.PutUint64(b[i:], x)
	}
}

// checkRecords looks for what was acknowledged: the records of each goroutine,
// in order. More may be there: what was under way at the end.
func checkRecords(path string, size int, acknowledged []uint64) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	found := make([]uint64, len(acknowledged))
	want := make([]byte, size)
	for ; len(data) >= size; data = data[size:] {
		who := binary.LittleEndian.Uint64(data)
		if who >= uint64(len(found)) {
			return fmt.Errorf("%w: a record of nobody", errWrong)
		}
		stampRecord(want, who, found[who])
		if string(data[:size]) != string(want) {
			return fmt.Errorf("%w in record %d of goroutine %d", errWrong, found[who], who)
		}
		found[who]++
	}
	for i, n := range acknowledged {
		if found[i] < n {
			return fmt.Errorf("%w: %d records of goroutine %d were acknowledged, and %d are there", errWrong, n, i, found[i])
		}
	}
	return nil
}

// locked is what most programs do: Write and Sync under a mutex.
type locked struct {
	mu sync.Mutex
	f  osFile
}

func openLocked(files fileSystemOf, path string) (appender, error) {
	f, err := files.open(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	return &locked{f: f}, err
}

func (l *locked) append(record []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.f.Write(record); err != nil {
		return err
	}
	return l.f.Sync()
}

func (l *locked) close() error { return l.f.Close() }

// group commits by hand on an os.File: records gather in a batch until the one
// before is durable. Who put the first record into a batch then writes it, with
// one Sync for all.
type group struct {
	f      *os.File
	failed error // for good: what a failed Sync has lost is not known. Belongs to who commits

	mu   sync.Mutex
	next *batchOf
}

// batchOf are records that become durable together.
type batchOf struct {
	data   []byte
	before chan struct{} // closed when the batch before is durable
	done   chan struct{} // closed when this one is
	err    error
}

func openGroup(path string) (appender, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	none := make(chan struct{})
	close(none)
	return &group{f: f, next: newBatch(none)}, err
}

func newBatch(before chan struct{}) *batchOf {
	return &batchOf{before: before, done: make(chan struct{})}
}

func (g *group) append(record []byte) error {
	g.mu.Lock()
	b := g.next
	first := len(b.data) == 0
	b.data = append(b.data, record...)
	g.mu.Unlock()
	if !first {
		<-b.done
		return b.err
	}
	<-b.before
	g.mu.Lock()
	g.next = newBatch(b.done)
	g.mu.Unlock()
	if g.failed == nil {
		g.failed = g.commit(b.data)
	}
	b.err = g.failed
	close(b.done)
	return b.err
}

func (g *group) commit(data []byte) error {
	if _, err := g.f.Write(data); err != nil {
		return err
	}
	return g.f.Sync()
}

func (g *group) close() error { return g.f.Close() }
