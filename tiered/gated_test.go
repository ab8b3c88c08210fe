package tiered

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
)

// The gated tests force one order of events each, in virtual time: a trap stops a
// node before or after one of its commands to Redis, and what has to happen in
// between runs inside the trap. Loaders and writers are gates by themselves. Each
// test names the invariant of the protocol that it guards (I1 to I18), and
// internal/mutants proves that it fails without the guard.

// key is what the gated tests read and write.
const key = "k"

// bound is the MaxStale of their nodes: the longest time that anybody may serve
// an old value.
const bound = coherence.DefaultMaxStale

// A stage is one Redis, one source and the nodes between them.
type stage struct {
	*testing.T
	redis  *redistest.Embedded
	source *register

	onEvent func(coherence.Event) // of those who join from now on; nil: none
}

// gated runs a test on a stage of its own.
func gated(t *testing.T, test func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(&stage{T: t, redis: redistest.RunPipe(t), source: &register{values: map[string]int{key: 1}}})
	})
}

// settle lets everything that is under way happen, without time passing.
func (s *stage) settle() { synctest.Wait() }

// outlast waits until nobody may serve what was replaced before.
func (s *stage) outlast() { time.Sleep(bound + time.Millisecond) }

// An actor is one process: a way to Redis, a node and a cache.
type actor struct {
	*stage
	traps
	link  *redistest.Link
	rdb   redis.UniversalClient
	node  *coherence.Node
	cache *Cache[int]
}

// join adds a process. Its cache has no jitter, and the smallest local tier.
func (s *stage) join(edit ...func(*Config[int])) *actor {
	s.Helper()
	a := &actor{stage: s, link: s.redis.Link()}
	opts := a.link.Options()
	opts.MinRetryBackoff = -1 // a retry costs no time
	monitor := coherence.Instrument(opts)
	a.rdb = redis.NewUniversalClient(opts)
	a.rdb.AddHook(&a.traps)
	s.Cleanup(func() { _ = a.rdb.Close() })
	onEvent := s.onEvent
	if onEvent == nil {
		onEvent = func(coherence.Event) {}
	}
	var err error
	a.node, err = coherence.Join(s.Context(), a.rdb, coherence.Config{
		Fleet: "f", Monitor: monitor, OnEvent: onEvent,
	})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = a.node.Close() })
	cfg := Config[int]{Name: "p", Jitter: -1, MaxLocalBytes: 1 << 18}
	for _, e := range edit {
		e(&cfg)
	}
	if a.cache, err = New(a.node, cfg); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = a.cache.Close() })
	return a
}

// get reads the key as the application does.
func (a *actor) get() int {
	a.Helper()
	v, err := a.cache.Get(context.Background(), key, a.source.load)
	if err != nil {
		a.Errorf("Get: %v", err)
	}
	return v
}

// want reads the key and fails the test if it is not v.
func (a *actor) want(v int, why string) {
	a.Helper()
	if got := a.get(); got != v {
		a.Errorf("Get = %d, want %d: %s", got, v, why)
	}
	a.settle() // ristretto takes copies in the background
}

// update writes v through the cache.
func (a *actor) update(v int) {
	a.Helper()
	a.updateBy(func() { a.source.set(v) })
}

// updateBy writes through the cache what write puts into the source.
func (a *actor) updateBy(write func()) {
	a.Helper()
	a.updateTo(func() int {
		write()
		return a.source.get(key)
	})
}

// updateTo writes through the cache; write returns what it wrote.
func (a *actor) updateTo(write func() int) {
	a.Helper()
	if _, err := a.cache.Update(context.Background(), key, func(context.Context, string) (int, error) {
		return write(), nil
	}); err != nil {
		a.Errorf("Update: %v", err)
	}
}

// change writes v past the cache and invalidates the key.
func (a *actor) change(v int) {
	a.Helper()
	a.source.set(v)
	if err := a.cache.Invalidate(context.Background(), key); err != nil {
		a.Errorf("Invalidate: %v", err)
	}
}

// holds reports whether the node has a local copy that it would serve now.
func (a *actor) holds() bool {
	a.settle()
	return a.cache.hit(a.cache.space.Hash(key), key, a.node.Now()) != nil
}

// inFlight is a Get under way.
type inFlight struct {
	a    *actor
	done chan int
}

// start begins a Get whose loader runs gate after it has read the source.
func (a *actor) start(gate func()) *inFlight {
	f := &inFlight{a: a, done: make(chan int, 1)}
	go func() {
		v, err := a.cache.Get(context.Background(), key, func(ctx context.Context, k string) (int, error) {
			v, err := a.source.load(ctx, k)
			gate()
			return v, err
		})
		if err != nil {
			a.Errorf("Get: %v", err)
		}
		f.done <- v
	}()
	a.settle()
	return f
}

func (f *inFlight) want(v int, why string) {
	f.a.Helper()
	if got := <-f.done; got != v {
		f.a.Errorf("Get = %d, want %d: %s", got, v, why)
	}
}

// A register is the source: values by key.
type register struct {
	mu     sync.Mutex
	values map[string]int
	loads  int
}

func (r *register) load(_ context.Context, k string) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loads++
	v, ok := r.values[k]
	if !ok {
		return 0, ErrNotFound
	}
	return v, nil
}

func (r *register) get(k string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.values[k]
}

// set writes the key past every cache.
func (r *register) set(v int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values[key] = v
}

func (r *register) loaded() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loads
}
