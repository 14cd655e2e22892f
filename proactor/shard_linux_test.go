package proactor_test

import (
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/driver"
	"github.com/yamanote-go/yamanote/proactor"
)

// Operations on a descriptor run on the same shard, those on many on all.
func TestShardOfADescriptor(t *testing.T) {
	rt := open(t, proactor.Config{Shards: 3})
	require.Equal(t, 3, rt.Shards())
	var used [3]bool
	for range 6 {
		r, w := pipe(t)
		home := rt.ShardOf(r)
		used[home.Index()] = true
		require.Same(t, home, rt.ShardOf(r))
		require.Same(t, rt, home.Runtime())
		before := home.Stats().Finished
		for range 5 {
			require.NoError(t, send(w, []byte("x")))
			_, err := proactor.Do(t.Context(), rt, proactor.Read{FD: r, Buf: make([]byte, 1)})
			require.NoError(t, err)
		}
		require.EqualValues(t, 5, home.Stats().Finished-before)
	}
	for i := range 3 {
		fd, err := syscall.Dup(0)
		require.NoError(t, err)
		require.NoError(t, syscall.Dup3(fd, 300+i, syscall.O_CLOEXEC))
		fds(t, fd, 300+i)
		used[rt.ShardOf(300+i).Index()] = true
	}
	require.Equal(t, [3]bool{true, true, true}, used)
}

func TestOn(t *testing.T) {
	rt := open(t, proactor.Config{Shards: 3})
	for i := range 3 {
		s := rt.Shard(i)
		require.Equal(t, i, s.Index())
		before := s.Stats().Finished
		for range 4 {
			_, err := proactor.Do(t.Context(), rt, proactor.On(s, proactor.Nop{}))
			require.NoError(t, err)
		}
		require.EqualValues(t, 4, s.Stats().Finished-before)
	}
	other := open(t, proactor.Config{})
	_, err := proactor.Do(t.Context(), rt, proactor.On(other.Shard(0), proactor.Nop{}))
	require.ErrorContains(t, err, "another Runtime")
	require.Panics(t, func() { rt.Shard(3) })
}

// The least loaded shard gets what is new, and equals take turns.
func TestPlacement(t *testing.T) {
	rt := open(t, proactor.Config{Shards: 3, Placement: proactor.LeastLoaded})
	seen := map[*driver.Driver]int{}
	for range 30 {
		seen[rt.Pick()]++
	}
	require.Len(t, seen, 3)
	r, _ := pipe(t)
	for i, s := range []*proactor.Shard{rt.Shard(0), rt.Shard(2)} {
		for range i + 1 {
			c, err := proactor.Submit(t.Context(), rt, proactor.On(s, proactor.Read{FD: r, Buf: make([]byte, 1)}))
			require.NoError(t, err)
			defer c.Abandon()
		}
	}
	for range 10 {
		require.Same(t, rt.Shard(1).Driver(), rt.Pick())
	}
	require.Equal(t, "least loaded", proactor.LeastLoaded.String())
	require.Equal(t, "round robin", proactor.RoundRobin.String())
	require.Equal(t, "Placement(9)", proactor.Placement(9).String())
}

// A goroutine that waits on one shard is woken by what somebody does on another.
func TestAcrossShards(t *testing.T) {
	rt := open(t, proactor.Config{Shards: 3})
	var wg sync.WaitGroup
	for i := range 3 {
		for j := range 3 {
			r, w := pipe(t)
			wg.Go(func() {
				for range 50 {
					_, err := proactor.Do(t.Context(), rt, proactor.On(rt.Shard(i), proactor.Read{FD: r, Buf: make([]byte, 1)}))
					if err != nil {
						t.Error(err)
					}
				}
			})
			wg.Go(func() {
				for range 50 {
					_, err := proactor.Do(t.Context(), rt, proactor.On(rt.Shard(j), proactor.Write{FD: w, Buf: []byte("x")}))
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
}
