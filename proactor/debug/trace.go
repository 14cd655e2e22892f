package debug

import (
	"context"
	"log/slog"
	"runtime/trace"
	"strconv"
	"sync"
	"time"

	"github.com/yamanote-go/yamanote/proactor"
)

// Slow returns a hook for proactor.Config.Trace that logs, at level Info, every
// operation that was under way for at least the threshold. Operations that wait
// for a peer, such as a receive on an idle connection, are among them; filter by
// kind if that is too many. The logger is called by who drives the ring, so its
// handler should not be slow.
func Slow(logger *slog.Logger, threshold time.Duration) func(proactor.Event) {
	return func(e proactor.Event) {
		if e.Stage != proactor.StageEnd || e.Took < threshold {
			return
		}
		attrs := []slog.Attr{
			slog.String("kind", e.Kind.String()), slog.Int("fd", e.FD),
			slog.Duration("took", e.Took), slog.Duration("queued", e.Queued),
		}
		if err := e.Err(); err != nil {
			attrs = append(attrs, slog.String("error", err.Error()))
		} else {
			attrs = append(attrs, slog.Int("result", int(e.Res)))
		}
		logger.LogAttrs(context.Background(), slog.LevelInfo, "slow operation", attrs...)
	}
}

// Tasks returns a hook for proactor.Config.Trace that makes every operation a
// task of runtime/trace, named "yamanote." and its kind, from its submission to
// its end, with a log of its descriptor, of when it was handed to the kernel, and
// of its result. Nothing is done while no execution trace is being taken.
func Tasks() func(proactor.Event) {
	var running sync.Map // by ID: task
	type task struct {
		ctx  context.Context
		task *trace.Task
	}
	return func(e proactor.Event) {
		if e.Stage == proactor.StageBegin {
			if trace.IsEnabled() {
				ctx, t := trace.NewTask(context.Background(), "yamanote."+e.Kind.String())
				trace.Log(ctx, "fd", strconv.Itoa(e.FD))
				running.Store(e.ID, task{ctx, t})
			}
			return
		}
		v, ok := running.Load(e.ID)
		if !ok {
			return // from before the trace
		}
		t := v.(task)
		if e.Stage == proactor.StageKernel {
			trace.Log(t.ctx, "stage", "handed to the kernel")
			return
		}
		if err := e.Err(); err != nil {
			trace.Log(t.ctx, "error", err.Error())
		} else {
			trace.Log(t.ctx, "result", strconv.Itoa(int(e.Res)))
		}
		t.task.End()
		running.Delete(e.ID)
	}
}

// All returns a hook that calls several, in order.
func All(hooks ...func(proactor.Event)) func(proactor.Event) {
	return func(e proactor.Event) {
		for _, hook := range hooks {
			hook(e)
		}
	}
}
