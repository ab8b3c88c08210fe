package tiered

import (
	"context"
	"fmt"
)

// Peek returns what the tiers hold and never loads. It returns ErrMiss if they
// hold nothing that may be served, and ErrNotFound if they know that there is
// no such record. Of the options, AtLeast counts.
func (c *Cache[V]) Peek(ctx context.Context, key string, opts ...Option) (V, error) {
	var none V
	if err := c.checkKey(key); err != nil {
		return none, err
	}
	r := &reading[V]{key: key, hash: c.space.Hash(key), began: c.node.Now()}
	life := c.lifetime(opts)
	if e := c.find(r.hash, key, r.began, &life); e != nil {
		c.counts.localHits.add()
		if e.negative {
			return none, ErrNotFound
		}
		return c.handOut(e.value)
	}
	if !c.enter() {
		return none, ErrClosed
	}
	defer c.running.Done()
	r.gen, r.began = c.space.Generation(r.hash), c.node.Now() // in this order: see Audit
	rec, ok := c.look(ctx, r)
	if !ok {
		if ctx.Err() != nil {
			return none, context.Cause(ctx)
		}
		return none, fmt.Errorf("%w: Redis cannot be asked", ErrMiss)
	}
	found := c.judge(r, rec)
	if found.do != serve {
		return none, ErrMiss
	}
	v, err := c.serve(ctx, r, found)
	if err != nil {
		return none, err
	}
	return c.handOut(v)
}
