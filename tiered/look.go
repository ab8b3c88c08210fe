package tiered

import (
	"context"
	"slices"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/gather"
)

// query is one key to be read in Redis, and what was found.
type query struct {
	key   string // its name in Redis
	asked coherence.Instant

	view coherence.View // taken before the request was sent
	rec  record
	ok   bool // rec is to be believed
}

// look reads the key, in one round trip with other reads that are under way at the
// same time. False: Redis is not to be asked, did not answer, or is not to be
// believed, or ctx has ended.
func (c *Cache[V]) look(ctx context.Context, r *reading[V]) (record, bool) {
	now := c.node.Now()
	if !c.asks(r.key, now) {
		return record{}, false
	}
	q := c.looks.request()
	q.Value = query{key: c.remote.prefix + r.key, asked: now}
	if c.looks.of(ctx, q.Value.key).Ask(ctx, q) != nil {
		return record{}, false // q is not ours any more
	}
	r.view = q.Value.view
	rec, ok := q.Value.rec, q.Value.ok
	q.Value, q.Ctx = query{}, nil
	c.looks.spare.Put(q)
	return rec, ok
}

// lookUp answers queries in one round trip. It drops the answers if Redis' history
// changed meanwhile: a restarted server may answer with what was invalidated long ago.
func (c *Cache[V]) lookUp(batch []*gather.Request[query]) (bytes int) {
	batch = c.timely(batch)
	view, ok := c.node.View()
	if !ok || len(batch) == 0 {
		return 0
	}
	keys := make([]string, len(batch))
	for i, q := range batch {
		keys[i], q.Value.view = q.Value.key, view
	}
	c.remote.get(lent{c.closing, batch[0].Ctx}, keys, func(i int, rec record, err error) {
		batch[i].Value.rec, batch[i].Value.ok = rec, err == nil
		bytes += len(rec.raw)
	})
	if !c.node.Holds(view) {
		for _, q := range batch {
			q.Value.ok = false
		}
	}
	return bytes
}

// timely returns those queries that are still worth sending: none if the lease has
// run out while they queued, else those that have queued for less than a Timeout. A
// Redis that does not answer costs a read two of them at most.
func (c *Cache[V]) timely(batch []*gather.Request[query]) []*gather.Request[query] {
	now := c.node.Now()
	if !c.leased(now) {
		return nil
	}
	late := func(q *gather.Request[query]) bool { return now.Sub(q.Value.asked) > c.remote.timeout }
	if slices.ContainsFunc(batch, late) {
		return slices.DeleteFunc(slices.Clone(batch), late) // batch is the caller's
	}
	return batch
}

// lent is a context that has the values of another one. Its own come first: among
// them is what lets package context tie a child to it without a goroutine.
type lent struct {
	context.Context
	values context.Context
}

func (l lent) Value(key any) any {
	if v := l.Context.Value(key); v != nil {
		return v
	}
	return l.values.Value(key)
}
