package net_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdnet "net"
	"net/rpc"
	"net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

// Echo is a service of net/rpc.
type Echo struct{ wait chan struct{} }

func (e *Echo) Back(b []byte, back *[]byte) error {
	*back = b
	return nil
}

func (e *Echo) Wait([]byte, *[]byte) error {
	<-e.wait
	return nil
}

// Calls of many goroutines share a connection; a call that waits when the
// connection ends fails.
func TestRPC(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		echo := &Echo{wait: make(chan struct{})}
		server := rpc.NewServer()
		require.NoError(t, server.Register(echo))
		c1, c2 := connect(t, rt, network)
		served := start(func() (int, error) {
			server.ServeConn(c2)
			return 0, nil
		})
		client := rpc.NewClient(c1)
		waiting := client.Go("Echo.Wait", []byte{}, new([]byte), nil)
		var callers []<-chan result
		for i := range 20 {
			callers = append(callers, start(func() (int, error) {
				for j := range pick(30, 10) {
					want := bytesOf(uint64(i), 1+i*j*50)
					var got []byte
					if err := client.Call("Echo.Back", want, &got); err != nil {
						return 0, err
					}
					if !bytes.Equal(want, got) {
						return 0, errWrong
					}
				}
				return 0, nil
			}))
		}
		for _, c := range callers {
			require.NoError(t, (<-c).err)
		}
		require.NoError(t, client.Close())
		require.Error(t, (<-waiting.Done).Error)
		close(echo.wait)
		require.NoError(t, (<-served).err)
	})
}

// mailbox serves one client of SMTP, with STARTTLS, and returns what it is sent.
func mailbox(c stdnet.Conn) (string, error) {
	text := textproto.NewConn(c)
	if err := text.PrintfLine("220 localhost ready"); err != nil {
		return "", err
	}
	secure, mail := false, ""
	for {
		line, err := text.ReadLine()
		if err != nil {
			return mail, err
		}
		verb, _, _ := strings.Cut(line, " ")
		answer := "250 ok"
		switch verb {
		case "EHLO":
			if answer = "250 localhost"; !secure {
				answer = "250-localhost\r\n250 STARTTLS"
			}
		case "STARTTLS":
			if err := text.PrintfLine("220 go on"); err != nil {
				return mail, err
			}
			config, _ := certificate()
			text, secure = textproto.NewConn(tls.Server(c, config)), true
			continue
		case "DATA":
			if err := text.PrintfLine("354 go on"); err != nil {
				return mail, err
			}
			b, err := text.ReadDotBytes()
			if err != nil {
				return mail, err
			}
			mail = fmt.Sprintf("%t %s", secure, b)
		case "QUIT":
			if err := text.PrintfLine("221 bye"); err != nil {
				return mail, err
			}
			_, err := text.ReadLine() // the client closes first
			_ = text.Close()
			if err != io.EOF {
				return mail, fmt.Errorf("after QUIT: %w", err)
			}
			return mail, nil
		}
		if err := text.PrintfLine("%s", answer); err != nil {
			return mail, err
		}
	}
}

// A mail with a large body, sent on a connection that becomes TLS on the way.
func TestSMTP(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		var mail string
		served := start(func() (n int, err error) {
			mail, err = mailbox(c2)
			return 0, err
		})
		client, err := smtp.NewClient(c1, "localhost")
		require.NoError(t, err)
		_, config := certificate()
		require.NoError(t, client.StartTLS(config))
		require.NoError(t, client.Mail("a@localhost"))
		require.NoError(t, client.Rcpt("b@localhost"))
		w, err := client.Data()
		require.NoError(t, err)
		body := strings.Repeat("a line\n.with a dot\n", 10_000)
		_, err = io.WriteString(w, body)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.NoError(t, client.Quit())
		require.NoError(t, (<-served).err)
		require.Equal(t, "true "+body, mail)
	})
}

// Messages of both sides cross each other, as in a stream of gRPC or a
// WebSocket, until both have said that they are done.
func TestBothSidesTalkAtOnce(t *testing.T) {
	forEachNetwork(t, func(t *testing.T, rt *proactor.Runtime, network string) {
		c1, c2 := connect(t, rt, network)
		const n = 300
		var sides []<-chan result
		for side, c := range []stdnet.Conn{c1, c2} {
			sides = append(sides, start(func() (int, error) {
				var wg sync.WaitGroup
				var failed error
				wg.Go(func() {
					w := bufio.NewWriter(c)
					for i := range n {
						b := bytesOf(uint64(side*n+i), 1+i*i%4000)
						_, _ = fmt.Fprintf(w, "%04x", len(b))
						_, _ = w.Write(b)
						if i%7 == 0 {
							failed = errors.Join(failed, w.Flush())
						}
					}
					failed = errors.Join(failed, w.Flush(), c.(stream).CloseWrite())
				})
				r := bufio.NewReader(c)
				got := 0
				for {
					var size int
					head := make([]byte, 4)
					if _, err := io.ReadFull(r, head); err != nil {
						wg.Wait()
						if err != io.EOF {
							failed = errors.Join(failed, err)
						}
						return got, failed
					}
					_, _ = fmt.Sscanf(string(head), "%x", &size)
					b := make([]byte, size)
					if _, err := io.ReadFull(r, b); err != nil || !bytes.Equal(b, bytesOf(uint64((1-side)*n+got), size)) {
						_ = c.Close()
						wg.Wait()
						return got, fmt.Errorf("message %d: %w", got, errors.Join(err, errWrong))
					}
					got++
				}
			}))
		}
		for _, s := range sides {
			r := <-s
			require.NoError(t, r.err)
			require.Equal(t, n, r.n)
		}
		_, err := c1.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
	})
}
