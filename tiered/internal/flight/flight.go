// Package flight collapses concurrent loads of one key into one.
//
// It adds to singleflight what a cache coherent with others needs: a read joins
// only a flight that cannot return what was invalidated before the read began;
// every waiter obeys its own context; and a flight that nobody waits for any
// more is cancelled.
//
// The read that begins a flight may fly it in its own goroutine, as long as it
// leaves when its context ends. A flight costs no goroutine, no context and no
// channel then, unless somebody joins it.
package flight

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/coherence"
)

// A Ticket describes a read that wants to join or to begin a flight.
type Ticket struct {
	Key    string
	Gen    uint64            // the key's generation, taken before anything was read
	Now    coherence.Instant // when the read began
	Leased bool              // whether the node was in step then
	Strict bool              // joins nothing whose age alone speaks for it
}

// A Call is one flight. It is begun by one read and shared by those that may.
type Call[T any] struct {
	// Gen is the generation that what the flight loads may be stored with.
	Gen uint64
	Key string
	// Queued flights were begun behind a sealed one: Go runs them after it.
	Queued bool
	// Waiting is for the user's own purposes: that the flight is held up.
	Waiting atomic.Bool

	group *Group[T]
	after *Call[T] // the sealed flight that a queued one waits for

	// Guarded by group.mu.
	begun   coherence.Instant
	pending bool // queued and not begun yet
	sealed  bool
	weak    bool
	landed  bool
	waiters int
	release func()        // called once, when the flight has landed or nobody waits any more
	done    chan struct{} // closed when the flight has landed; nil: nobody has asked for it

	// Set once, before landed.
	value T
	err   error
}

// A Group collapses flights by key.
type Group[T any] struct {
	// MaxStale is how old a flight may be that a read joins while the node is
	// not in step.
	MaxStale time.Duration

	mu    sync.Mutex
	calls map[string]*Call[T] // by key: the flight that new reads may join
}

// A Seat is one read's place in a flight.
type Seat[T any] struct {
	Call *Call[T]
	Led  bool // this read began the flight and sees to it that it lands: by Land, or by Go

	done <-chan struct{} // of one that joined
}

// Enter joins the flight of the ticket's key if the read may share it, else it
// begins a new one. A flight that is Queued must be flown by Go.
func (g *Group[T]) Enter(t Ticket) Seat[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.calls[t.Key]
	if c == nil || !g.joinable(c, t) {
		c = g.begin(t, c)
		c.waiters++
		return Seat[T]{Call: c, Led: true}
	}
	c.waiters++
	return Seat[T]{Call: c, done: c.over()}
}

// joinable: a flight of an older generation may hold what was invalidated since;
// while the node is adrift it does not know, and only age tells. The same holds
// for a weak flight: it may read the source before a write whose announcement this
// node had applied already. What a sealed flight returns is younger than no read
// that comes after the seal.
func (g *Group[T]) joinable(c *Call[T], t Ticket) bool {
	if c.sealed || c.Gen != t.Gen {
		return false
	}
	return c.pending || t.Leased && !c.weak || !t.Strict && t.Now <= c.begun.Add(g.MaxStale)
}

func (g *Group[T]) begin(t Ticket, current *Call[T]) *Call[T] {
	c := &Call[T]{Gen: t.Gen, Key: t.Key, group: g, begun: t.Now}
	if current != nil && current.sealed {
		c.after, c.Queued, c.pending = current, true, true
	}
	if g.calls == nil {
		g.calls = make(map[string]*Call[T])
	}
	g.calls[t.Key] = c
	return c
}

// errUnfinished stands for a flight whose goroutine ended on its way.
var errUnfinished = errors.New("tiercache: a flight called runtime.Goexit")

