package faultring

import (
	"slices"
)

// stream is one end of a connection.
type stream struct {
	fd    int
	peer  *stream // nil once the peer is closed
	in    []byte  // not received yet
	most  int     // how much of that there may be
	ended bool    // nothing will be added to in
}

// room returns how much the peer of s would take.
func (s *stream) room() int {
	if s.peer == nil || s.peer.ended {
		return 1 // for an error
	}
	return s.peer.most - len(s.peer.in)
}

type file struct{ data []byte }

type listener struct {
	fd      int
	backlog []*stream
	newFD   func(*Ring, *stream) int
}

// group is a group of provided buffers.
type group struct {
	bufs [][]byte
	free []int
}

func (r *Ring) open(f any) int {
	fd := r.nextFD
	r.nextFD++
	r.files[fd] = f
	if s, ok := f.(*stream); ok {
		s.fd = fd
	}
	return fd
}

func newPair(capacity int) (a, b *stream) {
	a, b = &stream{most: capacity}, &stream{most: capacity}
	a.peer, b.peer = b, a
	return a, b
}

// Pair returns the two ends of a connection, which holds so many bytes each way.
func (r *Ring) Pair(capacity int) (int, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, b := newPair(capacity)
	return r.open(a), r.open(b)
}

// File returns an empty file.
func (r *Ring) File() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open(new(file))
}

// Listener returns a listening socket.
func (r *Ring) Listener() int {
	return r.ListenerOf(nil)
}

// ListenerOf returns a listening socket that yields descriptors made by newFD
// instead of the ring's, for code that closes them by itself. newFD must not
// use the ring.
func (r *Ring) ListenerOf(newFD func() int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := &listener{newFD: func(r *Ring, s *stream) int { return r.open(s) }}
	if newFD != nil {
		l.newFD = func(*Ring, *stream) int { return newFD() }
	}
	l.fd = r.open(l)
	return l.fd
}

// Dial connects to a listening socket and returns the near end.
func (r *Ring) Dial(listening, capacity int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.files[listening].(*listener)
	near, far := newPair(capacity)
	l.backlog = append(l.backlog, far)
	r.wake(listening)
	return r.open(near)
}

// Backlog returns how many connections wait to be accepted.
func (r *Ring) Backlog(listening int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.files[listening].(*listener).backlog)
}

// Write sends at once as much of b as there is room for.
func (r *Ring) Write(fd int, b []byte) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.files[fd].(*stream)
	n := min(len(b), s.room())
	if s.peer == nil || s.peer.ended {
		return 0
	}
	r.deliver(s, b[:n])
	return n
}

// EndOutput says that nothing more will be sent.
func (r *Ring) EndOutput(fd int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endOutput(r.files[fd].(*stream))
}

func (r *Ring) deliver(s *stream, b []byte) {
	s.peer.in = append(s.peer.in, b...)
	r.wake(s.peer.fd)
}

func (r *Ring) endOutput(s *stream) {
	if s.peer != nil {
		s.peer.ended = true
		r.wake(s.peer.fd)
	}
	r.changed(s.fd)
}

// wake says that an object has something new.
func (r *Ring) wake(fd int) {
	for _, q := range r.live {
		if int(q.sqe.Fd) == fd {
			q.woken = true
		}
	}
	r.changed(fd)
}

// CloseFD closes a descriptor of the ring. That it is not open, or that an
// operation on it is under way, is a violation: in a kernel that operation would
// go on, with whatever got the number next in its place. A broken ring never says
// what has ended.
func (r *Ring) CloseFD(fd int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range r.live {
		if int(q.sqe.Fd) == fd && r.broken == 0 && !q.ownsNothing() {
			r.violate("descriptor %d closed with %v in flight", fd, q)
		}
	}
	r.drop(fd)
}

func (r *Ring) drop(fd int) {
	f, open := r.files[fd]
	if !open {
		r.violate("descriptor %d closed that is not open", fd)
		return
	}
	delete(r.files, fd)
	switch f := f.(type) {
	case *stream:
		r.endOutput(f)
		if f.peer != nil {
			f.peer.peer = nil
			r.changed(f.peer.fd)
		}
	case *listener:
		for _, s := range f.backlog {
			r.endOutput(s)
		}
	}
}

// OpenFDs returns how many descriptors of the ring are open.
func (r *Ring) OpenFDs() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.files)
}

// Provide registers a group of buffers, all of them free.
func (r *Ring) Provide(id uint16, bufs [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := &group{bufs: bufs}
	for i := range bufs {
		g.free = append(g.free, i)
	}
	r.groups[id] = g
}

// Recycle gives a buffer back to its group. That it is there already is a
// violation.
func (r *Ring) Recycle(id, buffer uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.groups[id]
	if slices.Contains(g.free, int(buffer)) {
		r.violate("buffer %d of group %d given back twice", buffer, id)
		return
	}
	for i := range g.bufs[buffer] {
		g.bufs[buffer][i] = 0xBB // whoever still reads it will notice
	}
	g.free = append(g.free, int(buffer))
}
