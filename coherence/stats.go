package coherence

import "sync/atomic"

// Stats are counters since Join.
type Stats struct {
	Probes        uint64 // answered by Redis
	ProbeFailures uint64
	Messages      uint64 // announcements delivered by pub/sub
	Repaired      uint64 // announcements fetched from the ring because pub/sub had not delivered them
	Announced     uint64 // entries of the bus made by this node; one may carry several announcements
	Subscribed    uint64 // subscriptions confirmed by Redis, two for each connection
	Deaf          uint64 // subscriptions renewed because they delivered nothing
	Forks         uint64 // losses of Redis' history found by the probe
	Kept          uint64 // Redis processes that took over and whose values were kept
	Repeated      uint64 // own announcements made again because a process that took over had lost them
	Confirmed     uint64 // announcements of others confirmed by this node
	Outwaited     uint64 // nodes that did not confirm an announcement of this one
	Malformed     uint64 // messages that could not be understood
	Panics        uint64 // of OnEvent
	Journal       int    // failed invalidations being retried now
}

type counters struct {
	probes, probeFailures, messages, repaired, announced, subscribed, deaf, forks, kept, repeated, confirmed, outwaited, malformed, panics atomic.Uint64
}

// Stats returns the node's counters.
func (n *Node) Stats() Stats {
	c := &n.counts
	return Stats{
		Probes: c.probes.Load(), ProbeFailures: c.probeFailures.Load(), Messages: c.messages.Load(),
		Repaired: c.repaired.Load(), Announced: c.announced.Load(), Subscribed: c.subscribed.Load(),
		Deaf: c.deaf.Load(), Forks: c.forks.Load(), Kept: c.kept.Load(), Repeated: c.repeated.Load(), Confirmed: c.confirmed.Load(), Outwaited: c.outwaited.Load(),
		Malformed: c.malformed.Load(), Panics: c.panics.Load(), Journal: int(n.journal.size.Load()),
	}
}
