package main

import (
	"context"
	"sync"
	"time"
)

// source is the shop's database as the caches of one node see it: it can be
// slow, and it remembers what was asked of it.
type source struct {
	shop *shop

	mu      sync.Mutex
	delay   time.Duration
	running int64
	log     SourceLog
}

func (s *source) product(ctx context.Context, id string) (Product, error) {
	return load(ctx, s, id, s.shop.product)
}

func (s *source) ranking(ctx context.Context, id string) (Ranking, error) {
	return load(ctx, s, id, s.shop.ranking)
}

func (s *source) permission(ctx context.Context, id string) (Permission, error) {
	return load(ctx, s, id, s.shop.permission)
}

func load[V any](ctx context.Context, s *source, id string, query func(context.Context, string) (V, error)) (V, error) {
	delay, done := s.begin()
	defer done()
	if err := pause(ctx, delay); err != nil {
		var none V
		return none, err
	}
	return query(ctx, id)
}

func (s *source) begin() (time.Duration, func()) {
	start := now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running++
	s.log.Loads++
	s.log.Peak = max(s.log.Peak, s.running)
	return s.delay, func() { s.end(start) }
}

func (s *source) end(start int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.log.Spans = append(s.log.Spans, Span{start, now()})
}

// slow makes every load from now on take d longer.
func (s *source) slow(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// report hands out the log, and begins a new one if reset is set.
func (s *source) report(reset bool) SourceLog {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := s.log
	log.Running = s.running
	log.Spans = append([]Span(nil), log.Spans...)
	if reset {
		s.log = SourceLog{Peak: s.running}
	}
	return log
}

// pause sleeps for d, or until the context ends.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
