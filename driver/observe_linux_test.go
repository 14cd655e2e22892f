package driver_test

import (
	"context"
	"encoding/json"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/internal/faultring"
	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/uring"
)

// Every field of Stats has a row in the tables, under its name in JSON.
func TestStatsTables(t *testing.T) {
	named := make(map[string]bool)
	for m := range (driver.Stats{}).All() {
		require.False(t, named[m.Name], m.Name)
		named[m.Name] = true
		require.NotEmpty(t, m.Unit, m.Name)
		require.NotEmpty(t, m.Meaning, m.Name)
	}
	for h := range (driver.Stats{}).Histograms() {
		named[h.Name] = true
		require.NotEmpty(t, h.Meaning, h.Name)
	}
	typ := reflect.TypeFor[driver.Stats]()
	require.Len(t, named, typ.NumField())
	// Each number is the one of its own field.
	for i := range typ.NumField() {
		var s driver.Stats
		field := reflect.ValueOf(&s).Elem().Field(i)
		name := typ.Field(i).Tag.Get("json")
		require.True(t, named[name], name)
		switch field.Kind() {
		case reflect.Uint64:
			field.SetUint(7)
		case reflect.Int64:
			field.SetInt(7)
		default:
			field.Index(3).SetUint(7)
			require.Equal(t, name+"={4-7:7}", s.String())
			require.Equal(t, "", s.Sub(s).String())
			require.Equal(t, name+"={4-7:14}", s.Add(s).String())
			continue
		}
		require.Equal(t, name+"=7", s.String())
		require.Equal(t, name+"=14", s.Add(s).String())
		if field.Kind() == reflect.Uint64 {
			require.Zero(t, s.Sub(s))
		} else {
			require.Equal(t, s, s.Sub(s), "a level stays what it is")
		}
		text, err := json.Marshal(s)
		require.NoError(t, err)
		var back driver.Stats
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, s, back)
	}
}

func TestHistogram(t *testing.T) {
	var h driver.Histogram
	require.Zero(t, h.Quantile(0.5))
	h[0], h[1], h[3] = 1, 2, 7
	require.EqualValues(t, 10, h.Count())
	require.Equal(t, "0:1 1:2 4-7:7", h.String())
	require.EqualValues(t, 1, h.Quantile(0.3))
	require.EqualValues(t, 7, h.Quantile(0.5))
	require.EqualValues(t, 0, h.Quantile(0))
	low, high := h.Bucket(len(h) - 1)
	require.EqualValues(t, 1<<26, low)
	require.Equal(t, ^uint64(0), high)
	h[len(h)-1] = 1
	text, err := json.Marshal(h)
	require.NoError(t, err)
	require.JSONEq(t, `[{"min":0,"count":1},{"min":1,"count":2},{"min":4,"count":7},{"min":67108864,"count":1}]`, string(text))
	var back driver.Histogram
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, h, back)
	require.ErrorContains(t, json.Unmarshal([]byte(`[{"min":5,"count":1}]`), &back), "begins with 5")
}

// Submitted counts operations: not cancellations, nor what was cancelled before
// it came to the kernel. In the end all that was submitted has finished.
func TestStatsCountOperations(t *testing.T) {
	forEach(t, func(t *testing.T, d *driver.Driver) {
		r, _ := pipe(t)
		const n = 20
		for range n {
			op, w := newOp(true)
			op.Buf = make([]byte, 1)
			op.SQE.PrepRead(r, op.Buf, ^uint64(0))
			require.NoError(t, d.Submit(context.Background(), op))
			require.True(t, d.Cancel(op))
			require.Error(t, wait(t, w).Err())
		}
		nop, w := newOp(false)
		nop.SQE.PrepNop()
		require.NoError(t, d.Submit(context.Background(), nop))
		require.NoError(t, wait(t, w).Err())
		s := d.Stats()
		require.EqualValues(t, n+1, s.Finished)
		require.EqualValues(t, n, s.EndedCancelled)
		require.LessOrEqual(t, s.Submitted, s.Finished+s.Resubmitted)
		require.Equal(t, s.Enters, s.LeaderEnters+s.BorrowerEnters+s.AttendantEnters+s.Sleeps)
		require.Equal(t, s.Enters, s.SubmittedPerEnter.Count())
		require.Equal(t, s.Reaps, s.CompletionsPerReap.Count())
		require.Equal(t, s.Sleeps, s.SleepMicroseconds.Count())
		require.Positive(t, s.InKernelPeak)
		require.LessOrEqual(t, s.InKernelPeak, int64(n))
	})
}

