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

// errGoexit stands for a loader or codec that ended its goroutine, as testing's FailNow
// does.
var errGoexit = errors.New("tiercache: the loader or the codec called runtime.Goexit")

// enter takes a place under the limit, which leave or run gives back. queued is
// told when it has to wait and when it has got the place.
func (s *source) enter(ctx context.Context, queued func(bool)) error {
	if s.tryEnter() {
		return nil
	}
	queued(true)
	if err := s.limit.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("%w: %w", ErrSourceBusy, context.Cause(ctx))
	}
	queued(false)
	return nil
}

// tryEnter is enter for work that can wait for another day.
func (s *source) tryEnter() bool { return s.limit == nil || s.limit.TryAcquire(1) }

func (s *source) leave() {
	if s.limit != nil {
		s.limit.Release(1)
	}
}

// run calls fn in the place that the caller has taken. It returns as soon as ctx
// ends or the timeout is over, though fn goes on until it heeds its context; its
// place stays taken until then.
func run[T any](ctx context.Context, s *source, fn func(context.Context) (T, error)) (T, time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, ErrLoadTimeout)
	defer cancel() // not where fn ends: that would race with its outcome
	s.loads.Add(1)
	began := time.Now()
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	s.running.Go(func() {
		defer s.leave()
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
