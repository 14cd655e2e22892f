package proactor_test

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/proactor"
)

// registered are the runtimes of configs with tables for files and buffers.
func registered(t *testing.T, f func(t *testing.T, rt *proactor.Runtime)) {
	for name, cfg := range configs() {
		t.Run(name, func(t *testing.T) {
			cfg.DirectFiles, cfg.Arenas, cfg.Personalities = 4, 2, true
			f(t, open(t, cfg))
		})
	}
}

// A file is opened, read and closed with one submission, and never has a
// descriptor.
func TestDirectOpenReadClose(t *testing.T) {
	registered(t, func(t *testing.T, rt *proactor.Runtime) {
		path := filepath.Join(t.TempDir(), "x")
		require.NoError(t, os.WriteFile(path, []byte("hello"), 0o600))
		before := openFiles(t)
		d, err := rt.Shard(rt.Shards() - 1).DirectFile()
		require.NoError(t, err)
		for range 10 {
			buf := make([]byte, 100)
			c := proactor.NewChain()
			proactor.Then(c, proactor.Into(proactor.Open{Path: path}, d))
			read := proactor.Then(c, proactor.Using(proactor.ReadAt{Buf: buf}, d))
			closed := (*proactor.Member[struct{}])(nil)
			if rt.Shard(0).Driver().MaxChain() > 2 {
				closed = proactor.Always(c, proactor.CloseDirect{File: d})
			}
			require.NoError(t, c.Do(t.Context(), rt))
			n, err := read.Result()
			require.NoError(t, err)
			require.Equal(t, "hello", string(buf[:n]))
			if closed == nil {
				_, err = proactor.Do(t.Context(), rt, proactor.CloseDirect{File: d})
			} else {
				_, err = closed.Result()
			}
			require.NoError(t, err)
			_, err = proactor.Do(t.Context(), rt, proactor.Using(proactor.ReadAt{Buf: buf}, d))
			require.ErrorIs(t, err, syscall.EBADF, "the slot is empty")
		}
		require.Equal(t, before, openFiles(t))

		c := proactor.NewChain()
		proactor.Then(c, proactor.Into(proactor.Open{Path: path + "-missing"}, d))
		read := proactor.Then(c, proactor.Using(proactor.ReadAt{Buf: make([]byte, 1)}, d))
		require.ErrorIs(t, c.Do(t.Context(), rt), os.ErrNotExist)
		_, err = read.Result()
		require.ErrorIs(t, err, proactor.ErrChainBroken)
		require.ErrorIs(t, err, os.ErrNotExist)
		require.NoError(t, d.Release())
		require.NoError(t, d.Release())
	})
}

func TestDirectFiles(t *testing.T) {
	registered(t, func(t *testing.T, rt *proactor.Runtime) {
		s := rt.Shard(0)
		var all []*proactor.DirectFile
		for range 4 {
			d, err := s.DirectFile()
			require.NoError(t, err)
			all = append(all, d)
		}
		_, err := s.DirectFile()
		require.ErrorIs(t, err, proactor.ErrNoSlot)
		require.ErrorContains(t, err, "all 4 direct files")

		// A file of the process goes in, and comes out with another number.
		f := tempFile(t)
		_, err = f.WriteString("contents")
		require.NoError(t, err)
		d := all[2]
		require.NoError(t, d.Put(int(f.Fd())))
		require.NoError(t, f.Close())
		fd, err := proactor.Do(t.Context(), rt, proactor.Install{File: d})
		require.NoError(t, err)
		installed := os.NewFile(uintptr(fd), "x")
		got, err := io.ReadAll(io.NewSectionReader(installed, 0, 100))
		require.NoError(t, err)
		require.Equal(t, "contents", string(got))
		require.NoError(t, installed.Close())

		// An operation under way keeps its file when the slot is given up.
		r, w := pipe(t)
		require.NoError(t, d.Put(r))
		buf := make([]byte, 1)
		c, err := proactor.Submit(t.Context(), rt, proactor.Using(proactor.Read{Buf: buf}, d))
		require.NoError(t, err)
		require.NoError(t, d.Release())
		require.NoError(t, send(w, []byte("x")))
		n, err := c.Wait(t.Context())
		if err == nil { // it was submitted before the slot was emptied
			require.Equal(t, 1, n)
		} else {
			require.ErrorIs(t, err, syscall.EBADF)
		}
		require.ErrorIs(t, d.Put(r), os.ErrClosed)
		_, err = proactor.Do(t.Context(), rt, proactor.Using(proactor.Read{Buf: buf}, d))
		require.ErrorIs(t, err, os.ErrClosed)
		again, err := s.DirectFile()
		require.NoError(t, err)
		require.Equal(t, d.Slot(), again.Slot())

		_, err = proactor.Do(t.Context(), rt, proactor.Using(proactor.CloseFD{}, again))
		require.ErrorContains(t, err, "cannot use a direct file")
		_, err = proactor.Do(t.Context(), rt, proactor.Into(proactor.Nop{}, again))
		require.ErrorContains(t, err, "cannot put a file into a slot")
	})
}

