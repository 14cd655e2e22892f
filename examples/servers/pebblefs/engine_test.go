package pebblefs_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// small are options with which a few megabytes fill many tables, and flushes
// and compactions run all the time.
func small(fs vfs.FS) *pebble.Options {
	o := &pebble.Options{
		FS: fs, MemTableSize: 64 << 10, L0CompactionThreshold: 2,
		BytesPerSync: 16 << 10, WALBytesPerSync: 8 << 10, Logger: quiet{},
	}
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = 32 << 10
	}
	return o
}

// quiet is a logger that says only what ends the process.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

// An engine does what it does, with flushes, compactions and checkpoints, and
// after each opening has what a map has that was treated alike.
func TestEngine(t *testing.T) {
	batches := 1500
	if testing.Short() {
		batches = 300
	}
	forEach(t, false, func(t *testing.T, fs vfs.FS) {
		dir := t.TempDir()
		random := rand.New(rand.NewPCG(1, 2))
		model := make(map[string]string)
		for opening := range 3 {
			db, err := pebble.Open(dir, small(fs))
			require.NoError(t, err)
			requireModel(t, db, model)
			for i := range batches {
				change(t, db, random, model, i%50 == 0)
			}
			requireModel(t, db, model)
			if opening == 1 {
				require.NoError(t, db.Flush())
				require.NoError(t, db.Compact(t.Context(), []byte("k"), []byte("l"), true))
				requireModel(t, db, model)
				m := db.Metrics()
				require.Positive(t, m.Flush.Count)
				require.Positive(t, m.Compact.Count)
			}
			if opening == 2 {
				checkpoint := fs.PathJoin(t.TempDir(), "checkpoint")
				require.NoError(t, db.Checkpoint(checkpoint, pebble.WithFlushedWAL()))
				copied, err := pebble.Open(checkpoint, small(fs))
				require.NoError(t, err)
				requireModel(t, copied, model)
				require.NoError(t, copied.Close())
			}
			_, err = pebble.Open(dir, small(fs))
			require.Error(t, err, "it is locked")
			require.NoError(t, db.Close())
		}
	})
}

// change commits a batch of puts and removals, to the engine and the model.
func change(t *testing.T, db *pebble.DB, random *rand.Rand, model map[string]string, sync bool) {
	b := db.NewBatch()
	for range 1 + random.IntN(20) {
		key := fmt.Sprintf("k%04d", random.IntN(3000))
		if random.IntN(4) == 0 {
			require.NoError(t, b.Delete([]byte(key), nil))
			delete(model, key)
			continue
		}
		value := make([]byte, random.IntN(300))
		for i := range value {
			value[i] = byte(random.Uint32())
		}
		require.NoError(t, b.Set([]byte(key), value, nil))
		model[key] = string(value)
	}
	require.NoError(t, b.Commit(&pebble.WriteOptions{Sync: sync}))
}

// requireModel compares all of the engine with the model, by an iterator, and a
// part by key.
func requireModel(t *testing.T, db *pebble.DB, model map[string]string) {
	t.Helper()
	it, err := db.NewIter(nil)
	require.NoError(t, err)
	got := make(map[string]string)
	last := ""
	for it.First(); it.Valid(); it.Next() {
		key := string(it.Key())
		require.Greater(t, key, last)
		last, got[key] = key, string(it.Value())
	}
	require.NoError(t, it.Error())
	require.NoError(t, it.Close())
	require.True(t, maps.Equal(model, got), "%d keys, and %d in the model", len(got), len(model))
	for _, key := range slices.Sorted(maps.Keys(model))[:min(len(model), 200)] {
		value, closer, err := db.Get([]byte(key))
		require.NoError(t, err)
		require.Equal(t, model[key], string(value))
		require.NoError(t, closer.Close())
	}
	_, _, err = db.Get([]byte("none"))
	require.ErrorIs(t, err, pebble.ErrNotFound)
}
