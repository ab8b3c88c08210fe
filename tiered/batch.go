package tiered

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/tiercache/tiercache/internal/token"
)

// batch is the flights that one GetMany leads. Each key moves from list to list
// until it has landed.
type batch[V any] struct {
	cache *Cache[V]
	load  BatchLoader[V]

	ready []*passenger[V] // to be looked up
	take  []*passenger[V] // nothing of use is there: ask for the lease
	fetch []*passenger[V] // to be loaded
	alone []*passenger[V] // to wait for others, each for itself

	admitted bool          // the batch has its place at the source
	over     chan struct{} // closed when nobody but those alone is under way
}

// passenger is one key of a batch.
type passenger[V any] struct {
	reading[V]
	do    action      // hold, bypass, pass or distrust: what to do with the loaded value
	lease string      // hold: proof of the lease
	stamp string      // take: of the value that may be replaced
	token token.Token // of the lease asked for
	asked bool        // for the lease
	gone  bool        // landed, or flying alone
	out   outcome[V]  // of the load
	rec   *encoded    // the loaded value as Redis holds it, nil if it is not to be stored
}

type outcome[V any] struct {
	value V
	err   error
}

func (p *passenger[V]) land(v V, err error) {
	p.gone = true
	p.call.Land(v, err)
}

// start flies the batch in a goroutine of its own. Its context ends when all keys
// have landed or are waited for by nobody.
func (b *batch[V]) start(ctx context.Context) {
	if len(b.ready) == 0 {
		close(b.over)
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var waited atomic.Int64
	waited.Store(int64(len(b.ready)))
	release := func() {
		if waited.Add(-1) == 0 {
			cancel()
		}
	}
	for _, p := range b.ready {
		p.call.Release(release)
	}
	b.cache.running.Go(func() {
		defer close(b.over)
		defer cancel()
		defer b.strand()
		ctx, done := b.cache.until(ctx)
		defer done()
		b.fly(ctx)
	})
}

// strand lands those whose goroutine ended on the way: a codec may do that.
func (b *batch[V]) strand() {
	for _, p := range b.ready {
		if !p.gone {
			p.land(p.out.value, errGoexit)
		}
	}
}

// fly takes the batch through the tiers. Its own leases are filled before it
// waits for those of others, so that two batches that want each other's keys do
// not lock up.
func (b *batch[V]) fly(ctx context.Context) {
	b.lookUp(ctx)
	if err := b.admit(ctx); err != nil {
		b.refuse(err)
	}
	b.acquire(ctx)
	b.fill(ctx)
	for _, p := range b.alone {
		p.gone = true
		b.cache.running.Add(1)
		b.cache.launch(ctx, &p.reading, step[V]{do: look})
	}
}

// lookUp asks Redis for every key in one pipeline.
func (b *batch[V]) lookUp(ctx context.Context) {
	c := b.cache
	now := c.node.Now()
	for _, p := range b.ready {
		p.began = now
		p.call.Begin(now)
	}
	var ask []*passenger[V]
	for _, p := range b.ready {
		if c.asks(p.key, now) {
			ask = append(ask, p)
		} else {
			b.distrust(p)
		}
	}
	b.consult(ctx, ask, func(part []*passenger[V], found func(int, record, error)) {
		keys := make([]string, len(part))
		for i, p := range part {
			keys[i] = c.remote.prefix + p.key
		}
		c.remote.get(ctx, keys, found)
	})
}

// admit takes one place at the source for the whole batch, before it takes
// leases: see fly of Cache.
func (b *batch[V]) admit(ctx context.Context) error {
	if b.admitted || len(b.take)+len(b.fetch) == 0 {
		return nil
	}
	err := b.cache.source.enter(ctx, func(is bool) {
		for _, p := range slices.Concat(b.take, b.fetch) {
			p.call.Waiting.Store(is)
		}
	})
	b.admitted = err == nil
	return err
}

// refuse lands everybody who would have needed the source.
func (b *batch[V]) refuse(err error) {
	for _, p := range slices.Concat(b.take, b.fetch) {
		p.land(p.out.value, err)
	}
	b.take, b.fetch = nil, nil
}

// acquire asks for the leases of all keys under which nothing of use stands.
func (b *batch[V]) acquire(ctx context.Context) {
	asking := b.take
	b.take = nil
	for _, p := range asking {
		p.token, p.asked = token.New(), true
	}
	b.consult(ctx, asking, func(part []*passenger[V], found func(int, record, error)) {
		keys, tokens, stamps := make([]string, len(part)), make([]token.Token, len(part)), make([]string, len(part))
		for i, p := range part {
			keys[i], tokens[i], stamps[i] = p.key, p.token, p.stamp
		}
		records, err := b.cache.remote.acquire(ctx, keys, tokens, stamps)
		for i := range part {
			if err != nil {
				found(i, record{}, err)
			} else {
				found(i, records[i], nil)
			}
		}
	})
	var giveUp []fill // the leases may be ours all the same
	for _, p := range asking {
		if p.do == distrust || b.cache.strong && p.do == bypass {
			giveUp = append(giveUp, fill{key: p.key, lease: p.token.String()})
		}
	}
	b.cache.remote.commit(ctx, giveUp...)
}

// fill loads what has to be loaded in one call and stores what is ours.
func (b *batch[V]) fill(ctx context.Context) {
	if len(b.fetch) == 0 {
		if b.admitted {
			b.cache.source.leave()
		}
		return
	}
	var held []*passenger[V]
	for _, p := range b.fetch {
		b.cache.counts.tally(p.do)
		if p.do == hold {
			held = append(held, p)
		}
	}
	b.loadAll(ctx, held)
	b.commit(ctx, held)
	for _, p := range b.fetch {
		if p.do == distrust && p.rec != nil {
			b.cache.keepWeak(&p.reading, p.out.value, p.rec)
		}
		p.land(p.out.value, p.out.err)
	}
}

// loadAll calls the loader while the leases of held are kept alive.
func (b *batch[V]) loadAll(ctx context.Context, held []*passenger[V]) {
	c := b.cache
	leases := make([]lock, len(held))
	for i, p := range held {
		leases[i] = lock{c.remote.prefix + p.key, p.lease}
	}
	keys := make([]string, len(b.fetch))
	for i, p := range b.fetch {
		keys[i] = p.key
	}
	stop := c.renewing(ctx, leases...)
	b.admitted = false // the load gives the place back
	values, took, err := run(ctx, &c.source, func(ctx context.Context) (map[string]V, error) {
		values, err := b.load(ctx, keys)
		return c.takeAll(keys, values, err)
	})
	stop()
	for _, p := range b.fetch {
		v, ok := values[p.key]
		switch {
		case err != nil:
			p.out.err = err
		case ok:
			p.out.value = v
		default:
			p.out.err = ErrNotFound
		}
		if p.do == hold || p.do == distrust {
			p.rec, p.out.err = c.encode(tokenOf(p.lease), &p.reading, p.out.value, p.out.err, took)
		}
	}
}

// commit fills the leases, or gives them up where there is nothing to store.
func (b *batch[V]) commit(ctx context.Context, held []*passenger[V]) {
	if len(held) == 0 {
		return
	}
	fills := make([]fill, len(held))
	for i, p := range held {
		fills[i] = fill{key: p.key, lease: p.lease}
		if p.rec != nil {
			fills[i].record, fills[i].px = p.rec.bytes, p.rec.px
		}
	}
	for i, stored := range b.cache.remote.commit(ctx, fills...) {
		p := held[i]
		b.cache.filled(&p.reading, p.out.value, p.rec, stored)
	}
}