// An accepted connection lives in a slot.
func TestDirectAccept(t *testing.T) {
	registered(t, func(t *testing.T, rt *proactor.Runtime) {
		l, addr := listener(t)
		d, err := rt.Shard(0).DirectFile()
		require.NoError(t, err)
		client := dial(t, addr)
		fds(t, client)
		_, err = proactor.Do(t.Context(), rt, proactor.Into(proactor.Accept{FD: l}, d))
		require.NoError(t, err)
		_, err = proactor.Do(t.Context(), rt, proactor.Using(proactor.Send{Buf: []byte("hi")}, d))
		require.NoError(t, err)
		buf := make([]byte, 2)
		_, err = syscall.Read(client, buf)
		require.NoError(t, err)
		require.Equal(t, "hi", string(buf))
		require.NoError(t, d.Release())
		n, err := syscall.Read(client, buf)
		require.NoError(t, err)
		require.Zero(t, n, "releasing the slot has closed the connection")
	})
}

func TestArena(t *testing.T) {
	registered(t, func(t *testing.T, rt *proactor.Runtime) {
		s := rt.Shard(rt.Shards() - 1)
		a, err := s.NewArena(2, 4096)
		require.NoError(t, err)
		f := tempFile(t)
		out, ok := a.Get()
		require.True(t, ok)
		in, ok := a.Get()
		require.True(t, ok)
		_, ok = a.Get()
		require.False(t, ok)
		copy(out.Bytes(), "0123456789")
		n, err := proactor.Do(t.Context(), rt, proactor.WriteBlock{FD: int(f.Fd()), Block: out.Slice(2, 8), Offset: 100})
		require.NoError(t, err)
		require.Equal(t, 6, n)
		part := in.Slice(10, 20).Slice(1, 5)
		require.Equal(t, 4, cap(part.Bytes()))
		n, err = proactor.Do(t.Context(), rt, proactor.ReadBlock{FD: int(f.Fd()), Block: part, Offset: 101})
		require.NoError(t, err)
		require.Equal(t, 4, n)
		require.Equal(t, "\x003456\x00", string(in.Bytes()[10:16]))
		require.Panics(t, func() { part.Slice(0, 5) })
		require.Panics(t, func() { part.Slice(2, 1) })

		require.True(t, out.Release())
		require.False(t, out.Release())
		require.Nil(t, out.Slice(0, 1).Bytes())
		_, err = proactor.Do(t.Context(), rt, proactor.WriteBlock{FD: int(f.Fd()), Block: out})
		require.ErrorIs(t, err, os.ErrInvalid)
		_, err = proactor.Do(t.Context(), rt, proactor.ReadBlock{FD: int(f.Fd()), Block: in, Offset: -1})
		require.ErrorIs(t, err, syscall.EINVAL)
		require.NoError(t, a.Close())
		require.NoError(t, a.Close())
		require.NotNil(t, in.Bytes(), "a block outlives the arena's Close")
		require.True(t, in.Release())
		require.Nil(t, in.Bytes())

		var arenas []*proactor.Arena
		for range 2 {
			a, err := s.NewArena(1, 100)
			require.NoError(t, err)
			arenas = append(arenas, a)
		}
		_, err = s.NewArena(1, 100)
		require.ErrorIs(t, err, proactor.ErrNoSlot)
		for _, a := range arenas {
			require.NoError(t, a.Close())
		}
		for _, bad := range [][2]int{{0, 1}, {1, 0}, {1 << 20, 1 << 20}} {
			_, err = s.NewArena(bad[0], bad[1])
			require.ErrorContains(t, err, "arena of")
		}
	})
}

