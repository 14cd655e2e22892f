package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// report is what came of a test.
type report struct {
	answers, lost int
	err           error
}

// stampSize is the number of the datagram at its beginning.
const stampSize = 8

// tryOut lets clients send datagrams of size bytes for a while and compares the
// answers.
func tryOut(ctx context.Context, rt *proactor.Runtime, addr string, clients, size int, d time.Duration) report {
	results := make(chan report, clients)
	end := time.Now().Add(d)
	for i := range clients {
		go func() {
			var r report
			r.err = r.client(ctx, rt, addr, byte(i), size, end)
			results <- r
		}()
	}
	var all report
	for range clients {
		r := <-results
		all.answers += r.answers
		all.lost += r.lost
		all.err = errors.Join(all.err, r.err)
	}
	if all.err == nil && all.answers == 0 {
		all.err = errors.New("no answer at all")
	}
	return all
}

// client asks one question after the other.
func (r *report) client(ctx context.Context, rt *proactor.Runtime, addr string, id byte, size int, end time.Time) error {
	dialer := net.Dialer{Runtime: rt}
	c, err := dialer.DialContext(ctx, "udp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	question, answer := bytes.Repeat([]byte{id}, size), make([]byte, size+1)
	for number := uint64(0); time.Now().Before(end) && ctx.Err() == nil; number++ {
		binary.LittleEndian.PutUint64(question, number)
		if _, err := c.Write(question); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(lostAfter)); err != nil {
			return err
		}
		for {
			n, err := c.Read(answer)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				r.lost++ // UDP may lose; its answer can still come, late
				break
			}
			if err != nil {
				return err
			}
			if late := n == size && binary.LittleEndian.Uint64(answer) < number; late {
				continue
			}
			if !bytes.Equal(answer[:n], question) {
				return fmt.Errorf("client %d got %d bytes that it has not sent, for its question %d", id, n, number)
			}
			r.answers++
			break
		}
	}
	return nil
}
