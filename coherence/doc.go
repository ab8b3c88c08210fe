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
// entry and publishes it. Announcements that one node makes of a space while four
// are on their way already share the next entry, up to its limit of 256 keys or 4 KiB
// of them, so that Redis holds a bus of a few MB at most; one that comes alone waits for
// nothing. An announcement of more keys takes as many entries. When one of these is not
// confirmed, its keys and those that were to follow are owed: see journal, below.
//
// A node bumps the generation of the keys that an entry names; a copy is served
// only while the generation is what it was before the copy was read. Pub/sub
// delivers entries within a fraction of a millisecond. It may lose them: every
// Probe (100 ms) the node compares its position with the bus, and fetches from
// the ring what it missed. A probe sent at s that ends in step extends the
// node's lease to s + MaxStale. Copies are served under a lease only. Whoever
// waits for the node makes it probe at once, but not within an eighth of Probe
// after a probe that failed.
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
// # Keeping values over a failover
//
// Raising the epoch is safe and costs every shared copy. With Config.Warm the nodes
// keep them where they can prove that these are good. What a promoted replica or a
// restarted server holds is what its predecessor held at some earlier moment: a
// prefix of the history, for the values and for the bus, which are on one server. A
// value in it is too old only if its key was announced later, by an announcement that
// is lost with the erasure before it. So each node remembers its own announcements,
// and before anybody uses the new process every node erases and announces again what
// that process has lost of them, and reports. When all have reported who may have
// announced anything, the process is entered and the epoch stands; each node goes
// back to the last entry that both histories have and follows the new one from there,
// so that it drops the copies that were announced again, and only these. When one of
// them does not report within 2 MaxStale, the epoch is raised as above.
//
// Who may have announced anything? Redis keeps a list of members and refuses the
// announcement of anybody else. A newcomer announces nothing before all members have
// confirmed that they know of it, or their life on the list, of Config.Warm since
// they were last heard of, is over. A member that meets the new process while its own
// life on the list lasts has therefore confirmed everybody who announced since it
// came itself; it vouches for the time since it came and since it last saw somebody
// go, because who is gone can repeat nothing. One such member suffices. This rests on
// the old process answering nobody any more once all nodes have met the new one.
//
// A node that comes to an epoch which others have used before hands to the journal what it
// announced since the process was first met: others may have loaded values from there
// before these announcements reached the old one, if that did not know that it was
// replaced. A node remembers its announcements of the last five minutes, up to 16,384 keys.
// If it may have forgotten one of those, or they are more than the journal holds, it voids
// everything, as a journal that overflows does: nothing is dropped. Values of the new epoch
// were loaded after the process was met, so that what was announced before, by the clock of
// that Redis, need not be announced again.
//
// # Acknowledged announcements
//
// MaxStale is too long for a permission that was revoked. In a space with
// SpaceConfig.Acked an announcement returns when no node serves an older copy any
// more. A node that has such a space open attests: each probe enters it in the
// registry, a list in Redis, and reads the bus, in one script. A probe that did and
// ends in step makes the node assured until s + MaxStale; copies of acked spaces are
// served under the assurance only. APPEND returns the registry as the entry found it,
// and the announcer waits for each node on it: until the node confirms that it has
// applied the entry, or has left, or until the length of its lease has passed since
// the reply. A node that had to be outwaited is named by EventGone and taken off the
// registry, unless it has attested since, so that nobody waits for it again. A node that
// comes, and each node from time to time, outwaits in the same way those who died while
// nobody wrote. No clock of Redis decides who is waited for.
//
// A write of the source that must not be overtaken by reads is fenced: a cache puts a
// fence into Redis under which nobody caches the key, announces it, waits, and writes
// the source last (package tiered does). The entry carries the fence, and who applies
// it remembers the fence for its life, or until it is lifted, because Redis may lose
// the record of it. While a fence is remembered the key is Barred: reads go to the
// source, and what they return is neither kept nor shared with later reads.
//
// Proof that such reads are linearizable. Fences live no longer than F, the leases of
// nodes are no longer than F/3, and whoever writes does so within the fence's life. Let
// Redis execute the APPEND of a write at T, and let its wait end at W; the source is
// written after W, at V.
//
//  1. At V no assured node has a valid copy from before. Take a node that is assured
//     at t >= W, by a probe sent at s whose ATTEST ran at A. If A > T, the same
//     script read the bus after T, so that the entry was applied before the assurance
//     was granted (this is why a probe enters the registry first). If A < T and the
//     registry at T was the one of A, the node was on it: it confirmed, having
//     applied the entry, or its lease since the reply was waited for, which is longer
//     than the one since s < A < T, so that t < W. It was not on it only if it had
//     been outwaited before, for which the same holds, or had left, before which it
//     gave up its assurance.
//  2. If A < T and the registry was another one, the registry, the epoch or the Redis
//     process at T came into being after A. A writer waits for F after the birth of
//     each that it knows before it fences, and its announcement counts only if the
//     registry (error UNLISTED), the epoch and the process (see View) are those that
//     it knew. So t < s + F/3 < T, a contradiction.
//  3. From V on until the fence is over nobody makes such a copy. A load reads the
//     generation first, then looks for fences. If it has the generation from before
//     the entry was applied, its copy is never valid. If not, it knows of the fence,
//     which is noted before the generation moves. A node that has not applied the
//     entry since T in an unbroken chain (it came, or opened the space, later; it
//     missed entries; its Redis lost its data) counts every key as fenced for F since
//     then. Who stores in Redis what others will find looks again, at both, when it has
//     the lease of the record: a fence that stood there may be lost. And a writer keeps
//     what it wrote only if it knows of no other fence: Redis may have lost the one that
//     overlaps, and not know that the two do.
//  4. Whoever is not assured serves no copies, and joins no load that began before.
//     A load that read the source before V is shared with a read that begins at t
//     only if the node is assured at t and the generation has not moved: then t < W by
//     1 and 2.
//  5. So a read that begins after V returns what the source held after V, or what was
//     stored since; one that ends before V, what was before. The write takes effect at
//     V, and reads are ordered around it by the source.
//
// What it costs: one message to each node and one from each, for every write; a node
// that does not answer holds up one write, for MaxStale. Confirmations that fall due
// while others are being sent travel together, and a lost one is made up for by the
// registry within two probes. A fleet without acked spaces pays nothing.
//
// What it rests on, beyond the rest: each node sees which Redis process answers it, so
// that Acked is refused without a Monitor and with Config.Proxied, and nothing is assured
// where INFO is refused. F is the same in all processes. Copies and fences
// of other kinds of nodes (a space of the same name without Acked) are outside of it. The
// age of a registry or process that a node finds when it comes is taken from the clock
// of Redis: one that is set forward within F of a loss of data ends the wait early. A
// fence that Redis loses alone (eviction, DEL; a loss of history is noticed) is made up for
// by its writer, who announces the key again: if it dies as well, or hangs for F, a load
// that took the lease in the place of the fence may leave an old value.
//
// # Goroutines
//
// A node owns these, and Close ends and awaits all of them:
//
//   - the prober: extends the lease, repairs gaps, enters new Redis processes
//   - the receiver: reads the subscription and makes a new one after any error
//   - the pinger, one per subscription: a silent connection is a dead one
//   - the journal: repeats invalidations that Redis did not confirm
//   - the confirmer: tells writers what this node has applied
//   - up to four senders for each space, once announcements have queued; ended by
//     Space.Close too
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
//   - With Config.Warm, records expire by the clock of the promoted replica, which may
//     differ from its master's, and a clock of Redis that is set forward by more than
//     Warm while nodes are cut off ends their life on the list unseen.
//   - How long a Redis process has been known is taken from its own clock. One that is set
//     back while a node still announces to its predecessor hides announcements from that
//     node's repetition.
//   - On a Cluster, a master that is demoted and promoted again while a client
//     keeps its connections is not met anew on these. Set ConnMaxLifetime where
//     masters are switched back and forth by hand.
//   - While the slot of a Cluster that holds the bus is migrated, nodes are adrift:
//     reads go to the source and announcements are refused.
//   - A fence that Redis loses with its data, while the writer dies, hangs or fails in
//     doubt: what was loaded after the loss and before the write lands may be kept
//     until its TTL. No bound is claimed for the two together.
//   - Of the eviction policies only noeviction is sound. Each volatile-* may evict
//     fences under pressure: a writer that lives announces the key again, but one
//     that then dies or hangs, or whose error leaves the write in doubt, may leave
//     an old value until its TTL. allkeys-* may evict the bus as well, which is
//     noticed and voids all copies.
//   - A process that dies, or is killed, before an announcement has returned, or while its
//     journal holds keys, leaves the copies of the keys that it has not announced to live
//     out their time. Announce them again when it comes back: from an outbox that the
//     change wrote in the source, or by announcing all that the job covers.
//   - A journal that overflows voids all spaces of the fleet, not only those of its keys.
//   - The ring's length, the size of its entries and the number of stripes are constants:
//     those of the ring are part of the wire format.
//   - Within MaxStale a reader that moves from one node to another may see
//     time go back.
//   - Fleets of the same name in different databases of one Redis share their
//     channels, which costs needless probes; give them different names.
package coherence
