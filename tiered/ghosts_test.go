package tiered

import (
	"math/rand/v2"
	"sync"
	"testing"
)

func TestGhostsRememberTheLastMiss(t *testing.T) {
	g := newGhosts(0)
	const one, other = 5 | 1<<56, 5 | 2<<56 // of one place
	for i, step := range []struct {
		hash uint64
		want bool
	}{{one, false}, {one, true}, {one, true}, {other, false}, {one, false}, {other, false}, {other, true}} {
		if got := g.seen(step.hash); got != step.want {
			t.Errorf("step %d: seen = %v", i, got)
		}
	}
	neighbours := []uint64{4 | 7<<56, 6 | 7<<56, 7 | 7<<56}
	for _, hash := range neighbours {
		g.seen(hash)
	}
	for _, hash := range append(neighbours, other) {
		if !g.seen(hash) {
			t.Errorf("a neighbour made %#x forgotten", hash)
		}
	}
}

// Of keys that come once, one in 256 passes for one that has come before.
func TestGhostsKnowFewStrangers(t *testing.T) {
	g := newGhosts(1 << 20)
	const keys = 100_000
	known := 0
	for range keys {
		if g.seen(rand.Uint64()) {
			known++
		}
	}
	if known < keys/512 || known > keys/128 {
		t.Errorf("%d of %d keys that never came were known", known, keys)
	}
}

func TestGhostsAreSafeForConcurrentUse(t *testing.T) {
	g := newGhosts(0)
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			for range 1000 {
				g.seen(rand.Uint64())
			}
		})
	}
	users.Wait()
	if g.seen(1 << 56); !g.seen(1 << 56) {
		t.Error("the last miss is not remembered")
	}
}
