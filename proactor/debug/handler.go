package debug

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/yamanote-go/yamanote/proactor"
)

// Handler returns a handler for a page that shows what the Runtime does, and
// renews itself every two seconds. With ?format=json, or if the request accepts
// application/json and not HTML, it answers with a Report as JSON.
//
// Rates are those since a request at least a second ago, by whomever, or since
// Handler was called if there was none. Each request lists what is under way;
// see proactor.Runtime.Dump for what that costs.
func Handler(rt *proactor.Runtime) http.Handler {
	return &handler{rt: rt, samples: []sample{{time.Now(), rt.Stats()}}}
}

type handler struct {
	rt *proactor.Runtime

	mu      sync.Mutex
	samples []sample // ascending; all but the first are younger than a second
}

// minInterval is the shortest time for which rates are given, maxSamples how
// many requests within it are remembered.
const (
	minInterval = time.Second
	maxSamples  = 16
)

// before returns the beginning of the interval that ends now.
func (h *handler) before(now sample) sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.samples) > 1 && now.at.Sub(h.samples[1].at) >= minInterval {
		h.samples = h.samples[1:]
	}
	if len(h.samples) < maxSamples {
		h.samples = append(h.samples, now)
	}
	return h.samples[0]
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this page can only be read: use GET", http.StatusMethodNotAllowed)
		return
	}
	asJSON, ok := wantsJSON(r)
	if !ok {
		http.Error(w, "format is json or html", http.StatusBadRequest)
		return
	}
	rep := report(r.Context(), h.rt, h.before(sample{time.Now(), h.rt.Stats()}))
	var body []byte
	var err error
	header := w.Header()
	if asJSON {
		header.Set("Content-Type", "application/json")
		if body, err = json.MarshalIndent(rep, "", "  "); err == nil {
			body = append(body, '\n')
		}
	} else {
		nonce := rand.Text()
		header.Set("Content-Type", "text/html; charset=utf-8")
		header.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "+
			"connect-src 'self'; style-src 'nonce-"+nonce+"'; script-src 'nonce-"+nonce+"'")
		var b bytes.Buffer
		err = page.Execute(&b, newView(rep, nonce))
		body = b.Bytes()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	header.Set("Cache-Control", "no-store")
	header.Set("Vary", "Accept")
	header.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // a client that has gone needs no answer
}

// wantsJSON reports whether a request is for JSON, and whether it makes sense.
func wantsJSON(r *http.Request) (asJSON, ok bool) {
	switch r.URL.Query().Get("format") {
	case "json":
		return true, true
	case "html":
		return false, true
	case "":
		accept := r.Header.Get("Accept")
		return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html"), true
	}
	return false, false
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))
