package main

import (
	"math/rand/v2"
	"sync"
	"time"
)

// dice is a source of chance that goroutines share.
type dice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func newDice(seed uint64) *dice {
	return &dice{rand: rand.New(rand.NewPCG(seed, 3))}
}

func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.IntN(n)
}

func (d *dice) chance(p float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.Float64() < p
}

// skewed returns a number below n, each a third less likely than the one before: of 16 keys some are written all
// the time, and some so seldom that what should not be cached would be seen for long.
func (d *dice) skewed(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int(d.rand.ExpFloat64()*2.8) % n
}

// about returns a duration with the given mean, exponentially distributed.
func (d *dice) about(mean time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.rand.ExpFloat64() * float64(mean))
}

// between returns a duration in the range, evenly distributed.
func (d *dice) between(low, high time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return low + time.Duration(d.rand.Float64()*float64(high-low))
}

func (d *dice) shuffle(n int, swap func(i, j int)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rand.Shuffle(n, swap)
}

func (d *dice) seed() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.Uint64()
}
