package net_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	mrand "math/rand/v2"
	stdnet "net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/net"
	"github.com/yamanote-go/yamanote/proactor"
)

// certificate returns one for "localhost" and the loopback addresses, and the
// configurations of a server and of clients that trust it.
var certificate = sync.OnceValues(func() (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "localhost"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []stdnet.IP{stdnet.IPv4(127, 0, 0, 1), stdnet.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: roots, ServerName: "localhost"}
})

// connectTLS returns the two ends of a TLS connection over one of ours.
func connectTLS(t *testing.T, rt *proactor.Runtime, network string, version uint16) (client, server *tls.Conn) {
	t.Helper()
	c1, c2 := connect(t, rt, network)
	serverConfig, clientConfig := certificate()
	clientConfig = clientConfig.Clone()
	clientConfig.MaxVersion = version
	client, server = tls.Client(c1, clientConfig), tls.Server(c2, serverConfig)
	shaken := start(func() (int, error) { return 0, server.HandshakeContext(t.Context()) })
	require.NoError(t, client.HandshakeContext(t.Context()))
	require.NoError(t, (<-shaken).err)
	return client, server
}

// nettest's suite as a whole is not for TLS, here as with the standard
// library: a Write that times out leaves a TLS connection broken for good,
// and the suite goes on to use it. What the suite checks besides is here.
func TestTLS(t *testing.T) {
	forEach(t, func(t *testing.T, rt *proactor.Runtime) {
		for _, network := range []string{"tcp4", "unix"} {
			for name, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
				t.Run(network+" TLS "+name, func(t *testing.T) {
					for name, f := range tlsCases {
						t.Run(name, func(t *testing.T) {
							client, server := connectTLS(t, rt, network, version)
							f(t, client, server)
						})
					}
				})
			}
		}
	})
}

var tlsCases = map[string]func(t *testing.T, c1, c2 *tls.Conn){
	"large transfers in both directions": func(t *testing.T, c1, c2 *tls.Conn) {
		size := pick(2<<20, 1<<20)
		for _, r := range []<-chan result{
			start(func() (int, error) { return c1.Write(bytesOf(30, size)) }),
			start(func() (int, error) { return c2.Write(bytesOf(31, size)) }),
			start(func() (int, error) { return check(c1, 31, size, 5000) }),
			start(func() (int, error) { return check(c2, 30, size, 100_000) }),
		} {
			res := <-r
			require.NoError(t, res.err)
			require.Equal(t, size, res.n)
		}
		roundTrip(t, c1, c2)
	},
	"ping-pong": func(t *testing.T, c1, c2 *tls.Conn) {
		for range 100 {
			roundTrip(t, c1, c2)
		}
	},
	"end": func(t *testing.T, c1, c2 *tls.Conn) {
		read := start(func() (int, error) { return c2.Read(make([]byte, 1)) })
		require.NoError(t, c1.CloseWrite())
		require.Equal(t, io.EOF, (<-read).err)
		_, err := c2.Write([]byte("still here"))
		require.NoError(t, err)
		require.NoError(t, c2.Close())
		b, err := io.ReadAll(c1)
		require.NoError(t, err)
		require.Equal(t, "still here", string(b))
	},
	"read deadlines": func(t *testing.T, c1, c2 *tls.Conn) {
		const size = 20_000
		sender := start(func() (sum int, err error) {
			data := bytesOf(32, size)
			for sum < len(data) && err == nil {
				var n int
				n, err = c1.Write(data[sum:min(len(data), sum+97)])
				sum += n
			}
			return sum, err
		})
		want := newPattern(32)
		buf := make([]byte, 50)
		for got := 0; got < size; {
			require.NoError(t, c2.SetReadDeadline(time.Now().Add(time.Duration(mrand.IntN(100))*time.Microsecond)))
			n, err := c2.Read(buf)
			if err != nil {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				var e net.Error
				require.True(t, errors.As(err, &e) && e.Timeout())
			}
			require.Negative(t, want.check(buf[:n]))
			got += n
		}
		require.NoError(t, (<-sender).err)
		require.NoError(t, c2.SetReadDeadline(time.Time{}))
		roundTrip(t, c1, c2)
	},
	"write deadline": func(t *testing.T, c1, c2 *tls.Conn) {
		require.NoError(t, c1.SetWriteDeadline(time.Now().Add(2*time.Millisecond)))
		_, err := c1.Write(zeros)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c1.NetConn().Close())
		_, _ = io.Copy(io.Discard, c2) // ends
	},
	"racing reads": func(t *testing.T, c1, c2 *tls.Conn) {
		var readers []<-chan result
		for range 5 {
			readers = append(readers, start(func() (n int, err error) {
				buf := make([]byte, 1000)
				for range 10 {
					if err := c1.SetReadDeadline(time.Now().Add(100 * time.Microsecond)); err != nil {
						return n, err
					}
					m, err := c1.Read(buf)
					if n += m; err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
						return n, err
					}
				}
				return n, nil
			}))
		}
		_, err := c2.Write(make([]byte, 20_000))
		require.NoError(t, err)
		for _, r := range readers {
			require.NoError(t, (<-r).err)
		}
	},
	"close": func(t *testing.T, c1, c2 *tls.Conn) {
		read := start(func() (int, error) { return c1.Read(make([]byte, 1)) })
		write := start(func() (int, error) { return c1.Write(zeros) })
		time.Sleep(time.Millisecond)
		// tls.Conn waits for a Write that is under way, up to seconds; the
		// connection below does not.
		require.NoError(t, c1.NetConn().Close())
		require.ErrorIs(t, (<-read).err, net.ErrClosed)
		require.ErrorIs(t, (<-write).err, net.ErrClosed)
		_, _ = io.Copy(io.Discard, c2) // ends
	},
	"methods at the same time": func(t *testing.T, c1, c2 *tls.Conn) {
		var wg sync.WaitGroup
		go func() { _, _ = io.Copy(c2, c2) }()
		for range 20 {
			for _, f := range []func(){
				func() { _, _ = c1.Read(make([]byte, 100)) },
				func() { _, _ = c1.Write(make([]byte, 100)) },
				func() { _ = c1.SetReadDeadline(time.Now().Add(time.Millisecond)) },
				func() { _ = c1.SetWriteDeadline(future()) },
				func() { c1.LocalAddr(); c1.RemoteAddr(); c1.ConnectionState() },
			} {
				wg.Go(f)
			}
		}
		wg.Wait()
		require.NoError(t, c1.NetConn().Close())
	},
}
