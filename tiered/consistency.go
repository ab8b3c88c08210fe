package tiered

import (
	"context"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/coherence"
)

// Consistency says what a cache promises about reads that begin after a write has
// returned. All processes must agree on it.
type Consistency uint8

const (
	// Bounded: no node serves an older value for longer than MaxStale.
	Bounded Consistency = iota

	// Acknowledged: the same, and after a write with the option Acked no node serves
	// an older value at all. Without Redis nothing is served from memory.
	Acknowledged

	// Strong: reads are linearizable. Every write waits until all nodes have confirmed
	// that they know of it, before the source is written; once a read has returned the
	// new value, on whatever node, no later read returns the old one. A write costs a
	// message to each node and back, and waits for at most MaxStale when one does not
	// answer. Without Redis nothing is served from memory, nor for FenceTTL after a
	// node has started or Redis has lost its data: reads go to the source. The node needs
	// a Monitor and must not be Proxied, as it does for Acknowledged.
	Strong
)

func (c Consistency) String() string {
	names := [...]string{"Bounded", "Acknowledged", "Strong"}
	if int(c) >= len(names) {
		return fmt.Sprintf("Consistency(%d)", uint8(c))
	}
	return names[c]
}

// DefaultStrongFenceTTL is that of caches that are not Bounded: what they do not
// know of Redis' past is over after it. It is three times MaxStale if that is more.
const DefaultStrongFenceTTL = 3 * time.Second

// agree fills in and checks what depends on the node.
func (c Config[V]) agree(node coherence.Config) (Config[V], error) {
	if c.Consistency > Strong {
		return c, fmt.Errorf("tiered.Config.Consistency: %v is unknown", c.Consistency)
	}
	if c.Consistency == Bounded {
		return c, nil
	}
	least := 3 * node.MaxStale
	if c.FenceTTL == 0 {
		c.FenceTTL = max(DefaultStrongFenceTTL, least)
	}
	if c.FenceTTL < least {
		return c, fmt.Errorf("tiered.Config.FenceTTL: %v is less than three times MaxStale (%v), which Consistency %v needs", c.FenceTTL, node.MaxStale, c.Consistency)
	}
	return c, nil
}

// leased reports whether a read that begins at t may be served from memory, or share
// a load. A lease is enough where a bound is promised; an assurance says that writers
// wait for this node.
func (c *Cache[V]) leased(t coherence.Instant) bool {
	if c.strong {
		return c.node.Assured(t)
	}
	return c.node.Leased(t)
}

// asks reports whether Redis is to be asked for key at now.
func (c *Cache[V]) asks(key string, now coherence.Instant) bool {
	return c.leased(now) && !c.space.Pending(key) && !(c.strong && c.space.Barred(key))
}

// Acked makes an Update or InvalidateMany of an Acknowledged cache wait until every
// node has confirmed it: see Strong, in which every write does.
func Acked() Option { return Option{kind: optionAcked} }

// acks reports whether a write waits for all nodes.
func (c *Cache[V]) acks(l lifetime) (bool, error) {
	if l.acked && !c.strong {
		return false, fmt.Errorf("tiercache: option Acked needs Config.Consistency Acknowledged, cache %q is %v", c.cfg.Name, c.cfg.Consistency)
	}
	return l.acked || c.cfg.Consistency == Strong, nil
}

// confirmed waits until every node knows of the fence. If its Redis has been replaced
// meanwhile, or too little of its life is left, the source must not be written.
func (c *Cache[V]) confirmed(ctx context.Context, w *writing[V]) error {
	if !w.acked {
		return nil
	}
	return c.node.Heard(ctx, w.receipt)
}
