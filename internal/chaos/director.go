package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// director breaks things, on two threads: one for Redis and one for the nodes and their links, so that a
// fault of each may be at work at the same time.
type director struct {
	fleet *fleet
	log   io.Writer // of faults and recoveries, a line each

	mu     sync.Mutex
	active map[string]int // kinds at work
	struck map[string]int
	fading sync.WaitGroup
}

// thread has dice of its own, so that the plan of each is that of the seed.
type thread struct {
	*director
	dice  *dice
	pause [2]time.Duration // between faults, at least and at most
}

func newDirector(f *fleet, log io.Writer) *director {
	return &director{fleet: f, log: log, active: make(map[string]int), struck: make(map[string]int)}
}

// storm strikes again and again until the context ends.
func (d *thread) storm(ctx context.Context, faults []fault) error {
	if len(faults) == 0 {
		<-ctx.Done()
		return nil
	}
	cards := &deck{all: faults, dice: d.dice}
	for sleep(ctx, d.dice.between(d.pause[0], d.pause[1])) == nil {
		x := cards.draw()
		switch err := d.strike(ctx, x); {
		case errors.Is(err, errNoChance):
			cards.later(x)
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("the fault %q: %w", x.kind, err)
		}
	}
	return nil
}

// strike lets one fault begin, last and end. What it does to reads may last for the bound longer.
func (d *thread) strike(ctx context.Context, x fault) error {
	began := now()
	d.enter(x.kind, 1)
	heal, err := x.begin(ctx, d)
	if errors.Is(err, errNoChance) {
		d.enter(x.kind, -1)
		return err
	}
	if err == nil {
		_ = sleep(ctx, d.dice.between(x.lasts[0], x.lasts[1])) // the end of the run heals too
	}
	if heal != nil {
		err = errors.Join(err, heal())
	}
	d.fade(x.kind)
	d.say("%s %s, %.1f s", d.fleet.record.since(began), x.kind, now().sub(began).Seconds())
	return err
}

// fade counts a fault that is over, and takes it for at work until it can do nothing to reads any more.
func (d *director) fade(kind string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.struck[kind]++
	d.fading.Go(func() {
		time.Sleep(bound)
		d.enter(kind, -1)
	})
}

// enter changes what is at work.
func (d *director) enter(kind string, by int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.active[kind] += by
	if d.active[kind] == 0 {
		delete(d.active, kind)
	}
	d.fleet.record.enter(slices.Sorted(maps.Keys(d.active)))
}

func (d *director) say(format string, args ...any) {
	d.mu.Lock() // both threads have something to say
	defer d.mu.Unlock()
	fmt.Fprintln(d.log, strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}

// struckSoFar returns how often each fault happened.
func (d *director) struckSoFar() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.struck)
}

// await polls until try returns nil, or tells why it has not.
func await(ctx context.Context, what string, patience time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		if sleep(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("not in %v: %s: %w", patience, what, err)
		}
	}
}
