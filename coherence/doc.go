// Package coherence keeps in-process copies of anything coherent across
// processes: caches, parsed templates, compiled rules. One Redis is the
// meeting place. Its promise: after a change was announced, no node serves an
// older copy for longer than MaxStale, whatever message was lost.
//
//	node, err := coherence.Join(ctx, rdb, coherence.Config{Fleet: "shop"})
//	rules, err := node.Space(coherence.SpaceConfig{Name: "rules"})
//
//	stamp := rules.Stamp(id)        // before the first read of the source
//	rule := compile(load(id))       // keep rule and stamp together
//	if rules.Valid(stamp) { ... }   // at every use
//	err = rules.Announce(ctx, id)   // after every change
//
// Package tiered builds a two-tier cache on it.
//
// # How it works
//
// Announcements are entries of the bus, a small hash in Redis: a sequence
// number, the nonce of the last entry, an epoch, and a ring of the last 1024
// entries. Each entry names the nonce of the one before it, so that a node can
// tell whether it has followed the history that Redis has now. APPEND writes an
// entry and publishes it.
//
// A node bumps the generation of the keys that an entry names; a copy is served
// only while the generation is what it was before the copy was read. Pub/sub
// delivers entries within a fraction of a millisecond. It may lose them: every
// Probe (100 ms) the node compares its position with the bus, and fetches from
// the ring what it missed. A probe sent at s that ends in step extends the
// node's lease to s + MaxStale. Copies are served under a lease only.
//
// Proof of the bound. Let Redis execute the APPEND of a change at T, before
// Announce returns. A hit at t passed t <= s + MaxStale for a probe sent at s
// that ended in step. If s >= T that probe's reply contained the entry, and the
// generation was bumped before the lease was extended, so the hit's generation
// check fails. So s < T and t < T + MaxStale. Only the rate of the local
// monotonic clock matters; no two clocks are compared.
//
// # Loss of history
//
// Redis can go back in time: a restart on a snapshot, a failover to a replica
// that lags, FLUSHALL. A Monitor reads run_id and master_replid on every new
// connection, because the first changes with every start and the second with
// every promotion. A process that the fleet has not met before raises the
// epoch, which voids every shared copy stamped with an older one, and what it
// says is not believed until then (see View). A position that contradicts the
// node's own (a smaller number, or an equal one with another nonce) raises it
// as well. Epochs never fall: MEET asks for one above the highest that the node
// has seen.
//
// # Goroutines
//
// A node owns these, and Close ends and awaits all of them:
//
//   - the prober: extends the lease, repairs gaps, enters new Redis processes
//   - the receiver: reads the subscription and makes a new one after any error
//   - the pinger, one per subscription: a silent connection is a dead one
//   - the journal: repeats invalidations that Redis did not confirm
//
// and the go-redis client that carries the probe, whose connections are apart
// from the caller's pool: a pool under load must not cost the lease.
//
// # Caveats
//
//   - Changes that nobody announces are outside every promise.
//   - A machine that is suspended may stop the monotonic clock. The prober
//     compares it with the wall clock and drops the lease when they part; until
//     that first probe after the resume, copies may be served too long.
//   - Two masters at once (split brain) need settings of the server that keep
//     the old one from taking writes: min-replicas-to-write and
//     min-replicas-max-lag.
//   - Behind Sentinels the probe asks for the master anew every MaxStale/4 and
//     the lease is MaxStale/2, because an old master may live on after a
//     failover. The bound is as good as the Sentinel's answer: while Sentinels
//     disagree about the master, a node may follow the old one.
//   - On a Cluster, a master that is demoted and promoted again while a client
//     keeps its connections is not met anew on these. Set ConnMaxLifetime where
//     masters are switched back and forth by hand.
//   - Eviction policies noeviction, volatile-lru and volatile-lfu are sound.
//     allkeys-* may evict the bus, which is noticed and voids all copies;
//     volatile-ttl and volatile-random may evict fences.
//   - The ring's length and the number of stripes are constants: the ring's is
//     part of the wire format.
//   - Within MaxStale a reader that moves from one node to another may see
//     time go back.
//   - Fleets of the same name in different databases of one Redis share their
//     channels, which costs needless probes; give them different names.
package coherence
