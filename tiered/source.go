package tiered

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// source is what stands behind both tiers: loaders, run under a limit.
type source struct {
	limit   *semaphore.Weighted // nil: none
	timeout time.Duration
	running *sync.WaitGroup // the cache waits for loads before it closes
	loads   *atomic.Uint64
	failed  *atomic.Uint64
}

var errLoadTimeout = errors.New("tiercache: the load took longer than LoadTimeout")

// errGoexit stands for a loader that ended its goroutine, as testing's FailNow
// does.
var errGoexit = errors.New("tiercache: the loader called runtime.Goexit")

// admit runs fn when the limit allows. It returns as soon as ctx ends or the
// timeout is over, though fn goes on until it heeds its context; its place
// under the limit stays taken until then. queued is told when fn has to wait for
// its place and when it has got it.
func admit[T any](ctx context.Context, s *source, queued func(bool), fn func(context.Context) (T, error)) (T, time.Duration, error) {
	if s.limit != nil && !s.limit.TryAcquire(1) {
		queued(true)
		if err := s.limit.Acquire(ctx, 1); err != nil {
			var none T
			return none, 0, fmt.Errorf("%w: %w", ErrSourceBusy, context.Cause(ctx))
		}
		queued(false)
	}
	return run(ctx, s, fn)
}

// admitIdle is admit for work that can wait for another day: it gives up when
// the limit is reached.
func admitIdle[T any](ctx context.Context, s *source, fn func(context.Context) (T, error)) (T, time.Duration, error) {
	if s.limit != nil && !s.limit.TryAcquire(1) {
		var none T
		return none, 0, ErrSourceBusy
	}
	return run(ctx, s, fn)
}

func run[T any](ctx context.Context, s *source, fn func(context.Context) (T, error)) (T, time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errLoadTimeout)
	defer cancel() // not where fn ends: that would race with its outcome
	s.loads.Add(1)
	began := time.Now()
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	s.running.Go(func() {
		if s.limit != nil {
			defer s.limit.Release(1)
		}
		out := outcome{err: errGoexit}
		defer func() { done <- out }()
		out.value, out.err = guarded(ctx, fn)
	})
	var out outcome
	select {
	case out = <-done:
	case <-ctx.Done():
		out.err = context.Cause(ctx)
	}
	if out.err != nil && !saysNotFound(out.err) {
		s.failed.Add(1)
	}
	return out.value, time.Since(began), out.err
}

// guarded calls fn and turns a panic into an error.
func guarded[T any](ctx context.Context, fn func(context.Context) (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return fn(ctx)
}
