package main

import (
	"bufio"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// store is keys and values in memory, and the log that brings them back.
//
// A change takes the stripes of its keys, goes to the log, and when it is
// durable, to the map. So changes of one key are in the log in the order in
// which the map has them, nobody reads what a crash could take back, and changes
// of different keys share a commit.
type store struct {
	rt        *proactor.Runtime
	kind      string // of log, see openLog
	name      string // of the log
	compactAt int64  // the least size of a log that is compacted, in bytes
	unlock    io.Closer

	gate    sync.RWMutex // those who change hold it for reading, who replaces the log for writing
	log     wal          // under gate
	seed    maphash.Seed
	stripes [256]sync.Mutex

	mu     sync.RWMutex
	values map[string][]byte // under mu; the values themselves do not change
	live   int64             // size of a log that has only these, under mu

	size, changes, committed, compactions atomic.Int64
	compacting                            atomic.Bool
	retryAt                               atomic.Int64 // size at which a compaction is tried again
	background                            sync.WaitGroup
	complain                              func(error)
	recovered                             recovery
}

// recovery is what was found when the store was opened.
type recovery struct {
	records int
	torn    int64 // bytes behind the last whole record
	took    time.Duration
}

// openStore opens the store in a directory, or makes one.
func openStore(rt *proactor.Runtime, dir, kind string, compactAt int64, complain func(error)) (*store, error) {
	if err := file.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &store{rt: rt, kind: kind, name: filepath.Join(dir, "log"), compactAt: compactAt, unlock: unlock,
		seed: maphash.MakeSeed(), values: make(map[string][]byte), complain: complain}
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, unlock.Close())
	}
	if s.log, err = openLog(kind, rt, s.name); err != nil {
		return nil, errors.Join(err, unlock.Close())
	}
	return s, nil
}

// recover reads the log, and cuts off what a crash has left behind its end.
func (s *store) recover() error {
	start := time.Now()
	// Of a compaction that was killed.
	if _, err := file.RemoveLeftovers(s.name); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	f, err := file.OpenConfig{Runtime: s.rt}.OpenFile(s.name, file.O_RDWR|file.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end, err := replay(f, info.Size(), func(w write) {
		s.recovered.records++
		s.apply(w)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.recovered.torn = info.Size() - end
	if err := f.Truncate(end); err != nil {
		return err
	}
	// What was read can be in the page cache only: a process that was killed
	// before its sync has left it. From here on it counts.
	if err := f.Sync(); err != nil {
		return err
	}
	if err := file.SyncDir(filepath.Dir(s.name)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	s.size.Store(end)
	s.recovered.took = time.Since(start)
	return nil
}

// apply makes a change in memory, and reports whether there was a value.
func (s *store) apply(w write) (existed bool) {
	old, existed := s.values[w.key]
	if existed {
		s.live -= recordSize(w.key, old)
	}
	if w.remove {
		delete(s.values, w.key)
		return existed
	}
	s.values[w.key] = w.value
	s.live += recordSize(w.key, w.value)
	return existed
}

// get returns the value of a key, which must not be changed.
func (s *store) get(key []byte) (value []byte, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	value, ok = s.values[string(key)]
	return value, ok
}

// count returns how many keys there are.
func (s *store) count() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.values)
}

// commit makes changes, all in one commit, and reports of each whether its key
// had a value. After an error it is not known which of them the log has, if it
// is opened again.
func (s *store) commit(ws []write) (existed []bool, err error) {
	defer s.compactIfDue()
	s.gate.RLock()
	defer s.gate.RUnlock()
	defer s.lockStripes(ws)()
	var records []byte
	for _, w := range ws {
		records = w.appendTo(records)
	}
	if err := s.log.add(records); err != nil {
		return nil, err
	}
	s.size.Add(int64(len(records)))
	s.changes.Add(int64(len(ws)))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range ws {
		existed = append(existed, s.apply(w))
	}
	return existed, nil
}

// lockStripes locks the stripes of all keys, in an order in which nobody waits
// for who waits for him.
func (s *store) lockStripes(ws []write) (unlock func()) {
	var places []int
	for _, w := range ws {
		places = append(places, int(maphash.String(s.seed, w.key)%uint64(len(s.stripes))))
	}
	slices.Sort(places)
	places = slices.Compact(places)
	for _, p := range places {
		s.stripes[p].Lock()
	}
	return func() {
		for _, p := range places {
			s.stripes[p].Unlock()
		}
	}
}

// compactIfDue starts a compaction if more than half of a log that is long
// enough is of no use any more.
func (s *store) compactIfDue() {
	size := s.size.Load()
	if size < s.compactAt || size < s.retryAt.Load() || s.compacting.Load() {
		return
	}
	s.mu.RLock()
	due := size > 2*s.live
	s.mu.RUnlock()
	if due && s.compacting.CompareAndSwap(false, true) {
		s.background.Go(func() {
			defer s.compacting.Store(false)
			if err := s.compact(); err != nil {
				s.retryAt.Store(2 * s.size.Load())
				s.complain(fmt.Errorf("compacting the log: %w", err))
			}
		})
	}
}

// compact replaces the log by one of only what is there. Changes wait meanwhile,
// reads do not.
func (s *store) compact() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	if err := s.endLog(); err != nil {
		s.log = noLog{fmt.Errorf("the log has failed: %w", err)}
		return err
	}
	size, err := s.rewrite()
	var failed *file.ReplaceError
	if errors.As(err, &failed) && failed.Replaced {
		// After a crash the old log could be back, without what is added now.
		s.log = noLog{fmt.Errorf("which log a crash would leave is not known: %w", err)}
		return err
	}
	log, openErr := openLog(s.kind, s.rt, s.name)
	if openErr != nil {
		s.log = noLog{fmt.Errorf("the log is lost: %w", openErr)}
		return errors.Join(err, openErr)
	}
	s.log = log
	if err != nil {
		return err // the old one goes on
	}
	s.size.Store(size)
	s.compactions.Inc()
	return nil
}

// rewrite writes the new log and puts it in the place of the old one.
func (s *store) rewrite() (size int64, err error) {
	r, err := file.ReplaceConfig{Runtime: s.rt, Perm: 0o600}.Begin(s.name)
	if err != nil {
		return 0, err
	}
	defer r.Abort()
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := bufio.NewWriterSize(r, 1<<20)
	var record []byte
	for key, value := range s.values {
		record = write{key: key, value: value}.appendTo(record[:0])
		if _, err := out.Write(record); err != nil {
			return 0, err
		}
		size += int64(len(record))
	}
	if err := out.Flush(); err != nil {
		return 0, err
	}
	return size, r.Commit()
}

// endLog closes the log and adds its commits up.
func (s *store) endLog() error {
	err := s.log.end()
	s.committed.Add(s.log.commits())
	return err
}

// commits returns how many durable writes there have been.
func (s *store) commits() int64 {
	s.gate.RLock()
	defer s.gate.RUnlock()
	return s.committed.Load() + s.log.commits()
}

// close waits for what is under way and closes the store.
func (s *store) close() error {
	s.background.Wait()
	s.gate.Lock()
	defer s.gate.Unlock()
	err := errors.Join(s.endLog(), s.unlock.Close())
	s.log = noLog{errors.New("the store is closed")}
	return err
}
