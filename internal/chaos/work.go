package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

const (
	keys      = 16 // so few that operations collide
	shelfKeys = 512

	workers  = 6 // of a node: any operation, slowly
	spinners = 6 // reads as fast as a hit allows
	burst    = 128
	missed   = 200 * time.Microsecond // is longer than a hit takes

	thinking = 30 * time.Millisecond // mean pause of a worker
)

var keyNames, shelfNames = names("k%02d", keys), names("s%03d", shelfKeys)

func names(format string, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf(format, i))
	}
	return out
}

// work uses the cache until the director says stop.
func (n *node) work() {
	var group sync.WaitGroup
	for range workers {
		group.Go(func() { n.each(thinking, n.anything) })
	}
	for range spinners {
		group.Go(n.spin)
	}
	group.Go(func() { n.each(2*time.Millisecond, n.browse) })
	group.Wait()
}

func (n *node) each(pause time.Duration, do func(context.Context)) {
	for sleep(n.ctx, n.dice.about(pause)) == nil {
		// Once begun, an operation is finished: stopping is no fault.
		ctx, cancel := context.WithTimeout(context.Background(), 2*loading)
		do(ctx)
		cancel()
	}
}

// anything is one operation of any kind.
func (n *node) anything(ctx context.Context) {
	switch x := n.dice.below(100); {
	case x < 50:
		n.get(ctx, n.key())
	case x < 62:
		n.getMany(ctx, n.someKeys())
	case x < 72:
		n.peek(ctx, n.key())
	case x < 92:
		n.update(ctx, n.key())
	default:
		n.writeOutside(ctx, n.someKeys())
	}
}

func (n *node) key() string { return keyNames[n.dice.skewed(keys)] }

func (n *node) someKeys() []string {
	var out []string
	for range 1 + n.dice.below(4) {
		out = append(out, n.key()) // the same one twice is fine
	}
	return out
}

// spin reads a key in a burst as long as it hits: hits are what must not be stale. The pauses leave the machine to
// the others.
func (n *node) spin() {
	merged, d := newStreak(&n.notes.tally), newDice(n.dice.seed()) // not shared: no lock is waited for
	handed := n.clock.now()
	for sleep(n.ctx, time.Millisecond) == nil {
		at := n.clock.now()
		if at.sub(handed) > reportEvery/2 {
			merged.flush()
			handed = at
		}
		key := keyNames[d.below(keys)]
		for i, last := 0, at; i < burst && at.sub(last) < missed; i++ {
			last, at = at, n.hit(merged, key)
		}
	}
	merged.flush()
}

// hit returns when the read began.
func (n *node) hit(merged *streak, key string) Instant {
	r := Reads{Verb: "Get", Key: key, Count: 1, Latest: n.clock.now()}
	v, err := n.cache.Get(n.ctx, key, n.load, lifeOf(key))
	if n.read(&r, v, err) {
		merged.add(r)
	}
	return r.Latest
}

func (n *node) get(ctx context.Context, key string) {
	r := Reads{Verb: "Get", Key: key, Count: 1, Latest: n.clock.now()}
	v, err := n.cache.Get(ctx, key, n.load, lifeOf(key))
	n.note(r, v, err)
}

func (n *node) peek(ctx context.Context, key string) {
	r := Reads{Verb: "Peek", Key: key, Count: 1, Latest: n.clock.now()}
	v, err := n.cache.Peek(ctx, key)
	if !errors.Is(err, tiered.ErrMiss) {
		n.note(r, v, err)
	}
}

func (n *node) getMany(ctx context.Context, keys []string) {
	began := n.clock.now()
	values, err := n.cache.GetMany(ctx, keys, n.loadMany, lifeOf(keys[0]))
	var failed *tiered.KeysError
	if err != nil && !errors.As(err, &failed) {
		failed = &tiered.KeysError{Failed: make(map[string]error)}
		for _, key := range keys {
			failed.Failed[key] = err
		}
	}
	for _, key := range keys {
		v, found := values[key]
		var err error
		switch {
		case found:
		case failed != nil && failed.Failed[key] != nil:
			err = failed.Failed[key]
		default:
			err = tiered.ErrNotFound
		}
		n.note(Reads{Verb: "GetMany", Key: key, Count: 1, Latest: began}, v, err)
	}
}

// browse reads what nobody writes.
func (n *node) browse(ctx context.Context) {
	key := shelfNames[n.dice.below(shelfKeys)]
	var loaded atomic.Bool
	r := Reads{Verb: "Get", Key: key, Count: 1, Latest: n.clock.now()}
	v, err := n.cache.Get(ctx, key, func(ctx context.Context, key string) (Value, error) {
		loaded.Store(true)
		return n.readSource(ctx, key)
	}, tiered.WithTTL(10*time.Minute))
	n.note(r, v, err)
	n.notes.shelved(loaded.Load() || err != nil)
}

func (n *node) note(r Reads, v Value, err error) {
	if n.read(&r, v, err) {
		n.notes.tally.add(r)
	}
}

// read completes what was read, or sorts the error into those that are allowed and those that are not.
func (n *node) read(r *Reads, v Value, err error) bool {
	var panicked *tiered.PanicError
	switch {
	case err == nil && v.Key == r.Key && v.Version > 0:
		r.Version = v.Version
		return true
	case errors.Is(err, tiered.ErrNotFound) && !errors.As(err, &panicked):
		r.Absent, r.Ended = true, now()
		return true
	case err == nil:
		n.notes.wrong(fmt.Sprintf("%s of %s on %s returned %+v", r.Verb, r.Key, n.cfg.Name, v))
	case errors.Is(err, errSource), errors.Is(err, context.DeadlineExceeded), errors.Is(err, tiered.ErrLoadTimeout),
		errors.Is(err, context.Canceled) && n.ctx.Err() != nil:
		n.notes.count("reads failed")
	default:
		n.notes.wrong(fmt.Sprintf("%s of %s on %s: error %v", r.Verb, r.Key, n.cfg.Name, err))
	}
	return false
}
