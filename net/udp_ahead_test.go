package net_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	stdnet "net"
	"net/netip"
	"os"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// numbered is a datagram of size bytes that tells who sent it as which.
func numbered(sender, number, size int) []byte {
	b := bytesOf(uint64(sender)<<32|uint64(number), size)
	binary.LittleEndian.PutUint32(b, uint32(sender))
	binary.LittleEndian.PutUint32(b[4:], uint32(number))
	return b
}

// checkNumbered returns what numbered was called with, if all of b is there.
func checkNumbered(b []byte) (sender, number int, err error) {
	if len(b) < 8 {
		return 0, 0, fmt.Errorf("%d bytes", len(b))
	}
	sender, number = int(binary.LittleEndian.Uint32(b)), int(binary.LittleEndian.Uint32(b[4:]))
	if string(b) != string(numbered(sender, number, len(b))) {
		return 0, 0, fmt.Errorf("%d bytes of sender %d as %d are not what was sent", len(b), sender, number)
	}
	return sender, number, nil
}

// receiveDatagram receives one datagram in one of the ways of doing so.
func receiveDatagram(c *net.UDPConn, way int, buf []byte) (int, error) {
	switch way % 5 {
	case 0, 1:
		n, _, err := c.ReadFromUDPAddrPort(buf)
		return n, err
	case 2:
		n, _, _, _, err := c.ReadMsgUDPAddrPort(buf, nil)
		return n, err
	case 3:
		return c.Read(buf)
	}
	ms := []net.UDPMessage{{Buffers: [][]byte{buf[:5], buf[5:]}}}
	_, err := c.ReadBatch(ms, 0)
	return ms[0].N, err
}

// A burst of datagrams of all sizes is received in order and whole, however they
// are received, and whatever is read ahead.
func TestUDPBurst(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"udp4", "udp6"} {
			c := listenUDP(t, rt, network)
			require.NoError(t, c.SetReadBuffer(4<<20))
			other := dialUDP(t, rt, c.LocalAddr())
			buf := make([]byte, 65536)
			for round := range pick(20, 6) {
				const burst = 60
				size := func(i int) int { return 8 + i*i*7%1400 }
				if round%5 == 4 {
					size = func(i int) int { return 8 + i%3*20000 }
				}
				before := rt.Stats().InlineDone
				for i := range burst {
					_, err := other.Write(numbered(round, i, size(i)))
					require.NoError(t, err)
				}
				after := rt.Stats().InlineDone
				for i := range burst {
					way := 0
					if round%2 == 1 {
						way = i
					}
					n, err := receiveDatagram(c, way, buf)
					require.NoError(t, err)
					sender, number, err := checkNumbered(buf[:n])
					require.NoError(t, err)
					require.Equal(t, []int{round, i, size(i)}, []int{sender, number, n})
				}
				if rt.HasRing() && round == 2 && goruntime.GOOS == "linux" {
					require.Less(t, rt.Stats().InlineDone-after, after-before, "nothing was read ahead")
				}
			}
		}
	})
}

