package net_test

import (
	"fmt"
	"io"
	stdnet "net"
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
