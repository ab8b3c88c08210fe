// Package tiered is a two-tier cache: ristretto in each process above one Redis,
// faster than either alone and never staler than a stated bound.
//
//	products, err := tiered.New(node, tiered.Config[Product]{Name: "product", TTL: 5 * time.Minute})
//
//	p, err := products.Get(ctx, id, repo.Product)      // cache-aside
//	p, err = products.Update(ctx, id, repo.SavePrice)  // write-through, fenced
//	err = products.Invalidate(ctx, id)                 // the source was written elsewhere
//
// # What is promised
//
// After Update or Invalidate has returned nil, no node serves an older value for
// longer than coherence.Config.MaxStale (1 s), and the writer's own node not at
// all. That holds whatever message was lost, whichever reader was in the middle
// of a load, and when Redis restarts on old data or fails over; see package
// coherence for the proof. A value's TTL plays no part in it.
//
// # A local hit
//
// A copy proves itself at every hit, in this order: the node's lease (it has
// heard everything announced up to MaxStale ago), the key's generation (nothing
// was announced since before the copy was read), the expiry. Ristretto decides what
// is kept; its deletions are not relied upon. Once the tier is full it takes a key
// when it is missed for the second time: what is read once pushes nothing out.
//
// # The record of a key in Redis
//
// One string a key, which is a value, a lease (somebody is loading) or fences
// (somebody is writing). A load stores its value only under the lease that it
// took, and an invalidation takes the lease away: the delete that races a load
// wins. Update fences the key before it calls the writer, so that a crash at any
// point leaves no old value behind: nobody caches a fenced key, and a fence
// expires. When fences of two writers overlap, neither writes through, because
// nobody can tell whose value the source holds.
//
// A value over MaxValueBytes is returned and not stored. Its key then holds a short
// record that says so: readers load, and wait for nobody, until it expires after ten
// seconds or is written. A refresh that finds such a value, or none, invalidates the
// old one on every node, because nothing fresh would ever replace it.
//
// # Sharing loads
//
// Reads of one key share a load in the process (singleflight) and across the
// fleet (the lease; waiters are woken by the holder). A read joins only a load
// that began after the last invalidation it must see: the flight's key holds the
// generation. Each waiter obeys its own context, and a load that nobody waits
// for is cancelled. The read that begins a flight makes the first look into Redis
// in its own goroutine; what is left to do after that goes on without it.
//
// Reads of different keys share round trips: while some are under way, the next
// ones queue, and are sent together as one MGET (on a Cluster, as a pipeline to the
// node that has them). Nobody waits for company. A record that a copy in memory stands
// for is not decoded again. While three in four reads find nothing in Redis, as after a
// cold start, a read asks for the lease at once, which answers with the record if there
// is one: a miss takes two round trips then instead of three.
//
// Each read obeys its own context, with one exception: one that queued behind nobody asks
// Redis in its own goroutine, which costs no switch between goroutines, and go-redis heeds
// deadlines while it waits for a reply but no cancellation. If such a read is cancelled
// while Redis does not answer, it returns late, by coherence.Config.Timeout at most. A
// deadline that is nearer than that is kept: another goroutine asks then.
//
// # Without Redis
//
// The lease is the circuit breaker. A node that has not reached Redis for
// MaxStale does not ask it any more, so no call pays a timeout; it loads from the
// source, at most SourceLimit at once, and keeps what it loaded for MaxStale.
// Update is refused (ErrNotWritten): what cannot be announced is not written.
//
// # Consistency
//
// MaxStale is right for a catalogue. Config.Consistency asks for more, cache by cache:
//
//   - Bounded, the default: nobody serves an older value for longer than MaxStale.
//   - Acknowledged: after a write with the option Acked, nobody serves an older one.
//   - Strong: reads are linearizable. Every write waits for all nodes before it writes
//     the source: prices at checkout, permissions, switches.
//
// The last two are proved in package coherence under "Acknowledged announcements".
// Their hits cost what others cost. A write costs a message to each node and back; one
// node that does not answer holds up one write, for MaxStale at most. Nothing is served
// from memory without Redis, nor for FenceTTL after a node has started and after Redis
// has lost its data, when writes wait as well: reads load from the source then, one
// load of a key at a time and one that waits. A source that is not linearizable itself
// (lagging replicas) makes reads no better than it is.
//
// Who needs to see one particular write, and no more, carries a token instead: Issue
// makes a write return it, AtLeast makes reads on any node heed it.
//
// A writer that was suspended for longer than its fence lived may overtake others: the
// source can refuse it, see Fence.
//
// # Goroutines
//
// Loaders run in goroutines of their own, as do flights that Redis has no value
// for, batches of GetMany (one goroutine for each core at most), refreshes, and the
// renewal of a lease while its load runs. Up to four more send the reads that have
// queued (on a Cluster, four for each node that was asked); they are started when
// needed and stay. Close cancels their contexts and waits for all of them. Ristretto
// has its own and ends them.
//
// # Caveats
//
//   - Writes that bypass Update and Invalidate are seen when the TTL ends.
//   - A source with lagging replicas: load from the primary, or an old row is
//     cached after the write that replaced it.
//   - coherence.Config.Timeout bounds a whole round trip. A value that takes longer to
//     travel (6 MiB over 120 Mbit/s at the default) is loaded by each node that wants it:
//     choose a Timeout that fits MaxValueBytes and the network. EventUnstored tells.
//   - Values are shared between readers unless Config.Clone is set.
//   - A loader that calls back into the cache for its own key waits for itself
//     until its context ends.
//   - An Update whose writer failed with an error that is not RolledBack leaves
//     its key uncached until FenceTTL is over. If Redis loses the fence meanwhile, and
//     the write lands later, an old value may be kept until its TTL and StaleTTL.
//   - Strong: Invalidate follows a write that was made elsewhere, so that until it has
//     returned one node may serve the new value and another the old one. Reads are
//     linearizable with respect to Update.
//   - Strong: a writer that returns an error which is not RolledBack, or goes on after
//     its context has ended, may change the source after the fence; no node knows then.
//     Heed the context, or let the source check the Fence.
//   - There is no Set: a value written to the source outside a fence cannot be
//     cached safely, because two writers may end in two orders.
package tiered
