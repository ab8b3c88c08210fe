package simulation

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered"
)

// Store is what is tested: a tiered cache, or one that is broken on purpose.
type Store interface {
	Get(ctx context.Context, key string, load tiered.Loader[Value], opts ...tiered.Option) (Value, error)
	GetMany(ctx context.Context, keys []string, load tiered.BatchLoader[Value], opts ...tiered.Option) (map[string]Value, error)
	Peek(ctx context.Context, key string, opts ...tiered.Option) (Value, error)
	Update(ctx context.Context, key string, write tiered.Writer[Value], opts ...tiered.Option) (Value, error)
	Invalidate(ctx context.Context, keys ...string) error
	Stats() tiered.Stats
	Close() error
}

const (
	fleetName = "sim"
	cacheName = "rec"
)

// member is one process of the fleet: a client of its own, a node and a cache.
type member struct {
	slot  int
	name  string // slot and incarnation
	wires *wires
	rdb   redis.UniversalClient
	node  *coherence.Node
	store Store
	traps traps

	dead    atomic.Bool // crashed: what it does and sees counts no more
	spilled atomic.Bool // its journal has overflowed: an empty one proves nothing any more
	closing atomic.Bool
	claims  claims
}

// start makes a process and lets it join.
func (f *Fleet) start(ctx context.Context, slot, incarnation int) (*member, error) {
	link, err := f.rig.Link()
	if err != nil {
		return nil, err
	}
	m := &member{slot: slot, name: fmt.Sprintf("n%d.%d", slot, incarnation), wires: newWires(link, f.freeze, f.hold)}
	opts := &redis.UniversalOptions{
		Addrs: []string{"127.0.0.1:6379"}, Dialer: m.wires.dial, PoolSize: 128,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	monitor := coherence.Instrument(opts)
	m.rdb = redis.NewUniversalClient(opts)
	m.traps.rdb = m.rdb
	m.rdb.AddHook(&m.traps)
	t := f.times
	m.node, err = coherence.Join(ctx, m.rdb, coherence.Config{
		Fleet: fleetName, MaxStale: t.Bound, Probe: t.Probe, Warm: t.Warm, Timeout: t.Timeout, Monitor: monitor,
		JournalSize: []int{0, 2, 1000}[slot%3], // one of them overflows
		OnEvent:     func(e coherence.Event) { f.event(m, e) },
	})
	if err != nil {
		return nil, errors.Join(err, m.rdb.Close(), link.Close())
	}
	consistency := tiered.Bounded
	if t.Strong {
		consistency = tiered.Strong
	}
	cache, err := tiered.New(m.node, tiered.Config[Value]{
		Consistency: consistency,
		Name:        cacheName, TTL: t.Fresh, StaleTTL: t.Stale, NotFoundTTL: t.NotFound, Codec: codec.JSON(),
		LoadTimeout: t.Load, LeaseTTL: t.Lease, FenceTTL: t.Fence, WaitMax: t.Wait, SourceLimit: 16, MaxLocalBytes: 1 << 20,
	})
	if err != nil {
		return nil, errors.Join(err, m.node.Close(), m.rdb.Close(), link.Close())
	}
	m.store = f.wrap(cache)
	return m, nil
}

// close ends a process in order. Whatever it could not confirm dies with it.
func (f *Fleet) close(m *member) {
	m.closing.Store(true)
	began := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		stats := m.store.Stats()
		err := errors.Join(m.store.Close(), m.store.Close())
		if err != nil {
			f.Ledger.violate("", "I18: %s: Close of the cache: %v", m.name, err)
		}
		if err = m.node.Close(); err != nil && !errors.Is(err, coherence.ErrUnconfirmed) {
			f.Ledger.violate("", "I18: %s: Close of the node: %v", m.name, err)
		}
		if err == nil {
			m.claims.settle(f.Ledger, m, func() bool { return true })
		}
		f.sum(stats, m.node.Stats())
	}()
	// A loader may overrun its context, a writer its deadline.
	select {
	case <-done:
	case <-time.After(2*f.times.Load + 2*f.times.Fence + f.times.Slack):
		f.Ledger.violate("", "I18: Close of %s hangs since %v", m.name, time.Since(began))
		<-done
	}
	if err := errors.Join(m.rdb.Close(), m.wires.link.Close()); err != nil {
		f.Ledger.violate("", "I18: %s: close: %v", m.name, err)
	}
}

// crash is the death of a process: nothing that it has not sent will be sent, and nothing that it
// still does counts. What is left of it is cleared away in the background.
func (f *Fleet) crash(m *member) {
	if m.closing.Swap(true) {
		return // it is on its way out already
	}
	f.Ledger.bury(m)
	m.wires.link.Cut()
	f.running.Go(func() {
		f.close(m)
	})
	f.running.Go(func() { f.replace(m) })
}

// bury draws the line: a commit of the process comes before or never.
func (l *Ledger) bury(m *member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.dead.Store(true)
	l.tally["crashes"]++
	for _, r := range l.rows {
		r.log.add("%s crashes", m.name)
	}
}
