package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

const (
	keys      = 16 // so few that operations collide
	shelfKeys = 512

	workers  = 6                      // of a node: any operation, slowly
	spinners = 6                      // reads as fast as a hit allows
	missed   = 200 * time.Microsecond // is longer than a hit takes
)

var (
	keyNames, keyNumbers = names("k%02d", keys)
	shelfNames, _        = names("s%03d", shelfKeys)
)

func names(format string, n int) (names []string, numbers map[string]int) {
	numbers = make(map[string]int)
	for i := range n {
		names = append(names, fmt.Sprintf(format, i))
		numbers[names[i]] = i
	}
	return names, numbers
}

// client is one goroutine that uses the cache.
type client struct {
	*node
	number int
	seen   sink
	pace   pace
}

// pace is how fast a client is.
type pace struct {
	thinking time.Duration // mean pause between operations of any kind
	pause    time.Duration // between bursts of hits
	burst    int           // reads
	patience time.Duration // with a load
}

// With -strong each read is recorded and takes porcupine some microseconds. Small bursts of many keys meet more writes.
var (
	merging   = pace{30 * time.Millisecond, time.Millisecond, 128, time.Minute}
	recording = pace{10 * time.Millisecond, 3 * time.Millisecond, 64, 10 * time.Millisecond}
)

// hire returns the clients of a node.
func (n *node) hire(count int) (all []*client) {
	for i := range count {
		c := &client{node: n, number: i, seen: newStreak(&n.notes.tally), pace: merging}
		if n.cfg.Strong {
			c.seen, c.pace = n.logs.open(), recording
		}
		all = append(all, c)
	}
	return all
}

// work uses the cache until the director says stop.
func (n *node) work() {
	var group sync.WaitGroup
	all := n.hire(workers + spinners)
	for _, c := range all[:workers] {
		group.Go(func() { c.each(c.pace.thinking, c.anything) })
	}
	for _, c := range all[workers:] {
		group.Go(c.spin)
	}
	browser := &client{node: n, seen: newStreak(&n.notes.tally)}
	group.Go(func() { browser.each(2*time.Millisecond, browser.browse) })
	group.Wait()
}

func (c *client) each(pause time.Duration, do func(context.Context)) {
	for sleep(c.ctx, c.dice.about(pause)) == nil {
		// Once begun, an operation is finished: stopping is no fault.
		ctx, cancel := context.WithTimeout(context.Background(), 2*loading)
		do(ctx)
		cancel()
		c.seen.flush()
	}
}

// anything is one operation of any kind.
func (c *client) anything(ctx context.Context) {
	switch x := c.dice.below(100); {
	case x < 50:
		c.get(ctx, c.key())
	case x < 62:
		c.getMany(ctx, c.someKeys())
	case x < 72:
		c.peek(ctx, c.key())
	case x < 92:
		c.update(ctx, c.key())
	default:
		c.invalidate(ctx, c.someKeys())
	}
}

func (c *client) key() string { return keyNames[c.dice.skewed(keys)] }

func (c *client) someKeys() []string {
	var out []string
	for range 1 + c.dice.below(4) {
		out = append(out, c.key()) // the same one twice is fine
	}
	return out
}

// spin reads a key in a burst as long as it hits: hits are what must not be stale. The pauses leave the machine to
// the others.
func (c *client) spin() {
	d := newDice(c.dice.seed()) // not shared: no lock is waited for
	handed := c.clock.now()
	for sleep(c.ctx, c.pace.pause) == nil {
		at := c.clock.now()
		if at.sub(handed) > reportEvery/2 {
			c.seen.flush()
			handed = at
		}
		if c.behind.Load() {
			continue
		}
		c.burst(keyNames[d.below(keys)], at)
	}
	c.seen.flush()
}

// burst ends with the first read that is no hit, which may fail.
func (c *client) burst(key string, at Instant) {
	ctx, cancel := context.WithTimeout(c.ctx, c.pace.patience)
	defer cancel()
	for i, last := 0, at; i < c.pace.burst && at.sub(last) < missed; i++ {
		last, at = at, c.get(ctx, key)
	}
}

// get returns when the read began.
func (c *client) get(ctx context.Context, key string) Instant {
	r := Reads{Verb: "Get", Key: key, Count: 1, Latest: c.clock.now()}
	v, err := c.cache.Get(ctx, key, c.load, lifeOf(key))
	c.note(r, v, err)
	return r.Latest
}

func (c *client) peek(ctx context.Context, key string) {
	r := Reads{Verb: "Peek", Key: key, Count: 1, Latest: c.clock.now()}
	v, err := c.cache.Peek(ctx, key)
	if !errors.Is(err, tiered.ErrMiss) {
		c.note(r, v, err)
	}
}

func (c *client) getMany(ctx context.Context, keys []string) {
	began := c.clock.now()
	values, err := c.cache.GetMany(ctx, keys, c.loadMany, lifeOf(keys[0]))
	var failed *tiered.KeysError
	if err != nil && !errors.As(err, &failed) {
		failed = &tiered.KeysError{Failed: make(map[string]error)}
		for _, key := range keys {
			failed.Failed[key] = err
		}
	}
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		v, found := values[key]
		var err error
		switch {
		case found:
		case failed != nil && failed.Failed[key] != nil:
			err = failed.Failed[key]
		default:
			err = tiered.ErrNotFound
		}
		c.note(Reads{Verb: "GetMany", Key: key, Count: 1, Latest: began}, v, err)
	}
}

// browse reads what nobody writes.
func (c *client) browse(ctx context.Context) {
	key := shelfNames[c.dice.below(shelfKeys)]
	var loaded atomic.Bool
	r := Reads{Verb: "Get", Key: key, Count: 1, Latest: c.clock.now()}
	v, err := c.cache.Get(ctx, key, func(ctx context.Context, key string) (Value, error) {
		loaded.Store(true)
		return c.readSource(ctx, key)
	}, tiered.WithTTL(10*time.Minute))
	c.note(r, v, err)
	c.notes.shelved(loaded.Load() || err != nil)
}

func (c *client) note(r Reads, v Value, err error) {
	if c.read(&r, v, err) {
		c.seen.add(r)
	}
}

// read completes what was read, or sorts the error into those that are allowed and those that are not.
func (c *client) read(r *Reads, v Value, err error) bool {
	r.Ended = c.clock.after()
	var panicked *tiered.PanicError
	switch {
	case err == nil && v.Key == r.Key && v.Version > 0:
		r.Version = v.Version
		return true
	case errors.Is(err, tiered.ErrNotFound) && !errors.As(err, &panicked):
		r.Absent = true
		return true
	case err == nil:
		c.notes.wrong(fmt.Sprintf("%s of %s on %s returned %+v", r.Verb, r.Key, c.cfg.Name, v))
	case errors.Is(err, errSource), errors.Is(err, context.DeadlineExceeded), errors.Is(err, tiered.ErrLoadTimeout),
		errors.Is(err, context.Canceled) && c.ctx.Err() != nil:
		c.notes.count("reads failed")
	default:
		c.notes.wrong(fmt.Sprintf("%s of %s on %s: error %v", r.Verb, r.Key, c.cfg.Name, err))
	}
	return false
}
