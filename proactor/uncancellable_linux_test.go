package proactor_test

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/uring"
)

// slowDisk is a ring whose operations are carried out by a disk that takes its
// time: a cancellation finds them running and changes nothing.
type slowDisk struct {
	mu      sync.Mutex
	sqes    [8]uring.SQE
	pending int
	cqes    []uring.CQE
	running []uint64 // user data
	cancels []time.Time
	arrived chan struct{} // has a token when there may be a completion
	signal  chan struct{}
}

func newSlowDisk() *slowDisk {
	return &slowDisk{arrived: make(chan struct{}, 1), signal: make(chan struct{}, 1)}
}

func (r *slowDisk) post(c uring.CQE) {
	r.cqes = append(r.cqes, c)
	for _, ch := range []chan struct{}{r.arrived, r.signal} {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// finish completes the oldest operation.
func (r *slowDisk) finish(res int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.post(uring.CQE{UserData: r.running[0], Res: res})
	r.running = r.running[1:]
}

func (r *slowDisk) Submit() (int, syscall.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.pending
	for _, sqe := range r.sqes[:n] {
		switch sqe.Opcode {
		case uring.IORING_OP_NOP:
			r.post(uring.CQE{UserData: sqe.UserData})
		case uring.IORING_OP_ASYNC_CANCEL:
			r.cancels = append(r.cancels, time.Now())
			r.post(uring.CQE{UserData: sqe.UserData, Res: -int32(syscall.EALREADY)})
		default:
			r.running = append(r.running, sqe.UserData)
		}
	}
	r.pending = 0
	return n, 0
}

func (r *slowDisk) Wait(uint32) (int, syscall.Errno) {
	n, _ := r.Submit()
	for !r.Ready() {
		<-r.arrived
	}
	return n, 0
}

func (r *slowDisk) Next() *uring.SQE {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending == len(r.sqes) {
		return nil
	}
	r.pending++
	return &r.sqes[r.pending-1]
}

func (r *slowDisk) Pending() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return uint32(r.pending)
}

func (r *slowDisk) Reap(dst []uring.CQE) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := copy(dst, r.cqes)
	r.cqes = r.cqes[n:]
	return n
}

func (r *slowDisk) Ready() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.cqes) > 0
}

func (r *slowDisk) Poke() {
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

func (r *slowDisk) Enable() error            { return nil }
func (r *slowDisk) Flags() uring.SQRingFlags { return 0 }
func (r *slowDisk) Flush() uint32            { return r.Pending() }
func (r *slowDisk) Signal(bool)              {}
func (r *slowDisk) AwaitSignal()             { <-r.signal }
func (r *slowDisk) Info() driver.Info        { return driver.Info{} }
func (r *slowDisk) Close() error             { return nil }

// Whoever gives up an operation that cannot be interrupted gets it back when it
// has ended by itself, not before, with the result that it has; the kernel is
// asked at once, and again less and less often.
func TestUncancellable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := newSlowDisk()
		rt, err := proactor.NewWith(proactor.Config{SQEntries: 8}, func(driver.Config) (driver.Ring, error) { return ring, nil })
		require.NoError(t, err)
		read := proactor.ReadAt{Buf: make([]byte, 8)}
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()

		var events []string
		returned := make(chan struct{})
		go func() {
			defer close(returned)
			n, err := proactor.Do(ctx, rt, read)
			events = append(events, "Do has returned")
			if n != 8 || err != nil {
				t.Errorf("got %d, %v: a result beats the end of the context", n, err)
			}
		}()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Empty(t, events, "Do has returned while the disk writes into its buffer")
		events = append(events, "the disk is done")
		ring.finish(8)
		<-returned
		require.Equal(t, []string{"the disk is done", "Do has returned"}, events)
		require.Equal(t, time.Second, ring.cancels[0].Sub(start), "the kernel is asked at once")
		require.Greater(t, len(ring.cancels), 5)
		require.Less(t, len(ring.cancels), 25)
		for i := 2; i < len(ring.cancels); i++ {
			gap := func(i int) time.Duration { return ring.cancels[i].Sub(ring.cancels[i-1]) }
			require.GreaterOrEqual(t, gap(i)+10*time.Millisecond, gap(i-1))
			require.LessOrEqual(t, gap(i), time.Second+10*time.Millisecond)
		}

		// The same for one that is abandoned: nobody waits, and it is under way
		// until the disk is done.
		c, err := proactor.Submit(context.Background(), rt, read)
		require.NoError(t, err)
		time.Sleep(time.Second) // until it is with the disk
		c.Abandon()
		time.Sleep(10 * time.Second)
		require.EqualValues(t, 1, rt.Stats().InFlight)
		closed := make(chan error)
		go func() { closed <- rt.Close() }()
		time.Sleep(10 * time.Second)
		select {
		case <-closed:
			t.Error("the ring is closed while the disk writes")
		default:
		}
		ring.finish(8)
		require.NoError(t, <-closed)
	})
}
