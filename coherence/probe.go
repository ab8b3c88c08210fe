package coherence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// prober is the state of the probe loop, touched by it alone but where noted.
type prober struct {
	unnamed  bool    // that ROLE is refused has been told
	looked   Instant // when INFO was last asked for although it was refused
	stepped  bool    // the last thing said was EventInStep
	forked   bool    // the last probe found a fork
	owed     uint64  // an entry that came by repair and that pub/sub still has to deliver
	owedAt   Instant // since when
	repair   repair
	proved   Instant          // when the last probe in step was sent: it reported all that is older
	wall     func() time.Time // the wall clock; tests step it
	lastWall int64
	lastMono Instant
	reloaded Instant               // when the data client was last told to look for masters that have moved
	failure  atomic.Pointer[error] // of the last probe; read by Join
}

// refusal returns the last probe's error if Redis answered with it, nil if the
// network failed.
func (p *prober) refusal() error {
	err := p.failure.Load()
	var refused redis.Error
	if err == nil || *err == nil {
		return nil
	}
	if errors.Is(*err, ErrReplica) {
		return *err
	}
	if errors.As(*err, &refused) && !isPassing(*err) {
		return *err
	}
	return nil
}

// isReplica tells the errors of a server that is no master, or no longer.
func isReplica(err error) bool { return errors.Is(err, ErrReplica) || hasPrefix(err, "READONLY") }

// isPassing tells the server errors that end by themselves.
func isPassing(err error) bool {
	return refusesWrites(err) || hasPrefix(err, "LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "MOVED", "ASK",
		"READONLY", "max number of clients")
}

// refusesWrites tells the errors of a server that takes no writes for now: too few
// replicas, a snapshot that failed, memory that is full. It answers reads.
func refusesWrites(err error) bool { return hasPrefix(err, "NOREPLICAS", "MISCONF", "OOM") }

func hasPrefix(err error, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return redis.HasErrorPrefix(err, p) })
}

// rest is the part of Probe that passes between a probe that failed and the next:
// those who wait for the node wake it all the time, and a Redis that refuses, or is
// loading its data, is not to be asked as fast as it can answer.
const rest = 8

// probeLoop proves the node in step every Probe, and at once when woken.
func (n *Node) probeLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-n.wakeup:
		}
		err := n.probe(ctx)
		if ctx.Err() != nil {
			return // closing is no failure
		}
		if isReplica(err) && !n.monitor.cluster.Load() {
			n.monitor.conns.end(nil) // all of them lead where this one does
		}
		n.prober.failure.Store(&err)
		n.report(err)
		timer.Reset(n.cfg.Probe)
		if err != nil {
			pause(ctx, n.cfg.Probe/rest)
		}
	}
}

// report turns state changes into events.
func (n *Node) report(err error) {
	if err != nil {
		n.counts.probeFailures.Add(1)
		reload(n.clients.control)
	}
	if now := n.Now(); now.Sub(n.prober.reloaded) >= clusterReload {
		n.prober.reloaded = now
		reload(n.clients.data) // the probe sees no other shard than that of the bus
	}
	stepped := n.Leased(n.Now())
	if stepped == n.prober.stepped {
		return
	}
	n.prober.stepped = stepped
	if stepped {
		n.event(Event{Kind: EventInStep})
	} else {
		n.event(Event{Kind: EventAdrift, Err: err})
	}
}

// reload makes a Cluster client look for a master that has moved. By itself it
// dials a dead one for up to ClusterStateReloadInterval, a minute by default.
func reload(rdb redis.UniversalClient) {
	if c, ok := rdb.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background())
	}
}

