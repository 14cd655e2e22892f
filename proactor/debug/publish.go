package debug

import (
	"encoding/json"
	"expvar"
	"sync"

	"go.uber.org/atomic"

	"github.com/yamanote-go/yamanote/proactor"
)

// published is an expvar.Var with the counters of a Runtime.
type published struct {
	rt atomic.Pointer[proactor.Runtime]
}

// String implements expvar.Var.
func (p *published) String() string {
	rt := p.rt.Load()
	b := rt.Backend()
	text, err := json.Marshal(struct {
		Backend string           `json:"backend"`
		Total   proactor.Stats   `json:"total"`
		Shards  []proactor.Stats `json:"shards"`
	}{b.Kind.String(), rt.Stats(), rt.ShardStats()})
	if err != nil {
		return `{"error":"counters that cannot be encoded"}`
	}
	return string(text)
}

var publishing sync.Mutex

// Publish makes the Runtime's counters an expvar variable with the given name:
// an object with the backend, the sum over all shards, and each shard, whose
// numbers have the names of driver.Metric. If the name is that of a Runtime
// already, this one takes its place; if it is anything else's, that is an error.
// Variables cannot be removed, so the last Runtime published stays reachable.
func Publish(name string, rt *proactor.Runtime) error {
	publishing.Lock()
	defer publishing.Unlock()
	if v := expvar.Get(name); v != nil {
		p, ours := v.(*published)
		if !ours {
			return &NameTakenError{Name: name}
		}
		p.rt.Store(rt)
		return nil
	}
	p := new(published)
	p.rt.Store(rt) // before anybody can read it
	expvar.Publish(name, p)
	return nil
}

// NameTakenError says that a name is that of another expvar variable.
type NameTakenError struct{ Name string }

// Error says so.
func (e *NameTakenError) Error() string {
	return "debug: " + e.Name + " is published by somebody else: choose another name"
}
