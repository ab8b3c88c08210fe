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
	zipf *rand.Zipf
}

func newDice(seed uint64) *dice {
	r := rand.New(rand.NewPCG(seed, 3))
	return &dice{rand: r, zipf: rand.NewZipf(r, 1.3, 2, 1<<20)}
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

// skewed returns a number below n; small ones are more likely.
func (d *dice) skewed(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int(d.zipf.Uint64() % uint64(n))
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
