// Package chaos holds a proxy for stream connections that treats them as bad
// networks and bad peers do: it delays, cuts what it passes on into pieces of a
// byte or joins what was written apart, stops in the middle, ends one direction
// or both before their time, resets, and falls silent.
//
// What becomes of the nth connection, where its pieces end and where in the
// stream it is struck, depend on the seed and on n alone. When things happen
// depends on the scheduler, too.
//
// The proxy stands on the standard library's net, so that what it does to the
// connections of the package under test does not depend on that.
package chaos

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// Fate is what becomes of a connection.
type Fate int

// The fates. All but Whole strike at one byte of one of the two directions.
const (
	Whole     Fate = iota // it lives until its ends close it
	Stall                 // it pauses once, for Config.Stall, and goes on
	HalfClose             // the direction ends, and what comes later is thrown away; the other one goes on
	Cut                   // both ends are closed; if they send meanwhile, they get a reset
	Reset                 // both ends get a reset (on Unix sockets, an end)
	Silent                // nothing more is passed on, and nobody is told
	fates
)

var fateNames = [fates]string{"whole", "stall", "half-close", "cut", "reset", "silent"}

func (f Fate) String() string {
	if f < 0 || f >= fates {
		return fmt.Sprintf("Fate(%d)", int(f))
	}
	return fateNames[f]
}

// Config says what a Proxy does to connections. The zero value does nothing to
// them.
type Config struct {
	// Seed decides everything that is drawn.
	Seed uint64

	// Piece is the most bytes that are passed on by one write. Lengths of all
	// magnitudes from 1 to Piece are drawn, small ones as often as large ones.
	// Zero means 64 KiB and no drawing.
	Piece int

	// Delay is the longest pause before one in eight pieces. What comes
	// meanwhile is passed on together. Zero means none.
	Delay time.Duration

	// Fates has the weight with which each fate is drawn, without which it is
	// never. None means that all connections are Whole.
	Fates map[Fate]int

	// Within is how many bytes a direction may have passed on when it is
	// struck: from 0 to Within are drawn.
	Within int

	// Stall is how long a connection with that fate pauses.
	Stall time.Duration
}

const pieceMax = 64 << 10

// Proxy passes connections on to a target.
type Proxy struct {
	config Config
	dial   func() (net.Conn, error)
	l      net.Listener
	closed chan struct{} // by Close
	wg     sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	struck [fates]int
	pieces int
	ended  bool
}

// New listens on a network and address and passes each connection on to one
// that dial makes. The network is a TCP one or "unix".
func New(network, address string, dial func() (net.Conn, error), config Config) (*Proxy, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	p := &Proxy{config: config, dial: dial, l: l, closed: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr returns the address that clients connect to.
func (p *Proxy) Addr() net.Addr { return p.l.Addr() }

// Close resets all connections and waits until nothing of the proxy runs.
func (p *Proxy) Close() error {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return nil
	}
	p.ended = true
	close(p.closed)
	for c := range p.conns {
		reset(c)
	}
	p.mu.Unlock()
	err := p.l.Close()
	p.wg.Wait()
	return err
}

// Struck returns how many connections have met a fate so far. A connection that
// ends before it is struck is counted as Whole.
func (p *Proxy) Struck(f Fate) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.struck[f]
}

// Pieces returns how many pieces have been passed on.
func (p *Proxy) Pieces() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pieces
}

func (p *Proxy) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := fmt.Sprintf("seed %d, %d pieces", p.config.Seed, p.pieces)
	for f, n := range p.struck {
		if n > 0 {
			s += fmt.Sprintf(", %d %v", n, Fate(f))
		}
	}
	return s
}

func (p *Proxy) accept() {
	for n := uint64(0); ; n++ {
		client, err := p.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // no descriptor is left
			n--
			continue
		}
		if !p.keep(client) {
			continue
		}
		p.wg.Go(func() { p.serve(n, client) })
	}
}

// keep notes a connection that Close has to end, or ends it.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		reset(c)
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	_ = c.Close()
}

