package simulation

import (
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// Times are the durations that a fleet is run with.
type Times struct {
	Probe, Bound, Timeout     time.Duration // H, D, and the longest round trip
	Warm                      time.Duration // coherence.Config.Warm
	Strong                    bool          // caches are tiered.Strong, nothing is written past them, and I1 has no bound
	Fence, Lease, Load, Wait  time.Duration // FenceTTL, LeaseTTL, LoadTimeout, WaitMax
	Fresh, Stale, NotFound    time.Duration // TTL, StaleTTL, NotFoundTTL
	Latency                   time.Duration // of the source, usually
	Slack                     time.Duration // that a machine may add to what is not compared by order alone
	Calm, Storm, Think, Hurry time.Duration // length of a quiet and a broken phase; a worker's pause in each
}

// Defaults are the defaults of the library, for a simulated clock.
func Defaults() Times {
	return Times{
		Probe: 100 * time.Millisecond, Bound: time.Second, Timeout: 250 * time.Millisecond,
		Fence: 10 * time.Second, Lease: 2 * time.Second, Load: 10 * time.Second, Wait: 5 * time.Second,
		Fresh: 10 * time.Second, Stale: 10 * time.Second, NotFound: 5 * time.Second,
		Latency: 10 * time.Millisecond,
		Calm:    100 * time.Second, Storm: 6 * time.Second, Think: 10 * time.Second, Hurry: 250 * time.Millisecond,
	}
}

// Warm are the times of a fleet that keeps its values over a restart of Redis. The life of a member is short, so
// that newcomers do not wait for long until they may write.
func Warm() Times {
	t := Defaults()
	t.Warm = 4 * time.Second
	return t
}

// Strong are the times of a fleet whose reads are linearizable. It is busy, so that
// operations on a key overlap.
func Strong() Times {
	t := Defaults()
	t.Strong, t.Fence = true, tiered.DefaultStrongFenceTTL
	t.Calm, t.Think, t.Hurry = 20*time.Second, 200*time.Millisecond, 20*time.Millisecond
	return t
}

// Relaxed are the times of a fleet that may serve values up to ten seconds old.
func Relaxed() Times {
	t := Defaults()
	t.Probe, t.Bound, t.Load = time.Second, 10*time.Second, 30*time.Second
	t.Fresh, t.Stale, t.NotFound = 5*time.Minute, 5*time.Minute, time.Minute
	t.Calm, t.Storm, t.Think, t.Hurry = 20*time.Minute, time.Minute, 2*time.Minute, 3*time.Second
	return t
}

// Odd are times drawn at random from what a configuration may say: timeouts beyond the bound, leases and fences
// shorter than loads and writes, values that expire all the time.
func Odd(seed uint64) Times {
	d := newDice(seed)
	between := func(low, high time.Duration) time.Duration { return low + d.upTo(high-low) }
	t := Defaults()
	t.Probe = between(20*time.Millisecond, 500*time.Millisecond)
	t.Bound = between(3*t.Probe, 20*t.Probe)
	t.Timeout = between(50*time.Millisecond, 2*time.Second)
	t.Fence = between(t.Timeout, 20*t.Timeout)
	t.Lease = between(100*time.Millisecond, 5*time.Second)
	t.Load = between(t.Bound, 10*t.Bound+5*time.Second)
	t.Wait = between(time.Second, 10*time.Second)
	t.Fresh = between(500*time.Millisecond, 30*time.Second)
	t.Stale = between(0, 30*time.Second)
	t.NotFound = between(100*time.Millisecond, t.Fresh)
	t.Latency = between(time.Millisecond, 30*time.Millisecond)
	t.Storm = between(6*t.Bound, 6*t.Bound+10*time.Second)
	t.Calm = 2*t.Storm + 10*time.Second
	t.Think = time.Second
	return t
}

// Hasty are the times for real processes: short, so that a scenario is over in seconds.
func Hasty() Times {
	return Times{
		Probe: 50 * time.Millisecond, Bound: 500 * time.Millisecond, Timeout: 200 * time.Millisecond,
		Fence: time.Second, Lease: 500 * time.Millisecond, Load: 2 * time.Second, Wait: time.Second,
		Fresh: 3 * time.Second, Stale: time.Second, NotFound: 500 * time.Millisecond,
		Latency: 2 * time.Millisecond, Slack: 30 * time.Second,
		Calm: 300 * time.Millisecond, Storm: 500 * time.Millisecond, Think: 50 * time.Millisecond, Hurry: 50 * time.Millisecond,
	}
}