// What has been read ahead is there after a deadline, is cut off like anything
// else, and is lost with Close.
func TestUDPBurstAndDeadline(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c := listenUDP(t, rt, "udp4")
		other := dialUDP(t, rt, c.LocalAddr())
		for i := range 60 {
			_, err := other.Write(numbered(7, i, 100))
			require.NoError(t, err)
		}
		buf := make([]byte, 100)
		for i := range 30 {
			_, _, err := c.ReadFromUDPAddrPort(buf)
			require.NoError(t, err)
			_, number, err := checkNumbered(buf)
			require.NoError(t, err)
			require.Equal(t, i, number)
		}
		require.NoError(t, c.SetReadDeadline(time.Now().Add(-time.Second)))
		_, _, err := c.ReadFromUDPAddrPort(buf)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		n, oobn, flags, from, err := c.ReadMsgUDPAddrPort(buf[:10], nil)
		require.NoError(t, err)
		require.Equal(t, []int{10, 0}, []int{n, oobn})
		require.NotZero(t, flags&0x20, "MSG_TRUNC")
		require.Equal(t, addrPortOf2(other), from)
		ms := make([]net.UDPMessage, 40)
		for i := range ms {
			ms[i].Buffers = [][]byte{make([]byte, 100)}
		}
		for at := 31; at < 55; {
			n, err := c.ReadBatch(ms, 0)
			require.NoError(t, err)
			for _, m := range ms[:n] {
				_, number, err := checkNumbered(m.Buffers[0][:m.N])
				require.NoError(t, err)
				require.Equal(t, at, number)
				require.Equal(t, addrPortOf2(other), m.Addr)
				at++
			}
		}
		require.NoError(t, c.Close())
		_, _, err = c.ReadFromUDPAddrPort(buf)
		require.ErrorIs(t, err, stdnet.ErrClosed)
	})
}

func addrPortOf2(c stdnet.Conn) netip.AddrPort { return c.LocalAddr().(*stdnet.UDPAddr).AddrPort() }

// Many send to one socket, many receive from it: each datagram once, none that
// the kernel has not dropped is missing.
func TestUDPManySenders(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		c := listenUDP(t, rt, "udp4")
		require.NoError(t, c.SetReadBuffer(4<<20))
		senders, each := pick(16, 6), pick(300, 60)
		const window = 8 // on the way at once for each sender: fewer bytes than the socket has room for
		acks := make([]chan struct{}, senders)
		seen := make(chan [2]int, senders*each)
		var running []<-chan result
		for i := range acks {
			acks[i] = make(chan struct{}, window)
			from := dialUDP(t, rt, c.LocalAddr())
			running = append(running, start(func() (int, error) {
				for n := range each {
					acks[i] <- struct{}{}
					if _, err := from.Write(numbered(i, n, 8+n%500)); err != nil {
						return n, err
					}
				}
				return each, nil
			}))
		}
		var readers []<-chan result
		for way := range 8 {
			readers = append(readers, start(func() (int, error) {
				buf := make([]byte, 1000)
				for got := 0; ; got++ {
					n, err := receiveDatagram(c, way, buf)
					if err != nil {
						return got, err
					}
					sender, number, err := checkNumbered(buf[:n])
					if err != nil {
						return got, err
					}
					seen <- [2]int{sender, number}
					<-acks[sender]
				}
			}))
		}
		for _, r := range running {
			require.NoError(t, (<-r).err)
		}
		all := make(map[[2]int]bool)
		for range senders * each {
			select {
			case m := <-seen:
				require.False(t, all[m], "%v twice", m)
				all[m] = true
			case <-time.After(20 * time.Second):
				t.Fatalf("%d of %d have come", len(all), senders*each)
			}
		}
		require.NoError(t, c.Close())
		for _, r := range readers {
			require.ErrorIs(t, (<-r).err, stdnet.ErrClosed)
		}
	})
}

// Everything at once, with deadlines that come and go, and Close in the middle.
func TestUDPStorm(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for range pick(12, 4) {
			c := listenUDP(t, rt, "udp4")
			other := dialUDP(t, rt, c.LocalAddr())
			var running []<-chan result
			loop := func(f func(i int, buf []byte) error) {
				running = append(running, start(func() (int, error) {
					buf := make([]byte, 200)
					for i := 0; ; i++ {
						if err := f(i, buf); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
							return i, err
						}
					}
				}))
			}
			for range 3 {
				loop(func(i int, buf []byte) error { _, err := receiveDatagram(c, i, buf); return err })
			}
			loop(func(i int, buf []byte) error {
				_, err := c.WriteToUDPAddrPort(buf[:i%200], addrPortOf2(other))
				return err
			})
			loop(func(i int, buf []byte) error {
				goruntime.Gosched()
				return c.SetDeadline(time.Now().Add(time.Duration(i%7-2) * 20 * time.Microsecond))
			})
			stop := make(chan struct{})
			sender := start(func() (int, error) {
				ms := make([]net.UDPMessage, 20)
				for i := range ms {
					ms[i].Buffers = [][]byte{numbered(1, i, 100)}
				}
				for i := 0; ; i++ {
					select {
					case <-stop:
						return i, nil
					default:
					}
					_, _ = other.WriteBatch(ms, 0) // refused once c is closed
				}
			})
			time.Sleep(3 * time.Millisecond)
			require.NoError(t, c.Close())
			for _, r := range running {
				require.ErrorIs(t, (<-r).err, stdnet.ErrClosed)
			}
			close(stop)
			<-sender
		}
	})
}

