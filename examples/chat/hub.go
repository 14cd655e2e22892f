package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/net"
)

// policy is what becomes of a client whose queue is full.
type policy string

const (
	closeSlow policy = "close"
	dropSlow  policy = "drop"
)

// MarshalText and UnmarshalText make a policy a flag.
func (p policy) MarshalText() ([]byte, error) { return []byte(p), nil }

func (p *policy) UnmarshalText(text []byte) error {
	switch policy(text) {
	case closeSlow, dropSlow:
		*p = policy(text)
		return nil
	}
	return errors.New("it is close or drop")
}

// hub knows who has subscribed to what.
type hub struct {
	queue    int
	policy   policy
	patience time.Duration

	published, queued, dropped, slow atomic.Int64

	mu      sync.RWMutex
	topics  map[string]map[*client]struct{}
	clients map[*client]struct{}
	closed  bool
}

func newHub(o options) *hub {
	return &hub{queue: o.queue, policy: o.slow, patience: o.patience,
		topics: make(map[string]map[*client]struct{}), clients: make(map[*client]struct{})}
}

// lineMax is the longest line of a client, with its end, in bytes.
const lineMax = 512

// handle reads what a client says until it leaves.
func (h *hub) handle(conn net.Conn) {
	c := &client{hub: h, conn: conn}
	h.join(c)
	defer c.leave()
	lines := bufio.NewReaderSize(conn, lineMax)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			c.send(fmt.Appendf(nil, "ERR a line has at most %d bytes\n", lineMax))
			c.finish()
			return
		}
		if err != nil {
			return
		}
		h.obey(c, bytes.TrimRight(line, "\r\n"))
	}
}

// obey does what a line says.
func (h *hub) obey(c *client, line []byte) {
	verb, rest, _ := bytes.Cut(line, []byte(" "))
	topic, text, _ := bytes.Cut(rest, []byte(" "))
	switch string(verb) {
	case "PING":
		c.send([]byte("PONG\n"))
		return
	case "SUB", "UNSUB", "PUB":
		if len(topic) == 0 {
			c.send([]byte("ERR which topic?\n"))
			return
		}
	}
	switch string(verb) {
	case "SUB":
		h.subscribe(c, string(topic))
		c.send(fmt.Appendf(nil, "OK %s\n", topic))
	case "UNSUB":
		h.unsubscribe(c, string(topic))
		c.send(fmt.Appendf(nil, "OK %s\n", topic))
	case "PUB":
		h.publish(string(topic), text)
	default:
		c.send([]byte("ERR say SUB topic, UNSUB topic, PUB topic text or PING\n"))
	}
}

// publish queues a message for all subscribers of a topic, who share its bytes.
func (h *hub) publish(topic string, text []byte) {
	message := fmt.Appendf(nil, "MSG %s %s\n", topic, text)
	h.published.Inc()
	h.mu.RLock()
	defer h.mu.RUnlock()
	for c := range h.topics[topic] {
		if c.send(message) {
			h.queued.Inc()
		}
	}
}

func (h *hub) subscribe(c *client, topic string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.topics[topic] == nil {
		h.topics[topic] = make(map[*client]struct{})
	}
	h.topics[topic][c] = struct{}{}
	if c.topics == nil {
		c.topics = make(map[string]struct{})
	}
	c.topics[topic] = struct{}{}
}

func (h *hub) unsubscribe(c *client, topic string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remove(c, topic)
}

// remove is unsubscribe for who has the lock.
func (h *hub) remove(c *client, topic string) {
	delete(h.topics[topic], c)
	if len(h.topics[topic]) == 0 {
		delete(h.topics, topic)
	}
	delete(c.topics, topic)
}

func (h *hub) join(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients[c] = struct{}{}
	if h.closed { // it was accepted in the last moment
		c.send([]byte("BYE\n"))
		c.finish()
	}
}

func (h *hub) forget(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for topic := range c.topics {
		h.remove(c, topic)
	}
	delete(h.clients, c)
}

// close takes leave of all clients.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c := range h.clients {
		c.send([]byte("BYE\n"))
		c.finish()
	}
}
