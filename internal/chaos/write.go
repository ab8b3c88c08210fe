package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tiercache/tiercache/tiered"
)

// writing is one Update under way.
type writing struct {
	began   Instant
	ran     bool // the writer was called
	version int  // what it committed, 0: nothing or not known
	result  error
}

func (n *node) update(ctx context.Context, key string) {
	w := &writing{began: now()}
	_, err := n.cache.Update(ctx, key, func(ctx context.Context, key string) (Value, error) {
		w.ran = true
		v, err := n.write(ctx, w, key)
		w.result = err
		return v, err
	}, lifeOf(key))
	unconfirmed := errors.Is(err, tiered.ErrUnconfirmed)
	switch {
	case (err == nil || errors.Is(err, tiered.ErrNotFound) || unconfirmed) && w.version > 0:
		n.notes.returned(!unconfirmed, Return{Key: key, Version: w.version, Began: w.began, Update: true})
		n.notes.count("updates")
		if unconfirmed {
			n.notes.count("updates unconfirmed")
		}
	case errors.Is(err, tiered.ErrNotWritten) && !w.ran:
		n.notes.count("updates refused")
	case errors.Is(err, tiered.ErrNotWritten):
		n.notes.wrong(fmt.Sprintf("I8: Update of %s on %s: %v, but the writer was called", key, n.cfg.Name, err))
	case w.result != nil && errors.Is(err, w.result):
		n.notes.count("updates failed")
	default:
		n.notes.wrong(fmt.Sprintf("Update of %s on %s: error %v, the writer returned version %d and %v", key, n.cfg.Name, err, w.version, w.result))
	}
}

// writeOutside changes the source past the caches and then tells them.
func (n *node) writeOutside(ctx context.Context, keys []string) {
	began := now()
	call := OutsideCall{Keys: keys}
	for range keys {
		call.Deleted = append(call.Deleted, n.dice.chance(0.1))
	}
	versions, err := ask[[]int](ctx, n, "Outside", call)
	if err != nil {
		n.notes.wrong(fmt.Sprintf("the source failed: %v", err))
		return
	}
	err = n.cache.Invalidate(ctx, keys...)
	if err != nil && !errors.Is(err, tiered.ErrUnconfirmed) {
		n.notes.wrong(fmt.Sprintf("Invalidate of %v on %s: error %v", keys, n.cfg.Name, err))
		return
	}
	var returns []Return
	for i, key := range keys {
		returns = append(returns, Return{Key: key, Version: versions[i], Began: began})
	}
	n.notes.returned(err == nil, returns...)
	n.notes.count("invalidations")
	if err != nil {
		n.notes.count("invalidations unconfirmed")
	}
}