// Dump shows what waits, however the driver is: while nobody leads, while a
// leader sleeps in the kernel, and with the age of each in virtual time exactly.
func TestDumpAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faultring.New(faultring.Config{SQEntries: 4, CQEntries: 16})
		d, err := driver.OpenWith(driver.Config{}, r)
		require.NoError(t, err)
		_, first := r.Pair(1)
		_, second := r.Pair(1)
		ctx := context.Background()
		deadline := time.Now().Add(time.Hour)
		receive := func(fd int) (*driver.Op, *driver.Waiter) {
			op, w := newOp(true)
			op.Buf = make([]byte, 1)
			op.SQE.PrepRecv(fd, op.Buf, 0, 0)
			return op, w
		}
		early, w1 := receive(first)
		bound, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		early.Sink = boundSink{early.Sink, bound}
		require.NoError(t, d.Submit(ctx, early)) // nobody leads afterwards
		time.Sleep(3 * time.Second)
		dump, err := d.Dump(ctx, 10)
		require.NoError(t, err)
		require.Len(t, dump.Oldest, 1)
		require.Equal(t, driver.InFlight{
			Kind: uring.IORING_OP_RECV, FD: first, State: driver.StateInKernel,
			Age: 3 * time.Second, Deadline: deadline, Waits: true,
		}, dump.Oldest[0])

		late, w2 := receive(second)
		require.NoError(t, d.Enqueue(ctx, late))
		go d.Await(w2) // leads, and sleeps
		time.Sleep(2 * time.Second)
		third, w3 := receive(second) // borrows the ring
		require.NoError(t, d.Submit(ctx, third))
		time.Sleep(time.Second)
		dump, err = d.Dump(ctx, 2)
		require.NoError(t, err)
		require.Equal(t, 3, dump.Total)
		require.Len(t, dump.Oldest, 2, "no more than asked for")
		require.Equal(t, []driver.Group{{
			Kind: uring.IORING_OP_RECV, State: driver.StateInKernel, Count: 3,
			Oldest: 6 * time.Second, Median: 3 * time.Second,
		}}, dump.Groups)
		require.Contains(t, dump.String(), "3 RECV in kernel, the oldest for 6s")
		require.Contains(t, dump.String(), "and 1 younger ones")

		d.Cancel(early)
		d.Cancel(late)
		d.Cancel(third)
		<-w1.Done()
		<-w3.Done()
		require.NoError(t, d.Close())
		_, err = d.Dump(ctx, 1)
		require.ErrorIs(t, err, driver.ErrClosed)
		require.NoError(t, r.Err())
	})
}

// blocked is a Sink that does what a Sink must not.
type blocked struct{ entered, release chan struct{} }

func (b blocked) Complete(*driver.Op, driver.Completion) {
	close(b.entered)
	<-b.release
}

// A Dump that nobody answers ends with its context, and says what is wrong.
func TestDumpGivesUp(t *testing.T) {
	d := open(t, driver.Config{})
	sink := blocked{make(chan struct{}), make(chan struct{})}
	op := &driver.Op{Sink: sink}
	op.SQE.PrepNop()
	submitted := make(chan error)
	go func() { submitted <- d.Submit(context.Background(), op) }()
	<-sink.entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := d.Dump(ctx, 1)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "Sink")
	close(sink.release)
	require.NoError(t, <-submitted)
	require.NoError(t, d.Close())
}

