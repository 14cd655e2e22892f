package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// session is one connection. Changes that have come together, as they do when a
// client does not wait for each answer, share a commit.
type session struct {
	store *store
	conn  io.ReadWriter
	in    []byte // what has come and is not done
	out   *bufio.Writer

	changes []write
	bytes   int64    // of their records
	answers []answer // to whom has asked for them
	quit    bool
}

// answer is how a request for n changes is answered.
type answer struct {
	n     int
	count bool // with how many keys there were, as DEL
}

func newSession(s *store, conn io.ReadWriter) *session {
	return &session{store: s, conn: conn, out: bufio.NewWriterSize(conn, 16<<10)}
}

// serve serves until the client is done, or fails, or makes no sense.
func (s *session) serve() error {
	for {
		done, err := s.requests()
		s.flushChanges()
		if err != nil {
			replyError(s.out, err)
		}
		if flushErr := s.out.Flush(); err != nil || flushErr != nil || s.quit {
			return errors.Join(err, flushErr)
		}
		s.in = append(s.in[:0], s.in[done:]...)
		if cap(s.in) > 1<<20 && len(s.in) < 1<<10 {
			s.in = append([]byte(nil), s.in...) // after something long
		}
		if err := s.read(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// read waits for more.
func (s *session) read() error {
	if cap(s.in)-len(s.in) < 4<<10 {
		grown := make([]byte, len(s.in), max(2*cap(s.in), 8<<10))
		copy(grown, s.in)
		s.in = grown
	}
	n, err := s.conn.Read(s.in[len(s.in):cap(s.in)])
	s.in = s.in[:len(s.in)+n]
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// requests does all that are complete, and returns how many bytes those were.
func (s *session) requests() (done int, err error) {
	for !s.quit {
		args, n, err := parse(s.in[done:])
		if err == errPartial {
			return done, nil
		}
		if err != nil {
			return done, err
		}
		done += n
		if len(args) > 0 {
			s.do(strings.ToUpper(string(args[0])), args[1:])
		}
	}
	return done, nil
}

// arguments says how many a request takes.
var arguments = map[string]struct{ least, most int }{
	"GET": {1, 1}, "SET": {2, 2}, "DEL": {1, maxArgs}, "EXISTS": {1, maxArgs}, "DBSIZE": {0, 0},
	"PING": {0, 1}, "ECHO": {1, 1}, "QUIT": {0, 0},
}

// do does a request. Changes are put off until something else is asked for.
func (s *session) do(name string, args [][]byte) {
	want, known := arguments[name]
	var err error
	switch {
	case !known:
		err = fmt.Errorf("unknown command %.40q; there are GET, SET, DEL, EXISTS, DBSIZE, PING, ECHO and QUIT", name)
	case len(args) < want.least || len(args) > want.most:
		err = fmt.Errorf("wrong number of arguments for %s: %d", name, len(args))
	case name == "SET" || name == "DEL":
		if err = s.change(name, args); err == nil {
			return
		}
	}
	s.flushChanges()
	switch {
	case err != nil:
		replyError(s.out, err)
	case name == "GET":
		if value, ok := s.store.get(args[0]); ok {
			replyBytes(s.out, value)
		} else {
			replyNone(s.out)
		}
	case name == "EXISTS":
		n := 0
		for _, key := range args {
			if _, ok := s.store.get(key); ok {
				n++
			}
		}
		replyInt(s.out, n)
	case name == "DBSIZE":
		replyInt(s.out, s.store.count())
	case name == "ECHO" || len(args) == 1:
		replyBytes(s.out, args[0])
	case name == "PING":
		_, _ = s.out.WriteString("+PONG\r\n")
	default:
		s.quit = true
		replyOK(s.out)
	}
}

// change puts a SET or a DEL to the changes.
func (s *session) change(name string, args [][]byte) error {
	keys := args
	if name == "SET" {
		keys = args[:1]
	}
	for _, key := range keys {
		if len(key) == 0 || len(key) > maxKey {
			return fmt.Errorf("a key has 1 to %d bytes, and this one %d", maxKey, len(key))
		}
	}
	if s.bytes >= maxBatch {
		s.flushChanges()
	}
	for _, key := range keys {
		w := write{key: string(key), remove: name == "DEL"}
		if !w.remove {
			w.value = bytes.Clone(args[1])
		}
		s.changes = append(s.changes, w)
		s.bytes += recordSize(w.key, w.value)
	}
	s.answers = append(s.answers, answer{len(keys), name == "DEL"})
	return nil
}

// flushChanges commits the changes and answers who has asked for them.
func (s *session) flushChanges() {
	if len(s.changes) == 0 {
		return
	}
	existed, err := s.store.commit(s.changes)
	for _, a := range s.answers {
		if err != nil {
			replyError(s.out, fmt.Errorf("not committed, and it is not known whether it will be there: %w", err))
			continue
		}
		n := 0
		for _, was := range existed[:a.n] {
			if was {
				n++
			}
		}
		existed = existed[a.n:]
		if a.count {
			replyInt(s.out, n)
		} else {
			replyOK(s.out)
		}
	}
	s.changes, s.answers, s.bytes = nil, nil, 0
}
