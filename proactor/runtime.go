package proactor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
)

var (
	// ErrNoRing says that a Runtime has no ring; the error around it, and
	// Backend, say why.
	ErrNoRing = errors.New("proactor: no io_uring here")

	// ErrClosed says that the Runtime has been shut down.
	ErrClosed = errors.New("proactor: runtime is shut down")

	// ErrCanceled is the result of an operation that Cancel has ended. It
	// matches context.Canceled.
	ErrCanceled = fmt.Errorf("proactor: operation canceled: %w", context.Canceled)
)

// Runtime runs operations on its rings. Its methods may be called from any
// goroutine.
type Runtime struct {
	cfg     Config
	drivers []*driver.Driver // none on the standard library
	shards  []*Shard         // one for each driver
	reason  error            // why there are none
	next    atomic.Uint32    // the shard whose turn it is
	closed  atomic.Bool

	verdicts [256]verdict // by operation; set by New
	requests sync.Pool    // of *pooled
	zeroCopy zeroCopyTrials
}

// New starts a Runtime. With ModeAuto it fails only for a Config or an
// environment that make no sense, or a Config that asks for more than the limits
// of the process allow (DirectFiles): where the system offers no ring, or none
// that can do what is asked for, the Runtime stands on the standard library, and
// Backend says why.
func New(cfg Config) (*Runtime, error) {
	cfg, err := cfg.withEnv()
	if err != nil {
		return nil, err
	}
	rt := &Runtime{cfg: cfg}
	if cfg.Mode == ModeStd {
		rt.reason = fmt.Errorf("%w: the configuration or YAMANOTE_BACKEND asks for the standard library", ErrNoRing)
		return rt, nil
	}
	for range cfg.Shards {
		d, err := driver.Open(cfg.driver())
		if err == nil {
			if err = rt.add(d); err == nil {
				continue
			}
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENOMEM) {
				// There is a ring, and the caller can change what is wrong.
				return nil, errors.Join(err, rt.closeDrivers(context.Background()))
			}
		}
		err = errors.Join(fmt.Errorf("%w: %w", ErrNoRing, err), rt.closeDrivers(context.Background()))
		if cfg.Mode == ModeRing {
			return nil, err
		}
		rt.drivers, rt.shards, rt.reason = nil, nil, err
		return rt, nil
	}
	return rt, nil
}

var (
	defaultMu sync.Mutex
	defaultRT *Runtime
	warned    sync.Once
)

// Default returns the process-wide Runtime, which it starts when it is first
// called, and again after it has been shut down. It is configured by the
// environment. That there is no ring, or that the environment makes no sense, is
// logged once.
func Default() *Runtime {
	defaultMu.Lock()
	defer defaultMu.Unlock()
	if defaultRT != nil && !defaultRT.closed.Load() {
		return defaultRT
	}
	rt, err := New(Config{})
	if err != nil {
		rt = &Runtime{cfg: Config{Mode: ModeStd}, reason: fmt.Errorf("%w: %w", ErrNoRing, err)}
	}
	if !rt.HasRing() && rt.cfg.Mode != ModeStd || err != nil {
		// Nobody has asked for this, so say it where somebody may see it.
		warned.Do(func() {
			slog.Warn("yamanote: no io_uring, so the standard library does the work", "reason", rt.reason)
		})
	}
	defaultRT = rt
	return rt
}

// ShutdownDefault shuts the process-wide Runtime down if it has been started.
// Programs need it only where everything must be accounted for, such as tests.
func ShutdownDefault(ctx context.Context) error {
	defaultMu.Lock()
	rt := defaultRT
	defaultRT = nil
	defaultMu.Unlock()
	if rt == nil {
		return nil
	}
	return rt.Shutdown(ctx)
}

// HasRing reports whether the Runtime has a ring.
func (rt *Runtime) HasRing() bool { return len(rt.drivers) > 0 }

// WriteBehind reports whether the Runtime was configured with it.
func (rt *Runtime) WriteBehind() bool { return rt.cfg.WriteBehind }

// ZeroCopy returns Config.ZeroCopy, in bytes.
func (rt *Runtime) ZeroCopy() int { return rt.cfg.ZeroCopy }

// Pick returns the driver of the next shard by Config.Placement, for a new
// descriptor to stay with. The Runtime must have a ring.
func (rt *Runtime) Pick() *driver.Driver { return rt.pick().driver }

// Shutdown ends the Runtime: new operations are refused, those under way are
// cancelled, and when the last has completed the rings are closed. What Writes
// have left to be sent (see Config.WriteBehind) is sent before that, for as
// long as ctx allows but at most driver.Linger. If ctx ends
// before, the error (one *driver.ShutdownError for each such ring) says which
// operations were left; they keep their memory, and their ring is closed when
// the kernel has let go of it.
func (rt *Runtime) Shutdown(ctx context.Context) error {
	rt.closed.Store(true)
	return rt.closeDrivers(ctx)
}

// Close is Shutdown without a bound on the time.
func (rt *Runtime) Close() error { return rt.Shutdown(context.Background()) }

func (rt *Runtime) closeDrivers(ctx context.Context) error {
	errs := make([]error, len(rt.drivers))
	var wg sync.WaitGroup
	for i, d := range rt.drivers {
		wg.Go(func() { errs[i] = d.Shutdown(ctx) })
	}
	wg.Wait()
	for _, s := range rt.shards {
		s.release()
	}
	return errors.Join(errs...)
}

// Kind is what a Runtime stands on.
type Kind uint8

// The kinds of backend.
const (
	KindStd  Kind = iota // the standard library
	KindRing             // io_uring
)

// String returns "ring" or "std".
func (k Kind) String() string {
	if k == KindRing {
		return "ring"
	}
	return "std"
}

// Backend says what a Runtime stands on.
type Backend struct {
	Kind   Kind
	Reason error       // why there is no ring; nil with one
	Shards int         // the number of rings
	Ring   driver.Info // the first of them
}

// Backend says what the Runtime stands on, and why it is not a ring if it is
// not.
func (rt *Runtime) Backend() Backend {
	if !rt.HasRing() {
		return Backend{Kind: KindStd, Reason: rt.reason}
	}
	d := rt.drivers[0]
	return Backend{Kind: KindRing, Shards: len(rt.drivers), Ring: d.Info()}
}

// String describes the backend in one line.
func (b Backend) String() string {
	if b.Kind == KindStd {
		return fmt.Sprintf("std (%v)", b.Reason)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "ring (%d shard(s), sq %d, cq %d, %v",
		b.Shards, b.Ring.SQEntries, b.Ring.CQEntries, b.Ring.Flags)
	if b.Ring.Restricted {
		s.WriteString(", restricted")
	}
	s.WriteString(")")
	return s.String()
}
