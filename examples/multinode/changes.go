package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// writersAtOnce is how many price changes may run at one time.
const writersAtOnce = 8

// changer changes prices at a steady pace: random nodes, random keys.
type changer struct {
	keys  []string
	nodes []*process
	rng   *rand.Rand
	every time.Duration

	end    context.CancelFunc
	done   sync.WaitGroup
	places chan struct{} // of running writers

	mu      sync.Mutex
	changes []Change
	err     error
}

// begin starts the changes; stop ends them.
func (c *changer) begin(ctx context.Context) *changer {
	ctx, c.end = context.WithCancel(ctx)
	c.places = make(chan struct{}, writersAtOnce)
	c.done.Go(func() { c.run(ctx) })
	return c
}

func (c *changer) run(ctx context.Context) {
	for pause(ctx, c.every) == nil {
		p := c.nodes[c.rng.IntN(len(c.nodes))]
		args := UpdateArgs{Shelf: shelfPrice, Key: c.keys[c.rng.IntN(len(c.keys))], Cents: randomPrice(c.rng)}
		select {
		case c.places <- struct{}{}:
			c.done.Go(func() {
				c.change(context.WithoutCancel(ctx), p, args) // a change that began is waited for
				<-c.places
			})
		case <-ctx.Done():
		}
	}
}

func (c *changer) change(ctx context.Context, p *process, args UpdateArgs) {
	change, err := call[Change](ctx, p, "Update", args)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.err = errors.Join(c.err, err)
		return
	}
	c.changes = append(c.changes, change)
}

// stop ends the changes, waits for those under way and returns all of them.
func (c *changer) stop() ([]Change, error) {
	c.end()
	c.done.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changes, c.err
}

// soFar is how many changes have ended.
func (c *changer) soFar() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.changes)
}

// randomPrice is between 1.00 and 99.99.
func randomPrice(rng *rand.Rand) int64 { return 100 + rng.Int64N(9900) }

// update changes one price on one node.
func update(ctx context.Context, p *process, args UpdateArgs) (Change, error) {
	return call[Change](ctx, p, "Update", args)
}

// insist repeats an update until it is accepted. What was refused on the way
// wrote nothing; anything else ends it.
func insist(ctx context.Context, p *process, args UpdateArgs) (Change, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	for {
		c, err := update(ctx, p, args)
		if err != nil || c.Outcome != outcomeRefused {
			return c, err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return c, fmt.Errorf("node %s still refuses updates: %s", p.name, c.Err)
		}
	}
}

// answer is the end of an update.
type answer struct {
	change Change
	err    error
}

// holdWriter begins an update and returns when its writer has committed and
// waits for Release. The answer arrives when the update ends.
func holdWriter(ctx context.Context, p *process, args UpdateArgs) (Change, <-chan answer, error) {
	args.Hold = true
	ended := make(chan answer, 1)
	go func() {
		c, err := insist(ctx, p, args)
		ended <- answer{c, err}
	}()
	held, err := call[Change](ctx, p, "Held", callLimit)
	return held, ended, err
}

// count is how many of the changes came to the outcome.
func count(changes []Change, o Outcome) int {
	n := 0
	for _, c := range changes {
		if c.Outcome == o {
			n++
		}
	}
	return n
}
