package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// What loaders and writers fail with.
var (
	errSource  = errors.New("chaos: the source failed")
	errInDoubt = errors.New("chaos: the write is in doubt")
	errTooLate = errors.New("chaos: the fence is over")
)

const latency = 2 * time.Millisecond // of the source, on either side

// load reads a record as an application does: mostly fast, sometimes so slowly that writes overtake it.
func (n *node) load(ctx context.Context, key string) (Value, error) {
	before, after, err := n.loadPlan()
	if err != nil {
		return Value{}, err
	}
	if err := sleep(ctx, before); err != nil {
		return Value{}, err
	}
	v, err := n.readSource(ctx, key)
	if late := sleep(ctx, after); late != nil {
		return Value{}, late
	}
	return v, err
}

func (n *node) loadMany(ctx context.Context, keys []string) (map[string]Value, error) {
	before, after, err := n.loadPlan()
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, before); err != nil {
		return nil, err
	}
	versions, err := ask[[]int](ctx, n, "Load", keys)
	if err != nil {
		return nil, err
	}
	found := make(map[string]Value)
	for i, key := range keys {
		if versions[i] > 0 {
			found[key] = Value{key, versions[i]}
		}
	}
	return found, sleep(ctx, after)
}

// readSource is the read itself.
func (n *node) readSource(ctx context.Context, key string) (Value, error) {
	versions, err := ask[[]int](ctx, n, "Load", []string{key})
	if err != nil {
		return Value{}, err
	}
	if versions[0] == 0 {
		return Value{}, tiered.ErrNotFound
	}
	return Value{key, versions[0]}, nil
}

// odds is how rarely a load or a write goes wrong. A write in doubt keeps its key out of strong caches for the life of a
// fence: with as many as others see, the hot keys would never be in any.
func (n *node) odds() int {
	if n.cfg.Strong {
		return 10000
	}
	return 1000
}

// loadPlan draws how long a load lingers before and after it reads the source.
func (n *node) loadPlan() (before, after time.Duration, err error) {
	before, after = n.dice.about(latency), n.dice.about(latency)
	switch x := n.dice.below(n.odds()); {
	case x < 20:
		after = n.dice.between(0, bound*3/2)
	case x < 30:
		before = n.dice.between(0, bound*3/2)
	case x < 40:
		err = errSource
	}
	return before, after, err
}

// write changes the source as an application does, under the fence.
func (c *client) write(ctx context.Context, w *writing, key string) (Value, error) {
	heeded := ctx
	before, after := c.dice.about(latency), c.dice.about(latency)
	x := c.dice.below(c.odds())
	switch {
	case x < 40:
		before = c.dice.between(0, bound)
	case x < 80:
		after = c.dice.between(0, bound)
	case x < 90:
		after = c.dice.between(0, 2*fence) // past the deadline
	case x < 95:
		before, heeded = c.dice.between(0, 2*fence), context.WithoutCancel(ctx)
	case x < 145:
		return Value{}, tiered.RolledBack(errSource)
	case x < 150:
		return Value{}, errInDoubt // and nothing was committed
	case x < 175:
		late := c.dice.between(0, fence/2)
		w.commits.Go(func() {
			if sleep(c.ctx, late) == nil {
				_, _ = c.commit(context.WithoutCancel(ctx), w, key, false) // nobody waits for it
			}
		})
		return Value{}, errInDoubt
	}
	if err := sleep(heeded, before); err != nil {
		return Value{}, err
	}
	deleted := x%10 == 9
	version, err := c.commit(heeded, w, key, deleted)
	if err != nil {
		return Value{}, fmt.Errorf("%w: %w", errInDoubt, err)
	}
	if err := sleep(heeded, after); err != nil {
		return Value{}, fmt.Errorf("%w: %w", errInDoubt, err)
	}
	if x >= 175 && x < 185 {
		return Value{}, errInDoubt // though it was committed
	}
	w.version = version
	if deleted {
		return Value{}, tiered.ErrNotFound
	}
	return Value{key, version}, nil
}

// commit asks the source to store the next version. A caller that gives up leaves the call under way.
func (c *client) commit(ctx context.Context, w *writing, key string, deleted bool) (int, error) {
	call := CommitCall{Key: key, Client: c.number, Began: w.began, Deleted: deleted}
	if f, ok := tiered.FenceFrom(ctx); ok && c.cfg.Strong {
		call.Deadline = now() + Instant(time.Until(f.Deadline))
	}
	type answer struct {
		version int
		err     error
	}
	answered := make(chan answer, 1)
	w.commits.Go(func() {
		version, err := ask[int](context.WithoutCancel(ctx), c.node, "Commit", call)
		answered <- answer{version, err}
	})
	select {
	case a := <-answered:
		return a.version, a.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
