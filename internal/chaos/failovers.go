package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// group is a rig whose masters can be killed one after the other.
type group interface {
	rig
	victim(ctx context.Context, i int) (*redistest.Server, error)
	promoted(ctx context.Context, i int, former *redistest.Server) error
	rejoin(ctx context.Context) error
	holds(ctx context.Context, i int) (func(key string) bool, error) // which keys the i-th victim does
	pause() time.Duration                                            // that the group needs between two failovers
}

// steady is how long the fleet works before each kill, twice: to get warm, and to see how warm it is.
const steady = 3 * time.Second

// failovers kills masters in turn, each when the one before has rejoined as a replica.
func (d *director) failovers(ctx context.Context, g group, n int) ([]Recovery, error) {
	var all []Recovery
	last := now()
	for i := range n {
		if err := sleep(ctx, max(steady, g.pause())-now().sub(last)); err != nil {
			return all, err
		}
		last = now()
		r, err := d.failover(ctx, g, i)
		if err != nil {
			return all, fmt.Errorf("failover %d: %w", i+1, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// failover is one round: a kill, and how the fleet recovers.
func (d *director) failover(ctx context.Context, g group, i int) (r Recovery, err error) {
	rd := &round{}
	if rd.holds, err = g.holds(ctx, i); err != nil {
		return r, err
	}
	victim, err := g.victim(ctx, i)
	if err != nil {
		return r, err
	}
	d.fleet.listen(rd)
	defer d.fleet.listen(nil)
	if err := sleep(ctx, steady); err != nil {
		return r, err
	}
	const kind = "master killed"
	d.enter(kind, 1)
	defer d.fade(kind)
	defer d.fleet.record.losing()()
	rd.killed = now()
	if err := victim.Kill(); err != nil {
		return r, err
	}
	for _, step := range []func() error{
		func() error { return g.promoted(ctx, i, victim) },
		func() error { r.Promoted = rd.elapsed(); return nil },
		func() error {
			return await(ctx, "the fleet has recovered", patience, func() error { return rd.recovered(d.fleet, &r) })
		},
		func() error { return g.rejoin(ctx) },
		func() error { r.Rejoined = rd.elapsed(); return nil },
		func() error { return await(ctx, "the caches are warm", patience, func() error { return rd.warm(&r) }) },
	} {
		if err := step(); err != nil {
			return r, err
		}
	}
	r.Before, r.Lowest = rd.ratios()
	d.say("%s failover %d: %s killed; after ms: promoted %d, in step %d, first update %d, hits regained %d (ratio %.3f before, %.3f at worst), rejoined %d",
		d.fleet.record.since(rd.killed), i+1, victim.Addr(), r.Promoted, r.InStep, r.Update, r.Warm, r.Before, r.Lowest, r.Rejoined)
	return r, nil
}
