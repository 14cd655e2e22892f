package driver_test

import (
	"context"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/uring"
)

// BenchmarkAwait is an operation that does nothing, by a goroutine that is
// alone: it drives the ring itself.
func BenchmarkAwait(b *testing.B) {
	d := open(b, driver.Config{})
	defer d.Close()
	op, w := newOp(false)
	op.SQE.PrepNop()
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Enqueue(context.Background(), op); err != nil {
			b.Fatal(err)
		}
		d.Await(w)
	}
}

// BenchmarkBorrow is the same while another goroutine leads and sleeps in the
// kernel: the ring is borrowed to submit, and the leader wakes to hand over the
// result.
func BenchmarkBorrow(b *testing.B) {
	d := open(b, driver.Config{})
	defer d.Close()
	leader := make(chan driver.Completion, 1)
	r, write := pipe(b)
	buf := make([]byte, 1)
	lead, lw := newOp(true)
	lead.Buf = buf
	lead.SQE.PrepRead(r, buf, uring.CurrentPosition)
	require.NoError(b, d.Enqueue(context.Background(), lead))
	go func() { leader <- d.Await(lw) }()
	op, w := newOp(false)
	op.SQE.PrepNop()
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Submit(context.Background(), op); err != nil {
			b.Fatal(err)
		}
		<-w.Done()
	}
	_, err := syscall.Write(write, buf)
	require.NoError(b, err)
	<-leader
}

// BenchmarkSignal is the same while nobody leads: the kernel signals the
// completion, and a goroutine that Go's scheduler wakes attends to the ring.
func BenchmarkSignal(b *testing.B) {
	d := open(b, driver.Config{})
	defer d.Close()
	r, write := pipe(b)
	buf, one := make([]byte, 1), make([]byte, 1)
	op, w := newOp(true)
	op.Buf = buf
	op.SQE.PrepRead(r, buf, uring.CurrentPosition)
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Submit(context.Background(), op); err != nil {
			b.Fatal(err)
		}
		if _, err := syscall.Write(write, one); err != nil {
			b.Fatal(err)
		}
		<-w.Done()
	}
}

// BenchmarkCancel is a receive that is cancelled: two operations.
func BenchmarkCancel(b *testing.B) {
	d := open(b, driver.Config{})
	defer d.Close()
	r, _ := pipe(b)
	op, w := newOp(true)
	op.SQE.PrepPollAdd(r, 1, 0)
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Submit(context.Background(), op); err != nil {
			b.Fatal(err)
		}
		d.Cancel(op)
		<-w.Done()
	}
}