// probe compares the node's history with the bus and extends the lease if
// nothing is missing any more. The lease counts from the moment the probe was
// sent: an entry that Redis executed before is in the reply, one executed later
// is at most MaxStale old when the lease ends.
func (n *Node) probe(ctx context.Context) error {
	n.noticeSuspension()
	if err := n.enterProcesses(ctx); err != nil {
		return err
	}
	sent := n.history.held()
	s := n.Now()
	r, attested, err := n.attestOrRead(ctx, sent, s)
	if err != nil {
		return err
	}
	n.counts.probes.Add(1)
	n.lookAgain(ctx)
	if _, known := n.monitor.view(); !known {
		n.wake() // an unknown process may have answered: enter it first
		return nil
	}
	verdict := n.history.judge(sent, r)
	if verdict == behind {
		verdict, err = n.repair(ctx, r)
		if err != nil {
			return err
		}
	}
	if verdict == lost && !n.monitor.sees() {
		verdict = forked // without identities a gap cannot be told from a fork
	}
	switch verdict {
	case inStep:
		n.noticeDeafness()
	case lost:
		why := "fell more than " + strconv.Itoa(ring) + " announcements behind"
		if r.at.n-sent.at.n <= ring {
			why = "could not read the announcements that it had missed in time"
		}
		n.void(r, Event{Kind: EventMissed, Note: why})
	case newEpoch:
		why := Event{} // whoever raised it has told why
		if _, joined := n.history.position(); joined && (r.at.n < sent.at.n || r.at.n == sent.at.n && r.at != sent.at) {
			n.counts.forks.Add(1)
			why = Event{Kind: EventFork, Note: "Redis lost the bus, and an announcement has made it anew; L2 and all local copies were voided"}
		}
		_, joined := n.history.position()
		elsewhere := joined && (r.at.n < sent.at.n || !n.history.passed(r.at))
		n.void(r, why)
		if elsewhere { // this node may have announced to a server that the others had left
			n.repeatLater(n.shared())
		}
	case forked, epochLost:
		return n.fork(ctx, r, verdict)
	case unclear:
		n.wake()
		return errUnclear
	}
	n.prober.proved, n.prober.forked, n.prober.repair = s, false, newRepair()
	n.extend(s)
	if attested && n.monitor.sees() {
		n.assure(s)
		n.sweepRegistry(ctx)
	}
	return n.attend(ctx, r.version)
}

var errUnclear = errors.New("coherence: the bus moved on during the probe")

// void adopts the reported position and voids every copy of this node, in this
// order: a load that took its generation after the flush must not hold a value
// of an epoch that was current before it (I11).
func (n *Node) void(r report, why Event) {
	n.rebirth(n.Now(), 0)
	n.estrange()
	n.history.adopt(r)
	n.gens.flush()
	n.members.unsettle()
	n.prober.owed = 0
	n.sub.heard.Store(0) // the numbers may begin anew
	if why.Kind != 0 {
		n.event(why)
	}
}

// fork handles a history that is not the one followed here: it voids L2 by a
// new epoch and probes again. It grants no lease.
func (n *Node) fork(ctx context.Context, r report, v verdict) error {
	why := Event{}
	again := n.prober.forked
	if n.history.epoch.Load() != 0 { // else the fleet is new
		n.counts.forks.Add(1)
		if !again {
			why = Event{Kind: EventFork, Note: "Redis lost a part of its history; L2 and all local copies were voided"}
		}
	}
	var err error
	if r.epoch, _, err = n.meet(ctx, "", v == forked); err != nil {
		return err
	}
	n.void(r, why)
	n.repeatLater(n.shared())
	n.prober.forked = true
	if !again { // else two servers may be answering in turn: no faster than Probe
		n.wake()
	}
	return nil
}

// shared is an instant at which this node followed the history that others followed: what
// it had announced by then was announced to all. Without sight of the Redis processes
// none is known.
func (n *Node) shared() Instant {
	if !n.monitor.sees() || n.cfg.Warm > 0 {
		return never
	}
	return n.prober.proved
}

// noticeSuspension drops the lease when the wall clock ran ahead of the
// monotonic one: a suspended machine may stop the latter, and with it the lease.
func (n *Node) noticeSuspension() {
	p := &n.prober
	wall, mono := p.wall().UnixNano(), n.Now()
	ahead := time.Duration(wall-p.lastWall) - mono.Sub(p.lastMono)
	first := p.lastWall == 0
	p.lastWall, p.lastMono = wall, mono
	if first || ahead < n.cfg.MaxStale/2 {
		return
	}
	n.dropLease()
	n.event(Event{Kind: EventSuspended, Note: fmt.Sprintf("the wall clock ran %v ahead", ahead.Round(time.Millisecond))})
}