// serve passes on what comes from both ends until both are done.
func (p *Proxy) serve(n uint64, client net.Conn) {
	defer p.forget(client)
	server, err := p.dial()
	if err != nil {
		reset(client)
		return
	}
	if !p.keep(server) {
		return
	}
	defer p.forget(server)
	l := p.draw(n)
	l.proxy, l.ends = p, [2]net.Conn{client, server}
	var both sync.WaitGroup
	for dir := range l.ends {
		both.Go(func() { l.pump(dir) })
	}
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !l.struck {
		l.fate = Whole
	}
	p.struck[l.fate]++
}

// link is one connection from end to end.
type link struct {
	proxy *Proxy
	ends  [2]net.Conn
	rngs  [2]*rand.Rand // of each direction: the two do not disturb each other's draws

	fate   Fate
	dir    int // the direction that is struck: 0 is from the client
	at     int // after so many bytes of it
	struck bool
}

// draw decides the fate of the nth connection.
func (p *Proxy) draw(n uint64) *link {
	rng := rand.New(rand.NewPCG(p.config.Seed, n))
	l := &link{rngs: [2]*rand.Rand{
		rand.New(rand.NewPCG(rng.Uint64(), n)), rand.New(rand.NewPCG(rng.Uint64(), n))}}
	sum := 0
	for _, weight := range p.config.Fates {
		sum += weight
	}
	if sum == 0 {
		return l
	}
	lot := rng.IntN(sum)
	for f := Whole; f < fates; f++ {
		if lot -= p.config.Fates[f]; lot < 0 {
			l.fate = f
			break
		}
	}
	l.dir, l.at = rng.IntN(2), rng.IntN(p.config.Within+1)
	return l
}

// pump passes one direction on.
func (l *link) pump(dir int) {
	from, to, rng := l.ends[dir], l.ends[1-dir], l.rngs[dir]
	buf := make([]byte, pieceMax)
	strike := -1
	if l.fate != Whole && l.dir == dir {
		strike = l.at
	}
	for pos, cut := 0, 0; ; {
		if pos == strike && !l.strike(from, to) {
			return
		}
		if pos == cut {
			cut += l.proxy.piece(rng)
			l.proxy.pause(rng)
		}
		most := cut - pos
		if strike > pos {
			most = min(most, strike-pos)
		}
		n, err := from.Read(buf[:most])
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				reset(from)
				return
			}
			pos += n
			l.proxy.passed()
		}
		if err != nil {
			l.end(err, to)
			return
		}
	}
}

// end passes the end of a direction on.
func (l *link) end(err error, to net.Conn) {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return // struck from the other side
	}
	if err != io.EOF {
		reset(to)
		return
	}
	closeWrite(to)
}

// strike does what fate has decided, and reports whether the direction goes on.
func (l *link) strike(from, to net.Conn) bool {
	l.proxy.mu.Lock()
	l.struck = true
	l.proxy.mu.Unlock()
	switch l.fate {
	case Stall:
		l.proxy.sleep(l.proxy.config.Stall)
		return true
	case HalfClose:
		closeWrite(to)
		_, _ = io.Copy(io.Discard, from)
	case Cut:
		_, _ = from.Close(), to.Close()
	case Reset:
		reset(from)
		reset(to)
	case Silent:
		// The other direction does not read any more either.
		_, _ = from.SetReadDeadline(time.Unix(1, 0)), to.SetReadDeadline(time.Unix(1, 0))
		<-l.proxy.closed
	}
	return false
}

// piece draws the length of the next piece.
func (p *Proxy) piece(rng *rand.Rand) int {
	if p.config.Piece == 0 {
		return pieceMax
	}
	most := min(p.config.Piece, pieceMax)
	magnitude := rng.IntN(bits.Len(uint(most)))
	return min(most, 1<<magnitude+rng.IntN(1<<magnitude))
}

func (p *Proxy) pause(rng *rand.Rand) {
	if p.config.Delay > 0 && rng.IntN(8) == 0 {
		p.sleep(time.Duration(rng.Int64N(int64(p.config.Delay))))
	}
}

// sleep ends early when the proxy does.
func (p *Proxy) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-p.closed:
	}
}

func (p *Proxy) passed() {
	p.mu.Lock()
	p.pieces++
	p.mu.Unlock()
}

// reset closes a connection so that its peer gets a reset.
func reset(c net.Conn) {
	if c, ok := c.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	_ = c.Close()
}

func closeWrite(c net.Conn) {
	if c, ok := c.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}
