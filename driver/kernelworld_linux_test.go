package driver_test

import (
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/testkit"
)

// kernel is the world of the running system.
type kernel struct {
	w   *workload
	dir string

	mu    sync.Mutex
	addrs map[int]syscall.Sockaddr // of listening sockets
}

func newKernel(t testing.TB, w *workload) *kernel {
	return &kernel{w: w, dir: t.TempDir(), addrs: make(map[int]syscall.Sockaddr)}
}

// must notes an error of the test's own system calls.
func (k *kernel) must(what string, err error) {
	if err != nil {
		k.w.failf("%s: %v", what, err)
	}
}

func (k *kernel) pair() (int, int) {
	p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	k.must("socketpair", err)
	return p[0], p[1]
}

func (k *kernel) file() int {
	f, err := os.CreateTemp(k.dir, "")
	if err != nil {
		k.must("temporary file", err)
		return -1
	}
	defer f.Close()
	fd, err := syscall.Dup(int(f.Fd()))
	k.must("dup", err)
	syscall.CloseOnExec(fd)
	return fd
}

func (k *kernel) listener() int {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	k.must("socket", err)
	k.must("bind", syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	k.must("listen", syscall.Listen(fd, 128))
	sa, err := syscall.Getsockname(fd)
	k.must("getsockname", err)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.addrs[fd] = sa
	return fd
}

func (k *kernel) dial(listening int) int {
	k.mu.Lock()
	sa := k.addrs[listening]
	k.mu.Unlock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	k.must("socket", err)
	// Closing resets the connection, so that thousands leave nothing behind.
	k.must("linger", syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}))
	k.must("connect", syscall.Connect(fd, sa))
	return fd
}

func (k *kernel) endOutput(fd int) { k.must("shutdown", syscall.Shutdown(fd, syscall.SHUT_WR)) }
func (k *kernel) close(fd int)     { k.must("close", syscall.Close(fd)) }

// tinyConfigs are queues of a few entries.
func tinyConfigs() map[string]driver.Config {
	return map[string]driver.Config{
		"2 and 4":         {SQEntries: 2, CQEntries: 4},
		"1 and 1":         {SQEntries: 1, CQEntries: 1, MaxInFlight: 8},
		"2 and 4, plain":  {SQEntries: 2, CQEntries: 4, Without: driver.FeatureTaskRun | driver.FeatureNoSQArray},
		"default entries": {},
	}
}

// onKernel runs a workload on a ring of the kernel's, drawn from the seed.
func onKernel(t *testing.T, seed uint64, cfg driver.Config) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	w := &workload{seed: seed, d: open(t, cfg), pace: time.Duration(1 + rng.Int64N(int64(time.Millisecond)))}
	w.w = newKernel(t, w)
	w.startSome(rng)
	w.end(rng, rng.IntN(endBroken))
	w.lanes.Wait()
	w.stopping.Store(true)
	require.NoError(t, w.d.Close())
	w.close()
	w.check(t)
}

// The workloads of the model on the kernel, with queues of a few entries.
func TestModelOnKernel(t *testing.T) {
	testkit.Watchdog(t, 2*time.Minute)
	for name, cfg := range tinyConfigs() {
		t.Run(name, func(t *testing.T) {
			forSeeds(t, 15, func(t *testing.T, seed uint64, _ func(string, ...any)) { onKernel(t, seed, cfg) })
		})
	}
}

// A mixed load for a long time leaves nothing behind, and takes no more memory
// at its end than near its beginning. YAMANOTE_SOAK says how long, for instance
// 10m; without it this is a matter of a second.
func TestSoak(t *testing.T) {
	last := 500 * time.Millisecond
	if text := os.Getenv("YAMANOTE_SOAK"); text != "" {
		var err error
		last, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	start := time.Now()
	w := &workload{seed: uint64(start.UnixNano()), d: open(t, driver.Config{SQEntries: 8, CQEntries: 16, MaxInFlight: 32}),
		pace: 200 * time.Microsecond}
	w.w = newKernel(t, w)
	w.until = func() bool { return time.Since(start) > last }
	file := w.w.file()
	w.closeLater(file)
	for region := range 4 {
		w.startStream(0)
		w.start(func(l *lane) { l.nops(0) })
		w.start(func(l *lane) { l.stores(file, region, 0) })
		w.start(func(l *lane) { l.accepts(0) })
		w.start(func(l *lane) { l.polls(0) })
		w.start(func(l *lane) { l.timeouts(0) })
		w.start(func(l *lane) { l.abandons(0) })
		w.start(func(l *lane) { l.chains(file, 4+region, 0) })
	}
	// The first fifth is for pools and tables to get their size.
	time.Sleep(last / 5)
	early := measure(t)
	time.Sleep(time.Until(start.Add(last * 9 / 10)))
	late := measure(t)
	w.lanes.Wait()
	w.stopping.Store(true)
	require.NoError(t, w.d.Close())
	w.close()
	w.check(t)
	t.Logf("%v, %d operations: %+v early, %+v late", last, w.terminals.Load(), early, late)

	const slack = 4 << 20
	require.LessOrEqual(t, late.heap, early.heap+slack, "bytes on the heap")
	if last > 10*time.Second { // earlier, the race detector's still grow
		require.LessOrEqual(t, late.rss, early.rss+4*slack, "bytes resident")
	}
	// Connections and pending cancellations come and go.
	require.LessOrEqual(t, late.goroutines, early.goroutines+16)
	require.LessOrEqual(t, late.fds, early.fds+100)
}

// usage is what a process uses after a garbage collection.
type usage struct {
	heap, rss       uint64 // bytes
	goroutines, fds int
}

func measure(t *testing.T) usage {
	t.Helper()
	debug.FreeOSMemory() // collects, too
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	statm, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.ParseUint(strings.Fields(string(statm))[1], 10, 64)
	require.NoError(t, err)
	return usage{
		heap: m.HeapAlloc, rss: pages * uint64(os.Getpagesize()),
		goroutines: runtime.NumGoroutine(), fds: len(testkit.Fds(t)),
	}
}
