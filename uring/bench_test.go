//go:build linux

package uring

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// benchRing returns the ring that a program with one thread for it would set
// up.
func benchRing(b *testing.B) *Ring {
	const best = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY
	needKernel(b, Version{6, 6}, best.String())
	runtime.LockOSThread()
	b.Cleanup(runtime.UnlockOSThread)
	return newRing(b, 128, Params{Flags: best})
}

var batches = []int{1, 8, 32, 128}

// perEntry reports what one of the entries of a batch took.
func perEntry(b *testing.B, batch int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch), "ns/entry")
}

// BenchmarkNop prepares a batch, submits it and waits for it, and reaps it.
func BenchmarkNop(b *testing.B) {
	for _, batch := range batches {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			r := benchRing(b)
			cqes := make([]CQE, batch)
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch {
					sqe := r.SQ().Next()
					sqe.PrepNop()
					sqe.UserData = uint64(i)
				}
				if _, err := r.SubmitAndWait(uint32(batch), -1); err != nil {
					b.Fatal(err)
				}
				if n := r.CQ().Reap(cqes); n != batch {
					b.Fatal(n)
				}
			}
			perEntry(b, batch)
		})
	}
}

// BenchmarkEnter is the way of an event loop: no retries, no timeout, and a
// system call of which the scheduler is not told.
func BenchmarkEnter(b *testing.B) {
	for _, batch := range batches {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			r := benchRing(b)
			cqes := make([]CQE, batch)
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch {
					sqe := r.SQ().Next()
					sqe.PrepNop()
					sqe.UserData = uint64(i)
				}
				if _, errno := r.EnterNow(r.SQ().Flush(), IORING_ENTER_GETEVENTS); errno != 0 {
					b.Fatal(errno)
				}
				if n := r.CQ().Reap(cqes); n != batch {
					b.Fatal(n)
				}
			}
			perEntry(b, batch)
		})
	}
}

// BenchmarkPrepare fills entries and shows them to a kernel that is not there
// but takes them at once.
func BenchmarkPrepare(b *testing.B) {
	for _, batch := range batches {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			q, khead, ktail := fakeSQ(128, 0)
			buf := make([]byte, 64)
			b.ReportAllocs()
			for b.Loop() {
				for i := range batch {
					sqe := q.Next()
					sqe.PrepRecv(3, buf, 0, 0)
					sqe.UserData = uint64(i)
				}
				if q.Flush() != uint32(batch) {
					b.Fatal("not all are pending")
				}
				*khead = *ktail
			}
			perEntry(b, batch)
		})
	}
}

// BenchmarkReap takes completions of a kernel that is not there.
func BenchmarkReap(b *testing.B) {
	for _, batch := range batches {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			q, _ := fakeCQ(256, 0, 0)
			dst := make([]CQE, batch)
			b.ReportAllocs()
			for b.Loop() {
				*q.ktail += uint32(batch)
				if q.Reap(dst) != batch {
					b.Fatal("not all")
				}
			}
			perEntry(b, batch)
		})
	}
}

// BenchmarkAll is BenchmarkReap by the iterator, which gives back every slot by
// itself.
func BenchmarkAll(b *testing.B) {
	const batch = 32
	q, _ := fakeCQ(256, 0, 0)
	b.ReportAllocs()
	var sum uint64
	for b.Loop() {
		*q.ktail += batch
		for cqe := range q.All() {
			sum += cqe.UserData
		}
	}
	require.Zero(b, sum)
	perEntry(b, batch)
}

// BenchmarkProvide takes a buffer and gives it back.
func BenchmarkProvide(b *testing.B) {
	r := benchRing(b)
	bufs, err := NewBufRing(r, 1, 64, 4096)
	require.NoError(b, err)
	defer func() { require.NoError(b, bufs.Close()) }()
	b.ReportAllocs()
	bid := uint16(0)
	for b.Loop() {
		if len(bufs.Bytes(bid, 64)) != 64 {
			b.Fatal("short")
		}
		bufs.Add(bid)
		bufs.Commit()
		bid = (bid + 1) % 64
	}
}
