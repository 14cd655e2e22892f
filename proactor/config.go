package proactor

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// Mode says whether a Runtime may, must or must not use a ring.
type Mode uint8

const (
	// ModeAuto uses a ring where there is one and the standard library
	// elsewhere.
	ModeAuto Mode = iota
	// ModeRing uses a ring; New fails where there is none.
	ModeRing
	// ModeStd uses the standard library.
	ModeStd
)

// ParseMode returns the mode named "auto", "ring" or "std".
func ParseMode(name string) (Mode, error) {
	for _, m := range []Mode{ModeAuto, ModeRing, ModeStd} {
		if m.String() == name {
			return m, nil
		}
	}
	return 0, fmt.Errorf("proactor: no backend %q: want auto, ring or std", name)
}

// String returns the name that ParseMode takes.
func (m Mode) String() string {
	switch m {
	case ModeAuto:
		return "auto"
	case ModeRing:
		return "ring"
	case ModeStd:
		return "std"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Features are parts of io_uring that can be done without; see package driver.
type Features = driver.Features

// Config says how to set up a Runtime. The zero value is a good default.
type Config struct {
	// Mode says whether to use a ring.
	Mode Mode

	// Shards is the number of rings, each with a driver of its own; default 2, or
	// 1 where GOMAXPROCS is. A descriptor stays on one shard for life. One ring
	// makes larger batches, two do not make a few busy connections wait for each
	// other (docs/performance.md has the figures).
	Shards int

	// Placement says which shard gets a new descriptor of packages net and
	// file; default RoundRobin.
	Placement Placement

	// SQEntries, CQEntries and MaxInFlight size each ring; see driver.Config.
	SQEntries   uint32
	CQEntries   uint32
	MaxInFlight int

	// DirectFiles is the number of slots for registered files that each shard
	// has, DirectFile; default none, at most 65536 and RLIMIT_NOFILE. It needs
	// Linux 5.19: to ModeAuto, an older kernel has no ring then.
	DirectFiles int

	// Arenas is the number of arenas of registered memory that each shard can
	// have, see Shard.NewArena; default none, at most 1024. It needs Linux 5.19,
	// as DirectFiles does.
	Arenas int

	// Personalities allows Shard.NewPersonality.
	Personalities bool

	// Extra lists kernel operations to allow on the ring besides those that
	// packages net and file use; AllOps is all of them. Any other operation is
	// refused, with an error that says what to add here.
	//
	// A ring is least privilege by default because what goes by way of a ring
	// passes no seccomp filter: a process that confines itself, and whose ring
	// took everything, would leave a door open that it believes to be shut.
	Extra []uring.Op

	// Without switches features off.
	Without Features

	// WriteBehind makes package net's stream connections return from a small
	// Write as soon as the data are queued, when other goroutines are busy on
	// the ring: the sends of many are then one system call, and none is waited
	// for. Servers with many connections and short messages gain by it.
	//
	// What it costs is a promise. Bytes stay in order and are on their way
	// without another call, and Close, CloseWrite and Shutdown send what is
	// left; but a process that ends by os.Exit or a signal right after a Write
	// can lose what that has written, and a failure is reported by a later
	// Write or Flush. See net.TCPConn.Flush for programs that need to know.
	WriteBehind bool

	// ZeroCopy makes package net's stream connections send without copying what a
	// Write or a Buffers has of so many bytes or more; 0, the default, is
	// never. It needs Linux 6.2 and a network device that can do it. Where the
	// kernel copies all the same, as it does on the loopback, and where it
	// refuses, as for Unix sockets, a connection goes on by copying, and after
	// eight such TCP connections in a row only one in 64 tries again.
	//
	// A Write without copying returns when the kernel does not need its memory
	// any more, which is when the peer has acknowledged the data: it takes a
	// round trip of the network. So it is for large Writes on fast networks with
	// little delay, and saves processor time rather than waiting; measure it.
	// net.TCPConn.WriteZeroCopy does not wait. If the write deadline passes or
	// Close comes during that wait, the connection is reset, for there is no
	// other way to get the memory back; a Shutdown of the Runtime waits.
	ZeroCopy int

	// ReadBuffers sizes the buffers that the connections of each shard share for
	// ReadLease of package net. They are allocated when it is first called.
	ReadBuffers BufferConfig

	// Trace, if not nil, is told of every operation of the rings, those of
	// packages net and file too, when it begins, when it is handed to the
	// kernel, and when it has ended. See driver.Config.Trace for what it may do,
	// and package proactor/debug for ready-made ones. What goroutines do by a
	// system call of their own, without the ring, is not traced.
	Trace func(Event)
}

const maxShards = 1024

// withEnv returns the configuration with what the environment says about it.
func (c Config) withEnv() (Config, error) {
	if name := os.Getenv("YAMANOTE_BACKEND"); name != "" {
		mode, err := ParseMode(name)
		if err != nil {
			return c, fmt.Errorf("YAMANOTE_BACKEND: %w", err)
		}
		switch {
		case c.Mode == ModeAuto:
			c.Mode = mode
		case c.Mode == ModeRing && mode == ModeStd:
			return c, fmt.Errorf("proactor: a ring is asked for, but YAMANOTE_BACKEND=std turns it off: %w", ErrNoRing)
		}
	}
	if list := os.Getenv("YAMANOTE_DISABLE"); list != "" {
		for name := range strings.SplitSeq(list, ",") {
			f, err := driver.ParseFeature(strings.TrimSpace(name))
			if err != nil {
				return c, fmt.Errorf("YAMANOTE_DISABLE: %w", err)
			}
			c.Without |= f
		}
	}
	switch on := os.Getenv("YAMANOTE_WRITE_BEHIND"); on {
	case "", "0":
	case "1":
		c.WriteBehind = true
	default:
		return c, fmt.Errorf("YAMANOTE_WRITE_BEHIND is %q: want 1 to turn it on, or 0", on)
	}
	if c.Shards == 0 {
		c.Shards = min(2, runtime.GOMAXPROCS(0))
	}
	if c.Shards < 0 || c.Shards > maxShards {
		return c, fmt.Errorf("proactor: %d shards: want 1 to %d", c.Shards, maxShards)
	}
	if c.DirectFiles < 0 || c.DirectFiles > maxDirectFiles {
		return c, fmt.Errorf("proactor: DirectFiles is %d: want 0 to %d", c.DirectFiles, maxDirectFiles)
	}
	if c.ZeroCopy < 0 {
		return c, fmt.Errorf("proactor: ZeroCopy is %d: want a number of bytes, or 0 for never", c.ZeroCopy)
	}
	if c.Arenas < 0 || c.Arenas > maxArenas {
		return c, fmt.Errorf("proactor: Arenas is %d: want 0 to %d", c.Arenas, maxArenas)
	}
	if _, err := c.ReadBuffers.withDefaults(); err != nil {
		return c, fmt.Errorf("ReadBuffers: %w", err)
	}
	return c, c.driver().Check()
}

func (c Config) driver() driver.Config {
	return driver.Config{
		SQEntries:     c.SQEntries,
		CQEntries:     c.CQEntries,
		MaxInFlight:   c.MaxInFlight,
		Allow:         c.operations(),
		AllowRegister: c.registrations(),
		Without:       c.Without,
		Trace:         c.Trace,
	}
}