// Many goroutines share an arena; each finds in its block what it has put there.
func TestArenaShared(t *testing.T) {
	registered(t, func(t *testing.T, rt *proactor.Runtime) {
		a, err := rt.Shard(0).NewArena(4, 512)
		require.NoError(t, err)
		f := tempFile(t)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := 0; i < 50; {
					b, ok := a.Get()
					if !ok {
						runtime.Gosched()
						continue
					}
					for j := range b.Bytes() {
						b.Bytes()[j] = byte(g)
					}
					off := int64(g) * 512
					if _, err := proactor.Do(t.Context(), rt, proactor.WriteBlock{FD: int(f.Fd()), Block: b, Offset: off}); err != nil {
						t.Error(err)
					}
					clear(b.Bytes())
					if _, err := proactor.Do(t.Context(), rt, proactor.ReadBlock{FD: int(f.Fd()), Block: b, Offset: off}); err != nil {
						t.Error(err)
					}
					for _, v := range b.Bytes() {
						if v != byte(g) {
							t.Errorf("%d in the block of %d", v, g)
							break
						}
					}
					b.Release()
					i++
				}
			})
		}
		wg.Wait()
		require.NoError(t, a.Close())
	})
}

// What is registered is bound to its shard, and opt-in.
func TestRegisteredMisuse(t *testing.T) {
	rt := open(t, proactor.Config{Shards: 2, DirectFiles: 1, Arenas: 1, Personalities: true})
	d, err := rt.Shard(0).DirectFile()
	require.NoError(t, err)
	a, err := rt.Shard(1).NewArena(1, 8)
	require.NoError(t, err)
	b, _ := a.Get()
	_, err = proactor.Do(t.Context(), rt, proactor.Using(proactor.ReadBlock{Block: b}, d))
	require.ErrorContains(t, err, "shard 1 of a direct file of shard 0")
	p, err := rt.Shard(1).NewPersonality()
	require.NoError(t, err)
	_, err = proactor.Do(t.Context(), rt, proactor.As(proactor.Using(proactor.Read{}, d), p))
	require.ErrorContains(t, err, "shard 0 with a personality of shard 1")
	require.NoError(t, a.Close())
	require.NoError(t, d.Release())
	require.True(t, b.Release())

	plain := open(t, proactor.Config{})
	_, err = plain.Shard(0).DirectFile()
	require.ErrorIs(t, err, proactor.ErrNoSlot)
	_, err = plain.Shard(0).NewArena(1, 1)
	require.ErrorIs(t, err, proactor.ErrNoSlot)
	_, err = plain.Shard(0).NewPersonality()
	require.ErrorContains(t, err, "Personalities")
	for _, cfg := range []proactor.Config{{DirectFiles: -1}, {DirectFiles: 1 << 20}, {Arenas: -1}, {Arenas: 1 << 20}} {
		_, err := proactor.New(cfg)
		require.Error(t, err)
	}
}

func TestPersonality(t *testing.T) {
	registered(t, func(t *testing.T, rt *proactor.Runtime) {
		p, err := rt.Shard(0).NewPersonality()
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "x")
		fd, err := proactor.Do(t.Context(), rt, proactor.As(proactor.Open{Path: path, Flag: os.O_CREATE | os.O_WRONLY, Perm: 0o600}, p))
		require.NoError(t, err)
		require.NoError(t, syscall.Close(fd))
		require.NoError(t, p.Close())
		_, err = proactor.Do(t.Context(), rt, proactor.As(proactor.Open{Path: path}, p))
		require.ErrorIs(t, err, syscall.EINVAL)
	})
}
