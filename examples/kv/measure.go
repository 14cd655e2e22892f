package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/atomic"
)

// measureRounds is how often each of both is measured, by turns.
const measureRounds = 3

// measure compares SETs with an Appender and with a write and a sync of an
// os.File for each, all else alike.
func measure(ctx context.Context, each time.Duration, args []string, stdout, stderr io.Writer) error {
	fmt.Fprintf(stdout, "%-10s %14s %14s %8s\n", "clients", "group commit", "write+sync", "ratio")
	for _, clients := range []int{1, 64} {
		rates := make(map[string][]float64)
		for range measureRounds {
			for _, kind := range []string{"group", "os"} {
				rate, err := measureOne(ctx, each, clients, append([]string{"-log", kind}, args...), stderr)
				if err != nil {
					return err
				}
				rates[kind] = append(rates[kind], rate)
			}
		}
		ours, other := median(rates["group"]), median(rates["os"])
		fmt.Fprintf(stdout, "%-10d %10.0f/s %12.0f/s %8.2f\n", clients, ours, other, ours/other)
	}
	return nil
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// measureOne returns how many SETs a second a server does.
func measureOne(ctx context.Context, each time.Duration, clients int, args []string, stderr io.Writer) (float64, error) {
	dir, err := os.MkdirTemp("", "kv")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	server, err := startChild(stderr, append([]string{"-dir", dir}, args...)...)
	if err != nil {
		return 0, err
	}
	var sets atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, clients)
	start := time.Now()
	for i := range clients {
		wg.Go(func() { errs[i] = setUntil(ctx, server.addr, i, start.Add(each), &sets) })
	}
	wg.Wait()
	took := time.Since(start)
	if err := errors.Join(append(errs, ctx.Err(), server.stop())...); err != nil {
		return 0, err
	}
	return float64(sets.Load()) / took.Seconds(), nil
}

// setUntil sets keys of one client to values of 100 bytes.
func setUntil(ctx context.Context, addr string, client int, end time.Time, sets *atomic.Int64) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.close()
	value := strings.Repeat("v", 100)
	for i := 0; ctx.Err() == nil && time.Now().Before(end); i++ {
		if _, err := c.ask("SET", fmt.Sprintf("key%d.%d", client, i%1000), value); err != nil {
			return err
		}
		sets.Inc()
	}
	return nil
}
