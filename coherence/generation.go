package coherence

import "sync/atomic"

// stripes is the length of the generation table: 4 MB a node, shared by all
// spaces. Two keys on one stripe cost each other an extra read of L2, never a
// wrong value.
const stripes = 1 << 20

// generations counts, per stripe of keys, how often a key was invalidated.
//
// The generation of a key is epoch + stripe. Both terms only grow, so equal
// sums mean equal terms although they are read one after the other. A stripe
// wraps after 2^32 invalidations; copies live at most an hour, which would
// take more than a million a second on one stripe.
type generations struct {
	epoch  atomic.Uint64 // grows when every copy is void
	_      [56]byte      // keeps the epoch off the stripes' cache lines
	stripe [stripes]atomic.Uint32
}

func (g *generations) of(hash uint64) uint64 {
	return g.epoch.Load() + uint64(g.stripe[hash%stripes].Load())
}

func (g *generations) bump(hash uint64) { g.stripe[hash%stripes].Add(1) }

func (g *generations) flush() { g.epoch.Add(1) }
