package main

import (
	"sync"
	"time"

	"github.com/yamanote-go/yamanote/net"
)

// client is one connection. One goroutine reads from it; another one writes
// while there is something to write.
type client struct {
	hub    *hub
	conn   net.Conn
	topics map[string]struct{} // under the hub's lock

	mu       sync.Mutex
	writer   sync.WaitGroup
	queue    [][]byte
	writing  bool // there is a writer, or none will come any more
	finished bool // nothing more is queued; the writer ends the stream
}

// send queues a message and reports whether it has: not for a client that is
// about to leave, nor for one whose queue is full. It never waits for the
// client. The message must not change afterwards.
func (c *client) send(message []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.finished:
		return false
	case len(c.queue) < c.hub.queue:
		c.queue = append(c.queue, message)
		c.wake()
		return true
	case c.hub.policy == dropSlow:
		c.hub.dropped.Inc()
		return false
	}
	c.hub.slow.Inc()
	c.finished, c.queue = true, nil
	_ = c.conn.Close() // which ends the reader and the writer
	return false
}

// finish has the client told that nothing more comes, after what is queued.
func (c *client) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.finished {
		c.finished = true
		c.wake()
	}
}

// wake makes sure that somebody writes. The lock is held.
func (c *client) wake() {
	if !c.writing {
		c.writing = true
		c.writer.Go(c.write)
	}
}

// batchMax is about how many bytes are written at once.
const batchMax = 32 << 10

// write sends what is queued until there is no more.
func (c *client) write() {
	var batch []byte
	for {
		batch = c.next(batch[:0])
		if len(batch) == 0 {
			return
		}
		_ = c.conn.SetWriteDeadline(time.Now().Add(c.hub.patience))
		if _, err := c.conn.Write(batch); err != nil {
			_ = c.conn.Close() // which ends the reader
			return
		}
	}
}

// next takes messages from the queue. With none left the caller has to go.
func (c *client) next(batch []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.queue) && len(batch) < batchMax {
		batch = append(batch, c.queue[n]...)
		c.queue[n] = nil
		n++
	}
	c.queue = c.queue[n:]
	if n > 0 {
		return batch
	}
	c.queue = nil // an idle client has no memory for it
	if c.finished {
		_ = c.conn.(interface{ CloseWrite() error }).CloseWrite()
		return nil
	}
	c.writing = false
	return nil
}

// leave ends a client whose reader is done: what is queued is still sent, as
// long as the client takes it.
func (c *client) leave() {
	c.hub.forget(c)
	c.finish()
	c.writer.Wait()
}
