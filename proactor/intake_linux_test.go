package proactor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

// A lease of memory that is no group's is like any other, and its parts are the
// same lease.
func TestNewLease(t *testing.T) {
	l := proactor.NewLease(100)
	require.Len(t, l.Bytes(), 100)
	copy(l.Bytes(), "0123456789")
	part := l.Slice(0, 10).Slice(2, 5)
	require.Equal(t, "234", string(part.Bytes()))
	require.Equal(t, 3, cap(part.Bytes()))
	require.Equal(t, 3, part.Len())
	for _, bad := range [][2]int{{-1, 2}, {2, 1}, {0, 4}} {
		require.Panics(t, func() { part.Slice(bad[0], bad[1]) })
	}
	require.True(t, part.Release())
	require.False(t, l.Release(), "it was given back already")
	again := proactor.NewLease(10)
	require.Len(t, again.Bytes(), 10)
	require.False(t, part.Release(), "a lease that is over ends another")
	require.True(t, again.Release())
}

// The shared buffers of a shard are those of the configuration, and a bad one is
// refused.
func TestReadBuffers(t *testing.T) {
	_, err := proactor.New(proactor.Config{ReadBuffers: proactor.BufferConfig{Count: 3, Max: 2}})
	require.ErrorContains(t, err, "ReadBuffers")
	rt := open(t, proactor.Config{Shards: 2, ReadBuffers: proactor.BufferConfig{Size: 100, Count: 2}})
	for i := range 2 {
		g, err := rt.Shard(i).ReadBuffers()
		require.NoError(t, err)
		again, err := rt.Shard(i).ReadBuffers()
		require.NoError(t, err)
		require.Same(t, g, again)
		require.Equal(t, 100, g.Size())
		require.Same(t, rt.Shard(i), g.Shard())
		require.Equal(t, 2, g.Stats().Buffers)
	}
	d := rt.Pick()
	s, err := proactor.ShardOfDriver(d)
	require.NoError(t, err)
	require.Contains(t, []*proactor.Shard{rt.Shard(0), rt.Shard(1)}, s)
}
