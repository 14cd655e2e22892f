package uring

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cLoop is the program of testdata/nops.c.
type cLoop struct {
	in  io.Writer
	out *bufio.Reader
}

// startC builds and starts the program. It returns nil where there is nothing to
// build it with.
func startC(b *testing.B) *cLoop {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		b.Log("left out: there is no gcc")
		return nil
	}
	bin := filepath.Join(b.TempDir(), "nops")
	cmd := exec.CommandContext(b.Context(), gcc, "-O2", "-Wall", "-Werror", "-o", bin, "testdata/nops.c", "-luring")
	if out, err := cmd.CombinedOutput(); err != nil {
		if probe := exec.CommandContext(b.Context(), gcc, "-E", "-include", "liburing.h", "-x", "c", os.DevNull); probe.Run() != nil {
			b.Log("left out: there is no liburing to build with")
			return nil
		}
		b.Fatalf("%v: %s", err, out)
	}
	cmd = exec.Command(bin) // ends with its input
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		require.NoError(b, in.Close())
		require.NoError(b, cmd.Wait())
	})
	return &cLoop{in: in, out: bufio.NewReader(out)}
}

// run has the program do n batches.
func (c *cLoop) run(b *testing.B, batch, n int) time.Duration {
	_, err := fmt.Fprintln(c.in, batch, n)
	require.NoError(b, err)
	line, err := c.out.ReadString('\n')
	if errors.Is(err, io.EOF) {
		b.Fatal("the C program has ended")
	}
	require.NoError(b, err)
	var ns int64
	_, err = fmt.Sscan(line, &ns)
	require.NoError(b, err)
	return time.Duration(ns)
}

// BenchmarkNopBesideC is BenchmarkNop and the same loop in C on liburing, by
// turns. It reports what one entry takes in both, and the rate of Go as a
// fraction of that of C: the median over the rounds, because both share the
// machine with others. It measures nothing where gcc or liburing are missing.
func BenchmarkNopBesideC(b *testing.B) {
	needKernel(b, Version{6, 1}, deferred.String())
	needRing(b)
	const rounds = 15
	for _, batch := range batches {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			c := startC(b)
			if c == nil {
				return
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			r := newRing(b, 128, Params{Flags: deferred}) // liburing 2.3 knows no NO_SQARRAY
			cqes := make([]CQE, 128)
			perRound := max(1, 100_000/batch)
			var ours, theirs, ratios []float64
			for b.Loop() {
				ours, theirs, ratios = ours[:0], theirs[:0], ratios[:0]
				for range rounds {
					start := time.Now()
					for range perRound {
						nopTurn(b, r, batch, cqes)
					}
					goTime := time.Since(start)
					cTime := c.run(b, batch, perRound)
					entries := float64(perRound * batch)
					ours = append(ours, float64(goTime)/entries)
					theirs = append(theirs, float64(cTime)/entries)
					ratios = append(ratios, float64(cTime)/float64(goTime))
				}
			}
			b.ReportMetric(0, "ns/op") // of rounds of both: it says nothing
			b.ReportMetric(median(ours), "ns/entry")
			b.ReportMetric(median(theirs), "C-ns/entry")
			b.ReportMetric(median(ratios), "of-C")
		})
	}
}

// nopTurn prepares a batch, submits it and waits for it, and reaps it.
func nopTurn(b *testing.B, r *Ring, batch int, cqes []CQE) {
	sq := r.SQ()
	for i := range batch {
		sqe := sq.Next()
		sqe.PrepNop()
		sqe.UserData = uint64(i)
	}
	if _, err := r.SubmitAndWait(uint32(batch), -1); err != nil {
		b.Fatal(err)
	}
	sum := uint64(0)
	n := r.CQ().Reap(cqes)
	for _, cqe := range cqes[:n] {
		sum += cqe.UserData
	}
	if n != batch || sum != uint64(batch*(batch-1)/2) {
		b.Fatal(n, sum)
	}
}

func median(values []float64) float64 {
	values = slices.Clone(values)
	slices.Sort(values)
	return values[len(values)/2]
}
