package tiered

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/token"
)

// Writer writes one record to the source and returns what it stored. It returns
// ErrNotFound after deleting the record. An error leaves open whether the source
// changed, unless it is wrapped by RolledBack.
type Writer[V any] func(ctx context.Context, key string) (V, error)

// Update writes the source through write, so that every node serves the new
// value: this one at once, the others within MaxStale (within a millisecond or
// so while pub/sub works). Redis first learns that the key is being written;
// from then on nobody caches it, so that a crash at any point leaves no old
// value behind. If no other Update of the key overlapped, both tiers hold the
// new value afterwards.
//
// The writer's context ends after 0.8 of FenceTTL. Its error is returned as it
// is; the key then stays uncached until FenceTTL is over, because the write is
// in doubt, or becomes cacheable at once if the error is wrapped by RolledBack.
//
// In a Strong cache, and with the option Acked, the writer is called when all nodes
// have confirmed that they know of it, or cannot serve what they hold: ctx bounds the
// wait, which is MaxStale at most, or FenceTTL after Redis has lost its data. If Redis
// goes on losing its data during the wait, the write is refused.
//
// ErrNotWritten: the writer was not called. ErrUnconfirmed: the source was
// written and the value is returned with the error; the invalidation is being
// retried.
func (c *Cache[V]) Update(ctx context.Context, key string, write Writer[V], opts ...Option) (V, error) {
	var none V
	if err := c.checkKey(key); err != nil {
		return none, err
	}
	if write == nil {
		return none, fmt.Errorf("tiercache: the writer of key %q in cache %q is nil", key, c.cfg.Name)
	}
	if !c.enter() {
		return none, ErrClosed
	}
	defer c.running.Done()
	w := &writing[V]{
		reading: reading[V]{key: key, hash: c.space.Hash(key), life: c.lifetime(opts)},
		token:   token.New(),
	}
	var err error
	if w.acked, err = c.acks(w.life); err != nil {
		return none, err
	}
	fencing, stop := c.until(ctx) // the writer is waited for by Close, what comes before it is not
	err = c.fence(fencing, w)
	stop()
	if err != nil {
		c.counts.notWritten.Add(1)
		return none, fmt.Errorf("%w: key %q in cache %q: %w", ErrNotWritten, key, c.cfg.Name, err)
	}
	c.counts.updates.Add(1)
	v, took, err := w.call(ctx, func(ctx context.Context, key string) (V, error) { return c.takeIn(write(ctx, key)) }, c.cfg.FenceTTL)
	c.space.Bump(key) // what was loaded meanwhile without a lease may be older than the write
	return c.conclude(ctx, w, v, took, err)
}

// writing is one Update under way.
type writing[V any] struct {
	reading[V]
	token   token.Token
	id      string    // proof of the fence
	sent    time.Time // when the fence was
	receipt coherence.Receipt
	acked   bool // all nodes are to confirm it
}

// fence keeps everybody from caching the key, and tells all nodes. An error
// means that the source must not be written (I8).
func (c *Cache[V]) fence(ctx context.Context, w *writing[V]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	settle := c.node.Settle
	if w.acked {
		settle = c.space.SettleAcked
	}
	if err := settle(ctx); err != nil {
		return err
	}
	w.view, _ = c.node.View()
	w.sent = time.Now()
	var err error
	w.id, w.receipt, err = c.remote.raise(ctx, w.key, w.token, w.acked)
	if err == nil {
		err = c.confirmed(ctx, w)
	}
	// Nodes forget the fence after its life. The leases of probes from before the end of
	// this wait are over by then, if it took no longer than half of that.
	if err == nil && time.Since(w.sent) > c.cfg.FenceTTL/2 {
		err = errors.New("fencing took more than half of FenceTTL")
	}
	if err != nil {
		c.withdraw(ctx, w, w.token.String())
	}
	return err
}

// withdraw ends a fence under which nothing was written.
func (c *Cache[V]) withdraw(ctx context.Context, w *writing[V], id string) {
	c.remote.withdraw(ctx, w.key, id)
	c.lift(w)
}