// Dump under full load: it returns, and what it shows makes sense.
func TestDumpUnderLoad(t *testing.T) {
	testkit.Watchdog(t, time.Minute)
	forEach(t, func(t *testing.T, d *driver.Driver) {
		r, _ := pipe(t)
		idle, waiter := newOp(true)
		idle.Buf = make([]byte, 1)
		idle.SQE.PrepRead(r, idle.Buf, ^uint64(0))
		require.NoError(t, d.Submit(context.Background(), idle))
		begun := time.Now()
		var stop atomic.Bool
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				op, w := newOp(false)
				for !stop.Load() {
					op.SQE.PrepNop()
					if err := d.Enqueue(context.Background(), op); err != nil {
						t.Error(err)
						return
					}
					d.Await(w)
				}
			})
		}
		for range 50 {
			dump, err := d.Dump(t.Context(), 3)
			require.NoError(t, err)
			require.GreaterOrEqual(t, dump.Total, 1)
			require.LessOrEqual(t, dump.Total, 9)
			require.Equal(t, r, dump.Oldest[0].FD, "the receive is the oldest")
			require.LessOrEqual(t, dump.Oldest[0].Age, time.Since(begun)+time.Second)
			n := 0
			for _, g := range dump.Groups {
				n += g.Count
			}
			require.Equal(t, dump.Total, n)
		}
		stop.Store(true)
		wg.Wait()
		d.Cancel(idle)
		wait(t, waiter)
	})
}

// Each operation begins once, is handed over, and ends once, with its result.
func TestTrace(t *testing.T) {
	var mu sync.Mutex
	events := make(map[uint64][]driver.Event)
	d := open(t, driver.Config{SQEntries: 2, CQEntries: 4, Trace: func(e driver.Event) {
		mu.Lock()
		defer mu.Unlock()
		events[e.ID] = append(events[e.ID], e)
	}})
	var wg sync.WaitGroup
	const lanes, each = 8, 50
	for range lanes {
		wg.Go(func() {
			op, w := newOp(false)
			for range each {
				op.SQE.PrepNop()
				if err := d.Enqueue(context.Background(), op); err != nil {
					t.Error(err)
				}
				d.Await(w)
			}
		})
	}
	wg.Wait()
	r, _ := pipe(t)
	op, w := newOp(true)
	op.Buf = make([]byte, 1)
	op.SQE.PrepRead(r, op.Buf, ^uint64(0))
	require.NoError(t, d.Submit(context.Background(), op))
	d.Cancel(op)
	wait(t, w)
	require.NoError(t, d.Close())
	require.Len(t, events, lanes*each+1)
	cancelled := 0
	for _, list := range events {
		require.Equal(t, driver.StageBegin, list[0].Stage)
		last := list[len(list)-1]
		require.Equal(t, driver.StageEnd, last.Stage)
		require.Positive(t, last.Took)
		require.GreaterOrEqual(t, last.Took, last.Queued)
		for _, e := range list[1 : len(list)-1] {
			require.Equal(t, driver.StageKernel, e.Stage)
			require.Equal(t, list[0].Began, e.Began)
		}
		if last.Kind == uring.IORING_OP_READ {
			cancelled++
			require.Equal(t, r, last.FD)
			require.ErrorContains(t, last.Err(), "canceled")
			continue
		}
		require.Len(t, list, 3)
		require.Equal(t, -1, last.FD)
		require.NoError(t, last.Err())
	}
	require.Equal(t, 1, cancelled)
}

// boundSink is a sink that knows a deadline.
type boundSink struct {
	driver.Sink
	bound driver.Deadliner
}

func (s boundSink) Bound() driver.Deadliner { return s.bound }