// Nothing is allocated for a datagram, whether it waits or not.
func TestUDPAllocs(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates: nothing to see")
		return
	}
	inTurn(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"udp4", "udp6"} {
			a, b := listenUDP(t, rt, network), listenUDP(t, rt, network)
			to, buf := addrPortOf(b), make([]byte, 64)
			one := []net.UDPMessage{{Buffers: [][]byte{buf}}}
			two := []net.UDPMessage{{Buffers: [][]byte{buf}, Addr: to}, {Buffers: [][]byte{buf}, Addr: to}}
			for name, f := range map[string]func() error{
				"AddrPort": func() error {
					if _, err := a.WriteToUDPAddrPort(buf, to); err != nil {
						return err
					}
					_, _, err := b.ReadFromUDPAddrPort(buf)
					return err
				},
				"Msg": func() error {
					if _, _, err := a.WriteMsgUDPAddrPort(buf, nil, to); err != nil {
						return err
					}
					_, _, _, _, err := b.ReadMsgUDPAddrPort(buf, nil)
					return err
				},
				"burst": func() error {
					for range 20 {
						if _, err := a.WriteToUDPAddrPort(buf, to); err != nil {
							return err
						}
					}
					for range 20 {
						if _, _, err := b.ReadFromUDPAddrPort(buf); err != nil {
							return err
						}
					}
					return nil
				},
				"batch": func() error {
					if _, err := a.WriteBatch(two, 0); err != nil {
						return err
					}
					for got := 0; got < 2; got++ {
						if _, err := b.ReadBatch(one, 0); err != nil {
							return err
						}
					}
					return nil
				},
			} {
				if !rt.HasRing() && name == "batch" {
					continue // the closures for RawConn are allocated
				}
				allocs := testing.AllocsPerRun(200, func() { require.NoError(t, f()) })
				require.Zero(t, allocs, name)
			}
			// And for one that waits: the driver allocates nothing either.
			if !rt.HasRing() {
				continue
			}
			asked := make(chan struct{})
			go func() {
				for range asked {
					time.Sleep(20 * time.Microsecond)
					_, _ = a.WriteToUDPAddrPort(buf[:1], to)
				}
			}()
			allocs := testing.AllocsPerRun(100, func() {
				asked <- struct{}{}
				_, _, err := b.ReadFromUDPAddrPort(buf[1:])
				require.NoError(t, err)
			})
			close(asked)
			require.Zero(t, allocs)
		}
	})
}

func BenchmarkUDPRoundTrip(b *testing.B) {
	for name, cfg := range map[string]proactor.Config{"std": {Mode: proactor.ModeStd}, "ring": {}} {
		b.Run(name, func(b *testing.B) {
			rt, err := proactor.New(cfg)
			require.NoError(b, err)
			defer rt.Shutdown(context.Background())
			x, y := listenUDP(b, rt, "udp4"), listenUDP(b, rt, "udp4")
			buf := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.WriteToUDPAddrPort(buf, addrPortOf(y)); err != nil {
					b.Fatal(err)
				}
				if _, _, err := y.ReadFromUDPAddrPort(buf); err != nil {
					b.Fatal(err)
				}
			}
			_, _ = x.Close(), y.Close()
		})
	}
}
