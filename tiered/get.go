package tiered

import (
	"context"
	"errors"
	"fmt"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered/internal/flight"
)

// Loader reads one record from the source. It returns ErrNotFound if there is
// none. Its context has the values of the call that began the load, ends after
// LoadTimeout, and is cancelled when nobody waits any more.
type Loader[V any] func(ctx context.Context, key string) (V, error)

// Get returns the record of key: from this process's memory, else from Redis,
// else through load. Concurrent calls share one load, in this process and
// across the fleet; a call joins only a load that cannot return what was
// invalidated before the call began.
//
// It returns ErrNotFound if the source has no such record, load's own error, a
// *PanicError if load panicked, ErrLoadTimeout, ErrSourceBusy, or the
// context's error. Trouble with Redis is never an error: the value then comes from
// the source, as does one over MaxValueBytes. The value is shared unless Config.Clone is set.
func (c *Cache[V]) Get(ctx context.Context, key string, load Loader[V], opts ...Option) (V, error) {
	life := lifetime{ttl: c.cfg.TTL, stale: c.cfg.StaleTTL} // by hand: a call would cost a tenth of a hit
	if len(opts) > 0 {
		life = c.lifetime(opts)
	}
	hash, now := c.space.Hash(key), c.node.Now()
	if !life.bypass {
		var e *entry[V]
		if life.strict {
			e = c.find(hash, key, now, &life)
		} else {
			e = c.hit(hash, key, now)
		}
		if e != nil {
			c.counts.localHits.add()
			if c.auditor != nil {
				c.auditor.sample(ctx, e, hash, now, load)
			}
			if now >= e.early() {
				c.touch(ctx, e, hash, now, load, &life)
			}
			if e.negative {
				var none V
				return none, ErrNotFound
			}
			return c.handOut(e.value)
		}
	}
	return c.fetch(ctx, key, hash, now, load, &life)
}

// find is hit for a call whose options may ask for more.
func (c *Cache[V]) find(hash uint64, key string, now coherence.Instant, life *lifetime) *entry[V] {
	if life.behind {
		c.space.Bump(key) // nothing older is served here any more, nor joined
	}
	e := c.hit(hash, key, now)
	if life.strict && e != nil && (e.weak || !c.leased(now)) {
		return nil
	}
	return e
}

// hit returns the local copy of key if it may be served to a read that began at
// now. The order of the checks matters: a prober bumps generations before it
// extends the lease, so the lease is read before the generation.
func (c *Cache[V]) hit(hash uint64, key string, now coherence.Instant) *entry[V] {
	inStep := c.leased(now)
	e := c.local.get(hash, key)
	if e == nil || !c.good(e, hash, now, inStep) {
		return nil
	}
	if samples(hash, now) {
		c.local.show(hash)
	}
	return e
}

// good reports whether a copy may be served. The caller has read inStep before.
func (c *Cache[V]) good(e *entry[V], hash uint64, now coherence.Instant, inStep bool) bool {
	if e.gen != c.space.Generation(hash) || now >= e.hard() {
		return false
	}
	return inStep && !e.weak || now <= e.loaded.Add(c.window)
}

// fetch is a read that this process's memory does not answer. What it does not need
// while it waits lies in functions of its own: the goroutines of a herd are new, and
// each whose stack must grow holds up the one that is to load.
func (c *Cache[V]) fetch(ctx context.Context, key string, hash uint64, now coherence.Instant, load Loader[V], life *lifetime) (V, error) {
	var none V
	if err := c.checkRead(ctx, key, load); err != nil {
		return none, err
	}
	if life.bypass {
		return c.past(ctx, key, load)
	}
	var v V
	var err error
	seat := c.board(key, hash, now, life)
	if seat.Led {
		v, err = c.lead(ctx, seat, newReading(seat, hash, load, life))
	} else {
		v, err = seat.Wait(ctx)
	}
	if err != nil {
		return none, explained(ctx, seat, err)
	}
	return c.handOut(v)
}

// checkRead finds out what is wrong with the arguments of a read.
func (c *Cache[V]) checkRead(ctx context.Context, key string, load Loader[V]) error {
	if err := c.checkKey(key); err != nil {
		return err
	}
	if load == nil {
		return fmt.Errorf("tiercache: the loader of key %q in cache %q is nil", key, c.cfg.Name)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// board takes a seat in the flight that a read which began at now may share.
func (c *Cache[V]) board(key string, hash uint64, now coherence.Instant, life *lifetime) flight.Seat[V] {
	return c.flights.Enter(flight.Ticket{
		Key: key, Gen: c.space.Generation(hash), Now: now, Leased: c.leased(now), Strict: c.strong || life.strict,
	})
}

// lead flies what the read itself has begun. The first look into Redis, which most
// flights end with, is made in the caller's goroutine; the rest of the way is made
// in one that does not end with the caller.
func (c *Cache[V]) lead(ctx context.Context, seat flight.Seat[V], r *reading[V]) (v V, err error) {
	if !c.enter() {
		seat.Call.Land(v, ErrClosed)
		return v, ErrClosed
	}
	if seat.Call.Queued || c.forecast.miss() {
		c.launch(ctx, r, step[V]{do: look})
		return seat.Wait(ctx)
	}
	here, err := true, errGoexit // a codec may end the goroutine
	defer func() {
		if here {
			seat.Call.Land(v, err)
			c.running.Done()
		}
	}()
	r.began = c.node.Now() // after the generation: see Audit
	rec, ok := c.firstLook(ctx, r)
	next := c.judged(r, rec, ok)
	if next.do == serve {
		return c.serve(ctx, r, next)
	}
	here = false
	if ctx.Err() == nil {
		c.launch(ctx, r, next)
		return seat.Wait(ctx)
	}
	if seat.Leave() {
		c.launch(ctx, r, step[V]{do: look}) // for the others
	} else {
		c.running.Done()
	}
	return v, context.Cause(ctx)
}

// launch lets a reading fly on from next in a goroutine of its own.
func (c *Cache[V]) launch(ctx context.Context, r *reading[V], next step[V]) {
	r.call.Go(ctx, func(ctx context.Context) (V, error) {
		defer c.running.Done()
		return c.embark(ctx, r, next)
	})
}

// explained adds to the error of who left a flight that it was queued for the source.
func explained[V any](ctx context.Context, seat flight.Seat[V], err error) error {
	if ctx.Err() != nil && seat.Call.Waiting.Load() && !errors.Is(err, ErrSourceBusy) {
		return fmt.Errorf("%w: %w", ErrSourceBusy, err)
	}
	return err
}

// embark flies a reading alone, from next on, until the cache closes.
func (c *Cache[V]) embark(ctx context.Context, r *reading[V], next step[V]) (V, error) {
	ctx, cancel := c.until(ctx)
	defer cancel()
	return c.fly(ctx, r, next)
}

// past is a read that leaves both tiers alone.
func (c *Cache[V]) past(ctx context.Context, key string, load Loader[V]) (V, error) {
	var none V
	if !c.enter() {
		return none, ErrClosed
	}
	defer c.running.Done()
	ctx, cancel := c.until(ctx)
	defer cancel()
	c.counts.bypassed.Add(1)
	if err := c.source.enter(ctx, func(bool) {}); err != nil {
		return none, err
	}
	v, _, err := run(ctx, &c.source, func(ctx context.Context) (V, error) { return load(ctx, key) })
	if err != nil {
		return none, err
	}
	return v, nil
}
