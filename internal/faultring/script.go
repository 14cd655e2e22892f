package faultring

import (
	"syscall"

	"github.com/yamanote-go/yamanote/uring"
)

// script is what a test wants to happen, instead of chance.
type script struct {
	enters  []syscall.Errno
	cancels []int32
	most    int // entries that an enter takes, 0 for all
}

// FailEnters makes the next enters fail, one after the other; where the errno is
// 0 one succeeds.
func (r *Ring) FailEnters(errnos ...syscall.Errno) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script.enters = append(r.script.enters, errnos...)
}

// EntersToFail returns how many enters FailEnters still has a say in.
func (r *Ring) EntersToFail() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.script.enters)
}

// AnswerCancels makes the next cancellations do nothing and return these results.
func (r *Ring) AnswerCancels(results ...int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script.cancels = append(r.script.cancels, results...)
}

// TakeAtMost makes every enter take no more than so many entries.
func (r *Ring) TakeAtMost(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.script.most = n
}

// Waiting returns the user data of the requests in flight, oldest first.
func (r *Ring) Waiting() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []uint64
	for _, q := range r.live {
		if !q.ownsNothing() {
			list = append(list, q.sqe.UserData)
		}
	}
	return list
}

// Complete ends the request with the given user data. There must be one.
func (r *Ring) Complete(userData uint64, res int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.complete(r.find(userData), res, 0)
}

// Post makes up a completion.
func (r *Ring) Post(c uring.CQE) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.place(c)
}

// Closed reports whether the ring has been closed.
func (r *Ring) Closed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}
