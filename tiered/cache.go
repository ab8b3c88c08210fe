package tiered

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered/internal/flight"
)

// A Cache keeps records of one kind in two tiers: this process's memory and
// Redis. Its methods are safe for concurrent use.
type Cache[V any] struct {
	node     *coherence.Node
	space    *coherence.Space
	auditor  *auditor[V]   // nil: off; every hit asks, and has read the fields beside it
	bound    time.Duration // MaxStale
	strong   bool          // not Bounded: reads need an assurance
	window   time.Duration // for how long after a load a copy is served without a lease
	cfg      Config[V]
	local    *local[V]
	remote   *remote
	looks    *looks
	source   source
	flights  flight.Group[V]
	forecast forecast
	counts   counters
	accused  sync.Map // hooks whose panic was told

	refreshing sync.Map // keys being refreshed by this process

	closing context.Context // ends when the cache closes
	close   context.CancelCauseFunc
	once    sync.Once
	mu      sync.RWMutex
	closed  bool
	running sync.WaitGroup // loads, flights and refreshes
}

// New opens a cache of V on a node. A process opens a name once at a time. The
// error names every field at fault.
func New[V any](node *coherence.Node, cfg Config[V]) (*Cache[V], error) {
	var disagreement error
	if node != nil {
		cfg, disagreement = cfg.agree(node.Config())
	}
	cfg, err := cfg.resolve()
	err = errors.Join(err, disagreement)
	if node == nil {
		err = errors.Join(errors.New("tiered.New: the node is nil"), err)
	}
	if err != nil {
		return nil, err
	}
	c := &Cache[V]{node: node, cfg: cfg, bound: node.Config().MaxStale}
	c.flights.MaxStale = c.bound
	c.strong, c.window = cfg.Consistency != Bounded, c.bound
	if c.strong {
		c.window = math.MinInt64 / 2 // never
	}
	c.closing, c.close = context.WithCancelCause(context.Background())
	c.source = source{timeout: cfg.LoadTimeout, running: &c.running, loads: &c.counts.loads, failed: &c.counts.loadErrors}
	if cfg.SourceLimit > 0 {
		c.source.limit = semaphore.NewWeighted(int64(cfg.SourceLimit))
	}
	c.remote = newRemote(node, cfg.Name, cfg.LeaseTTL, cfg.FenceTTL)
	c.remote.behind = c.running.Go // who commits is running
	c.looks = newLooks(node.Redis(), node.Config().Timeout, c.lookUp)
	c.space, err = node.Space(coherence.SpaceConfig{
		Name: cfg.Name, Erasing: c.remote.erasing, Acked: c.strong, Fence: cfg.FenceTTL,
	})
	if err != nil {
		return nil, err
	}
	c.remote.space = c.space
	if c.local, err = newLocal[V](cfg.MaxLocalBytes, c.space.Hash); err != nil {
		c.space.Close()
		return nil, fmt.Errorf("tiered.New %q: %w", cfg.Name, err)
	}
	if cfg.Audit.Sample > 0 {
		c.auditor = newAuditor(c)
	}
	return c, nil
}

// Close ends running loads and refreshes and waits for them, and for Updates
// whose writer is running: a loader that does not heed its context holds it up.
// Calls in flight and later ones get
// ErrClosed. It may be called more than once. Close caches before their node.
func (c *Cache[V]) Close() error {
	c.once.Do(func() {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		c.close(ErrClosed)
		c.running.Wait()
		c.looks.close()
		c.remote.close()
		c.space.Close()
		c.local.close()
	})
	return nil
}

// enter registers work that Close waits for; the caller calls running.Done.
func (c *Cache[V]) enter() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return false
	}
	c.running.Add(1)
	return true
}

// until returns a context that ends with ctx or with the cache.
func (c *Cache[V]) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.closing, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

func (c *Cache[V]) checkKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("tiercache: empty key in cache %q", c.cfg.Name)
	case len(key) > coherence.MaxKey:
		return fmt.Errorf("tiercache: key %.64q... in cache %q has %d bytes, more than %d (tiered.Key bounds them)",
			key, c.cfg.Name, len(key), coherence.MaxKey)
	}
	return nil
}
