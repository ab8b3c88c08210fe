// Package flight collapses concurrent loads of one key into one.
//
// It adds to singleflight what a cache coherent with others needs: a read joins
// only a flight that cannot return what was invalidated before the read began;
// every waiter obeys its own context; and a flight that nobody waits for any
// more is cancelled.
package flight

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/mutant"
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
	// Ctx carries the values of the read that began the flight and none of its
	// deadlines. It ends when nobody waits any more.
	Ctx context.Context
	// Gen is the generation that what the flight loads may be stored with.
	Gen uint64
	Key string
	// Queued flights were begun behind a sealed one and run after it.
	Queued bool
	// Waiting is for the user's own purposes: that the flight is held up.
	Waiting atomic.Bool

	group  *Group[T]
	id     string
	cancel context.CancelFunc
	after  *Call[T] // the sealed flight that a queued one waits for
	done   chan struct{}

	// Guarded by group.mu.
	begun   coherence.Instant
	pending bool // queued and not begun yet
	sealed  bool
	weak    bool
	waiters int
}

// A Group collapses flights by key.
type Group[T any] struct {
	// MaxStale is how old a flight may be that a read joins while the node is
	// not in step.
	MaxStale time.Duration

	mu    sync.Mutex
	calls map[string]*Call[T] // by key: the flight that new reads may join
	last  uint64
	sf    singleflight.Group
}

// A Seat is one read's place in a flight.
type Seat[T any] struct {
	Call *Call[T]
	Led  bool // this read began the flight
	ch   <-chan singleflight.Result
}

// Enter joins the flight of the ticket's key if the read may share it. Else it
// begins a new one, which runs fn in a goroutine of its own; behind a sealed
// flight it runs after that one has ended. ctx lends its values to a new flight.
func (g *Group[T]) Enter(ctx context.Context, t Ticket, fn func(*Call[T]) (T, error)) Seat[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.calls[t.Key]
	led := c == nil || !g.joinable(c, t)
	if led {
		c = g.begin(ctx, t, c)
	}
	c.waiters++
	ch := g.sf.DoChan(c.id, func() (any, error) { return c.run(fn) })
	return Seat[T]{Call: c, Led: led, ch: ch}
}

// joinable: a flight of an older generation may hold what was invalidated since;
// while the node is adrift it does not know, and only age tells. The same holds
// for a weak flight: it may read the source before a write whose announcement this
// node had applied already. What a sealed flight returns is younger than no read
// that comes after the seal.
func (g *Group[T]) joinable(c *Call[T], t Ticket) bool {
	if c.sealed && !mutant.JoinSealed || c.Gen != t.Gen && !mutant.JoinGen {
		return false
	}
	return c.pending || t.Leased && (!c.weak || mutant.JoinWeak) || mutant.JoinOld || (!t.Strict || mutant.JoinLax) && t.Now <= c.begun.Add(g.MaxStale)
}

func (g *Group[T]) begin(ctx context.Context, t Ticket, current *Call[T]) *Call[T] {
	g.last++
	c := &Call[T]{Gen: t.Gen, Key: t.Key, group: g, id: strconv.FormatUint(g.last, 36), begun: t.Now, done: make(chan struct{})}
	if current != nil && current.sealed {
		c.after, c.Queued, c.pending = current, true, true
	}
	if !mutant.LeaderCancels {
		ctx = context.WithoutCancel(ctx)
	}
	c.Ctx, c.cancel = context.WithCancel(ctx)
	if g.calls == nil {
		g.calls = make(map[string]*Call[T])
	}
	g.calls[t.Key] = c
	return c
}

func (c *Call[T]) run(fn func(*Call[T]) (T, error)) (T, error) {
	defer c.end()
	if c.Queued {
		select {
		case <-c.after.done:
		case <-c.Ctx.Done():
		}
		c.after = nil // done with; a chain of them must not be kept
	}
	return fn(c)
}

// Begin says that the flight starts its reads now. Whoever fn is calls it before
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

func (c *Call[T]) end() {
	c.group.mu.Lock()
	defer c.group.mu.Unlock()
	c.group.forget(c)
	c.cancel()
	close(c.done)
}

// forget lets new reads begin a flight of their own. The caller holds mu.
func (g *Group[T]) forget(c *Call[T]) {
	if g.calls[c.Key] == c {
		delete(g.calls, c.Key)
	}
}

// Wait returns the flight's result, or the context's error as soon as it ends.
// The last one to leave cancels the flight.
func (s Seat[T]) Wait(ctx context.Context) (T, error) {
	if mutant.WaitDeaf {
		ctx = context.WithoutCancel(ctx)
	}
	select {
	case r := <-s.ch:
		v, _ := r.Val.(T)
		return v, r.Err
	case <-ctx.Done():
		s.leave()
		var none T
		return none, context.Cause(ctx)
	}
}

func (s Seat[T]) leave() {
	g := s.Call.group
	g.mu.Lock()
	defer g.mu.Unlock()
	s.Call.waiters--
	if s.Call.waiters == 0 && !mutant.NoAbandon {
		g.forget(s.Call)
		s.Call.cancel()
	}
}
