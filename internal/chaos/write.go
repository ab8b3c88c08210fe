package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// writing is one Update under way.
type writing struct {
	began   Instant
	ran     bool // the writer was called
	version int  // what it committed, 0: nothing or not known
	result  error
	waited  time.Duration  // until the writer was called
	commits sync.WaitGroup // calls of the source, which may take longer than anybody waits
}

func (c *client) update(ctx context.Context, key string) {
	w := &writing{began: now()}
	_, err := c.cache.Update(ctx, key, func(ctx context.Context, key string) (Value, error) {
		w.ran, w.waited = true, now().sub(w.began)
		v, err := c.write(ctx, w, key)
		w.result = err
		return v, err
	}, lifeOf(key))
	c.updated(w, key, err)
	w.commits.Wait() // no write comes to be known after what followed it
}

func (c *client) updated(w *writing, key string, err error) {
	unconfirmed := errors.Is(err, tiered.ErrUnconfirmed)
	switch {
	case (err == nil || errors.Is(err, tiered.ErrNotFound) || unconfirmed) && w.version > 0:
		c.notes.returned(!unconfirmed, Return{Key: key, Version: w.version, Began: w.began, Update: true, Waited: w.waited})
		c.notes.count("updates")
		if unconfirmed {
			c.notes.count("updates unconfirmed")
		}
	case errors.Is(err, tiered.ErrNotWritten) && !w.ran:
		c.notes.count("updates refused")
	case errors.Is(err, tiered.ErrNotWritten):
		c.notes.wrong(fmt.Sprintf("I8: Update of %s on %s: %v, but the writer was called", key, c.cfg.Name, err))
	case w.result != nil && errors.Is(err, w.result):
		c.notes.count("updates failed")
	default:
		c.notes.wrong(fmt.Sprintf("Update of %s on %s: error %v, the writer returned version %d and %v", key, c.cfg.Name, err, w.version, w.result))
	}
}

// invalidate tells the caches that the source has changed. Before that it has, past the caches: not if they are Strong,
// because their reads are linearizable with respect to Update only.
func (c *client) invalidate(ctx context.Context, keys []string) {
	if !c.cfg.Strong {
		c.writeOutside(ctx, keys)
		return
	}
	switch err := c.cache.Invalidate(ctx, keys...); {
	case err == nil:
		c.notes.count("invalidations")
	case errors.Is(err, tiered.ErrUnconfirmed), errors.Is(err, tiered.ErrUnheard):
		c.notes.count("invalidations unconfirmed")
	default:
		c.notes.wrong(fmt.Sprintf("Invalidate of %v on %s: error %v", keys, c.cfg.Name, err))
	}
}

func (c *client) writeOutside(ctx context.Context, keys []string) {
	began := now()
	call := OutsideCall{Keys: keys}
	for range keys {
		call.Deleted = append(call.Deleted, c.dice.chance(0.1))
	}
	versions, err := ask[[]int](ctx, c.node, "Outside", call)
	if err != nil {
		c.notes.wrong(fmt.Sprintf("the source failed: %v", err))
		return
	}
	err = c.cache.Invalidate(ctx, keys...)
	if err != nil && !errors.Is(err, tiered.ErrUnconfirmed) {
		c.notes.wrong(fmt.Sprintf("Invalidate of %v on %s: error %v", keys, c.cfg.Name, err))
		return
	}
	var returns []Return
	for i, key := range keys {
		returns = append(returns, Return{Key: key, Version: versions[i], Began: began})
	}
	c.notes.returned(err == nil, returns...)
	c.notes.count("invalidations")
	if err != nil {
		c.notes.count("invalidations unconfirmed")
	}
}