// lift tells the nodes that have been asked to remember the fence that it has ended.
func (c *Cache[V]) lift(w *writing[V]) {
	if w.acked {
		c.space.Lift(w.key, w.token)
	}
}

// call runs the writer well within the fence's life, which began at the latest
// when the fence was sent.
func (w *writing[V]) call(ctx context.Context, write Writer[V], life time.Duration) (v V, took time.Duration, err error) {
	deadline := w.sent.Add(life * 8 / 10)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	ctx = withFence(ctx, Fence{w.receipt.Stamp(), deadline})
	began := time.Now()
	defer func() {
		took = time.Since(began)
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	v, err = write(ctx, w.key)
	return v, took, err
}

// conclude ends an Update whose writer has returned.
func (c *Cache[V]) conclude(ctx context.Context, w *writing[V], v V, took time.Duration, err error) (V, error) {
	ctx = context.WithoutCancel(ctx) // the write happened; the fleet must know
	var none V
	deleted := saysNotFound(err) && !isRolledBack(err)
	if err != nil && !deleted {
		if isRolledBack(err) {
			c.withdraw(ctx, w, w.id)
		}
		return none, err // in doubt: the fence stays until it expires
	}
	// In this order: see Audit.
	w.gen, w.began = c.space.Generation(w.hash), c.node.Now()
	rec, _ := c.encode(w.token, &w.reading, v, err, took) // a value that cannot be stored is no failure of the write
	if rec == nil || rec.header.Uncacheable || c.overlapped(w) {
		rec = &encoded{px: time.Millisecond}
	}
	outcome := c.remote.lower(ctx, w.key, w.id, rec.bytes, rec.px, w.receipt)
	if !c.node.Holds(w.view) {
		outcome = fenceLost
	}
	switch outcome {
	case fenceWritten:
		c.counts.writtenThrough.Add(1)
		c.keep(&w.reading, v, rec)
	case fenceLost:
		if w.receipt, err = c.space.AnnounceAll(ctx, []string{w.key}, w.acked); err != nil {
			c.counts.unconfirmed.Add(1)
			out, fault := c.handOut(v)
			return out, errors.Join(err, fault)
		}
	}
	c.lift(w)
	w.life.issued(w.receipt)
	if deleted {
		return none, ErrNotFound
	}
	return c.handOut(v)
}

// overlapped reports whether this node remembers the fence of another writer, which
// Redis may have lost: then it does not know that the two overlap. Ask it after the
// generation was taken.
func (c *Cache[V]) overlapped(w *writing[V]) bool {
	return c.strong && c.space.Overlapped(w.key, w.token)
}

// Invalidate makes every node and Redis drop keys, ends loads of them that are
// under way, and returns when Redis has confirmed it: no node serves an older
// value for longer than MaxStale then. Call it after the source was written by
// somebody else; for your own writes Update is safer.
//
// ErrUnconfirmed: Redis did not confirm it. It is retried in the background and
// this process bypasses its caches for the keys meanwhile, but other nodes may
// serve the old value until it succeeds.
//
// In a Strong cache it returns when no node serves an older value; a read on another
// node may see the source before it and an older copy after that, until then. ErrUnheard:
// ctx ended before all nodes had confirmed it.
func (c *Cache[V]) Invalidate(ctx context.Context, keys ...string) error {
	return c.InvalidateMany(ctx, keys)
}

// InvalidateMany is Invalidate with options: Acked and Issue.
func (c *Cache[V]) InvalidateMany(ctx context.Context, keys []string, opts ...Option) error {
	for _, key := range keys {
		if err := c.checkKey(key); err != nil {
			return err
		}
	}
	if !c.enter() {
		return ErrClosed
	}
	defer c.running.Done()
	if len(keys) == 0 {
		return nil
	}
	life := c.lifetime(opts)
	acked, err := c.acks(life)
	if err != nil {
		return err
	}
	c.counts.invalidated.Add(uint64(len(keys)))
	ctx, stop := c.until(ctx)
	defer stop()
	receipt, err := c.space.AnnounceAll(ctx, keys, acked)
	switch {
	case err == nil:
		life.issued(receipt)
	case !errors.Is(err, ErrUnheard):
		c.counts.unconfirmed.Add(1)
	}
	return err
}
