package tiered

import "sync/atomic"

// ghosts remembers which keys were missed of late: a byte of the hash of the last one
// that fell into each place. It takes one in 256 that is new for an old one.
type ghosts []atomic.Uint32 // four places each

func newGhosts(maxBytes int64) ghosts {
	const bytesPerPlace = 256 // of MaxLocalBytes: about one for each of the smallest entries
	n := int64(64)
	for 2*n*bytesPerPlace <= maxBytes {
		n *= 2
	}
	return make(ghosts, n/4)
}

// seen reports whether the key was missed of late, and remembers it. Of two at
// once in neighbouring places one may be forgotten.
func (g ghosts) seen(hash uint64) bool {
	word, shift := &g[hash>>2&uint64(len(g)-1)], hash&3*8
	old, print := word.Load(), uint32(hash>>56)
	if old>>shift&0xff == print {
		return true
	}
	word.CompareAndSwap(old, old&^(0xff<<shift)|print<<shift)
	return false
}
