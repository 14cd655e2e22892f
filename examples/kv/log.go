package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/yamanote-go/yamanote/file"
	"github.com/yamanote-go/yamanote/proactor"
)

// wal is a log to append to.
type wal interface {
	// add makes records durable. It may be called from any goroutine. After an
	// error, all further calls fail.
	add(records []byte) error
	// commits returns how many durable writes there have been.
	commits() int64
	// end waits for what is under way and closes the log.
	end() error
}

// openLog opens a log of whole records, of the kind that -log names.
func openLog(kind string, rt *proactor.Runtime, name string) (wal, error) {
	if kind == "os" {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return nil, err
		}
		return &plainLog{f: f}, nil
	}
	f, err := file.OpenConfig{Runtime: rt}.OpenFile(name, file.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &groupLog{f, file.NewAppender(f, file.AppendConfig{MaxBatch: maxBatch})}, nil
}

// groupLog is a log on an Appender: what comes while a write is under way
// shares the next one.
type groupLog struct {
	f *file.File
	a *file.Appender
}

func (l *groupLog) add(records []byte) error {
	// A context that cannot end: whether a record was written must be known.
	_, err := l.a.Append(context.Background(), records)
	return err
}

func (l *groupLog) commits() int64 { return l.a.Stats().Writes }

func (l *groupLog) end() error { return errors.Join(l.a.Close(), l.f.Close()) }

// plainLog is what one writes without an Appender, to compare it with: a write
// and a sync for each.
type plainLog struct {
	mu     sync.Mutex
	f      *os.File
	syncs  int64
	failed error
}

func (l *plainLog) add(records []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return fmt.Errorf("an earlier commit has failed: %w", l.failed)
	}
	if _, l.failed = l.f.Write(records); l.failed == nil {
		l.failed = l.f.Sync()
	}
	l.syncs++
	return l.failed
}

func (l *plainLog) commits() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.syncs
}

func (l *plainLog) end() error { return l.f.Close() }

// noLog is in the place of a log that is lost.
type noLog struct{ err error }

func (l noLog) add([]byte) error { return l.err }
func (l noLog) commits() int64   { return 0 }
func (l noLog) end() error       { return nil }
