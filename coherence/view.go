package coherence

import (
	"sync/atomic"
	"time"
)

// A View is what a node takes for Redis' history at one moment. Take it before
// a read or a script whose reply shall be believed, and believe the reply only
// if the view still Holds afterwards: if an unknown Redis process was met
// meanwhile, the reply may come from a lost or an older history; if the epoch was
// raised, whatever was announced by that reached no fence and no lease.
type View struct {
	Epoch uint64 // of L2: values stamped with a lower one are void
	met   uint64
}

// View returns the node's view; ok is false while an unknown Redis process has
// been met and not been entered into the fleet's records, and before the node
// has joined: Redis is not to be asked for data then.
func (n *Node) View() (v View, ok bool) {
	v.met, ok = n.monitor.view()
	v.Epoch = n.history.epoch.Load()
	return v, ok && v.Epoch != 0
}

// Holds reports whether no unknown Redis process was met, and no higher epoch, since v
// was taken.
func (n *Node) Holds(v View) bool {
	return n.monitor.met.Load() == v.met && n.history.epoch.Load() == v.Epoch
}

// redisClock relates the node's clock to that of the bus' Redis. Only rates are
// assumed to agree, and both bounds are kept: a probe sent at s and answered at
// r read the Redis clock somewhere in between.
type redisClock struct {
	low, high atomic.Int64 // Redis time at instant 0, ns since 1970
}

func (c *redisClock) set(s, r Instant, now time.Time) {
	c.low.Store(now.UnixNano() - int64(r))
	c.high.Store(now.UnixNano() - int64(s))
}

// RedisLatest returns the latest that the Redis clock can show at t, in ms since
// 1970: what has not expired by it has not expired.
func (n *Node) RedisLatest(t Instant) int64 { return ceilMillis(n.clock.high.Load() + int64(t)) }

// RedisEarliest returns the earliest that the Redis clock can show at t, in ms
// since 1970: a lifetime counted from it does not end late.
func (n *Node) RedisEarliest(t Instant) int64 {
	return (n.clock.low.Load() + int64(t)) / int64(time.Millisecond)
}

func ceilMillis(ns int64) int64 {
	return (ns + int64(time.Millisecond) - 1) / int64(time.Millisecond)
}
