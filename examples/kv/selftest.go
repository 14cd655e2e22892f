package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	selftestClients = 8
	selftestKeys    = 20 // of each client
)

// selftest kills a server again and again while clients change values, and
// checks each time that all that was acknowledged is there.
type selftest struct {
	rounds int
	args   []string // of the server
	out    io.Writer
	stderr io.Writer

	// versions of each client's keys: that which the server has acknowledged
	// last, and the last that was sent. Only one of the client's goroutine at a
	// time uses them.
	acked, sent [selftestClients][selftestKeys]int
}

// selftestCompactAt makes the server compact its log all the time.
const selftestCompactAt = 64 << 10

func (t *selftest) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "kv")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	args := append([]string{"-dir", dir, "-compact", strconv.Itoa(selftestCompactAt)}, t.args...)
	for round := 1; ; round++ {
		c, err := startChild(t.stderr, args...)
		if err != nil {
			return err
		}
		if err := t.check(c.addr); err != nil {
			c.kill()
			return fmt.Errorf("after kill %d: %w", round-1, err)
		}
		if round > t.rounds || ctx.Err() != nil {
			return errors.Join(ctx.Err(), c.stop())
		}
		changes, err := t.workAndKill(c)
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		fmt.Fprintf(t.out, "round %d: killed after %d changes\n", round, changes)
	}
}

// workAndKill lets all clients work until the server is killed.
func (t *selftest) workAndKill(c *child) (changes int, err error) {
	var wg sync.WaitGroup
	var errs [selftestClients]error
	var counts [selftestClients]int
	working := make(chan struct{}, 2*selftestClients) // nobody waits to say that he has begun, and ended
	for i := range selftestClients {
		wg.Go(func() {
			counts[i], errs[i] = t.work(c.addr, i, func() { working <- struct{}{} })
			working <- struct{}{}
		})
	}
	<-working
	time.Sleep(time.Duration(rand.Int64N(int64(200 * time.Millisecond))))
	c.kill()
	wg.Wait()
	for _, n := range counts {
		changes += n
	}
	err = errors.Join(errs[:]...)
	if err == nil && changes == 0 {
		err = errors.New("nothing was acknowledged")
	}
	return changes, err
}

// work changes a client's keys until the connection ends, several before it
// waits for answers, and calls began after the first. It returns how many
// changes were acknowledged.
func (t *selftest) work(addr string, client int, began func()) (changes int, err error) {
	c, err := dial(addr)
	if err != nil {
		return 0, err
	}
	defer c.close()
	for {
		keys := rand.Perm(selftestKeys)[:1+rand.IntN(4)]
		for _, k := range keys {
			t.sent[client][k]++
			if v := t.sent[client][k]; v%5 == 0 {
				c.send("DEL", testKey(client, k))
			} else {
				c.send("SET", testKey(client, k), testValue(client, k, v))
			}
		}
		for _, k := range keys {
			if _, err := c.receive(); err != nil {
				var said serverError
				if errors.As(err, &said) {
					return changes, err
				}
				return changes, nil // it was killed
			}
			t.acked[client][k]++
			if changes++; changes == 1 {
				began()
			}
		}
	}
}

// check compares what the server has with what was acknowledged and sent.
func (t *selftest) check(addr string) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.close()
	for client := range selftestClients {
		for k := range selftestKeys {
			got, err := c.ask("GET", testKey(client, k))
			if err != nil {
				return err
			}
			now, err := t.versionOf(client, k, got)
			if err != nil {
				return err
			}
			t.acked[client][k], t.sent[client][k] = now, now
		}
	}
	return nil
}

// versionOf returns which version an answer is, of those that it may be: the
// last that was acknowledged, or one that was sent afterwards.
func (t *selftest) versionOf(client, k int, got string) (int, error) {
	for v := t.acked[client][k]; v <= t.sent[client][k]; v++ {
		want := testValue(client, k, v)
		if v%5 == 0 {
			want = none
		}
		if got == want {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%s is %.40q, and should be version %d to %d",
		testKey(client, k), got, t.acked[client][k], t.sent[client][k])
}

func testKey(client, k int) string { return fmt.Sprintf("client%d.key%d", client, k) }

// testValue returns a value whose content follows from its place and version.
func testValue(client, k, version int) string {
	return strings.Repeat(fmt.Sprintf("%d.%d.%d ", client, k, version), 1+(client*31+k*17+version*7)%100)
}
