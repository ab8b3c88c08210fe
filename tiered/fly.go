package tiered

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/token"
	"github.com/tiercache/tiercache/tiered/internal/flight"
)

// reading is one flight's way through the tiers.
type reading[V any] struct {
	call  *flight.Call[V] // nil for a refresh
	key   string
	hash  uint64
	gen   uint64
	began coherence.Instant
	load  Loader[V]
	life  lifetime
	view  coherence.View // taken before the last look at Redis

	admitted bool // it has a place at the source
}

func newReading[V any](seat flight.Seat[V], hash uint64, load Loader[V], life *lifetime) *reading[V] {
	return &reading[V]{call: seat.Call, gen: seat.Call.Gen, key: seat.Call.Key, hash: hash, load: load, life: *life}
}

// loadOne calls the loader in the place that r has or takes now.
func (c *Cache[V]) loadOne(ctx context.Context, r *reading[V]) (V, time.Duration, error) {
	if err := c.admit(ctx, r); err != nil {
		var none V
		return none, 0, err
	}
	r.admitted = false // the load gives the place back
	return run(ctx, &c.source, func(ctx context.Context) (V, error) { return c.takeIn(r.load(ctx, r.key)) })
}

func (c *Cache[V]) admit(ctx context.Context, r *reading[V]) error {
	if r.admitted {
		return nil
	}
	err := c.source.enter(ctx, r.call.Waiting.Store)
	r.admitted = err == nil
	return err
}

func (c *Cache[V]) dismiss(r *reading[V]) {
	if r.admitted {
		r.admitted = false
		c.source.leave()
	}
}

// fly is the body of a flight: act on what stands in Redis until somebody has a
// value.
func (c *Cache[V]) fly(ctx context.Context, r *reading[V], next step[V]) (V, error) {
	if next.do == look {
		r.began = c.node.Now()
		r.call.Begin(r.began)
	}
	defer c.dismiss(r)
	patience := r.began.Add(min(c.cfg.WaitMax, maxLife))
	for {
		var rec record
		var ok bool
		switch next.do {
		case look:
			rec, ok = c.first(ctx, r)
		case serve:
			return c.serve(ctx, r, next)
		case bypass:
			return c.bypass(ctx, r)
		case await:
			if c.node.Now() >= patience {
				return c.bypass(ctx, r)
			}
			c.dismiss(r)
			rec, ok = c.await(ctx, r, next.found, patience)
		case take:
			// The place at the source comes first: who queued for it under a lease
			// would keep a less busy process from loading.
			if err := c.admit(ctx, r); err != nil {
				var none V
				return none, err
			}
			rec, ok = c.take(ctx, r, next.replace)
		case hold:
			if !c.vouches(r) {
				c.remote.commit(ctx, fill{key: r.key, lease: next.found.lease})
				return c.bypass(ctx, r)
			}
			return c.hold(ctx, r, next.found.lease)
		case pass:
			return c.pass(ctx, r)
		case distrust:
			if ctx.Err() != nil {
				var none V
				return none, context.Cause(ctx)
			}
			return c.weak(ctx, r)
		}
		next = c.judged(r, rec, ok)
	}
}

// first asks Redis what is there, or for the lease at once if that is likely to be
// nothing, and a place at the source is free.
func (c *Cache[V]) first(ctx context.Context, r *reading[V]) (record, bool) {
	if !c.forecast.miss() || !c.source.tryEnter() {
		return c.firstLook(ctx, r)
	}
	r.admitted = true
	rec, ok := c.take(ctx, r, "")
	if ok {
		c.forecast.note(rec.kind == mine)
	}
	return rec, ok
}

// firstLook is look for a reading that has not asked Redis so far.
func (c *Cache[V]) firstLook(ctx context.Context, r *reading[V]) (record, bool) {
	rec, ok := c.look(ctx, r)
	if ok {
		c.forecast.note(rec.kind == absent)
	}
	return rec, ok
}

// believe asks Redis and drops the answer if its history changed meanwhile: a
// restarted server may answer with what was invalidated long ago.
func (c *Cache[V]) believe(r *reading[V], ask func() (record, error)) (record, bool) {
	view, ok := c.node.View()
	if !ok {
		return record{}, false
	}
	r.view = view
	rec, err := ask()
	return rec, err == nil && c.node.Holds(view)
}

// take asks for the lease.
func (c *Cache[V]) take(ctx context.Context, r *reading[V], replace string) (record, bool) {
	if !c.asks(r.key, c.node.Now()) {
		return record{}, false
	}
	t := token.New()
	rec, ok := c.believe(r, func() (record, error) {
		recs, err := c.remote.acquire(ctx, []string{r.key}, []token.Token{t}, []string{replace})
		if err != nil {
			return record{}, err
		}
		return recs[0], nil
	})
	if !ok { // the lease may be ours all the same
		c.remote.commit(ctx, fill{key: r.key, lease: t.String()})
	}
	return rec, ok
}

