package pebblefs_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/examples/servers/pebblefs"
	"github.com/yamanote-go/yamanote/proactor"
)

// BenchmarkCommit commits batches of ten values of 100 bytes, durably, from
// several goroutines that each wait for the last one.
func BenchmarkCommit(b *testing.B) {
	rt, err := proactor.New(proactor.Config{})
	require.NoError(b, err)
	defer func() { require.NoError(b, rt.Shutdown(context.Background())) }()
	for _, goroutines := range []int{1, 64} {
		for name, fs := range map[string]vfs.FS{"pebble": vfs.Default, "ours": pebblefs.New(rt)} {
			b.Run(fmt.Sprintf("%d/%s", goroutines, name), func(b *testing.B) {
				db, err := pebble.Open(b.TempDir(), &pebble.Options{FS: fs, Logger: quiet{}})
				require.NoError(b, err)
				defer func() { require.NoError(b, db.Close()) }()
				var next atomic.Int64
				var wg sync.WaitGroup
				b.ResetTimer()
				for range goroutines {
					wg.Go(func() {
						for i := next.Inc(); i <= int64(b.N); i = next.Inc() {
							if err := commit(db, uint64(i)); err != nil {
								b.Error(err)
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
			})
		}
	}
}

func commit(db *pebble.DB, i uint64) error {
	batch := db.NewBatch()
	value := make([]byte, 100)
	for j := range uint64(10) {
		// Keys that are spread, as they are in practice.
		key := binary.BigEndian.AppendUint64(nil, (i*10+j)*0x9e3779b97f4a7c15)
		if err := batch.Set(key, value, nil); err != nil {
			return err
		}
	}
	return batch.Commit(pebble.Sync)
}
