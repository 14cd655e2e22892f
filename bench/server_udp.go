//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"

	ynet "github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// udpBuffer is the socket buffer that every server asks for: what all clients
// send at once must fit. common.h has it, too.
const udpBuffer = 2 << 20

// datagrams is what a UDP server needs of its socket, the standard library's or
// ours.
type datagrams interface {
	net.PacketConn
	SetReadBuffer(bytes int) error
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
}

func listenUDP(rt *proactor.Runtime) (datagrams, error) {
	var (
		pc  net.PacketConn
		err error
	)
	if rt == nil {
		pc, err = net.ListenPacket("udp4", "127.0.0.1:0")
	} else {
		pc, err = listenOurs(&ynet.ListenConfig{Runtime: rt})
	}
	if err != nil {
		return nil, err
	}
	c, ok := pc.(datagrams)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%T lacks methods of net.UDPConn", pc), pc.Close())
	}
	return c, c.SetReadBuffer(udpBuffer)
}

// packetListener is what our ListenConfig has as soon as its sockets for
// datagrams are on the ring.
type packetListener interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
}

// datagramsOnRing reports whether it has.
func datagramsOnRing() bool {
	_, ok := any(new(ynet.ListenConfig)).(packetListener)
	return ok
}

func listenOurs(lc any) (net.PacketConn, error) {
	l, ok := lc.(packetListener)
	if !ok {
		return nil, errors.New("this version has no sockets for datagrams on the ring")
	}
	return l.ListenPacket(context.Background(), "udp4", "127.0.0.1:0")
}

// serveUDP sends datagrams back, on one goroutine.
func serveUDP(rt *proactor.Runtime, size int, batch bool) error {
	c, err := listenUDP(rt)
	if err != nil {
		return err
	}
	go announce(rt, c.LocalAddr())
	if batch {
		return echoBatches(c, size)
	}
	buf := make([]byte, size)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if _, err := c.WriteToUDPAddrPort(buf[:n], from); err != nil {
			return err
		}
	}
}

// udpBatch is how many datagrams are taken with one system call.
const udpBatch = 64

// echoBatches does the same by recvmmsg and sendmmsg, which golang.org/x/net
// has for any socket that can be asked for its descriptor.
func echoBatches(c net.PacketConn, size int) error {
	p := ipv4.NewPacketConn(c)
	messages := make([]ipv4.Message, udpBatch)
	whole := make([][]byte, udpBatch)
	for i := range messages {
		whole[i] = make([]byte, size)
		messages[i].Buffers = [][]byte{whole[i]}
	}
	for {
		n, err := p.ReadBatch(messages, 0)
		if err != nil {
			return err
		}
		for i := range n {
			messages[i].Buffers[0] = whole[i][:messages[i].N]
		}
		for sent := 0; sent < n; {
			k, err := p.WriteBatch(messages[sent:n], 0)
			if err != nil {
				return err
			}
			sent += k
		}
		for i := range n {
			messages[i].Buffers[0] = whole[i]
		}
	}
}
