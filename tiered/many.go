package tiered

import (
	"context"
	"fmt"
	"slices"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered/internal/flight"
)

// BatchLoader reads many records from the source. A key that it leaves out of
// the result has no record. Its context is that of a Loader.
type BatchLoader[V any] func(ctx context.Context, keys []string) (map[string]V, error)

// GetMany returns the records of keys: one pass over this process's memory, one
// pipeline to Redis for the rest, and one call of load for those keys that
// neither tier holds and nobody else is loading. Loads of single keys are
// shared with Get, in both directions.
//
// A key without a record is absent from the result, which is no error. If some
// keys fail, the others are returned together with a *KeysError that names the
// failed ones; errors.Is finds each cause.
func (c *Cache[V]) GetMany(ctx context.Context, keys []string, load BatchLoader[V], opts ...Option) (map[string]V, error) {
	if load == nil {
		return nil, fmt.Errorf("tiercache: the batch loader of cache %q is nil", c.cfg.Name)
	}
	for _, key := range keys {
		if err := c.checkKey(key); err != nil {
			return nil, err
		}
	}
	life := c.lifetime(opts)
	one := single(load)
	found := make(map[string]V, len(keys))
	var failed map[string]error
	var missing []string
	now := c.node.Now()
	for _, key := range keys {
		hash := c.space.Hash(key)
		e := c.find(hash, key, now, &life)
		if e == nil || life.bypass {
			missing = append(missing, key)
			continue
		}
		c.counts.localHits.add()
		if c.auditor != nil {
			c.auditor.sample(ctx, e, hash, now, one)
		}
		if now >= e.early() {
			c.touch(ctx, e, hash, now, one, &life)
		}
		if !e.negative {
			c.deliver(key, e.value, found, &failed)
		}
	}
	if len(missing) == 0 {
		return found, keysError(failed)
	}
	if ctx.Err() != nil {
		return found, failedKeys(missing, context.Cause(ctx))
	}
	if life.bypass {
		return c.pastMany(ctx, missing, load)
	}
	return c.fetchMany(ctx, missing, now, load, life, found, failed)
}

// single makes a loader of one key out of a batch loader.
func single[V any](load BatchLoader[V]) Loader[V] {
	return func(ctx context.Context, key string) (V, error) {
		values, err := load(ctx, []string{key})
		v, ok := values[key]
		if err == nil && !ok {
			err = ErrNotFound
		}
		return v, err
	}
}

func failedKeys(keys []string, err error) error {
	failed := make(map[string]error, len(keys))
	for _, key := range keys {
		failed[key] = err
	}
	return &KeysError{failed}
}

// pastMany is a read that leaves both tiers alone.
func (c *Cache[V]) pastMany(ctx context.Context, keys []string, load BatchLoader[V]) (map[string]V, error) {
	if !c.enter() {
		return nil, ErrClosed
	}
	defer c.running.Done()
	ctx, cancel := c.until(ctx)
	defer cancel()
	keys = slices.Compact(slices.Sorted(slices.Values(keys)))
	c.counts.bypassed.Add(uint64(len(keys)))
	if err := c.source.enter(ctx, func(bool) {}); err != nil {
		return nil, failedKeys(keys, err)
	}
	values, _, err := run(ctx, &c.source, func(ctx context.Context) (map[string]V, error) { return load(ctx, keys) })
	if err != nil {
		return nil, failedKeys(keys, err)
	}
	found := make(map[string]V, len(keys))
	for _, key := range keys {
		if v, ok := values[key]; ok {
			found[key] = v
		}
	}
	return found, nil
}

// fetchMany takes a seat in a flight for every key: those that it leads are
// flown together.
func (c *Cache[V]) fetchMany(ctx context.Context, keys []string, now coherence.Instant, load BatchLoader[V], life lifetime, found map[string]V, failed map[string]error) (map[string]V, error) {
	if !c.enter() {
		return found, failedKeys(keys, ErrClosed)
	}
	b := &batch[V]{cache: c, load: load, ready: make([]*passenger[V], 0, len(keys)), over: make(chan struct{})}
	seats := make(map[string]flight.Seat[V], len(keys))
	inStep, one, places := c.leased(now), single(load), make([]passenger[V], len(keys))
	for _, key := range keys {
		if _, twice := seats[key]; twice {
			continue
		}
		hash := c.space.Hash(key)
		t := flight.Ticket{Key: key, Gen: c.space.Generation(hash), Now: now, Leased: inStep, Strict: c.strong || life.strict}
		seat := c.flights.Enter(t)
		seats[key] = seat
		if !seat.Led {
			continue
		}
		p := &places[len(seats)-1]
		*p = passenger[V]{reading: reading[V]{call: seat.Call, gen: seat.Call.Gen, key: key, hash: hash, load: one, life: life}}
		if seat.Call.Queued {
			c.running.Add(1)
			c.launch(ctx, &p.reading, step[V]{do: look})
		} else {
			b.ready = append(b.ready, p)
		}
	}
	b.start(ctx)
	c.running.Done()
	return collect(ctx, c, b, seats, found, failed)
}

func collect[V any](ctx context.Context, c *Cache[V], b *batch[V], seats map[string]flight.Seat[V], found map[string]V, failed map[string]error) (map[string]V, error) {
	select {
	case <-b.over: // most have landed, and are not waited for one by one
	case <-ctx.Done():
	}
	for key, seat := range seats {
		v, err := seat.Wait(ctx)
		switch {
		case err == nil:
			c.deliver(key, v, found, &failed)
		case !saysNotFound(err):
			fail(&failed, key, explained(ctx, seat, err))
		}
	}
	return found, keysError(failed)
}

// deliver hands the value of a key out.
func (c *Cache[V]) deliver(key string, v V, found map[string]V, failed *map[string]error) {
	v, err := c.handOut(v)
	if err != nil {
		fail(failed, key, err)
		return
	}
	found[key] = v
}

func fail(failed *map[string]error, key string, err error) {
	if *failed == nil {
		*failed = make(map[string]error)
	}
	(*failed)[key] = err
}

func keysError(failed map[string]error) error {
	if failed == nil {
		return nil
	}
	return &KeysError{failed}
}
