// Package gather sends what many callers ask at the same time in few round trips.
//
// A request that finds a free slot is sent at once, alone. Those that come while
// all slots are busy queue, and the next slot that is free takes the queue, oldest
// first, as one batch. So batches grow with the load, a lone caller waits for
// nobody, and there is no timer.
//
// The autopipelining of go-redis does nearly the same. But it knows nothing of the
// size of replies, sends one command for each key, and has no moment between queueing
// and sending, which a cache needs: what it takes for the history of Redis is to be
// noted then, once for a batch.
//
// # Fairness
//
// A batch is bounded by the number of its requests and by the bytes that their
// answers are expected to have, judging by the last ones. Large answers hold up
// those that share their batch, and one slot.
//
// # Goroutines
//
// One for each slot, started when first needed, ended by Close.
package gather

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

// ErrClosed is the error of requests that Close has overtaken.
var ErrClosed = errors.New("gather: closed")

// Limits bound what a Gatherer sends.
type Limits struct {
	Slots int // batches at once
	Most  int // requests in a batch
	Bytes int // expected of the answers to a batch; a single request may exceed it
}

// A Gatherer gathers requests. Its methods are safe for concurrent use.
type Gatherer[T any] struct {
	limits Limits
	send   func(batch []*Request[T]) (bytes int)

	mu      sync.Mutex
	work    *sync.Cond // a request or the end has come
	queue   []*Request[T]
	size    int // expected of one answer
	started int // slots
	idle    int // of these, waiting for work
	coming  int // of these, about to take what there is
	closed  bool
	ended   sync.WaitGroup
}

// New returns a gatherer. send answers every request of a batch, in its Value, and
// returns how many bytes the answers had. It must return in bounded time and not
// keep the slice.
func New[T any](limits Limits, send func(batch []*Request[T]) (bytes int)) *Gatherer[T] {
	g := &Gatherer[T]{limits: limits, send: send}
	g.work = sync.NewCond(&g.mu)
	return g
}

// A Request is one question and, afterwards, its answer. It may be used again
// once Ask has returned nil, and not at all once it has returned an error.
type Request[T any] struct {
	Value T
	Ctx   context.Context // of the caller; for its values only

	done chan struct{} // takes one when answered
	err  error
}

// NewRequest returns a request.
func NewRequest[T any]() *Request[T] { return &Request[T]{done: make(chan struct{}, 1)} }

// Ask returns when r has been answered, or with the context's error as soon as it
// ends: the batch goes on without its caller then.
func (g *Gatherer[T]) Ask(ctx context.Context, r *Request[T]) error {
	r.Ctx = ctx
	if !g.enqueue(r) {
		return ErrClosed
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *Gatherer[T]) enqueue(r *Request[T]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.queue = append(g.queue, r)
	switch {
	case g.coming > 0:
	case g.idle > 0:
		g.idle--
		g.work.Signal()
	case g.started < g.limits.Slots:
		g.started++
		g.coming++
		g.ended.Go(g.slot)
	}
	return true
}

// slot sends batches until the gatherer is closed.
func (g *Gatherer[T]) slot() {
	var batch []*Request[T]
	for {
		if batch = g.take(batch[:0]); len(batch) == 0 {
			return
		}
		g.sent(g.send(batch), len(batch))
		for _, r := range batch {
			r.done <- struct{}{}
		}
		clear(batch)
		// Those answered may ask again: a deeper queue makes a better batch, and a
		// lone caller wakes nobody.
		runtime.Gosched()
	}
}

// take waits for work and returns the oldest requests that make up a batch, none
// once the gatherer is closed.
func (g *Gatherer[T]) take(batch []*Request[T]) []*Request[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.coming--
	for len(g.queue) == 0 && !g.closed {
		g.idle++
		g.work.Wait()
	}
	n := min(len(g.queue), g.limits.Most, max(1, g.limits.Bytes/max(1, g.size)))
	batch = append(batch, g.queue[:n]...)
	rest := copy(g.queue, g.queue[n:])
	clear(g.queue[rest:])
	g.queue = g.queue[:rest]
	if rest > 0 && g.idle > 0 { // more than one batch has come while a slot was coming
		g.idle--
		g.work.Signal()
	}
	return batch
}

// sent notes that a slot has its answers and will take the next batch. The expected
// size of answers follows them: up at once, down by and by.
func (g *Gatherer[T]) sent(bytes, requests int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.coming++
	size := bytes / requests
	g.size = max(size, g.size-(g.size-size)/8)
}

// Close answers what is queued with ErrClosed and waits for what has been sent.
func (g *Gatherer[T]) Close() {
	g.mu.Lock()
	g.closed = true
	for _, r := range g.queue {
		r.err = ErrClosed
		r.done <- struct{}{}
	}
	g.queue = nil
	g.work.Broadcast()
	g.mu.Unlock()
	g.ended.Wait()
}
