package net_test

import (
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// besideStd runs a benchmark on the standard library and on a ring.
func besideStd(b *testing.B, f func(b *testing.B, rt *proactor.Runtime)) {
	for _, mode := range []proactor.Mode{proactor.ModeStd, proactor.ModeAuto} {
		b.Run(mode.String(), func(b *testing.B) {
			rt, err := proactor.New(proactor.Config{Mode: mode})
			require.NoError(b, err)
			defer rt.Close()
			f(b, rt)
		})
	}
}

// withStd connects a runtime to a peer on the standard library, which is the same
// whatever is measured.
func withStd(rt *proactor.Runtime) (c1, peer stdnet.Conn, err error) {
	l, err := stdnet.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	d := net.Dialer{Runtime: rt}
	if c1, err = d.Dial("tcp4", l.Addr().String()); err != nil {
		return nil, nil, err
	}
	if peer, err = l.Accept(); err != nil {
		_ = c1.Close()
		return nil, nil, err
	}
	return c1, peer, nil
}

// BenchmarkBuffers writes lists of pieces to a peer that reads all the time, as
// one vectored write and as one Write for each.
func BenchmarkBuffers(b *testing.B) {
	for _, shape := range []struct{ count, size int }{{4, 64}, {16, 1 << 10}, {64, 16 << 10}, {2000, 512}} {
		for _, vectored := range []bool{true, false} {
			b.Run(fmt.Sprintf("%dx%d/vectored=%t", shape.count, shape.size, vectored), func(b *testing.B) {
				besideStd(b, func(b *testing.B, rt *proactor.Runtime) {
					writeLists(b, rt, shape.count, shape.size, vectored)
				})
			})
		}
	}
}

func writeLists(b *testing.B, rt *proactor.Runtime, count, size int, vectored bool) {
	c1, c2, err := withStd(rt)
	require.NoError(b, err)
	defer c1.Close()
	defer c2.Close()
	received := start(func() (int, error) {
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c2}, make([]byte, 256<<10))
		return int(n), err
	})
	piece, backing := make([]byte, size), make(net.Buffers, count)
	b.SetBytes(int64(count * size))
	b.ReportAllocs()
	for b.Loop() {
		for i := range backing {
			backing[i] = piece
		}
		if list := backing; vectored {
			_, err = list.WriteTo(c1)
		} else {
			_, err = list.WriteTo(struct{ io.Writer }{c1})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	require.NoError(b, c1.(stream).CloseWrite())
	got := <-received
	require.NoError(b, got.err)
	require.Equal(b, b.N*count*size, got.n)
}

// readers are the ways to receive that BenchmarkReceive compares. Each returns
// how much it has received.
var readers = map[string]func(c stdnet.Conn, answer bool, buf []byte) (int, error){
	"read": func(c stdnet.Conn, answer bool, buf []byte) (int, error) {
		n, err := c.Read(buf)
		if err == nil && answer {
			_, err = c.Write(buf[:n])
		}
		return n, err
	},
	"lease": func(c stdnet.Conn, answer bool, _ []byte) (int, error) {
		l, err := c.(leaser).ReadLease()
		if err == nil && answer {
			_, err = c.Write(l.Bytes())
		}
		l.Release()
		return l.Len(), err
	},
}

// BenchmarkReceive receives from peers on the standard library: messages of 64
// bytes that are answered one by one, and a stream.
func BenchmarkReceive(b *testing.B) {
	for _, mode := range []string{"std/read", "auto/read", "auto/lease"} {
		name, how, _ := strings.Cut(mode, "/")
		m, err := proactor.ParseMode(name)
		require.NoError(b, err)
		for _, conns := range []int{1, 64} {
			b.Run(fmt.Sprintf("answer/c%d/%s", conns, mode), func(b *testing.B) {
				receive(b, m, readers[how], conns, 64, true)
			})
		}
		for _, size := range []int{64, 64 << 10} {
			b.Run(fmt.Sprintf("stream/%d/%s", size, mode), func(b *testing.B) {
				receive(b, m, readers[how], 1, size, false)
			})
		}
	}
}

func receive(b *testing.B, mode proactor.Mode, read func(stdnet.Conn, bool, []byte) (int, error), conns, size int, answer bool) {
	rt, err := proactor.New(proactor.Config{Mode: mode})
	require.NoError(b, err)
	defer rt.Close()
	var clients []stdnet.Conn
	var running []<-chan result
	for range conns {
		c, peer, err := withStd(rt)
		require.NoError(b, err)
		defer peer.Close()
		clients = append(clients, peer)
		running = append(running, start(func() (int, error) {
			defer c.Close()
			buf := make([]byte, 4096)
			sum := 0
			for {
				n, err := read(c, answer, buf)
				if sum += n; err != nil {
					if err == io.EOF {
						err = nil
					}
					return sum, err
				}
			}
		}))
	}
	b.SetBytes(int64(size))
	b.ResetTimer()
	share := max(b.N/conns, 1)
	for _, c := range clients {
		running = append(running, start(func() (int, error) {
			buf := make([]byte, size)
			for range share {
				if _, err := c.Write(buf); err != nil {
					return 0, err
				}
				if answer {
					if _, err := io.ReadFull(c, buf); err != nil {
						return 0, err
					}
				}
			}
			return 0, c.(stream).CloseWrite()
		}))
	}
	sum := 0
	for _, r := range running {
		r := <-r
		require.NoError(b, r.err)
		sum += r.n
	}
	require.Equal(b, conns*share*size, sum)
}

// BenchmarkProxy copies from one connection to another, whose peers are on the
// standard library: messages that are answered by the far peer one by one, and a
// stream. "hidden" is io.Copy through a buffer of 32 KiB.
func BenchmarkProxy(b *testing.B) {
	for _, way := range []string{"std/copy", "auto/copy", "auto/hidden"} {
		name, how, _ := strings.Cut(way, "/")
		m, err := proactor.ParseMode(name)
		require.NoError(b, err)
		for _, conns := range []int{1, 64} {
			for _, size := range []int{64, 4 << 10, 64 << 10, 1 << 20} {
				for _, answer := range []bool{true, false} {
					if !answer && (conns > 1 || size < 4<<10) || answer && size > 64<<10 {
						continue
					}
					b.Run(fmt.Sprintf("answer=%t/c%d/%d/%s", answer, conns, size, way), func(b *testing.B) {
						proxy(b, m, conns, size, answer, how == "hidden")
					})
				}
			}
		}
	}
}

// relay copies until the end of the stream, and passes that on.
func relay(to, from stdnet.Conn, hidden bool) <-chan result {
	return start(func() (int, error) {
		var n int64
		var err error
		if hidden {
			n, err = io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
		} else {
			n, err = io.Copy(to, from)
		}
		return int(n), errors.Join(err, to.(stream).CloseWrite())
	})
}

func proxy(b *testing.B, mode proactor.Mode, conns, size int, answer, hidden bool) {
	rt, err := proactor.New(proactor.Config{Mode: mode})
	require.NoError(b, err)
	defer rt.Close()
	var clients []stdnet.Conn
	var running []<-chan result
	for range conns {
		in, client, err := withStd(rt)
		require.NoError(b, err)
		out, server, err := withStd(rt)
		require.NoError(b, err)
		for _, c := range []stdnet.Conn{in, client, out, server} {
			defer c.Close()
		}
		clients = append(clients, client)
		running = append(running, relay(out, in, hidden), relay(in, out, hidden), start(func() (int, error) {
			buf := make([]byte, 256<<10)
			for {
				n, err := server.Read(buf)
				if err == nil && answer {
					_, err = server.Write(buf[:n])
				}
				if err == io.EOF {
					return 0, server.(stream).CloseWrite()
				} else if err != nil {
					return 0, err
				}
			}
		}))
	}
	b.SetBytes(int64(size))
	b.ResetTimer()
	share := max(b.N/conns, 1)
	for _, c := range clients {
		running = append(running, start(func() (int, error) {
			buf := make([]byte, size)
			for range share {
				if _, err := c.Write(buf); err != nil {
					return 0, err
				}
				if answer {
					if _, err := io.ReadFull(c, buf); err != nil {
						return 0, err
					}
				}
			}
			return 0, c.(stream).CloseWrite()
		}))
	}
	for _, r := range running {
		require.NoError(b, (<-r).err)
	}
}
