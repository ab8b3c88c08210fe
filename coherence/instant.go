package coherence

import "time"

// Instant is a point on the node's monotonic clock, in nanoseconds since Join.
type Instant int64

// Add returns the instant d later.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Sub returns the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// Now reads the node's monotonic clock.
func (n *Node) Now() Instant { return Instant(time.Since(n.base)) }
