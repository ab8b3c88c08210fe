package tiered

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/token"
)

// refreshPause keeps a process from asking again and again about a value that
// another one is refreshing.
const refreshPause = 100 * time.Millisecond

// touch is a hit on an entry that may need a refresh: for certain once it has
// expired, before that with a probability that grows towards the expiry and
// with the cost of a load (XFetch: Vattani, Chierichetti, Lowenstein, Optimal
// Probabilistic Cache Stampede Prevention, VLDB 2015).
func (c *Cache[V]) touch(ctx context.Context, e *entry[V], hash uint64, now coherence.Instant, load Loader[V], life *lifetime) {
	if e.negative || e.weak || load == nil {
		return
	}
	if now >= e.soft() {
		c.counts.staleServed.Add(1)
	} else if ahead := float64(e.delta()) * -math.Log(1-rand.Float64()); now.Add(time.Duration(ahead)) < e.soft() {
		return
	}
	if _, running := c.refreshing.LoadOrStore(e.key, nil); running {
		return
	}
	if !c.enter() {
		c.refreshing.Delete(e.key)
		return
	}
	r := &reading[V]{key: e.key, hash: hash, load: load, life: *life}
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer c.running.Done()
		defer c.refreshing.Delete(e.key)
		ctx, cancel := c.until(ctx)
		defer cancel()
		if !c.refresh(ctx, r, e.mark) {
			nap(ctx, refreshPause)
		}
	}()
}

func nap(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d/2 + rand.N(d)):
	}
}

// refresh replaces the value with the given mark by a fresh one, once in the
// fleet. It reports whether this process now has a fresh value.
func (c *Cache[V]) refresh(ctx context.Context, r *reading[V], old mark) bool {
	r.gen, r.began = c.space.Generation(r.hash), c.node.Now() // in this order: see Audit
	rec, ok := c.look(ctx, r)
	if !ok {
		return false
	}
	found := c.judge(r, rec)
	if found.do != serve {
		return false // invalidated, being loaded, or being written: a read will see to it
	}
	stamp := found.record.Stamp
	if markOf(stamp) != old { // somebody has refreshed it
		c.keep(r, found.value, &encoded{header: found.record.Header, stamp: stamp, size: len(found.record.Payload)})
		return true
	}
	if !c.source.tryEnter() {
		return false // before the lock: a less busy process may take it
	}
	t := token.New()
	if mine, err := c.remote.lock(ctx, stamp, t); err != nil || !mine {
		c.source.leave()
		return false
	}
	return c.reload(ctx, r, stamp, t)
}

// reload loads under the refresh lock. If that fails the lock stands until it
// expires, so that a failing source is asked once per LeaseTTL.
func (c *Cache[V]) reload(ctx context.Context, r *reading[V], stamp [stampLength]byte, t token.Token) bool {
	stop := c.renewing(ctx, lock{c.remote.lockKey(stamp), t.String()})
	v, took, err := run(ctx, &c.source, func(ctx context.Context) (V, error) { return c.takeIn(r.load(ctx, r.key)) })
	stop()
	rec, _ := c.encode(t, r, v, err, took)
	switch answered := err == nil || saysNotFound(err); {
	case !answered:
		return false // nobody waits for the error, and a stale value is being served
	case err != nil || rec == nil || rec.header.Uncacheable:
		return c.renounce(ctx, r.key)
	}
	stored, err := c.remote.replace(ctx, r.key, string(stamp[:]), rec.bytes, rec.px)
	if err != nil || !stored || !c.node.Holds(r.view) {
		return false
	}
	c.counts.refreshes.Add(1)
	c.keep(r, v, rec)
	return true
}

// renounce ends a value in whose place there is none to store: the source has no such
// record any more, or one that is not for caches. Its copies are no staler than others
// that have expired, but nothing fresh would ever take their place.
func (c *Cache[V]) renounce(ctx context.Context, key string) bool {
	c.counts.invalidated.Add(1)
	_, err := c.space.AnnounceAll(ctx, []string{key}, c.cfg.Consistency == Strong)
	if err != nil && !errors.Is(err, ErrUnheard) {
		c.counts.unconfirmed.Add(1)
	}
	return err == nil
}
