// Package simulation runs a fleet of caches on a Redis that is broken on purpose, and checks every
// single read against what the fleet has been promised.
//
// There is one engine and two rigs. [NewEmbedded] puts Redis and the network into this process's
// memory: in a testing/synctest bubble hours pass in seconds, and instants are exact. [NewReal]
// drives redis-server processes through a TCP fault proxy for each node. Scenarios and the random
// run are the same on both.
//
// # What is checked, and how
//
//	I1  bound        every read, against the instants at which writes returned; no tolerance
//	I2  fill         by its effect on I1: loaders are slow before and after they read the source
//	I3  lease        by its effect on I1: nodes are cut off, made deaf and one-way
//	I4  probe time   by its effect on I1: replies are delayed beyond the bound
//	I5  stale set    Redis holds no value older than a write that has returned; no tolerance
//	I6  fence        Redis holds the fence at the instant at which a writer commits
//	I7  order        as I5: whoever hears of a write finds nothing older
//	I8  fail closed  ErrNotWritten and the writer was called exclude each other
//	I9  crash        a write that never returned is bound from its commit + FenceTTL on
//	I10 chain        the entries of the ring name each other; nodes by the effect on I1
//	I11 epoch        the epoch in Redis never falls; nodes by the effect on I1 after restarts
//	I12 one loader   herds on fresh keys while nothing is broken: one load in the fleet
//	I13 idempotence  commands are sent twice, and again after others have done whole updates
//	I14 own writes   every read, against the writes that had returned on its node
//	I15 strong       porcupine, per key, on histories of a fleet with Times.Strong; I1 with no bound
//	I16 strong       by its effect on I15
//	I17 expiry       every read, against writes that nobody announced; every key has a TTL
//	I18 shutdown     nodes are closed under load; a call or a Close that hangs is reported
//
// The errors that a call may return are enumerated too: any other one is a violation. So is a node that
// is not in step again soon after everything was healed.
//
// Not seen here: failover and Cluster, hashes that collide, and clocks that
// step. Those have tests of their own; and most interleavings that chance finds rarely or never have a
// gated test in the packages they concern.
//
// # Time
//
// A read's start is noted before the call and a write's return after it, so that a slow machine
// can only make a check laxer. Seeds fix the plan of a run: what is done, broken and healed when. They
// do not fix the scheduling of goroutines, so that a violation may need several runs of its seed.
package simulation
