package net_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// behindConn is what connections have for write-behind.
type behindConn interface {
	stream
	Flush() error
	SetWriteBehind(on bool) error
}

// The methods of write-behind do their work with or without a ring, and the
// options of a listener and a dialer are those of their connections.
func TestWriteBehind(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		writeBehind(t, rt, network, 30, 50)
		c, _ := connect(t, rt, network)
		require.NoError(t, c.Close())
		for _, err := range []error{c.(behindConn).Flush(), c.(behindConn).SetWriteBehind(true)} {
			if rt.HasRing() {
				require.ErrorIs(t, err, net.ErrClosed)
			} else {
				require.NoError(t, err)
			}
		}
	})
}

// The same with a thousand connections.
func TestWriteBehindOfMany(t *testing.T) {
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) { writeBehind(t, rt, "tcp4", pick(1000, 200), 6) })
}

// writeBehind lets clients ask in parts and compare the answers, so many times
// each.
func writeBehind(t *testing.T, rt *proactor.Runtime, network string, clients, rounds int) {
	t.Helper()
	lc := net.ListenConfig{Runtime: rt, WriteBehind: true}
	l, err := lc.Listen(context.Background(), network, address(t, network))
	require.NoError(t, err)
	defer l.Close()
	var running []<-chan result
	running = append(running, start(func() (int, error) {
		for range clients {
			c, err := l.Accept()
			if err != nil {
				return 0, err
			}
			running := start(func() (int, error) { n, err := io.Copy(struct{ io.Writer }{c}, c); return int(n), err })
			go func() {
				<-running
				_ = c.Close()
			}()
		}
		return 0, nil
	}))
	for i := range clients {
		running = append(running, start(func() (int, error) {
			d := net.Dialer{Runtime: rt, WriteBehind: true}
			conn, err := d.Dial(network, l.Addr().String())
			if err != nil {
				return 0, err
			}
			c := conn.(behindConn)
			defer c.Close()
			sent, got := bytesOf(uint64(i), 300), make([]byte, 300)
			for round := range rounds {
				for part := range 3 {
					if _, err := c.Write(sent[part*100:][:100]); err != nil {
						return round, err
					}
				}
				if round%10 == 0 {
					if err := errors.Join(c.Flush(), c.SetWriteBehind(round%20 == 0)); err != nil {
						return round, err
					}
				}
				if _, err := io.ReadFull(c, got); err != nil {
					return round, err
				}
				if !bytes.Equal(sent, got) {
					return round, errors.New("not what was sent")
				}
			}
			return rounds, nil
		}))
	}
	for _, r := range running {
		r := <-r
		require.NoError(t, r.err, "after %d", r.n)
	}
	if rt.HasRing() {
		require.NotZero(t, rt.Stats().Behind)
	}
}