// Go flies c in a goroutine of its own: it lands with what fn returns. fn gets
// the context of Detach. A queued flight waits first until the one ahead of it
// has landed.
func (c *Call[T]) Go(ctx context.Context, fn func(context.Context) (T, error)) {
	ctx = c.Detach(ctx)
	go func() {
		var v T
		err := errUnfinished
		defer func() { c.Land(v, err) }()
		c.await(ctx)
		v, err = fn(ctx)
	}()
}

func (c *Call[T]) await(ctx context.Context) {
	if c.after == nil {
		return
	}
	select {
	case <-c.after.ended():
	case <-ctx.Done():
	}
	c.after = nil // done with; a chain of them must not be kept
}

// Detach returns a context for c with the values of ctx and none of its
// deadlines. It ends when the flight has landed or nobody waits any more.
func (c *Call[T]) Detach(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.Release(cancel)
	return ctx
}

// Release has f called once the flight has landed or nobody waits any more, in
// place of what it was given before. f must not call into the group.
func (c *Call[T]) Release(f func()) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.release = f
	if c.landed || c.waiters == 0 {
		c.let()
	}
}

// let calls what Release was given. The caller holds mu.
func (c *Call[T]) let() {
	if c.release != nil {
		c.release()
		c.release = nil
	}
}

// Begin says that the flight starts its reads now. Whoever flies calls it before
// the first, and again when it starts over.
func (c *Call[T]) Begin(now coherence.Instant) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.begun, c.pending = now, false
}

// Seal lets no later read join: what the flight returns is not to be shared with
// reads that begin after its source read. Those form the next flight, which
// starts when this one has ended.
func (c *Call[T]) Seal() {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.sealed = true
}

// Weaken says that the flight is about to read the source without having asked
// Redis: later reads join it only while it is younger than MaxStale.
func (c *Call[T]) Weaken() {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.weak = true
}

// Land ends the flight and hands its outcome to everybody aboard. It is called
// once.
func (c *Call[T]) Land(v T, err error) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.value, c.err, c.landed = v, err, true
	c.group.forget(c)
	c.let()
	if c.done != nil {
		close(c.done)
	}
}

// forget lets new reads begin a flight of their own. The caller holds mu.
func (g *Group[T]) forget(c *Call[T]) {
	if g.calls[c.Key] == c {
		delete(g.calls, c.Key)
	}
}

// outcome returns what the flight has landed with, if it has.
func (c *Call[T]) outcome() (v T, landed bool, err error) {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return c.value, c.landed, c.err
}

// ended returns a channel that is closed when the flight has landed.
func (c *Call[T]) ended() <-chan struct{} {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	return c.over()
}

// over is ended for who holds mu.
func (c *Call[T]) over() <-chan struct{} {
	if c.done == nil {
		c.done = make(chan struct{})
		if c.landed {
			close(c.done)
		}
	}
	return c.done
}

// Wait returns the flight's result, or the context's error as soon as it ends before
// the flight has landed.
func (s Seat[T]) Wait(ctx context.Context) (T, error) {
	done := s.done
	if done == nil { // it has led: the flight has landed most of the time
		if v, landed, err := s.Call.outcome(); landed {
			return v, err
		}
		done = s.Call.ended()
	}
	select {
	case <-done:
		return s.Call.value, s.Call.err
	case <-ctx.Done():
		return s.turn(ctx)
	}
}

// turn is the way of a waiter whose context has ended: if the flight has landed by
// now it has its result all the same.
func (s Seat[T]) turn(ctx context.Context) (T, error) {
	if v, landed, err := s.Call.outcome(); landed {
		return v, err
	}
	s.Leave()
	var none T
	return none, context.Cause(ctx)
}

// Leave gives the seat up and reports whether others still wait. The last one to
// leave cancels the flight. Who leads one that is not flown by Go, and is told
// that others wait, has to have it flown.
func (s Seat[T]) Leave() bool {
	c, g := s.Call, s.Call.group
	g.mu.Lock()
	defer g.mu.Unlock()
	c.waiters--
	if c.waiters > 0 {
		return true
	}
	g.forget(c)
	c.let()
	return false
}
