package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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

// Recovery is how long after a kill -9 the fleet was whole again, in milliseconds.
type Recovery struct {
	Promoted int64 `json:"promoted"`     // another server is master, and all who can tell agree
	InStep   int64 `json:"in_step"`      // every node is in step; 0: none was adrift
	Update   int64 `json:"first_update"` // return of the first Update that began after it, of a key of that master
	Warm     int64 `json:"warm"`         // the hit ratio is back at nine tenths of what it was
}

// round is one failover, as the reports tell it. It is safe for concurrent use.
type round struct {
	mu      sync.Mutex
	steps   []Instant
	updates []Return
	shelf   []shelved
}

// shelved is a report's share of the reads that show how warm the caches are.
type shelved struct {
	at Instant
	Shelf
}

func (r *round) hear(report Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, report.Steps...)
	r.shelf = append(r.shelf, shelved{report.At, report.Shelf})
	for _, w := range report.Returns {
		if w.Update && w.Covered {
			r.updates = append(r.updates, w)
		}
	}
}

const (
	steady = 3 * time.Second        // under load before each kill, twice: to warm up, and to see how warm it is
	window = 500 * time.Millisecond // that a hit ratio is measured over
)

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

func (d *director) failover(ctx context.Context, g group, i int) (Recovery, error) {
	const kind = "master killed"
	holds, err := g.holds(ctx, i)
	if err != nil {
		return Recovery{}, err
	}
	victim, err := g.victim(ctx, i)
	if err != nil {
		return Recovery{}, err
	}
	rd := &round{}
	d.fleet.listen(rd)
	defer d.fleet.listen(nil)
	if err := sleep(ctx, steady); err != nil {
		return Recovery{}, err
	}
	d.enter(kind, 1)
	defer d.fade(kind)
	ended := d.fleet.record.losing()
	defer ended()
	killed := now()
	if err := victim.Kill(); err != nil {
		return Recovery{}, err
	}
	if err := g.promoted(ctx, i, victim); err != nil {
		return Recovery{}, err
	}
	r := Recovery{Promoted: now().sub(killed).Milliseconds()}
	if err := await(ctx, "the fleet has recovered", patience, func() error { return rd.recovered(d.fleet, killed, holds, &r) }); err != nil {
		return r, err
	}
	again := now()
	if err := g.rejoin(ctx); err != nil {
		return r, err
	}
	rejoined := now().sub(again)
	if err := await(ctx, "the caches are warm", patience, func() error { return rd.warm(killed, &r) }); err != nil {
		return r, err
	}
	before, lowest := rd.ratios(killed)
	d.say("%s failover %d: %s killed; promoted after %d ms, in step %d ms, first update %d ms, hit ratio %.3f, at worst %.3f, back after %d ms; rejoined in %d ms",
		d.fleet.record.since(killed), i+1, victim.Addr(), r.Promoted, r.InStep, r.Update, before, lowest, r.Warm, rejoined.Milliseconds())
	return r, nil
}

// recovered fills in what was measured, or tells what is missing.
func (r *round) recovered(f *fleet, killed Instant, holds func(string) bool, out *Recovery) error {
	if err := f.ready(); err != nil {
		return err
	}
	r.mu.Lock()
	for _, at := range r.steps {
		if at > killed {
			out.InStep = max(out.InStep, at.sub(killed).Milliseconds())
		}
	}
	var first Instant
	for _, w := range r.updates {
		if w.Began > killed && holds(w.Key) && (first == 0 || w.At < first) {
			first = w.At
		}
	}
	r.mu.Unlock()
	if first == 0 {
		return errors.New("no Update has succeeded")
	}
	out.Update = first.sub(killed).Milliseconds()
	return nil
}

// warm fills in how long after the kill the hit ratio was back at nine tenths of what it had been, for good.
func (r *round) warm(killed Instant, out *Recovery) error {
	before, _ := r.ratios(killed)
	windows := r.windows(killed)
	if len(windows) < 5 {
		return errors.New("the hit ratio is not known")
	}
	low := -1
	for i, w := range windows {
		if w.ratio() < before*0.9 {
			low = i
		}
	}
	if low >= len(windows)-3 {
		return fmt.Errorf("the hit ratio is %.3f, it was %.3f", windows[len(windows)-1].ratio(), before)
	}
	out.Warm = (time.Duration(low+1) * window).Milliseconds()
	return nil
}

// ratios returns the hit ratio before the kill, and the worst one after.
func (r *round) ratios(killed Instant) (before, lowest float64) {
	r.mu.Lock()
	var sum Shelf
	for _, s := range r.shelf {
		if s.at <= killed {
			sum = Shelf{sum.Reads + s.Reads, sum.Loads + s.Loads}
		}
	}
	r.mu.Unlock()
	lowest = 1
	for _, w := range r.windows(killed) {
		lowest = min(lowest, w.ratio())
	}
	return sum.ratio(), lowest
}

// windows sums up what was read in each full window after the kill.
func (r *round) windows(killed Instant) []Shelf {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Shelf
	for _, s := range r.shelf {
		if s.at <= killed {
			continue
		}
		i := int(s.at.sub(killed) / window)
		for len(out) <= i {
			out = append(out, Shelf{})
		}
		out[i] = Shelf{out[i].Reads + s.Reads, out[i].Loads + s.Loads}
	}
	return out[:max(0, len(out)-1)]
}

func (s Shelf) ratio() float64 {
	if s.Reads == 0 {
		return 0
	}
	return 1 - float64(s.Loads)/float64(s.Reads)
}

// spread is the least, the middle and the greatest of durations.
type spread struct{ least, median, most int64 }

func spreadOf(all []Recovery, of func(Recovery) int64) spread {
	var ms []int64
	for _, r := range all {
		ms = append(ms, of(r))
	}
	slices.Sort(ms)
	return spread{ms[0], ms[len(ms)/2], ms[len(ms)-1]}
}

func (s spread) String() string { return fmt.Sprintf("%d / %d / %d ms", s.least, s.median, s.most) }
