// Package gather sends what many callers ask at the same time in few round trips.
//
// A request that finds a free slot is sent at once, alone, in the goroutine of its
// caller. Those that come while all slots are busy queue, and the next slot that is
// free takes the queue, oldest first, as one batch. So batches grow with the load, a
// lone caller waits for nobody and wakes nobody, and there is no timer.
//
// The autopipelining of go-redis does nearly the same. But it knows nothing of the
// size of replies, sends one command for each key, and has no moment between queueing
// and sending, which a cache needs: what it takes for the history of Redis is to be
// noted then, once for a batch.
//
// # Fairness
//
// A batch is bounded by the weight of its requests and by the bytes that their
// answers are expected to have, judging by the last ones. Large answers hold up
// those that share their batch, and one slot.
//
// # Contexts
//
// Who queues returns as soon as its context ends, and its request is not sent, or it
// might arrive after what the caller does next. Who sends cannot: go-redis heeds a
// deadline while it reads a reply, and no cancellation. So a caller whose deadline
// would pass before a batch has its longest time does not send, and one that is
// cancelled while it sends is late by that time at most.
//
// # Goroutines
//
// One for each slot, started when there is a queue for it, ended by Close.
package gather

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"
)

// ErrClosed is the error of requests that come after Close.
var ErrClosed = errors.New("gather: closed")

// Limits bound what a Gatherer sends. A single request may exceed Most and Bytes.
type Limits struct {
	Slots int           // batches at once
	Most  int           // weight of a batch
	Bytes int           // expected of the answers to a batch
	Time  time.Duration // that a batch takes at most
}

// A Gatherer gathers requests. Its methods are safe for concurrent use.
type Gatherer[T any] struct {
	limits Limits
	send   func(batch []*Request[T]) (bytes int)

	mu     sync.Mutex
	work   *sync.Cond // a request or the end has come
	queue  []*Request[T]
	left   bool // some of the queue may have left
	size   int  // expected of one answer
	busy   int  // slots that are taken
	coming int  // of these, by goroutines about to take what there is
	idle   int  // goroutines that wait for work
	closed bool
	ended  sync.WaitGroup
}

// New returns a gatherer. send answers every request of a batch, in its Value, and
// returns how many bytes the answers had. It must return within Limits.Time and not
// keep the slice.
func New[T any](limits Limits, send func(batch []*Request[T]) (bytes int)) *Gatherer[T] {
	g := &Gatherer[T]{limits: limits, send: send}
	g.work = sync.NewCond(&g.mu)
	return g
}

// A Request is one question and, afterwards, its answer. It may be used again
// once Ask has returned nil, and not at all once it has returned an error.
type Request[T any] struct {
	Value  T
	Weight int             // what it takes of Limits.Most: one, unless the caller says otherwise
	Ctx    context.Context // of the caller: for its values, and to see whether it has left

	done chan struct{}  // takes one when answered
	left bool           // the caller has given up; under the lock of the gatherer
	lone [1]*Request[T] // the batch of this request alone
}

// NewRequest returns a request.
func NewRequest[T any]() *Request[T] { return &Request[T]{Weight: 1, done: make(chan struct{}, 1)} }

// Ask returns when r has been answered, or with the context's error if that ends
// before: r is not sent then, or the batch goes on without its caller. Contexts, above,
// says who is late.
func (g *Gatherer[T]) Ask(ctx context.Context, r *Request[T]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.Ctx = ctx
	lone, err := g.enter(r, g.lasts(ctx))
	if err != nil {
		return err
	}
	if lone {
		g.sendLone(r)
		return nil
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		g.leave(r)
		return context.Cause(ctx)
	}
}

// lasts reports whether the deadline of ctx leaves time for a batch.
func (g *Gatherer[T]) lasts(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) >= g.limits.Time
}

// enter takes a free slot for a request that may be sent by its caller, else queues it.
func (g *Gatherer[T]) enter(r *Request[T], lone bool) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false, ErrClosed
	}
	free := g.busy < g.limits.Slots && g.coming == 0
	if free && lone {
		g.busy++
		g.ended.Add(1)
		return true, nil
	}
	g.queue = append(g.queue, r)
	if free {
		g.busy++
		g.wake()
	}
	return false, nil
}

// leave keeps a request that is queued still from being sent. It stays in the queue until
// a slot comes for that: when Redis does not answer, many leave at once.
func (g *Gatherer[T]) leave(r *Request[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.left, g.left = true, true
}

// sweep takes those out of the queue who have left.
func (g *Gatherer[T]) sweep() {
	if g.left {
		g.queue = slices.DeleteFunc(g.queue, func(r *Request[T]) bool { return r.left })
		g.left = false
	}
}

// wake lets a goroutine come for the queue, in a slot that has been taken for it.
func (g *Gatherer[T]) wake() {
	g.coming++
	if g.idle > 0 {
		g.idle--
		g.work.Signal()
	} else {
		g.ended.Go(g.slot)
	}
}

// sendLone sends a request in the goroutine of its caller. Those that have come
// meanwhile get the slot, even if send panics: it may call hooks of the application.
func (g *Gatherer[T]) sendLone(r *Request[T]) {
	bytes := 0
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.expect(bytes)
		if len(g.queue) > 0 && g.coming == 0 {
			g.wake()
		} else {
			g.busy--
		}
		g.ended.Done()
	}()
	r.lone[0] = r
	bytes = g.send(r.lone[:])
}

// slot sends batches until the gatherer is closed and the queue empty.
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
		// Those answered may ask again: a deeper queue makes a better batch.
		runtime.Gosched()
	}
}

// take waits for work and returns the oldest requests that make up a batch, none
// if there will be no more.
func (g *Gatherer[T]) take(batch []*Request[T]) []*Request[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.coming--
	for g.sweep(); len(g.queue) == 0 && !g.closed; g.sweep() {
		g.busy--
		g.idle++
		g.work.Wait() // who signals has counted
		g.coming--
	}
	n := g.fitting()
	batch = append(batch, g.queue[:n]...)
	rest := copy(g.queue, g.queue[n:])
	clear(g.queue[rest:])
	g.queue = g.queue[:rest]
	if rest > 0 && g.coming == 0 && g.busy < g.limits.Slots { // more than one batch has come while a slot was coming
		g.busy++
		g.wake()
	}
	return batch
}

// fitting counts the requests of the next batch.
func (g *Gatherer[T]) fitting() (n int) {
	weight, bytes := 0, 0
	for _, r := range g.queue {
		weight, bytes = weight+r.Weight, bytes+g.size
		if n > 0 && (weight > g.limits.Most || bytes > g.limits.Bytes) {
			break
		}
		n++
	}
	return n
}

// sent notes that a slot has its answers and will take the next batch.
func (g *Gatherer[T]) sent(bytes, requests int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.coming++
	g.expect(bytes / requests)
}

// expect notes the size of an answer. What is expected follows it: up at once, down
// by and by.
func (g *Gatherer[T]) expect(size int) { g.size = max(size, g.size-(g.size-size)/8) }

// Close waits for what has been asked, and ends the goroutines.
func (g *Gatherer[T]) Close() {
	g.mu.Lock()
	g.closed = true
	g.busy, g.coming, g.idle = g.busy+g.idle, g.coming+g.idle, 0
	g.work.Broadcast()
	g.mu.Unlock()
	g.ended.Wait()
}