// vouches reports whether what r loads from now on may be stored for others. A lease says
// that no fence stands, which is not enough where reads are linearizable: Redis may have
// lost one since r looked. Whoever knows of it by now has moved the generation, or is
// barred; whoever does not know of it holds up its writer.
func (c *Cache[V]) vouches(r *reading[V]) bool {
	return !c.strong || r.gen == c.space.Generation(r.hash) && c.asks(r.key, c.node.Now())
}

// await waits until the lease that somebody holds has ended, and returns what
// stands there then. It is woken by the holder; polling is a net.
func (c *Cache[V]) await(ctx context.Context, r *reading[V], rec record, patience coherence.Instant) (record, bool) {
	c.counts.waits.Add(1)
	w := c.space.Await(r.key)
	defer w.Cancel()
	ok := true
	for poll := 2 * time.Millisecond; ok && rec.kind == leased; poll = min(2*poll, maxPollDelay) {
		if !rec.awaitedBy(c.remote.inbox) {
			if rec, ok = c.enlist(ctx, r); !ok || rec.kind != leased {
				break
			}
		}
		left := patience.Sub(c.node.Now())
		if left <= 0 {
			break
		}
		nap := time.NewTimer(min(left, poll/2+rand.N(poll)))
		select {
		case <-w.C:
		case <-nap.C:
		case <-ctx.Done():
			ok = false
		}
		nap.Stop()
		if ok {
			rec, ok = c.look(ctx, r)
		}
	}
	return rec, ok
}

// enlist asks the holder of the lease for a wake-up.
func (c *Cache[V]) enlist(ctx context.Context, r *reading[V]) (record, bool) {
	return c.believe(r, func() (record, error) {
		_, rec, err := c.remote.wait(ctx, r.key)
		return rec, err
	})
}

// hold loads under a lease of ours, and stores what it loaded if the lease still
// stands then: an invalidation during the load has taken it away (I5).
func (c *Cache[V]) hold(ctx context.Context, r *reading[V], lease string) (V, error) {
	c.counts.tally(hold)
	stop := c.renewing(ctx, lock{c.remote.prefix + r.key, lease})
	v, took, err := c.loadOne(withFence(ctx, Fence{grantOf(lease), time.Now().Add(c.cfg.LoadTimeout)}), r)
	stop()
	rec, err := c.encode(tokenOf(lease), r, v, err, took)
	f := fill{key: r.key, lease: lease}
	if rec != nil {
		f.record, f.px = rec.bytes, rec.px
	}
	c.filled(r, v, rec, c.remote.commit(ctx, f)[0])
	return v, err
}

// filled keeps a local copy of what COMMIT has stored, unless an unknown Redis
// process has come up meanwhile: that COMMIT may be part of no history.
func (c *Cache[V]) filled(r *reading[V], v V, rec *encoded, stored bool) {
	switch {
	case stored && c.node.Holds(r.view):
		c.keep(r, v, rec)
	case rec != nil:
		c.counts.refusedFills.Add(1)
	}
}

// bypass loads past a fence, or past a lease that took too long. The value is
// not stored, and not shared with reads that begin after the source was read.
func (c *Cache[V]) bypass(ctx context.Context, r *reading[V]) (V, error) {
	r.call.Seal()
	c.counts.tally(bypass)
	v, _, err := c.loadOne(ctx, r)
	return v, err
}

// pass loads a value that is not for caches. A read may share the load as it may one
// that stores; where reads are linearizable that takes a lease, which nobody has here.
func (c *Cache[V]) pass(ctx context.Context, r *reading[V]) (V, error) {
	if c.strong {
		return c.bypass(ctx, r)
	}
	c.counts.tally(pass)
	v, _, err := c.loadOne(ctx, r)
	return v, err
}

// weak loads without Redis. The copy is served for as long as the bound allows
// even to a node that hears nothing, and never longer: the announcement of a
// write that is still to come may have been applied here already. Where reads are
// linearizable it is not served at all.
func (c *Cache[V]) weak(ctx context.Context, r *reading[V]) (V, error) {
	if c.strong {
		return c.bypass(ctx, r)
	}
	r.call.Weaken()
	c.counts.tally(distrust)
	v, took, err := c.loadOne(ctx, r)
	rec, err := c.encode(token.Token{}, r, v, err, took)
	if rec != nil {
		c.keepWeak(r, v, rec)
	}
	return v, err
}
