package debug_test

import (
	"bytes"
	"context"
	"encoding/json"
	"expvar"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime/trace"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/yamanote-go/yamanote/internal/testkit"
	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/proactor/debug"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// open starts a runtime, with a ring if there is one.
func open(t *testing.T, cfg proactor.Config) *proactor.Runtime {
	t.Helper()
	rt, err := proactor.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rt.Close()) })
	return rt
}

// idle submits a receive that waits until the test ends.
func idle(t *testing.T, rt *proactor.Runtime) int {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	fd := int(r.Fd())
	c, err := proactor.Submit(context.Background(), rt, proactor.Poll{FD: fd, Events: 1})
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Cancel()
		_, err := c.Result()
		require.ErrorIs(t, err, proactor.ErrCanceled)
		require.NoError(t, r.Close())
		require.NoError(t, w.Close())
	})
	return fd
}

func get(t *testing.T, h http.Handler, target, accept string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

func TestHandler(t *testing.T) {
	for name, cfg := range map[string]proactor.Config{
		"auto": {Extra: proactor.AllOps()}, "shards": {Shards: 2, Extra: proactor.AllOps()}, "std": {Mode: proactor.ModeStd},
	} {
		t.Run(name, func(t *testing.T) {
			rt := open(t, cfg)
			fd := -1
			if rt.HasRing() {
				fd = idle(t, rt)
			}
			h := debug.Handler(rt)
			for _, how := range [][2]string{{"/?format=json", "*/*"}, {"/", "application/json"}} {
				resp := get(t, h, how[0], how[1])
				require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
				var r debug.Report
				require.NoError(t, json.NewDecoder(resp.Body).Decode(&r))
				require.Equal(t, rt.Backend().Kind.String(), r.Backend.Kind)
				require.Len(t, r.Shards, rt.Backend().Shards)
				require.Empty(t, r.Warnings)
				if rt.HasRing() {
					require.Equal(t, 1, r.Operations.Total)
					require.Equal(t, "POLL_ADD", r.Operations.Oldest[0].Kind)
					require.Equal(t, fd, r.Operations.Oldest[0].FD)
					require.Equal(t, "in kernel", r.Operations.Oldest[0].State)
					require.EqualValues(t, 1, r.Total.Submitted)
				} else {
					require.NotEmpty(t, r.Backend.Reason)
					require.Zero(t, r.Operations.Total)
				}
			}
			for _, how := range [][2]string{{"/?format=html", "application/json"}, {"/", "text/html,application/json;q=0.9"}, {"/", "*/*"}} {
				resp := get(t, h, how[0], how[1])
				require.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
				page := body(t, resp)
				// What the page runs is what the policy allows.
				nonce := regexp.MustCompile(`script-src 'nonce-(\w+)'`).FindStringSubmatch(resp.Header.Get("Content-Security-Policy"))
				require.Len(t, nonce, 2)
				require.Equal(t, 2, strings.Count(page, `nonce="`+nonce[1]+`"`))
				require.Equal(t, rt.HasRing(), strings.Contains(page, "<code>POLL_ADD</code>"))
				require.Equal(t, !rt.HasRing(), strings.Contains(page, "No ring."))
				for m := range rt.Stats().All() {
					require.Equal(t, rt.HasRing(), strings.Contains(page, "<code>"+m.Name+"</code>"), m.Name)
				}
			}
			require.Equal(t, http.StatusBadRequest, get(t, h, "/?format=xml", "*/*").StatusCode)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
			require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		})
	}
}

func TestPublish(t *testing.T) {
	const name = "debug_test runtime"
	read := func() (v struct {
		Backend string
		Total   proactor.Stats
		Shards  []proactor.Stats
	}) {
		require.NoError(t, json.Unmarshal([]byte(expvar.Get(name).String()), &v))
		return v
	}
	first := open(t, proactor.Config{Mode: proactor.ModeStd})
	require.NoError(t, debug.Publish(name, first))
	require.Equal(t, "std", read().Backend)
	second := open(t, proactor.Config{Shards: 2, Extra: proactor.AllOps()})
	require.NoError(t, debug.Publish(name, second), "another Runtime takes its place")
	if second.HasRing() {
		idle(t, second)
		require.Equal(t, "ring", read().Backend)
		require.Len(t, read().Shards, 2)
		require.EqualValues(t, 1, read().Total.InFlight)
	}
	require.NoError(t, debug.Publish(name, first))
	var taken *debug.NameTakenError
	require.ErrorAs(t, debug.Publish("cmdline", first), &taken)
	require.ErrorContains(t, taken, "cmdline")
}

func TestHooks(t *testing.T) {
	var log, execution bytes.Buffer
	slow := debug.Slow(slog.New(slog.NewTextHandler(&log, nil)), 20*time.Millisecond)
	rt := open(t, proactor.Config{Extra: proactor.AllOps(), Trace: debug.All(slow, debug.Tasks())})
	if !rt.HasRing() {
		testkit.Skip(t, "no ring here: %v", rt.Backend().Reason)
	}
	require.NoError(t, trace.Start(&execution))
	_, err := proactor.Do(t.Context(), rt, proactor.Nop{})
	require.NoError(t, err)
	_, err = proactor.Do(t.Context(), rt, proactor.Timeout{After: 30 * time.Millisecond})
	require.NoError(t, err)
	trace.Stop()
	require.Equal(t, 1, strings.Count(log.String(), "slow operation"), log.String())
	require.Contains(t, log.String(), "kind=TIMEOUT fd=-1 took=3")
	for _, text := range []string{"yamanote.NOP", "yamanote.TIMEOUT", "handed to the kernel"} {
		require.Contains(t, execution.String(), text)
	}
}
