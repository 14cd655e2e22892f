package main

import (
	"encoding/json"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/yamanote-go/yamanote/examples/internal/kit"
	"github.com/yamanote-go/yamanote/proactor"
)

// status counts requests and tells, as a handler, how the server is.
type status struct {
	rt       *proactor.Runtime
	start    time.Time
	requests atomic.Int64
}

func newStatus(rt *proactor.Runtime) *status { return &status{rt: rt, start: time.Now()} }

// count wraps the handler of everything.
func (s *status) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		next.ServeHTTP(w, r)
	})
}

// report is what /api/status answers.
type report struct {
	Backend              string         `json:"backend"`
	Reason               string         `json:"reason,omitempty"` // why it is not a ring
	Shards               int            `json:"shards,omitempty"`
	UptimeSeconds        float64        `json:"uptime_seconds"`
	Requests             int64          `json:"requests"`
	Threads              int            `json:"threads,omitempty"`
	ProcessorTimeSeconds float64        `json:"processor_time_seconds"`
	Operations           uint64         `json:"operations"`
	SystemCalls          uint64         `json:"system_calls"`
	Counters             proactor.Stats `json:"counters"`
}

// ServeHTTP answers with a report.
func (s *status) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	backend, stats := s.rt.Backend(), s.rt.Stats()
	r := report{
		Backend:       backend.Kind.String(),
		UptimeSeconds: time.Since(s.start).Seconds(),
		Requests:      s.requests.Load(),
		Threads:       kit.Threads(),
		Operations:    kit.Operations(stats),
		SystemCalls:   stats.SystemCalls(),
		Counters:      stats,
	}
	if backend.Kind == proactor.KindRing {
		r.Shards = backend.Shards
	} else {
		r.Reason = backend.Reason.Error()
	}
	if cpu, ok := kit.ProcessorTime(); ok {
		r.ProcessorTimeSeconds = cpu.Seconds()
	}
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(body, '\n')) // a client that has gone needs no answer
}
