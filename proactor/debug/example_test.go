package debug_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/yamanote-go/yamanote/proactor"
	"github.com/yamanote-go/yamanote/proactor/debug"
)

// Log every operation of any package on this Runtime that takes longer than ten
// milliseconds.
func ExampleSlow() {
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	rt, err := proactor.New(proactor.Config{
		Extra: proactor.AllOps(),
		Trace: debug.Slow(logger, 10*time.Millisecond),
	})
	if err != nil {
		panic(err)
	}
	defer rt.Close()
	// Logs: msg="slow operation" kind=TIMEOUT fd=-1 took=20.1ms queued=1µs error="timer expired"
	if _, err := proactor.Do(context.Background(), rt, proactor.Timeout{After: 20 * time.Millisecond}); err != nil {
		logger.Error("no ring", "error", err) // then nothing is traced either
	}
}

// Serve the page to those who can reach the operators' address.
func ExampleHandler() {
	rt := proactor.Default()
	mux := http.NewServeMux()
	mux.Handle("GET /debug/yamanote", debug.Handler(rt))
	if err := debug.Publish("yamanote", rt); err != nil {
		panic(err)
	}
	go func() { _ = http.ListenAndServe("127.0.0.1:6060", mux) }()
}
