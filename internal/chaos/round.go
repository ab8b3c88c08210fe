package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Recovery is how long after a kill -9 the fleet was whole again, in milliseconds.
type Recovery struct {
	Promoted int64 `json:"promoted"`     // another server is master, and all who can tell agree
	InStep   int64 `json:"in_step"`      // every node is in step; 0: none was adrift
	Update   int64 `json:"first_update"` // return of the first Update that began after it, of a key of that master
	Warm     int64 `json:"warm"`         // the hit ratio is back at nine tenths of what it was
	Rejoined int64 `json:"rejoined"`     // the killed server is a replica in sync

	Lowest float64 `json:"lowest_hit_ratio"` // in any window since the kill
	Before float64 `json:"hit_ratio"`        // until then
}

// round is one failover, as the reports tell it. It is safe for concurrent use.
type round struct {
	holds  func(key string) bool // whether the victim does
	killed Instant

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

func (r *round) elapsed() int64 { return now().sub(r.killed).Milliseconds() }

// recovered fills in when the nodes were in step and writing again, or tells what is missing.
func (r *round) recovered(f *fleet, out *Recovery) error {
	if err := f.ready(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.steps {
		if at > r.killed {
			out.InStep = max(out.InStep, at.sub(r.killed).Milliseconds())
		}
	}
	var first Instant
	for _, w := range r.updates {
		if w.Began > r.killed && r.holds(w.Key) && (first == 0 || w.At < first) {
			first = w.At
		}
	}
	if first == 0 {
		return errors.New("no Update has succeeded")
	}
	out.Update = first.sub(r.killed).Milliseconds()
	return nil
}

// window is what a hit ratio is measured over.
const window = 500 * time.Millisecond

// warm fills in when the hit ratio was back at nine tenths of what it had been, for good.
func (r *round) warm(out *Recovery) error {
	before, _ := r.ratios()
	windows := r.windows()
	low := -1
	for i, w := range windows {
		if w.ratio() < before*0.9 {
			low = i
		}
	}
	if low >= len(windows)-3 {
		return fmt.Errorf("the hit ratio was %.3f, and is below nine tenths of it", before)
	}
	out.Warm = (time.Duration(low+1) * window).Milliseconds()
	return nil
}

// ratios returns the hit ratio before the kill, and the worst one after.
func (r *round) ratios() (before, lowest float64) {
	lowest = 1
	for _, w := range r.windows() {
		lowest = min(lowest, w.ratio())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var sum Shelf
	for _, s := range r.shelf {
		if s.at <= r.killed {
			sum.add(s.Shelf)
		}
	}
	return sum.ratio(), lowest
}

// windows sums up what was read in each full window after the kill.
func (r *round) windows() []Shelf {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Shelf
	for _, s := range r.shelf {
		if s.at <= r.killed {
			continue
		}
		i := int(s.at.sub(r.killed) / window)
		for len(out) <= i {
			out = append(out, Shelf{})
		}
		out[i].add(s.Shelf)
	}
	return out[:max(0, len(out)-1)]
}

func (s *Shelf) add(o Shelf) {
	s.Reads += o.Reads
	s.Loads += o.Loads
}

func (s Shelf) ratio() float64 {
	if s.Reads == 0 {
		return 0
	}
	return 1 - float64(s.Loads)/float64(s.Reads)
}

// spread is the least, the middle and the greatest of durations, in milliseconds.
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
